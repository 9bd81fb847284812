package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/dockertest"
)

// A slowBuffer is read while it is written.
type slowBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *slowBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *slowBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// until waits until text was written.
func (s *slowBuffer) until(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Contains(s.String(), text) {
			return
		}
	}
	t.Fatalf("%q is not in\n%s", text, s.String())
}

// withWeb returns an engine with containers called web and other, and a home with
// a configuration.
func withWeb(t *testing.T, config string) *dockertest.Server {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	t.Setenv("XDG_STATE_HOME", filepath.Join(home, "state"))
	if config != "" {
		if err := os.MkdirAll(filepath.Join(home, "config", "plimsoll"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "config", "plimsoll", "config.yaml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := dockertest.Run(t)
	s.AddImage(dockertest.Image{Tags: []string{"web:1"}, Config: v1.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{Cmd: []string{"serve"}}}})
	c := s.Client(t)
	for _, name := range []string{"web", "other"} {
		made, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: &api.Config{Image: "web:1", User: "1000"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// watching runs plimsoll watch against an engine with a container called web,
// and returns what ends it with its exit code.
func watching(t *testing.T, config string, args ...string) (s *dockertest.Server, out, errs *slowBuffer, end func() int) {
	t.Helper()
	s = withWeb(t, config)
	ctx, stop := context.WithCancel(t.Context())
	out, errs = &slowBuffer{}, &slowBuffer{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"watch", "--host", s.Host()}, args...), out, errs, false, "test")
	}()
	for end := time.Now().Add(30 * time.Second); s.EventListeners() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return s, out, errs, func() int { stop(); return <-code }
}

func TestWatch(t *testing.T) {
	const canary = "not-a-real-canary-91c0"
	s, out, errs, end := watching(t, "severity: {runtime-shell-in-container: critical}\ndisable: [container-exec-root]\n", "--format", "json", "we*")
	for _, e := range []struct {
		ref     string
		request api.ExecCreateRequest
	}{
		{"other", api.ExecCreateRequest{Cmd: []string{"bash"}, Tty: true}}, // not watched
		{"web", api.ExecCreateRequest{Cmd: []string{"id"}, User: "0"}},     // disabled
		{"web", api.ExecCreateRequest{Cmd: []string{"sh", "-c", "apk add --token=" + canary + " x"}}},
		{"web", api.ExecCreateRequest{Cmd: []string{"bash"}, Tty: true}},
	} {
		if _, err := s.Exec(e.ref, e.request); err != nil {
			t.Fatal(err)
		}
	}
	out.until(t, "runtime-shell-in-container")
	if code := end(); code != exitFindings {
		t.Errorf("exit %d: %s", code, errs)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || strings.Contains(out.String()+errs.String(), canary) {
		t.Fatalf("printed\n%s\n%s", out, errs)
	}
	var line alertLine
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Check != "runtime-shell-in-container" || line.Severity != "critical" || line.Container.Name != "web" || len(line.Container.ID) != 64 || len(line.Evidence) != 3 || line.Time.IsZero() {
		t.Errorf("got %+v", line)
	}
}

func TestWatchText(t *testing.T) {
	s, out, errs, end := watching(t, "", "--fail-on", "never", "--lang", "de")
	if _, err := s.Exec("web", api.ExecCreateRequest{Cmd: []string{"bash"}, Tty: true}); err != nil {
		t.Fatal(err)
	}
	out.until(t, "jemand hat in web eine Shell geöffnet: bash\n    docker events: exec_create: bash\n")
	if code := end(); code != exitClean {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestWatchFalco reads the file that the configuration names.
func TestWatchFalco(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, out, errs, end := watching(t, fmt.Sprintf("runtime: {falco: {file: %q}}\n", path))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// What is in the file when it is opened is history, so the line is written
	// until somebody reads it.
	read, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			fmt.Fprintln(f, `no alert`)
			select {
			case <-read:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	errs.until(t, "not an alert of Falco")
	close(read)
	<-done
	fmt.Fprintln(f, `{"rule":"Fileless execution via memfd_create","priority":"Critical","output":"x: Critical Fileless execution (a=b)","output_fields":{"container.id":"0123456789ab","container.name":"web"}}`)
	out.until(t, "runtime-fileless-or-shm-exec  Falco saw in web: Fileless execution")
	if code := end(); code != exitFindings {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestRuntimeConfig(t *testing.T) {
	for text, wrong := range map[string]string{
		"runtime: {learn: 30m, normal: {web: {programs: [serve], ports: [80, 443/tcp]}}}": "",
		"runtime: {learn: soon}":                      "duration",
		"runtime: {learn: -1h}":                       "longer",
		"runtime: {normal: {\"[\": {}}}":              "pattern",
		"runtime: {normal: {web: {ports: [80/udp]}}}": "port",
		"runtime: {falko: {}}":                        "falko",
	} {
		_, err := parseConfig([]byte(text), "config.yaml", Config{}, nil)
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestProjectReadsNothing holds that a project cannot have files of the machine
// read, or addresses taken.
func TestProjectReadsNothing(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configName), []byte("runtime: {falco: {file: /etc/shadow}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(dir, nil); err == nil || !strings.Contains(err.Error(), "user") {
		t.Errorf("a project names a file of Falco: %v", err)
	}
}

// TestWatchFalcoContainer reads what a container prints that runs Falco.
func TestWatchFalcoContainer(t *testing.T) {
	s, out, _, end := watching(t, "runtime: {falco: {container: sensor}}\n")
	s.AddImage(dockertest.Image{Tags: []string{"own/sensor:1"}})
	if _, err := s.AddContainer(dockertest.Container{Name: "sensor", Config: api.Config{Image: "own/sensor:1"}}); err != nil {
		t.Fatal(err)
	}
	alert := `{"rule":"Fileless execution via memfd_create","priority":"Critical","output":"x: Critical Fileless execution (a=b)","output_fields":{"container.id":"c0ffee","container.name":"web"}}`
	for range 200 { // until the logs are followed
		if err := s.Print("sensor", "stdout", alert+"\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if strings.Contains(out.String(), "runtime-fileless-or-shm-exec") {
			break
		}
	}
	out.until(t, "runtime-fileless-or-shm-exec  Falco saw in web: Fileless execution")
	if code := end(); code != exitFindings {
		t.Errorf("exit %d", code)
	}
}
