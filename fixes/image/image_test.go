package image_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	subject "plimsoll/checks/image"
	"plimsoll/fixes"
	"plimsoll/fixes/container"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/image"
	"plimsoll/fixes/ledger"
)

// A lab is an engine with one image, shop:latest.
type lab struct {
	*fixer.Dispatcher
	engine *client.Client
	ledger *ledger.Ledger
	prefix string
	id     string
}

func engines(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Run("memory", func(t *testing.T) {
		server := dockertest.Run(t)
		server.AddImage(dockertest.Image{Tags: []string{"shop:latest"}})
		test(t, newLab(t, server.Client(t), ""))
	})
	t.Run("real", func(t *testing.T) {
		if testing.Short() {
			t.Skip("not with -short")
		}
		c := dockertest.Real(t)
		prefix := dockertest.Prefix(t, c)
		dockertest.Load(t, c, prefix, dockertest.Probe(prefix+"shop:latest"))
		test(t, newLab(t, c, prefix))
	})
}

func newLab(t *testing.T, c *client.Client, prefix string) *lab {
	t.Helper()
	l := &lab{engine: c, prefix: prefix, ledger: ledger.New(filepath.Join(t.TempDir(), "state"))}
	l.id = l.means(t, "shop:latest")
	l.Dispatcher = fixer.New(fixer.Options{
		Ledger:    l.ledger,
		Mechanics: map[checks.Kind]fixer.Mechanic{checks.Image: image.New(c, container.NewGroup(container.New(c, container.Options{})), false)},
		Engine:    func(context.Context) (string, error) { return "engine", nil },
	})
	return l
}

// means returns the id of the image that a name names, "" for none.
func (l *lab) means(t *testing.T, name string) string {
	t.Helper()
	got, err := l.engine.ImageInspect(t.Context(), l.prefix+name)
	if errdefs.IsNotFound(err) {
		return ""
	}
	must(t, err)
	return got.ID
}

// plan asks for a tag that stays; "" is the one that is proposed.
func (l *lab) plan(t *testing.T, tag string) (*fixes.Plan, error) {
	t.Helper()
	got, err := l.engine.ImageInspect(t.Context(), l.id)
	must(t, err)
	i := &subject.Image{Inspect: got.InspectResponse, Now: time.Now()}
	request := fixes.Request{Values: checks.Values{}}
	if tag != "" {
		request.Values["tag"] = tag
	}
	for _, f := range checks.Run(i, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "image-latest-only" {
			request.Findings = append(request.Findings, f)
		}
	}
	if len(request.Findings) == 0 {
		return nil, errors.New("nothing is found")
	}
	return l.Plan(t.Context(), i, request)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTag(t *testing.T) {
	engines(t, func(t *testing.T, l *lab) {
		if _, err := l.plan(t, "latest"); !errdefs.IsInvalidArgument(err) {
			t.Errorf("latest: %v", err)
		}
		if _, err := l.plan(t, "-x"); !errdefs.IsInvalidArgument(err) {
			t.Errorf("-x: %v", err)
		}
		plan, err := l.plan(t, "1.4")
		must(t, err)
		if len(plan.Cures) != 1 || !plan.Blocked.IsZero() || !strings.Contains(strings.Join(plan.Commands(), "\n"), "docker tag "+l.id+" "+l.prefix+"shop:1.4") {
			t.Fatalf("plans %+v", plan)
		}
		if l.means(t, "shop:1.4") != "" {
			t.Fatal("planning has tagged it")
		}
		receipt, err := l.Apply(t.Context(), plan, nil)
		must(t, err)
		if l.means(t, "shop:1.4") != l.id || l.means(t, "shop:latest") != l.id || len(receipt.Proof) == 0 {
			t.Errorf("the names mean %s and %s", l.means(t, "shop:1.4"), l.means(t, "shop:latest"))
		}
		must(t, l.Undo(t.Context(), receipt.Entry, nil))
		if l.means(t, "shop:1.4") != "" || l.means(t, "shop:latest") != l.id {
			t.Error("undone, the names are others than before")
		}
	})
}

// A name that somebody else has given meanwhile is theirs.
func TestTagIsTaken(t *testing.T) {
	engines(t, func(t *testing.T, l *lab) {
		plan, err := l.plan(t, "1.4")
		must(t, err)
		_, err = l.engine.ImageTag(t.Context(), client.ImageTagOptions{Source: l.id, Target: l.prefix + "shop:1.4"})
		must(t, err)
		if _, err := l.Apply(t.Context(), plan, nil); !errors.Is(err, fixes.ErrChanged) {
			t.Errorf("applied over it: %v", err)
		}
	})
}

// An image does not go with the name that is taken back.
func TestLastNameStays(t *testing.T) {
	engines(t, func(t *testing.T, l *lab) {
		plan, err := l.plan(t, "1.4")
		must(t, err)
		receipt, err := l.Apply(t.Context(), plan, nil)
		must(t, err)
		_, err = l.engine.ImageRemove(t.Context(), l.prefix+"shop:latest", client.ImageRemoveOptions{})
		must(t, err)
		if err := l.Undo(t.Context(), receipt.Entry, nil); err == nil || l.means(t, "shop:1.4") != l.id {
			t.Errorf("undone: %v; the name means %q", err, l.means(t, "shop:1.4"))
		}
	})
}

// A crash before or after the tag was set is finished, or taken back.
func TestTagIsInterrupted(t *testing.T) {
	engines(t, func(t *testing.T, l *lab) {
		for _, set := range []bool{false, true} {
			for _, finish := range []bool{false, true} {
				plan, err := l.plan(t, "1.4")
				must(t, err)
				receipt, err := l.Apply(t.Context(), plan, nil)
				must(t, err)
				entry, err := l.ledger.Entry(receipt.Entry)
				must(t, err)
				entry.State = ledger.Running
				must(t, l.ledger.Put(entry))
				if !set {
					_, err = l.engine.ImageRemove(t.Context(), l.prefix+"shop:1.4", client.ImageRemoveOptions{})
					must(t, err)
				}
				interrupted, err := l.Interrupted(t.Context())
				must(t, err)
				if !slices.ContainsFunc(interrupted, func(e ledger.Entry) bool { return e.ID == entry.ID }) {
					t.Fatal("it is not known to be interrupted")
				}
				must(t, l.Recover(t.Context(), entry.ID, finish, nil))
				entry, err = l.ledger.Entry(entry.ID)
				must(t, err)
				done := set && finish
				if (entry.State == ledger.Applied) != done || (l.means(t, "shop:1.4") != "") != done || l.means(t, "shop:latest") != l.id {
					t.Errorf("set %t, finished %t: %s, the name means %q", set, finish, entry.State, l.means(t, "shop:1.4"))
				}
				if done {
					must(t, l.Undo(t.Context(), entry.ID, nil))
				}
			}
		}
	})
}
