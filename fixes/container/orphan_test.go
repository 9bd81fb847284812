package container

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes/ledger"
)

// TestLostJournal: labels suffice to end what a crash began, but only once
// nobody can be at work on it any more.
//
//scenario:15
func TestLostJournal(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	later := quickly
	later.Now = func() time.Time { return time.Now().Add(abandoned) }
	afterwards := l.dispatcher(New(l.cli, later))
	for at := 1; at < 8; at++ {
		for _, finish := range []bool{true, false} {
			name := fmt.Sprintf("%sapp%d-%t", l.prefix, at, finish)
			l.run(strings.TrimPrefix(name, l.prefix), service())
			before := l.inspect(name)
			if !l.crash(name, at, crashLate+"=1") {
				t.Fatal("the child was not killed")
			}
			if err := os.RemoveAll(l.ledger.Path()); err != nil {
				t.Fatal(err)
			}
			if found, err := l.fixer.Interrupted(t.Context()); err != nil || len(found) != 0 {
				t.Errorf("killed before step %d: somebody else's change is taken for lost: %v, %v", at, found, err)
			}
			found, err := afterwards.Interrupted(t.Context())
			if err == nil && len(found) == 0 {
				if now := l.inspect(name); now.ID == before.ID || !now.State.Running {
					t.Errorf("killed before step %d: it was not found, and is not done", at)
				}
				continue // started already: only the verification is missing
			}
			if err != nil || len(found) != 1 || found[0].Subject.Name != name {
				t.Fatalf("killed before step %d: %v, %v", at, found, err)
			}
			if again, err := afterwards.Interrupted(t.Context()); err != nil || len(again) != 1 {
				t.Errorf("killed before step %d: found again: %v, %v", at, again, err)
			}
			if err := afterwards.Recover(t.Context(), found[0].ID, finish, nil); err != nil {
				t.Fatal(err)
			}
			entry, err := l.ledger.Entry(found[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			now := l.inspect(name)
			if (entry.State == ledger.Applied) != (now.ID != before.ID) || !now.State.Running || now.HostConfig.RestartPolicy.Name != api.RestartPolicyAlways {
				t.Errorf("killed before step %d: %s, replaced %t, running %t, %v", at, entry.State, now.ID != before.ID, now.State.Running, now.HostConfig.RestartPolicy)
			}
			if left, err := afterwards.Interrupted(t.Context()); err != nil || len(left) != 0 {
				t.Errorf("%v, %v", left, err)
			}
		}
	}
}
