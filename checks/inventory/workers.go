package inventory

import "sync"

// workers are goroutines that do one job after the other. A goroutine for each
// job would grow a stack for each, which costs more than judging a subject.
type workers struct {
	jobs    chan func()
	pending sync.WaitGroup
}

// hire starts n workers, until they are dismissed.
func hire(n int) *workers {
	w := &workers{jobs: make(chan func())}
	for range n {
		go func() {
			for job := range w.jobs {
				job()
				w.pending.Done()
			}
		}()
	}
	return w
}

// do gives a job to the first who is free.
func (w *workers) do(job func()) {
	w.pending.Add(1)
	w.jobs <- job
}

// wait waits until all jobs are done.
func (w *workers) wait() { w.pending.Wait() }

func (w *workers) dismiss() { close(w.jobs) }
