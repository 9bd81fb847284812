package dockertest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
)

// remembered is how many events an engine keeps for "since".
const remembered = 256

// A hub hands events to whoever listens. It never waits for a listener.
type hub struct {
	now func() time.Time

	mu     sync.Mutex
	last   int64
	past   []events.Message
	queues map[*queue]struct{}
}

type queue struct {
	waiting []events.Message
	ready   chan struct{} // holds one token while something waits
}

func (h *hub) emit(kind events.Type, action events.Action, id string, attributes map[string]string) {
	h.emitIn("local", kind, action, id, attributes)
}

func (h *hub) emitIn(scope string, kind events.Type, action events.Action, id string, attributes map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.now().UnixNano()
	if at <= h.last {
		at = h.last + 1 // the order of events is also the order of their times
	}
	h.last = at
	m := events.Message{
		Type: kind, Action: action, Scope: scope,
		Actor: events.Actor{ID: id, Attributes: attributes},
		Time:  at / int64(time.Second), TimeNano: at,
	}
	h.past = append(h.past, m)
	if len(h.past) > remembered {
		h.past = append(h.past[:0], h.past[len(h.past)-remembered:]...)
	}
	for q := range h.queues {
		q.waiting = append(q.waiting, m)
		select {
		case q.ready <- struct{}{}:
		default:
		}
	}
}

// listen returns a queue that starts with what happened after since.
func (h *hub) listen(since int64) *queue {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := &queue{ready: make(chan struct{}, 1)}
	for _, m := range h.past {
		if since > 0 && m.TimeNano >= since {
			q.waiting = append(q.waiting, m)
		}
	}
	if len(q.waiting) > 0 {
		q.ready <- struct{}{}
	}
	if h.queues == nil {
		h.queues = map[*queue]struct{}{}
	}
	h.queues[q] = struct{}{}
	return q
}

func (h *hub) leave(q *queue) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.queues, q)
}

func (h *hub) take(q *queue) []events.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := q.waiting
	q.waiting = nil
	return m
}

func (h *hub) listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.queues)
}

// Events returns the latest events, at most 256, oldest first.
func (s *Server) Events() []events.Message {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	return append([]events.Message(nil), s.events.past...)
}

// EventListeners returns how many clients read events now.
func (s *Server) EventListeners() int { return s.events.listeners() }

// Emit sends an event that nothing in the engine caused.
func (s *Server) Emit(kind events.Type, action events.Action, id string, attributes map[string]string) {
	s.events.emit(kind, action, id, attributes)
}

func (s *Server) emitContainer(c *ctr, action events.Action, more map[string]string) {
	attributes := maps.Clone(c.Config.Labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["image"] = c.Config.Image
	attributes["name"] = c.name()
	maps.Copy(attributes, more)
	s.events.emit(events.ContainerEventType, action, c.ID, attributes)
}

func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) error {
	want, err := parseFilters(r)
	if err != nil {
		return err
	}
	since, err := parseTimestamp(r.FormValue("since"))
	if err != nil {
		return err
	}
	until, err := parseTimestamp(r.FormValue("until"))
	if err != nil {
		return err
	}
	var end <-chan struct{}
	if until > 0 {
		over := make(chan struct{})
		defer s.clock.AfterFunc(time.Unix(0, until).Sub(s.clock.Now()), func() { close(over) })()
		end = over
	}
	q := s.events.listen(since)
	defer s.events.leave(q)
	w.Header().Set("Content-Type", "application/json")
	flush := http.NewResponseController(w)
	flush.Flush()
	out := json.NewEncoder(w)
	send := func() error {
		for _, m := range s.events.take(q) {
			if (until == 0 || m.TimeNano <= until) && want.event(m) {
				if err := out.Encode(legacyEvent(m)); err != nil {
					return err
				}
			}
		}
		return flush.Flush()
	}
	for {
		select {
		case <-q.ready:
			if send() != nil {
				return nil // the listener is gone
			}
		case <-end:
			send()
			return nil
		case <-r.Context().Done():
			return nil
		case <-closing(r):
			return nil
		}
	}
}

// legacyEvent adds the three fields that engines still send at the top.
func legacyEvent(m events.Message) any {
	type old struct {
		Status string `json:"status,omitempty"`
		ID     string `json:"id,omitempty"`
		From   string `json:"from,omitempty"`
		events.Message
	}
	if m.Type == events.ContainerEventType || m.Type == events.ImageEventType {
		return old{string(m.Action), m.Actor.ID, m.Actor.Attributes["image"], m}
	}
	return m
}

// parseTimestamp reads "1700000000.000000001" as nanoseconds; "" is 0.
func parseTimestamp(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, badRequest("invalid timestamp %q", s)
	}
	var nanos int64
	if fraction != "" {
		if len(fraction) > 9 {
			fraction = fraction[:9]
		}
		nanos, err = strconv.ParseInt(fraction+strings.Repeat("0", 9-len(fraction)), 10, 64)
		if err != nil {
			return 0, badRequest("invalid timestamp %q", s)
		}
	}
	return seconds*int64(time.Second) + nanos, nil
}
