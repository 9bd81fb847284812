package runtime

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestStanding tells how long a container has to be watched still.
func TestStanding(t *testing.T) {
	f := facts()
	m := NewMonitor(Options{Learn: time.Hour})
	if s := m.Standing(f); s.Settled() || s.Left != time.Hour || s.Never {
		t.Errorf("of a container that nobody has looked at: %+v", s)
	}
	if learned, _ := m.Learned(); len(learned) != 0 {
		t.Error("asking is learning")
	}
	look := func(at time.Duration, programs ...string) {
		var all []Process
		for i, p := range programs {
			all = append(all, Process{PID: 10 + i, Parent: 10, Command: p})
		}
		m.Seen(f, Look{At: noon.Add(at), Source: Proc, Processes: all, CPU: -1})
	}
	for at := time.Duration(0); at <= 40*time.Minute; at += 4 * time.Minute {
		look(at, "serve")
	}
	if s := m.Standing(f); s.Settled() || s.Left != 20*time.Minute {
		t.Errorf("after 40 minutes: %+v", s)
	}
	for at := 44 * time.Minute; at <= 80*time.Minute; at += 4 * time.Minute {
		look(at, "serve")
	}
	s := m.Standing(f)
	if !s.Settled() || !slices.Equal(s.Normal.Programs, []string{"serve"}) {
		t.Errorf("after 80 minutes: %+v", s)
	}
	s.Normal.Programs[0] = "changed"
	if again := m.Standing(f); again.Normal.Programs[0] != "serve" {
		t.Error("what is learned can be changed from outside")
	}

	m = NewMonitor(Options{Learn: time.Minute})
	var many []string
	for i := range mostPrograms + 1 {
		many = append(many, fmt.Sprint("p", i))
	}
	for at := range 30 {
		look(time.Duration(at)*time.Minute, many...)
	}
	if s := m.Standing(f); s.Settled() || !s.Never {
		t.Errorf("of one that starts anything: %t, %v", s.Never, s.Left)
	}

	m = NewMonitor(Options{Normals: &Normals{Declared: func(*Facts) *Normal { return &Normal{Declared: true} }}})
	if s := m.Standing(f); !s.Settled() || !s.Normal.Declared {
		t.Errorf("declared: %+v", s)
	}
}

func TestTold(t *testing.T) {
	f := Facts{Command: "/tini -- /docker-entrypoint.sh nginx -g daemon off;", Health: "/bin/sh -c curl -f http://localhost/ || wget -q x; exit 1"}
	if got := f.Told(); !slices.Equal(got, []string{"curl", "docker-entrypoint.sh", "exit", "sh", "tini", "wget"}) {
		t.Errorf("told %q", got)
	}
	f = Facts{Command: "dumb-init -v gosu app sh -c 'serve'"}
	if got := f.Told(); !slices.Contains(got, "gosu") || !slices.Contains(got, "sh") || !slices.Contains(got, "dumb-init") {
		t.Errorf("told %q", got)
	}
	if got := (&Facts{Command: "tini"}).Told(); !slices.Equal(got, []string{"tini"}) {
		t.Errorf("told %q", got)
	}
	if got := (&Facts{}).Told(); len(got) != 0 {
		t.Errorf("told %q", got)
	}
}
