package falco

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func nowhere(string, string) *runtime.Facts { return nil }

// TestRecorded maps alerts that Falco 0.17 to 0.43 wrote.
func TestRecorded(t *testing.T) {
	data, err := os.ReadFile("testdata/alerts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	target := &runtime.Facts{ID: "9965a6a599f6" + strings.Repeat("0", 52), Name: "shop-web-1"}
	find := func(id, _ string) *runtime.Facts {
		if strings.HasPrefix(target.ID, id) {
			return target
		}
		return nil
	}
	var got []string
	for line := range bytes.Lines(data) {
		e, err := Parse(bytes.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		a := e.Alert(now, find).Clean()
		got = append(got, fmt.Sprintf("%s %s %s: %s", a.Severity, a.Check, a.Name, a.Message))
		if a.Source != runtime.Falco || len(a.Evidence) < 2 || a.At.IsZero() || (a.Container == target.ID) != (a.Name == "shop-web-1") {
			t.Errorf("incomplete: %+v", a)
		}
	}
	want := `high runtime-sensitive-file-read event-generator-1: Falco saw in event-generator-1: Sensitive file opened for reading by non-trusted program
medium runtime-shell-in-container event-generator-1: Falco saw in event-generator-1: Shell spawned by untrusted binary
medium runtime-shell-in-container shop-web-1: Falco saw in shop-web-1: A shell was spawned in a container with an attached terminal
critical container-file-drift shop-web-1: Falco saw in shop-web-1: Executing binary not part of base image
medium runtime-falco-alert shop-web-1: Falco saw in shop-web-1: Write to /tmp inside container
medium runtime-shell-in-container daeaaf1c0551: Falco saw in daeaaf1c0551: A shell was spawned in a container with an attached terminal`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// TestHostile gives alerts that no Falco writes, or an attacker made it write.
func TestHostile(t *testing.T) {
	for _, bad := range []string{"", "null", "[]", "{}", `{"rule":1}`, "12:00: Notice A shell", `{"rule":"x"`, strings.Repeat("[", 1<<16), `{"rule":"` + strings.Repeat("x", MostBytes) + `"}`} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("accepted: %.60s", bad)
		}
	}
	const canary = "not-a-real-canary-77aa"
	e, err := Parse([]byte(`{"rule":"\u001b[2JTerminal shell in container","priority":"Notice\u0007","output":"x: Notice\u0007 \u001b]0;owned\u0007 (a=b)","time":"2099-01-01T00:00:00Z",
		"output_fields":{"container.id":"host","proc.cmdline":"curl -u me:` + canary + ` --password ` + canary + `","fd.name":{"a":["b"]},"user.name":7,"proc.pname":"` + strings.Repeat("y", 5000) + `"}}`))
	if err != nil {
		t.Fatal(err)
	}
	a := e.Alert(now, nowhere).Clean()
	text := fmt.Sprintf("%+v %s %s", a, a.Message, a.Key)
	if strings.Contains(text, canary) || strings.ContainsAny(text, "\x1b\x07") || len(text) > 8000 {
		t.Errorf("not clean: %q", text)
	}
	if !a.At.Equal(now) || a.Container != "" || a.Name != "host" || a.Check != runtime.FalcoAlert {
		t.Errorf("taken for %+v", a)
	}
}

func TestSeverities(t *testing.T) {
	for priority, want := range map[string]checks.Severity{"Emergency": checks.Critical, "critical": checks.Critical, "Error": checks.High, "Warning": checks.Medium, "Notice": checks.Low, "Informational": checks.Info, "": checks.Info} {
		if got := severityOf(priority); got != want {
			t.Errorf("%s: %s, want %s", priority, got, want)
		}
	}
}

// lines collects what is handed out.
type lines struct {
	mu  sync.Mutex
	got []string
}

func (l *lines) take(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, string(line))
}

// wait waits until n lines came, and returns them.
func (l *lines) wait(t *testing.T, n int) []string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		l.mu.Lock()
		got := append([]string{}, l.got...)
		l.mu.Unlock()
		if len(got) >= n {
			return got
		}
	}
	t.Fatalf("%d lines, want %d: %q", len(l.got), n, l.got)
	return nil
}

// TestFollow follows a file as Falco writes it and logrotate treats it.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	ctx, stop := context.WithCancel(t.Context())
	var l lines
	done := make(chan error, 1)
	ready := make(chan struct{}, 100)
	go func() {
		done <- Follow(ctx, path, l.take, func(error) { ready <- struct{}{} })
	}()
	<-ready // it does not exist yet
	f := create(t, path)
	fmt.Fprintln(f, "one")
	l.wait(t, 1)
	fmt.Fprint(f, "tw") // half a line
	fmt.Fprintln(f, "o")
	l.wait(t, 2)

	// Moved away, written to once more by a writer that holds it, made anew.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, "three")
	f.Close()
	l.wait(t, 3)
	f = create(t, path)
	fmt.Fprintln(f, "four")
	l.wait(t, 4)

	// Emptied in place (copytruncate).
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, "5")
	l.wait(t, 5)

	// Removed and made anew, with a line that is far too long in it.
	f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f = create(t, path)
	fmt.Fprintln(f, strings.Repeat("x", MostBytes+1))
	fmt.Fprint(f, "\n\nsix\n")
	f.Close()
	got := strings.Join(l.wait(t, 6), " ")
	if got != "one two three four 5 six" {
		t.Errorf("followed %q", got)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFollowBegins holds that what is in the file already is history.
func TestFollowBegins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	if err := os.WriteFile(path, []byte("old\nolder\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var l lines
	begun := make(chan struct{}, 100)
	go Follow(t.Context(), path, l.take, func(error) { begun <- struct{}{} })
	<-begun
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, "new")
	if got := l.wait(t, 1); got[0] != "new" {
		t.Errorf("got %q", got)
	}
}

func TestFollowRefusesDevices(t *testing.T) {
	trouble := make(chan error, 10)
	go Follow(t.Context(), "/dev/null", func([]byte) {}, func(err error) { trouble <- err })
	if err := <-trouble; err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a device: %v", err)
	}
}

func TestListen(t *testing.T) {
	for _, bad := range []string{"0.0.0.0:0", ":2801", "192.0.2.1:2801", "example.com:2801", "127.0.0.1", "[::]:0"} {
		if l, err := Listen(bad); err == nil {
			l.Close()
			t.Errorf("%s is listened at", bad)
		}
	}
}

// TestReceive sends what Falco's http_output sends, and what it does not.
func TestReceive(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var got lines
	done := make(chan error, 1)
	go func() { done <- Receive(ctx, l, got.take) }()
	address := "http://" + l.Addr().String() + "/"
	send := func(method, kind, host, body string) int {
		t.Helper()
		r, err := http.NewRequest(method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		if host != "" {
			r.Host = host
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	const alert = `{"rule":"x","priority":"Notice"}`
	for _, c := range []struct {
		method, kind, host, body string
		want                     int
	}{
		{"POST", "application/json", "", alert, 204},
		{"POST", "application/json; charset=utf-8", "localhost:2801", alert, 204},
		{"GET", "application/json", "", "", 405},
		{"POST", "text/plain", "", alert, 403}, // as a page in a browser could
		{"POST", "application/json", "evil.example:2801", alert, 403},
		{"POST", "application/json", "", strings.Repeat("x", MostBytes+1), 413},
	} {
		if status := send(c.method, c.kind, c.host, c.body); status != c.want {
			t.Errorf("%s %s %s %.20s: %d, want %d", c.method, c.kind, c.host, c.body, status, c.want)
		}
	}
	if all := got.wait(t, 2); len(all) != 2 || all[0] != alert {
		t.Errorf("received %q", all)
	}
	refused := 0
	for range burst + 100 {
		if send("POST", "application/json", "", alert) == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("a flood is taken whole")
	}
	// Idle connections do not keep the others out for ever.
	for range atOnce + 4 {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			defer c.Close()
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/alerts.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		f.Add(bytes.TrimSpace(line))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if e, err := Parse(data); err == nil {
			e.Alert(now, nowhere).Clean()
		}
	})
}
