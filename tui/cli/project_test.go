package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/suite"
)

const projectCanary = "c4nary-value-nobody-may-see"

const keyedProject = `# The shop. Ann knows more.
services:
  web:            # in front
    image: web:1
    command: ["-serve", ":8080"]
    ports:
      - "8080:8080"   # for customers
    networks: [front]
  api:
    image: api:1
    cap_add: [NET_ADMIN]
    environment:
      API_TOKEN: ` + projectCanary + `  # from the payment service
    networks:
      - front
      - back
  db:             # the store
    image: postgres:17
    environment:
      - POSTGRES_PASSWORD=` + projectCanary + `
    volumes:
      - data:/var/lib/postgresql/data # orders
    networks: [back]
networks:
  front: {}
  back: {}        # behind
volumes:
  data: {}
`

// TestProjectByKeys takes a compose project by keys alone to no finding of
// medium or above, and back. No frame shows a secret.
func TestProjectByKeys(t *testing.T) {
	home(t)
	file(t, "compose.yaml", keyedProject)
	x, quit := openHere(t, "")
	x.see(t, "compose.yaml", "3 high")
	x.press("F")
	x.harden(t)
	x.press("\r")
	x.see(t, "0 critical", "0 high", "0 medium")
	x.press("u")
	x.see(t, "Take this change back?")
	x.press("\r")
	x.see(t, "Done")
	isBack(t)
	quit()
}

// TestRunningProjectByKeys does the same with a project that runs: what was
// changed in the file is brought to what runs, and back, when that is asked for.
// The data of the store stays.
func TestRunningProjectByKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: an engine of its own runs the project")
	}
	if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Skip("no docker-compose")
	}
	engine := dockertest.Private(t)
	home(t)
	host := engine.DaemonHost()
	file(t, "compose.yaml", keyedProject)
	dockertest.Load(t, engine, "", dockertest.Probe("web:1"), dockertest.Probe("api:1"), dockertest.Probe("postgres:17"))
	up := exec.CommandContext(t.Context(), "docker-compose", "--project-name", "shop", "up", "--detach")
	up.Env = append(os.Environ(), "DOCKER_HOST="+host)
	if out, err := up.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "orders", Mode: 0o644, Size: 9})
	w.Write([]byte("one order"))
	w.Close()
	const place = "/var/lib/postgresql/data"
	if _, err := engine.CopyToContainer(t.Context(), "shop_db_1", client.CopyToContainerOptions{DestinationPath: place, Content: &b}); err != nil {
		t.Fatal(err)
	}
	posture := func() (code int, out string) {
		code, out, errs := plimsoll(t, "--host", host, "check", "compose.yaml", "containers", "--fail-on", "medium")
		return code, out + errs
	}
	if code, out := posture(); code != exitFindings {
		t.Fatalf("at first: exit %d\n%s", code, out)
	}

	x, quit := openHere(t, host)
	x.see(t, "compose.yaml", "shop_api_1")
	x.press("/", "compose.yaml", "\r", "j", "j")
	x.see(t, "▌ ▲H compose.yaml")
	x.press("F")
	x.harden(t)
	x.see(t, "docker compose up")
	x.press("c")
	x.see(t, "Bring it to what runs", "✓ Done")
	if code, out := posture(); code != exitClean {
		t.Errorf("hardened: exit %d\n%s", code, out)
	}
	x.press("\r", "u")
	x.see(t, "Take this change back?")
	x.press("\r")
	x.see(t, "✓ Done", "what runs stays as it is until")
	isBack(t)
	x.press("c")
	x.see(t, "Bring it to what runs", "✓ Done")
	quit()
	if code, out := posture(); code != exitFindings || strings.Contains(out, "compose-differs-from-running") {
		t.Errorf("taken back: exit %d\n%s", code, out)
	}
	got, err := engine.CopyFromContainer(t.Context(), "shop_db_1", client.CopyFromContainerOptions{SourcePath: place + "/orders"})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Content.Close()
	r := tar.NewReader(got.Content)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); string(data) != "one order" {
		t.Errorf("the store holds %q, %v", data, err)
	}
}

// openHere opens the screen on the working directory and an engine, "" for none.
// quit ends it.
func openHere(t *testing.T, host string) (x *screenUser, quit func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	a := &app{out: io.Discard, err: io.Discard, suite: suite.All(), isTerminal: true, host: host}
	a.speak("en")
	if err := a.prepare("."); err != nil {
		t.Fatal(err)
	}
	s, err := a.open(ctx, []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	x = open(t, a.screenOptions(ctx, s), ctx)
	return x, func() {
		t.Helper()
		stop()
		if err := <-x.done; err != nil {
			t.Error(err)
		}
	}
}

// harden takes the dialog of F through all that can be fixed, to its receipt, and
// types what only a person knows.
func (x *screenUser) harden(t *testing.T) {
	t.Helper()
	x.see(t, "hand API_TOKEN over as a file", "enter plan")
	x.press("\r")
	x.see(t, "variable that takes its path")
	x.seek(t, "▸ api: variable that takes its path")
	problems := regexp.MustCompile(`fix \d+ problems`)
	before := problems.FindString(ansi.Strip(x.Render()))
	x.press("TOKEN_PATH")
	for began := time.Now(); problems.FindString(ansi.Strip(x.Render())) == before; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the answer makes no other plan:\n%s", ansi.Strip(x.Render()))
		}
	}
	x.press("\x1b[6~")
	if strings.Contains(ansi.Strip(x.Render()), projectCanary) {
		t.Error("the preview shows a secret")
	}
	x.press("\r", "\r")
	x.see(t, "Verified", "replace it at its issuer")
	text, err := os.ReadFile("compose.yaml")
	if err != nil || strings.Contains(string(text), projectCanary) {
		t.Errorf("%v\n%s", err, text)
	}
	for _, comment := range []string{"# The shop. Ann knows more.", "# in front", "# for customers", "# from the payment service", "# the store", "# orders", "# behind"} {
		if !strings.Contains(string(text), comment) {
			t.Errorf("the comment %q is gone from\n%s", comment, text)
		}
	}
}

// isBack fails unless the file is what it was at first.
func isBack(t *testing.T) {
	t.Helper()
	if text, err := os.ReadFile("compose.yaml"); err != nil || string(text) != keyedProject {
		t.Errorf("after undo, %v:\n%s", err, text)
	}
	if _, err := os.Stat("secrets"); err == nil {
		t.Error("the secrets are left")
	}
}
