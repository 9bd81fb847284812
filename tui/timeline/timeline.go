// Package timeline remembers the alerts about what containers did across
// starts: few, for a week, in a file that only the user may read. Alerts are
// stored as they are shown, with secrets masked, and sanitised once more when
// they are read, since a file can be changed.
package timeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
	"plimsoll/fixes/private"
)

// Bounds of what is remembered of one engine.
const (
	most    = 300
	longest = 7 * 24 * time.Hour
	largest = 1 << 20 // bytes of the file
	files   = 32      // engines
)

// A Store keeps the alerts of several engines. Nothing is read or created
// before it is used.
type Store struct{ dir private.Dir }

// NewStore returns the store in dir.
func NewStore(dir string) *Store { return &Store{private.Dir{Path: dir}} }

const (
	schema   = 1
	lockName = ".timeline.lock"
)

type (
	stored struct {
		Schema int     `json:"schema"`
		Engine string  `json:"engine"`
		Alerts []alert `json:"alerts"` // the oldest first
	}
	alert struct {
		Check     string          `json:"check"`
		Container string          `json:"container,omitempty"`
		Name      string          `json:"name"`
		At        time.Time       `json:"at"`
		Severity  checks.Severity `json:"severity"`
		Key       string          `json:"key,omitempty"`
		Source    runtime.Source  `json:"source"`
		Message   message         `json:"message"`
		Evidence  []evidence      `json:"evidence,omitempty"`
	}
	evidence struct {
		Source string `json:"source"`
		Detail string `json:"detail,omitempty"`
	}
)

func fileName(engine string) string {
	sum := sha256.Sum256([]byte(engine))
	return "alerts-" + hex.EncodeToString(sum[:12]) + ".json"
}

// Load returns the alerts of an engine, the oldest first, marked as past; none
// when nothing is remembered. A file that cannot be used is an error, and is
// replaced by the next [Store.Save].
func (s *Store) Load(engine string, now time.Time) ([]runtime.Alert, error) {
	data, err := s.dir.Read(fileName(engine))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var in stored
	if err == nil && len(data) > largest {
		err = errors.New("the file is larger than what is remembered")
	}
	if err == nil {
		err = json.Unmarshal(data, &in)
	}
	if err == nil && (in.Schema != schema || in.Engine != engine) {
		err = errors.New("the file is of another version or engine")
	}
	if err != nil {
		return nil, fmt.Errorf("read the alerts of before: %w", err)
	}
	var out []runtime.Alert
	for _, a := range in.Alerts[max(0, len(in.Alerts)-most):] {
		if a.At.After(now.Add(time.Minute)) || now.Sub(a.At) > longest || !slices.Contains(checks.Severities, a.Severity) {
			continue
		}
		out = append(out, a.alert())
	}
	return out, nil
}

// Save adds alerts to those of an engine, whatever another process has written
// meanwhile. What that has noticed as well is kept once.
func (s *Store) Save(engine string, alerts []runtime.Alert, now time.Time) error {
	if len(alerts) == 0 {
		return nil
	}
	release, err := s.dir.Await(lockName)
	if err != nil {
		return fmt.Errorf("keep alerts: %w", err)
	}
	defer release()
	all, _ := s.Load(engine, now)
	for _, a := range alerts {
		if a = a.Clean(); !slices.ContainsFunc(all, func(b runtime.Alert) bool { return same(a, b) }) {
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b runtime.Alert) int { return a.At.Compare(b.At) })
	out := stored{Schema: schema, Engine: engine, Alerts: []alert{}}
	for _, a := range all[max(0, len(all)-most):] {
		out.Alerts = append(out.Alerts, storable(a))
	}
	data, err := json.Marshal(out)
	for err == nil && len(data) > largest { // long commands; the oldest go
		out.Alerts = out.Alerts[len(out.Alerts)/2+1:]
		data, err = json.Marshal(out)
	}
	if err == nil {
		err = s.dir.Write(fileName(engine), data)
	}
	if err == nil {
		err = s.drop(fileName(engine))
	}
	if err != nil {
		return fmt.Errorf("keep alerts: %w", err)
	}
	return nil
}

// same reports whether two processes noticed the same thing.
func same(a, b runtime.Alert) bool {
	return a.Check == b.Check && a.Container == b.Container && a.Key == b.Key && a.Name == b.Name && a.At.Sub(b.At).Abs() < 5*time.Second
}

// drop removes files of other engines when there are too many.
func (s *Store) drop(mine string) error {
	names, err := s.dir.Names()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == mine || len(n) != len(mine) })
	for _, n := range names[min(len(names), files-1):] {
		if err := s.dir.Remove(n); err != nil {
			return err
		}
	}
	return nil
}

func storable(a runtime.Alert) alert {
	out := alert{Check: a.Check, Container: a.Container, Name: a.Name, At: a.At.UTC(), Severity: a.Severity, Key: a.Key, Source: a.Source, Message: message(a.Message)}
	for _, e := range a.Evidence {
		out.Evidence = append(out.Evidence, evidence(e))
	}
	return out
}

func (a *alert) alert() runtime.Alert {
	out := runtime.Alert{
		Check: terminal.Line(a.Check), Container: terminal.Line(a.Container), Name: a.Name, At: a.At, Severity: a.Severity, Key: a.Key,
		Source: runtime.Source(terminal.Line(string(a.Source))), Message: checks.Message(a.Message), Past: true,
	}
	out.Message.Format = terminal.Line(secret.Redact(out.Message.Format))
	for _, e := range a.Evidence {
		out.Evidence = append(out.Evidence, checks.Evidence(e))
	}
	return out.Clean()
}
