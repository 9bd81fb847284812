package timeline

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func alertAt(at time.Time, key string) runtime.Alert {
	return runtime.Alert{
		Check: runtime.CPUSustained, Container: "c0ffee", Name: "web", At: at, Severity: checks.Medium, Key: key, Source: runtime.Stats,
		Message:  checks.Msg("%s has used %.1f CPUs for %d minutes, which it has never done before, and has no limit", "web", 1.25, 12),
		Evidence: []checks.Evidence{{Source: "learned", Detail: "0.10 CPUs"}},
	}
}

func load(t *testing.T, s *Store, engine string, now time.Time) []runtime.Alert {
	t.Helper()
	all, err := s.Load(engine, now)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRememberedAcrossStarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "alerts")
	s := NewStore(dir)
	if all := load(t, s, "default", noon); len(all) > 0 {
		t.Errorf("%v of nothing", all)
	}
	first, second := alertAt(noon, ""), alertAt(noon.Add(time.Minute), "x")
	if err := s.Save("default", []runtime.Alert{second}, noon); err != nil {
		t.Fatal(err)
	}
	// Another process noticed the same, and something that was before.
	again := second
	again.At = again.At.Add(time.Second)
	if err := NewStore(dir).Save("default", []runtime.Alert{again, first}, noon); err != nil {
		t.Fatal(err)
	}
	first.Past, second.Past = true, true
	if got := load(t, s, "default", noon.Add(time.Hour)); !reflect.DeepEqual(got, []runtime.Alert{first, second}) {
		t.Errorf("%+v", got)
	}
	if got := load(t, s, "default", noon.Add(time.Hour))[0].Message.String(); got != first.Message.String() {
		t.Errorf("%q", got)
	}
	if got := load(t, s, "elsewhere", noon); len(got) > 0 {
		t.Errorf("another engine has %v", got)
	}
	if got := load(t, s, "default", noon.Add(2*longest)); len(got) > 0 {
		t.Errorf("for ever: %v", got)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if info, _ := d.Info(); err == nil && !d.IsDir() && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
}

func TestBounded(t *testing.T) {
	s := NewStore(t.TempDir())
	var many []runtime.Alert
	for i := range 2 * most {
		a := alertAt(noon.Add(time.Duration(i)*time.Second), fmt.Sprint(i))
		a.Evidence[0].Detail = strings.Repeat("x", 4000)
		many = append(many, a)
	}
	if err := os.Chmod(s.dir.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Save("default", many, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	got := load(t, s, "default", noon.Add(time.Hour))
	if len(got) == 0 || len(got) > most || got[len(got)-1].Key != fmt.Sprint(2*most-1) {
		t.Errorf("%d alerts", len(got))
	}
	if info, err := os.Stat(filepath.Join(s.dir.Path, fileName("default"))); err != nil || info.Size() > largest {
		t.Errorf("%v, %v", info, err)
	}
}

// TestHostile: neither what a container says nor what somebody wrote into the
// file reaches the screen as it is, and no secret the disk.
func TestHostile(t *testing.T) {
	const canary = "not-a-real-canary-77aa"
	s := NewStore(filepath.Join(t.TempDir(), "alerts"))
	bad := alertAt(noon, "k\x1b[2J")
	bad.Name = "we\x1b]52;c;eA==\ab"
	bad.Evidence = []checks.Evidence{{Source: "docker events", Detail: "exec_create: mysql --password=" + canary}}
	bad.Message = checks.Msg("somebody runs %s in %s, which changes what its image brought", "TOKEN="+canary, checks.Sensitive(canary))
	if err := s.Save("default", []runtime.Alert{bad}, noon); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir.Path, fileName("default"))
	data, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(data), canary) || strings.Contains(string(data), "u001b") {
		t.Errorf("%v: %s", err, data)
	}
	tampered := strings.NewReplacer(`"name":"`, `"name":"\u001b[2J`, `"format":"`, `"format":"\u001b[31m`, `"check":"`, `"check":"\u0007`).Replace(string(data))
	if tampered == string(data) {
		t.Fatal("nothing was tampered with")
	}
	if err := os.WriteFile(path, []byte(tampered), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, a := range load(t, s, "default", noon) {
		if text := fmt.Sprintf("%+v %s", a, a.Message); strings.ContainsAny(text, "\x1b\a") {
			t.Errorf("%q", text)
		}
	}
	for _, broken := range []string{"", "{", `{"schema":2}`, `{"schema":1,"engine":"other"}`, `{"schema":1,"engine":"default","alerts":[{"severity":"awful"}]}`} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Load("default", noon); err == nil {
			t.Errorf("%q: %v", broken, all)
		}
	}
	if err := s.Save("default", []runtime.Alert{alertAt(noon, "")}, noon); err != nil || len(load(t, s, "default", noon)) != 1 {
		t.Errorf("what cannot be read is not replaced: %v", err)
	}
}
