package dockertest

import (
	"net/http"
	"sync"
	"time"
)

// A Fault is something going wrong with a call. Clients repeat a GET whose
// connection is cut, so a Drop of one that is to be noticed needs Nth 0.
type Fault struct {
	Endpoint string // as in the engine's documentation: "POST /containers/{id}/start"; "" is any
	Nth      int    // the call that fails, counted from now: 1 is the next; 0 is every one
	Subject  string // only calls about this {id} or {name}, as the caller writes it; "" is any

	Delay   time.Duration // before anything else
	Status  int           // answered instead of doing it; 0 does it
	Message string
	Drop    bool // cuts the connection instead of doing it
	After   bool // does it, then cuts the connection
}

// A Call is a request that arrived.
type Call struct {
	Endpoint string // "GET /containers/{id}/json"
	Subject  string // its {id} or {name}
	Query    string
}

type faults struct {
	mu     sync.Mutex
	calls  []Call
	counts map[string]int
	set    []*pending
	watch  func(Call)
}

type pending struct {
	Fault
	seen int
}

// Inject makes calls go wrong from now on, until [Server.Heal].
func (s *Server) Inject(f ...Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, one := range f {
		s.faults.set = append(s.faults.set, &pending{Fault: one})
	}
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.set = nil
}

// Watch calls f with every request before it is served, in the goroutine that
// serves it; f may block. nil ends that.
func (s *Server) Watch(f func(Call)) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.watch = f
}

// Count returns how often an endpoint was called: "GET /containers/{id}/json".
func (s *Server) Count(endpoint string) int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.counts[endpoint]
}

// Calls returns the requests since [Server.Forget], oldest first.
func (s *Server) Calls() []Call {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return append([]Call(nil), s.faults.calls...)
}

// Forget starts counting anew.
func (s *Server) Forget() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.calls, s.faults.counts = nil, nil
}

// remembering more calls than tests look at would leak in a long demo.
const mostCalls = 10_000

func (f *faults) count(endpoint string) { f.note(Call{Endpoint: endpoint}) }

func (f *faults) note(c Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[c.Endpoint]++
	if len(f.calls) < mostCalls {
		f.calls = append(f.calls, c)
	}
}

// meet counts a call and returns what goes wrong with it, nil when nothing.
func (f *faults) meet(endpoint string, r *http.Request) *Fault {
	c := Call{Endpoint: endpoint, Subject: r.PathValue("id"), Query: r.URL.RawQuery}
	if c.Subject == "" {
		c.Subject = r.PathValue("name")
	}
	f.note(c)
	f.mu.Lock()
	watch := f.watch
	var met *Fault
	for _, p := range f.set {
		if p.Endpoint != "" && p.Endpoint != endpoint || p.Subject != "" && p.Subject != c.Subject {
			continue
		}
		p.seen++
		if met == nil && (p.Nth == 0 || p.Nth == p.seen) {
			met = &p.Fault
		}
	}
	f.mu.Unlock()
	if watch != nil {
		watch(c)
	}
	return met
}

// before reports whether the call goes on.
func (f *Fault) before(clock Clock, w http.ResponseWriter, r *http.Request) bool {
	if f == nil {
		return true
	}
	if f.Delay > 0 {
		over := make(chan struct{})
		stop := clock.AfterFunc(f.Delay, func() { close(over) })
		defer stop()
		select {
		case <-over:
		case <-r.Context().Done():
			return false
		case <-closing(r):
			return false
		}
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.Status != 0 {
		message := f.Message
		if message == "" {
			message = http.StatusText(f.Status)
		}
		answerError(w, &failure{f.Status, message})
		return false
	}
	return true
}
