package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suite"
	"plimsoll/fixes"
	"plimsoll/fixes/ignore"
)

// TestIgnoreFromTheScreen writes down what is accepted the way the screen does,
// and takes it back.
func TestIgnoreFromTheScreen(t *testing.T) {
	server := dockertest.Demo()
	if err := server.Start(home(t)); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	t.Setenv("DOCKER_HOST", server.Host())
	const source = "FROM debian:12-slim\nRUN true\nUSER root\nCMD [\"/app\"]\n"
	const services = "services:\n  web:\n    image: nginx:1\n    privileged: true\n"
	file(t, "Dockerfile", source)
	file(t, "compose.yaml", services)
	a := &app{out: io.Discard, err: io.Discard, version: "test", suite: suite.All(), profile: "all"}
	a.speak("en")
	if err := a.prepare("."); err != nil {
		t.Fatal(err)
	}
	s, err := a.open(t.Context(), []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	accept := a.screenOptions(t.Context(), s).Accept
	items, err := s.inventory.Gather(t.Context(), inventory.Selection{Paths: []string{"Dockerfile", "compose.yaml"}, Host: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		accepted, path, before := ignore.Acceptance{Reason: "lab"}, "", ""
		var want string
		switch item.Subject.(type) {
		case *dockerfile.File:
			accepted.Check, accepted.Line, path, before = "final-user-root", 3, "Dockerfile", source
			want = strings.Replace(source, "USER", "# plimsoll: ignore=final-user-root reason=\"lab\"\nUSER", 1)
		case *compose.File:
			accepted.Check, accepted.Line, path, before = "container-privileged", 4, "compose.yaml", services
			want = strings.Replace(services, "    privileged", "    # plimsoll: ignore=container-privileged reason=\"lab\"\n    privileged", 1)
		default:
			accepted.Check, path = "daemon-live-restore-off", ".plimsoll.yaml"
			want = "ignore:\n  - check: daemon-live-restore-off\n    host: true\n    reason: \"lab\"\n"
		}
		plan, err := accept(t.Context(), item.Subject, accepted)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if data, _ := os.ReadFile(path); string(data) != before {
			t.Errorf("%s: planning wrote %q", path, data)
		}
		receipt, err := s.fixer.Apply(t.Context(), plan, func(fixes.Progress) {})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if data, _ := os.ReadFile(path); string(data) != want {
			t.Errorf("%s is\n%s\nwant\n%s", path, data, want)
		}
		if err := s.fixer.Undo(t.Context(), receipt.Entry, func(fixes.Progress) {}); err != nil {
			t.Errorf("%s: undo: %v", path, err)
		}
		if data, _ := os.ReadFile(path); string(data) != before {
			t.Errorf("%s: undone, it is %q", path, data)
		}
	}
	if len(items) != 3 {
		t.Errorf("%d subjects", len(items))
	}
	// What is shown may be old by now.
	file(t, "Dockerfile", "# new\n"+source)
	stale := dockerfile.Parse(items[0].Ref.ID, "Dockerfile", []byte(source))
	for _, item := range items {
		if f, ok := item.Subject.(*dockerfile.File); ok {
			stale = f
		}
	}
	if _, err := accept(t.Context(), stale, ignore.Acceptance{Check: "final-user-root", Line: 3, Reason: "lab"}); err == nil {
		t.Error("a file that has changed since was planned for")
	}
}

// TestConfigurationIsReadAgain holds that what the screen writes into the
// configuration counts at once.
func TestConfigurationIsReadAgain(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	a := &app{out: io.Discard, err: io.Discard, version: "test", suite: suite.All()}
	a.speak("en")
	if err := a.prepare("."); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := a.open(ctx, []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	o := a.screenOptions(ctx, s)
	o.Repolicy(checks.All)
	file(t, ".plimsoll.yaml", "ignore:\n- {check: final-user-root, path: Dockerfile, reason: lab}\n")
	o.Changed()
	for u := range o.Updates {
		for _, item := range u.Items {
			for _, x := range item.Report.Suppressed {
				if x.Check.ID == "final-user-root" && x.Suppression.Reason == "lab" {
					return
				}
			}
		}
	}
	t.Error("what was ignored still counts")
}
