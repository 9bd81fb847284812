//go:build unix

package build_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/tools/txtar"

	"plimsoll/checks"
	source "plimsoll/checks/dockerfile"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
	"plimsoll/fixes/build"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// A built case is a txtar archive in testdata: a project that is built
// and run before and after it is fixed. Its comment has one setting a line:
//
//	fix: IDS       the checks whose findings are fixed; without it, all of them
//	set: KEY=VALUE a choice
//	changes: KEYS  what of the image's configuration must differ, and nothing else
//	before: fails  the original cannot be built
//	output: TEXT   what the fixed image prints, where that is not what the original prints
//	user: TEXT     the user of the fixed image
//	stops: CODE    the fixed image runs until it is stopped, and ends with this code
//	size: smaller  the fixed image is
//
// Files called *.fixed are what the fixed files must be.
type builtCase struct {
	settings map[string][]string
	files    []txtar.File
}

func (c *builtCase) setting(key string) string { return strings.Join(c.settings[key], "\n") }

func readCase(t *testing.T, path string) *builtCase {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	must(t, err)
	c := &builtCase{settings: map[string][]string{}, files: archive.Files}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if ok && strings.ToLower(key) == key {
			c.settings[key] = append(c.settings[key], value)
		}
	}
	return c
}

// TestBuilt builds and runs real images of small projects before and after all
// their problems are fixed: that a file parses says nothing about that.
func TestBuilt(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	paths, err := filepath.Glob("testdata/*.txtar")
	must(t, err)
	if len(paths) < 25 {
		t.Errorf("only %d projects", len(paths))
	}
	engine := dockertest.Real(t)
	prefix := dockertest.Prefix(t, engine)
	dockertest.Busybox(t, engine, prefix, "busybox:1.35")
	dockertest.Debian(t, engine, prefix, "debian:12.11")
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := &yard{T: t, engine: engine, prefix: prefix, name: name, builtCase: readCase(t, path)}
			y.run()
		})
	}
}

// A yard builds the images of one case.
type yard struct {
	*testing.T
	*builtCase
	engine       *client.Client
	prefix, name string

	project, vault string // directories
}

func (y *yard) path(name string) string { return filepath.Join(y.project, name) }

func (y *yard) read(name string) string {
	y.Helper()
	data, err := os.ReadFile(y.path(name))
	must(y.T, err)
	return string(data)
}

// subject reads the project as the inventory does.
func (y *yard) subject() *source.File {
	y.Helper()
	f := source.Parse(y.path("Dockerfile"), "Dockerfile", []byte(y.read("Dockerfile")))
	f.Context.Known = true
	f.Context.Ignore, _ = os.ReadFile(y.path(".dockerignore"))
	entries, err := os.ReadDir(y.project)
	must(y.T, err)
	for _, e := range entries {
		f.Context.Names = append(f.Context.Names, e.Name()+map[bool]string{true: "/"}[e.IsDir()])
	}
	f.Bases = map[string]source.Base{}
	for _, reference := range f.BaseImages() {
		got, err := y.engine.ImageInspect(y.Context(), y.prefix+reference)
		must(y.T, err)
		f.Bases[reference] = source.Base{ID: got.ID, User: got.Config.User, Env: got.Config.Env, Tags: []string{reference}}
	}
	return f
}

func (y *yard) run() {
	dir := y.TempDir()
	y.project, y.vault = filepath.Join(dir, "project"), filepath.Join(dir, "vault")
	for _, file := range y.files {
		if strings.HasSuffix(file.Name, ".fixed") {
			continue
		}
		text := strings.NewReplacer("␍", "\r", "\uFEFF", "\xef\xbb\xbf").Replace(string(file.Data))
		if strings.Contains(text, "␄") {
			text, _, _ = strings.Cut(text, "␄") // without the last end of line
		}
		path := y.path(file.Name)
		must(y.T, os.MkdirAll(filepath.Dir(path), 0o755))
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		must(y.T, os.WriteFile(path, []byte(text), mode))
	}
	before, err := y.build("before", nil)
	if fails := y.setting("before") == "fails"; (err != nil) != fails {
		y.Fatalf("the original: %v", explained(err))
	}
	plan := y.fix()
	after, err := y.build("after", y.secrets())
	if err != nil {
		y.Fatalf("the fixed file does not build: %v\n%s", explained(err), y.read("Dockerfile"))
	}
	y.compare(before, after)
	y.start(before, after)
	if y.Failed() {
		y.Logf("cured %d, notes:\n%s\n%s", len(plan.Cures), texts(plan.Notes), y.read("Dockerfile"))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func texts(messages []checks.Message) string {
	var out []string
	for _, m := range messages {
		out = append(out, m.String())
	}
	return strings.Join(out, "\n")
}

func explained(err error) string {
	if f, ok := err.(*build.Failure); ok {
		return f.Error() + "\n" + f.Log
	}
	return fmt.Sprint(err)
}

// fix carries out the plan for the case, as the command line does.
func (y *yard) fix() *fixes.Plan {
	y.Helper()
	f := y.subject()
	wanted := strings.Fields(y.setting("fix"))
	var request fixes.Request
	for _, finding := range checks.Run(f, source.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if len(wanted) == 0 || slices.Contains(wanted, finding.Check.ID) {
			request.Findings = append(request.Findings, finding)
		}
	}
	mechanic := files.New(checks.Dockerfile, files.Options{Checks: source.Checks(), Secrets: y.vault, Policy: &checks.Policy{Profile: checks.All}})
	dispatcher := fixer.New(fixer.Options{
		Ledger:    ledger.New(filepath.Join(filepath.Dir(y.project), "state")),
		Mechanics: map[checks.Kind]fixer.Mechanic{checks.Dockerfile: mechanic},
	})
	request.Values = checks.Values{}
	for _, set := range y.settings["set"] {
		key, value, _ := strings.Cut(set, "=")
		request.Values[key] = value
	}
	plan, err := dispatcher.Plan(y.Context(), f, request)
	must(y.T, err)
	for _, id := range wanted {
		if !slices.ContainsFunc(plan.Cures, func(f checks.Finding) bool { return f.Check.ID == id }) {
			y.Errorf("%s is not cured: %s", id, texts(plan.Notes))
		}
	}
	_, err = dispatcher.Apply(y.Context(), plan, nil)
	must(y.T, err)
	for _, file := range y.files {
		if name, ok := strings.CutSuffix(file.Name, ".fixed"); ok {
			got := strings.ReplaceAll(y.read(name), "\r", "␍")
			if want := string(file.Data); strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
				y.Errorf("%s is now\n%s\nwant\n%s", name, got, want)
			}
		}
	}
	return plan
}

// secrets are what the fixes moved out of the files, by the ids of their mounts.
func (y *yard) secrets() map[string]checks.Sensitive {
	out := map[string]checks.Sensitive{}
	paths, err := filepath.Glob(filepath.Join(y.vault, "*", "*"))
	must(y.T, err)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		must(y.T, err)
		out[filepath.Base(path)] = checks.Sensitive(data)
	}
	return out
}

// local are the images that only this machine has.
var local = regexp.MustCompile(`(?im)(^[\s\x{FEFF}]*FROM(?:\s+--platform=\S+)?\s+|--from=|,from=)((?:debian|busybox):)`)

func (y *yard) build(tag string, secrets map[string]checks.Sensitive) (client.ImageInspectResult, error) {
	y.Helper()
	text := local.ReplaceAllString(y.read("Dockerfile"), "${1}"+y.prefix+"${2}")
	files, err := build.Pack(y.project, "Dockerfile", map[string][]byte{"Dockerfile": []byte(text)})
	must(y.T, err)
	defer files.Close()
	ctx, cancel := context.WithTimeout(y.Context(), 5*time.Minute)
	defer cancel()
	id, err := build.Run(ctx, y.engine, build.Options{
		Context: files, Dockerfile: "Dockerfile", Tag: y.prefix + y.name + ":" + tag, Labels: dockertest.Labels(y.prefix),
		Network: "none", Secrets: secrets,
	})
	if err != nil {
		return client.ImageInspectResult{}, err
	}
	return y.engine.ImageInspect(ctx, id)
}

// compare holds that the configuration differs in what the case names only.
func (y *yard) compare(before, after client.ImageInspectResult) {
	y.Helper()
	if want := y.setting("user"); want != "" && after.Config.User != want {
		y.Errorf("runs as %q, want %q", after.Config.User, want)
	}
	if before.ID == "" {
		return
	}
	var changed []string
	is, was := configOf(y.T, after), configOf(y.T, before)
	for key := range maps.Keys(is) {
		if !reflect.DeepEqual(is[key], was[key]) {
			changed = append(changed, key)
		}
	}
	for key := range was {
		if _, still := is[key]; !still {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	want := strings.Fields(y.setting("changes"))
	slices.Sort(want)
	if !slices.Equal(changed, want) {
		y.Errorf("the configuration differs in %v, want %v\nwas %v\nis  %v", changed, want, was, is)
	}
	if y.setting("size") == "smaller" && after.Size >= before.Size {
		y.Errorf("%d bytes, and was %d", after.Size, before.Size)
	}
}

func configOf(t *testing.T, image client.ImageInspectResult) map[string]any {
	t.Helper()
	data, err := json.Marshal(image.Config)
	must(t, err)
	out := map[string]any{}
	must(t, json.Unmarshal(data, &out))
	return out
}

// start runs both images and compares what they do.
func (y *yard) start(before, after client.ImageInspectResult) {
	y.Helper()
	if code := y.setting("stops"); code != "" {
		if got := y.stopped(after); got != code {
			y.Errorf("stopped with code %s, want %s", got, code)
		}
		return
	}
	got := y.output("after", after)
	want := y.setting("output")
	if want == "" {
		want = y.output("before", before)
	}
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		y.Errorf("prints %q, want %q", got, want)
	}
}

func (y *yard) create(name string, image client.ImageInspectResult) string {
	y.Helper()
	c, err := y.engine.ContainerCreate(y.Context(), client.ContainerCreateOptions{
		Name:   y.prefix + y.name + "-" + name,
		Config: &container.Config{Image: image.ID}, HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	must(y.T, err)
	_, err = y.engine.ContainerStart(y.Context(), c.ID, client.ContainerStartOptions{})
	must(y.T, err)
	return c.ID
}

// output runs image to its end.
func (y *yard) output(name string, image client.ImageInspectResult) string {
	y.Helper()
	id := y.create(name, image)
	wait := y.engine.ContainerWait(y.Context(), id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case err := <-wait.Error:
		must(y.T, err)
	case status := <-wait.Result:
		return y.logs(id) + map[bool]string{false: fmt.Sprintf("exit %d", status.StatusCode)}[status.StatusCode == 0]
	case <-time.After(time.Minute):
		y.Fatalf("does not end: %s", y.logs(id))
	}
	return ""
}

func (y *yard) logs(id string) string {
	y.Helper()
	logs, err := y.engine.ContainerLogs(y.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	must(y.T, err)
	defer logs.Close()
	var out bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &out, logs)
	must(y.T, err)
	return out.String()
}

// stopped runs a service until it is up, and healthy by its own health check,
// and stops it.
func (y *yard) stopped(image client.ImageInspectResult) (code string) {
	y.Helper()
	id := y.create("service", image)
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(y.logs(id), "ready") {
		if time.Now().After(deadline) {
			y.Fatalf("does not come up: %s", y.logs(id))
		}
		time.Sleep(50 * time.Millisecond)
	}
	if h := image.Config.Healthcheck; h != nil {
		command := h.Test[1:]
		if h.Test[0] == "CMD-SHELL" {
			command = []string{"/bin/sh", "-c", h.Test[1]}
		}
		if status, out := y.exec(id, command); status != 0 {
			y.Errorf("the health check %q says %d: %s", command, status, out)
		}
		y.Run("the health check fails where nothing listens", func(t *testing.T) {
			idle, err := y.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
				Name:   y.prefix + y.name + "-idle",
				Config: &container.Config{Image: image.ID, Entrypoint: []string{"sleep", "60"}, Cmd: []string{}}, HostConfig: &container.HostConfig{NetworkMode: "none"},
			})
			must(t, err)
			_, err = y.engine.ContainerStart(t.Context(), idle.ID, client.ContainerStartOptions{})
			must(t, err)
			if status, _ := y.exec(idle.ID, command); status == 0 {
				t.Errorf("%q succeeds without a service", command)
			}
		})
	}
	seconds := 2
	_, err := y.engine.ContainerStop(y.Context(), id, client.ContainerStopOptions{Timeout: &seconds})
	must(y.T, err)
	got, err := y.engine.ContainerInspect(y.Context(), id, client.ContainerInspectOptions{})
	must(y.T, err)
	return fmt.Sprint(got.Container.State.ExitCode)
}

func (y *yard) exec(id string, command []string) (status int, out string) {
	y.Helper()
	e, err := y.engine.ExecCreate(y.Context(), id, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	must(y.T, err)
	attached, err := y.engine.ExecAttach(y.Context(), e.ID, client.ExecAttachOptions{})
	must(y.T, err)
	defer attached.Close()
	data, err := io.ReadAll(attached.Reader)
	must(y.T, err)
	got, err := y.engine.ExecInspect(y.Context(), e.ID, client.ExecInspectOptions{})
	must(y.T, err)
	return got.ExitCode, string(data)
}
