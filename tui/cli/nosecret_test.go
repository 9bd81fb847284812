package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/suite"
	"plimsoll/tui"
)

// canary is in every secret of the test, and nowhere else.
const canary = "c4nary"

// Secrets of different forms: a password, a token, one in a URL.
const (
	canaryPassword = "c4nary-Passw0rd-0815"
	canaryToken    = "ghp_c4naryc4naryc4naryc4naryc4naryc4na12"
	canaryURL      = "postgres://app:c4nary-in-url@db:5432/app"
)

// withCanaries puts secrets wherever the program reads: environment, arguments,
// labels, health command, history, logs, and the files of a project.
func withCanaries(t *testing.T, ours *dockertest.Server, c *client.Client, prefix string) {
	t.Helper()
	for name, content := range map[string]string{
		"Dockerfile": "FROM debian:12\nENV API_TOKEN=" + canaryToken + "\nARG DB_PASSWORD=" + canaryPassword + "\nRUN curl -u me:" + canaryPassword + " https://me:" + canaryPassword + "@example.com/x.sh | sh\nCOPY . /app\nLABEL token=" + canaryToken + "\n",
		"compose.yaml": "services:\n  web:\n    image: app:1\n    privileged: true\n    ports: [\"80:80\"]\n    environment:\n      DB_PASSWORD: " + canaryPassword + "\n      DATABASE_URL: " + canaryURL +
			"\n    command: [\"serve\", \"--password=" + canaryPassword + "\"]\n    labels: {token: " + canaryToken + "}\n    env_file: .env\n",
		".env":           "SESSION_SECRET=" + canaryPassword + "\n",
		".plimsoll.yaml": "ignore: [{check: healthcheck-missing, path: Dockerfile, reason: later}]\n",
	} {
		file(t, name, content)
	}
	created, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: prefix + "web", Config: &container.Config{
		Image: prefix + "app:1", Env: []string{"DB_PASSWORD=" + canaryPassword, "DATABASE_URL=" + canaryURL, "PLAIN=" + canaryToken},
		Cmd: []string{"-print", "password=" + canaryPassword}, Labels: map[string]string{"acme.token": canaryToken, "acme.db": canaryURL, dockertest.Label: "1"},
		Healthcheck:  &container.HealthConfig{Test: []string{"CMD", "/probe", "-check", "--token=" + canaryToken}},
		ExposedPorts: network.PortSet{network.MustParsePort("80/tcp"): {}},
	}, HostConfig: &container.HostConfig{PortBindings: network.PortMap{network.MustParsePort("80/tcp"): {{HostPort: "0"}}}}})
	if err == nil {
		_, err = c.ContainerStart(t.Context(), created.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if ours != nil {
		if err := ours.Print(prefix+"web", "stdout", "login with password="+canaryPassword+" at "+canaryURL+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

// canaryImage is an image whose configuration and history hold secrets.
func canaryImage(tag string) dockertest.Image {
	i := dockertest.Probe(tag)
	i.Config = v1.DockerOCIImageConfig{ImageConfig: i.Config.ImageConfig}
	i.Config.Env = append(i.Config.Env, "IMAGE_TOKEN="+canaryToken)
	i.Config.Labels = map[string]string{"acme.token": canaryToken}
	for _, step := range []string{"ENV IMAGE_TOKEN=" + canaryToken, "RUN |1 NPM_TOKEN=" + canaryPassword + " /bin/sh -c npm ci --password " + canaryPassword, "RUN /bin/sh -c git clone https://me:" + canaryPassword + "@example.com/x"} {
		i.History = append(i.History, image.HistoryResponseItem{CreatedBy: step})
	}
	return i
}

// TestNoCanaryLeaves runs the whole program on secrets: none appears in what it
// prints, in a frame of the screen, or in a file.
//
//scenario:66
func TestNoCanaryLeaves(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		s := dockertest.Run(t)
		dir := home(t)
		t.Setenv("DOCKER_HOST", s.Host())
		s.AddImage(canaryImage("app:1"))
		withCanaries(t, s, s.Client(t), "")
		testCanaries(t, dir, "web")
	})
}

func testCanaries(t *testing.T, dir, name string) {
	t.Helper()
	clean := func(what, text string) {
		t.Helper()
		if at := strings.Index(text, canary); at >= 0 {
			t.Errorf("%s tells a secret: …%s…", what, text[max(0, at-120):min(len(text), at+40)])
		}
	}
	said := 0
	run := func(args ...string) {
		t.Helper()
		_, out, errs := plimsoll(t, args...)
		clean(strings.Join(args, " "), out+errs)
		said += len(out)
	}
	for _, format := range strings.Split(outputFormats, ", ") {
		for _, language := range []string{"en", "de"} {
			run("check", "--profile", "all", "--format", format, "--lang", language)
		}
		run("check", "--format", format, "--output", filepath.Join(dir, "report."+format))
	}
	run("check", "--write-baseline", filepath.Join(dir, "baseline.json"))
	run("check", "--since", "1h", "--format", "json")
	run("fix", "Dockerfile", "--dry-run")
	run("fix", "container:"+name, "--dry-run")
	run("fix", "container:"+name, "--check", "container-memory-unlimited", "--yes")
	run("undo", "--list")
	if said < 10_000 {
		t.Fatalf("the program said only %d bytes: nothing was looked at", said)
	}
	frames(t, clean)
	run("undo", "--list")
	searchFiles(t, dir, clean)
}

// frames opens the screen, goes through every page of it on every subject, and
// looks at what reaches the terminal.
func frames(t *testing.T, clean func(what, text string)) {
	t.Helper()
	a := &app{out: io.Discard, err: io.Discard, version: "test", suite: suite.All(), isTerminal: true, profile: "all"}
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
	defer s.end() // what watches writes at its end
	o := a.screenOptions(ctx, s)
	const w, h = 160, 45
	emulator := vt.NewSafeEmulator(w, h)
	emulator.Write([]byte(ansi.SetModeLineFeedNewLine)) // input is not a TTY: Bubble Tea counts on it
	screen := &stream{to: emulator}
	input, keys := io.Pipe()
	go io.Copy(keys, emulator)
	done := make(chan error, 1)
	go func() {
		done <- tui.Run(ctx, o, tea.WithInput(input), tea.WithOutput(screen), tea.WithoutSignals(), tea.WithWindowSize(w, h),
			tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithColorProfile(colorprofile.TrueColor))
	}()
	look := func(what string) string {
		frame := ansi.Strip(emulator.Render())
		clean(what, frame)
		return frame
	}
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(look("the first frame"), "web") || strings.Contains(look("the first frame"), "reading …") {
		if time.Now().After(deadline) {
			t.Fatalf("the screen is never there:\n%s", look("the first frame"))
		}
		time.Sleep(50 * time.Millisecond)
	}
	seen := map[string]bool{}
	press := func(key string) {
		fmt.Fprint(keys, key)
		time.Sleep(60 * time.Millisecond)
		seen[look(fmt.Sprintf("the frame after %q", key))] = true
	}
	const escape, down = "\x1b", "j"
	for range 2 { // English, then German
		for _, page := range []string{"a", "S", "N", "?", "U", ":"} {
			press(page)
			if page == "a" {
				press(down)
				press("e")
				press(escape)
			}
			press(escape)
			time.Sleep(60 * time.Millisecond) // an escape alone takes its time to be one
		}
		for range 14 { // every subject with its findings and their explanations
			press(down)
			press("\t")
			for range 3 {
				press(down)
				press("\t")
				press(" ")
				press("h")
			}
			press("h")
		}
		press("n")
		press("n")
		press("F")
		press(escape)
		press("f")
		time.Sleep(200 * time.Millisecond)
		press(escape)
		press("L")
	}
	clean("what was written to the terminal", ansi.Strip(screen.String()))
	if len(seen) < 30 {
		t.Errorf("only %d frames were seen", len(seen))
	}
	fmt.Fprint(keys, "q")
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		cancel()
		<-done
	}
}

// A stream remembers what is written through it.
type stream struct {
	to io.Writer
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.b.Write(p)
	s.mu.Unlock()
	return s.to.Write(p)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// searchFiles looks into every file that the program left, but for the project
// itself, from which the secrets come.
func searchFiles(t *testing.T, dir string, clean func(what, text string)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path == filepath.Join(dir, "project"):
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			if data, err = io.ReadAll(z); err != nil {
				return err
			}
		}
		files++
		clean(path, string(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 9 {
		t.Errorf("only %d files were found", files)
	}
}
