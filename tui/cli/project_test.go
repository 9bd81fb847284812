package cli

import (
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks/suite"
)

const projectCanary = "c4nary-value-nobody-may-see"

const keyedProject = `# The shop. Ann knows more.
services:
  web:            # in front
    image: web:1
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
	ctx, quit := context.WithCancel(t.Context())
	defer quit()
	a := &app{out: io.Discard, err: io.Discard, suite: suite.All(), isTerminal: true}
	a.speak("en")
	if err := a.prepare("."); err != nil {
		t.Fatal(err)
	}
	s, err := a.open(ctx, []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	x := open(t, a.screenOptions(ctx, s), ctx)

	x.see(t, "compose.yaml", "3 high")
	x.press("F")
	x.see(t, "hand API_TOKEN over as a file", "enter plan")
	x.press("\r")
	x.see(t, "variable that takes its path")
	const field = "▸ api: variable that takes its path"
	for i := 0; !strings.Contains(ansi.Strip(x.Render()), field); i++ {
		if i == 60 {
			t.Fatalf("no key leads to the field:\n%s", ansi.Strip(x.Render()))
		}
		// One key, then the frame that answers it: a slow machine would be past
		// the field before it is seen.
		shown := ansi.Strip(x.Render())
		io.WriteString(x.keys, "\t")
		for began := time.Now(); ansi.Strip(x.Render()) == shown && time.Since(began) < 5*time.Second; {
			time.Sleep(5 * time.Millisecond)
		}
	}
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
	x.press("\r")
	x.see(t, "0 critical", "0 high", "0 medium")
	x.press("u")
	x.see(t, "Take this change back?")
	x.press("\r")
	x.see(t, "Done")
	if text, err := os.ReadFile("compose.yaml"); err != nil || string(text) != keyedProject {
		t.Errorf("after undo, %v:\n%s", err, text)
	}
	if _, err := os.Stat("secrets"); err == nil {
		t.Error("the secrets are left")
	}
	quit()
	if err := <-x.done; err != nil {
		t.Error(err)
	}
}
