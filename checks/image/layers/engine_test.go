//go:build unix

package layers

import (
	"context"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// BenchmarkEngine reads the image that PLIMSOLL_IMAGE names from the engine and
// reports how much longer that takes than going through the same stream with
// archive/tar alone, the largest heap, and how long it takes from the cache.
//
//	docker import debian.tar plimsoll-debian:1
//	PLIMSOLL_IMAGE=plimsoll-debian:1 go test -run - -bench Engine ./checks/image/layers
func BenchmarkEngine(b *testing.B) {
	name := os.Getenv("PLIMSOLL_IMAGE")
	if name == "" {
		b.Skip("PLIMSOLL_IMAGE names no image to read from the engine")
	}
	c, err := client.New(client.FromEnv)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	inspect, err := c.ImageInspect(b.Context(), name)
	if err != nil {
		b.Fatal(err)
	}
	open := func(ctx context.Context) (io.ReadCloser, error) { return c.ImageSave(ctx, []string{name}) }
	var ours, alone, cached, cachedCPU time.Duration
	var entries int
	b.SetBytes(inspect.Size)
	peak := watchHeap(b)
	for b.Loop() {
		cache := NewCache(b.TempDir())
		start := time.Now()
		s, err := cache.Summary(b.Context(), inspect.ID, Options{DiffIDs: inspect.RootFS.Layers}, open)
		if err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)

		start, before := time.Now(), processorTime(b)
		if _, err := cache.Summary(b.Context(), inspect.ID, Options{}, nil); err != nil {
			b.Fatal(err)
		}
		cached += time.Since(start)
		cachedCPU += processorTime(b) - before

		start = time.Now()
		saved, err := open(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if entries = walk(b, saved); entries < s.Files {
			b.Fatalf("%d entries alone, %d files", entries, s.Files)
		}
		saved.Close()
		alone += time.Since(start)
	}
	b.ReportMetric(float64(ours)/float64(alone), "ratio")
	b.ReportMetric(float64(cached.Microseconds())/1000/float64(b.N), "cached-ms")
	b.ReportMetric(float64(cachedCPU.Microseconds())/1000/float64(b.N), "cached-cpu-ms")
	b.ReportMetric(float64(peak())/1e6, "peak-MB")
	b.ReportMetric(float64(entries), "entries")
}

// processorTime returns what the program has used of the processors: on a busy
// machine it tells more than the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchHeap returns what tells the most memory that the program held since.
func watchHeap(b *testing.B) (peak func() uint64) {
	var most atomic.Uint64
	ctx, stop := context.WithCancel(b.Context())
	b.Cleanup(stop)
	go func() {
		var m runtime.MemStats
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapSys-m.HeapReleased+m.StackSys))
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	}()
	return most.Load
}
