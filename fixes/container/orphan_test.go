package container

import (
	"fmt"
	"os"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// TestLostJournal: labels suffice to end what a crash began.
func TestLostJournal(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	unknown := func(string) bool { return false }
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
			orphans, err := l.m.Orphans(t.Context(), unknown)
			if err == nil && len(orphans) == 0 {
				if now := l.inspect(name); now.ID == before.ID || !now.State.Running {
					t.Errorf("killed before step %d: it was not found, and is not done", at)
				}
				continue // started already: only the verification is missing
			}
			if err != nil || len(orphans) != 1 || orphans[0].Name != name {
				t.Fatalf("killed before step %d: %v, %v", at, orphans, err)
			}
			state, err := l.m.Adopt(t.Context(), orphans[0], finish, func(int, any) error { return nil }, func(fixes.Progress) {})
			if err != nil {
				t.Fatal(err)
			}
			now := l.inspect(name)
			if (state == ledger.Applied) != (now.ID != before.ID) || !now.State.Running || now.HostConfig.RestartPolicy.Name != api.RestartPolicyAlways {
				t.Errorf("killed before step %d: %s, replaced %t, running %t, %v", at, state, now.ID != before.ID, now.State.Running, now.HostConfig.RestartPolicy)
			}
			if left, err := l.m.Orphans(t.Context(), unknown); err != nil || len(left) != 0 {
				t.Errorf("%v, %v", left, err)
			}
		}
	}
}
