package cli

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/cli/cli/config"
	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/inventory"
)

// dockerContext makes a context of the docker CLI.
func dockerContext(t *testing.T, name, host string) {
	t.Helper()
	id := sha256.Sum256([]byte(name))
	dir := filepath.Join(config.ContextStoreDir(), "meta", fmt.Sprintf("%x", id))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	meta := `{"Name":"` + name + `","Metadata":{},"Endpoints":{"docker":{"Host":"` + host + `","SkipTLSVerify":false}}}`
	if err := os.WriteFile(filepath.Join(dir, "meta.json"), []byte(meta), 0o644); err != nil {
		t.Fatal(err)
	}
}

// contexts gives the docker CLI two contexts, of which one answers.
func contexts(t *testing.T) {
	dir := home(t)
	before := config.Dir()
	config.SetDir(filepath.Join(dir, "docker"))
	t.Cleanup(func() { config.SetDir(before) })
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	if _, err := s.AddContainer(dockertest.Container{Name: "risky", Config: container.Config{Image: "app:1"}, Host: container.HostConfig{Privileged: true}}); err != nil {
		t.Fatal(err)
	}
	dockerContext(t, "harbour", s.Host())
	dockerContext(t, "gone", "unix://"+filepath.Join(dir, "gone.sock"))
}

func TestCheckContext(t *testing.T) {
	contexts(t)
	code, out, errs := plimsoll(t, "check", "--context", "harbour", "containers")
	if code != exitFindings || !strings.Contains(out, "container-privileged") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	if code, _, errs = plimsoll(t, "check", "--context", "gone", "containers"); code != exitError || !strings.Contains(errs, "gone.sock") {
		t.Errorf("a context whose engine is gone: exit %d, %s", code, errs)
	}
	if code, _, errs = plimsoll(t, "check", "--context", "nowhere", "containers"); code != exitError || !strings.Contains(errs, "nowhere") {
		t.Errorf("a context that is not there: exit %d, %s", code, errs)
	}
	if code, _, errs = plimsoll(t, "check", "--context", "harbour", "--host", "unix:///x", "containers"); code != exitError {
		t.Errorf("both a context and a host: exit %d, %s", code, errs)
	}
}

func TestCheckAllContexts(t *testing.T) {
	contexts(t)
	code, out, errs := plimsoll(t, "check", "--all-contexts", "--format", "json")
	if code != exitFindings {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	var got struct {
		Engines []engineReport
		Total   engineReport
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	byName := map[string]engineReport{}
	for _, e := range got.Engines {
		byName[e.Context] = e
	}
	harbour, gone := byName["harbour"], byName["gone"]
	if harbour.Score == nil || harbour.Counts["critical"] == 0 || harbour.Engine != "dockertest" || harbour.Error != "" {
		t.Errorf("harbour is %+v", harbour)
	}
	if gone.Score != nil || !strings.Contains(gone.Error, "gone.sock") {
		t.Errorf("gone is %+v", gone)
	}
	if got.Total.Counts["critical"] < harbour.Counts["critical"] {
		t.Errorf("together %+v", got.Total)
	}
	code, out, _ = plimsoll(t, "check", "--all-contexts", "--fail-on", "never", "--lang", "de")
	if code != exitClean || !strings.Contains(out, "zusammen") || !strings.Contains(out, "harbour") || !strings.Contains(out, "✗") {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, _, _ := plimsoll(t, "check", "--all-contexts", "host"); code != exitError {
		t.Errorf("subjects beside --all-contexts: exit %d", code)
	}
}

// An engine on another machine is changed only by a command that names it.
func TestMayChange(t *testing.T) {
	for _, test := range []struct {
		target  engine.Target
		kind    checks.Kind
		a       app
		yes, ok bool
	}{
		{engine.Target{Host: "unix:///x"}, checks.Container, app{}, true, true},
		{engine.Target{Host: "ssh://me@box"}, checks.Container, app{}, true, false},
		{engine.Target{Host: "ssh://me@box"}, checks.Container, app{}, false, false}, // no terminal
		{engine.Target{Host: "ssh://me@box"}, checks.Container, app{host: "ssh://me@box"}, true, true},
		{engine.Target{Host: "tcp://box:2376", Context: "box"}, checks.Container, app{context: "box"}, true, true},
		{engine.Target{Host: "ssh://me@box"}, checks.Dockerfile, app{}, true, true},
	} {
		test.a.speak("en")
		s := &session{inventory: inventory.New(inventory.Options{Target: &test.target})}
		ok, err := test.a.mayChange(s, test.kind, test.yes)
		if ok != test.ok || (err == nil) != test.ok {
			t.Errorf("%s %s, host %q, context %q: %v, %v", test.target.Host, test.kind, test.a.host, test.a.context, ok, err)
		}
	}
}

// The screen turns to another engine through the same parts.
func TestOpenEngine(t *testing.T) {
	contexts(t)
	a := &app{}
	a.config.Layers = "off" // what is read in the background would be written down while the folder goes
	a.speak("en")
	s, err := a.open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	updates := s.inventory.Watch(t.Context())
	e := &engines{a, s}
	target, err := engine.Context("harbour")
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() { _, err := e.Open(t.Context(), target); opened <- err }()
	for u := range updates {
		if u.Engine.Phase == inventory.Connected && u.Complete {
			break
		}
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if got := s.inventory.Target(); got == nil || got.Context != "harbour" {
		t.Errorf("the target is %+v", got)
	}
}
