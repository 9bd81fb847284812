package history

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apicontainer "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/inventory"
)

var (
	noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	root = &checks.Check{ID: "root", Severity: checks.High}
	caps = &checks.Check{ID: "caps", Severity: checks.Medium}
)

// item is a container with findings of checks; "check/key" has a key.
func item(id, name string, found ...string) *inventory.Item {
	c := container.New(apicontainer.InspectResponse{ID: id, Name: "/" + name, State: &apicontainer.State{Running: true}}, nil, "", noon)
	i := &inventory.Item{Ref: c.Ref(), Subject: c}
	for _, f := range found {
		check, key, _ := strings.Cut(f, "/")
		i.Report.Findings = append(i.Report.Findings, checks.Finding{Check: map[string]*checks.Check{"root": root, "caps": caps}[check], Key: key, Subject: i.Ref, Severity: checks.High})
	}
	return i
}

func all(string) bool { return true }

// a diary drives a book hour by hour.
type diary struct {
	*Book
	now time.Time
}

func (d *diary) hour(items ...*inventory.Item) {
	d.now = d.now.Add(time.Hour)
	places := map[Place]bool{}
	for _, i := range items {
		d.Observe("/", i, all, d.now)
		places[PlaceOf("/", i.Ref)] = true
	}
	d.Looked([]checks.Kind{checks.Container}, places, []string{"root", "caps"}, d.now)
}

func newDiary() *diary { return &diary{NewBook(), noon} }

func events(b *Book, after time.Time) string {
	var out []string
	for _, e := range b.Events(after) {
		word := map[Op]string{Appeared: "+", Fixed: "-", Removed: "x"}[e.Op]
		if e.Again {
			word = "++"
		}
		out = append(out, fmt.Sprintf("%s%s %s.%s%s", e.At.UTC().Format("15h"), word, e.Known.Place.Name, e.Known.Check, e.Known.Key))
	}
	return strings.Join(out, ", ")
}

func TestStoryOfAFinding(t *testing.T) {
	d := newDiary()
	k := Known{Place{checks.Container, "web"}, "root", "", checks.High}
	d.hour(item("1", "web", "root")) // 13h, the first look
	if at, fixed, known := d.Since(k); !at.IsZero() || fixed != 0 || !known || d.New(k, noon) {
		t.Errorf("what was there at the first look is known since %v, fixed %d times, known %v", at, fixed, known)
	}
	d.hour(item("1", "web", "root", "caps")) // 14h
	d.hour(item("1", "web", "caps"))         // 15h
	d.hour(item("1", "web", "caps", "root")) // 16h
	if got, want := events(d.Book, noon), "16h++ web.root, 15h- web.root, 14h+ web.caps"; got != want {
		t.Errorf("events are %q, want %q", got, want)
	}
	if at, fixed, _ := d.Since(k); !at.Equal(noon.Add(4*time.Hour)) || fixed != 1 {
		t.Errorf("came back at %v after %d fixes", at, fixed)
	}
	if !d.New(k, noon.Add(3*time.Hour)) || d.New(k, noon.Add(4*time.Hour)) {
		t.Error("what came back is new from then on")
	}
}

func TestRecreatedContainerGoesOn(t *testing.T) {
	d := newDiary()
	d.hour()
	d.hour(item("1", "web", "root"))
	d.hour()                                 // removed
	d.hour(item("2", "web", "root", "caps")) // created anew under the name
	if got, want := events(d.Book, noon), "16h+ web.caps, 14h+ web.root"; got != want {
		t.Errorf("events are %q, want %q", got, want)
	}
	d.hour()
	d.hour(item("3", "web", "caps"))
	if got, want := events(d.Book, noon.Add(4*time.Hour)), "18h- web.root"; got != want {
		t.Errorf("fixed by being created anew: %q, want %q", got, want)
	}
	d.hour()
	if got := events(d.Book, noon.Add(6*time.Hour)); got != "19hx web.caps" {
		t.Errorf("removed: %q", got)
	}
	if f := d.Fixed(noon); len(f) != 1 || f[0].Check != "root" {
		t.Errorf("fixed is %+v: a removed container is not", f)
	}
}

func TestWhatWasNotJudgedStays(t *testing.T) {
	d := newDiary()
	d.hour(item("1", "web", "root", "caps"))
	broken := item("1", "web")
	broken.Report.Errors = []error{errors.New("half of it")}
	d.hour(broken)
	unread := item("1", "web")
	unread.Subject = nil
	d.hour(unread)
	d.Observe("/", item("1", "web"), func(check string) bool { return check == "caps" }, d.now.Add(time.Minute)) // another profile
	if f := d.Fixed(noon); len(f) != 1 || f[0].Check != "caps" {
		t.Errorf("fixed are %+v", f)
	}
	suppressed := item("1", "web")
	suppressed.Report.Suppressed = []checks.Suppressed{{Finding: item("1", "web", "root").Report.Findings[0]}}
	d.hour(suppressed)
	if f := d.Fixed(noon); len(f) != 1 {
		t.Errorf("what is accepted is not fixed: %+v", f)
	}
}

// TestNewCheckFindsNothingNew: an update of plimsoll must not look like an
// attack.
func TestNewCheckFindsNothingNew(t *testing.T) {
	b := NewBook()
	b.Observe("/", item("1", "web", "root"), all, noon)
	b.Looked([]checks.Kind{checks.Container}, map[Place]bool{{checks.Container, "web"}: true}, []string{"root"}, noon)
	b.Observe("/", item("1", "web", "root", "caps"), all, noon.Add(time.Hour))
	b.Looked([]checks.Kind{checks.Container}, map[Place]bool{{checks.Container, "web"}: true}, []string{"root", "caps"}, noon.Add(time.Hour))
	if got := events(b, noon.Add(-time.Hour)); got != "" {
		t.Errorf("events are %q", got)
	}
	b.Observe("/", item("2", "db", "caps"), all, noon.Add(2*time.Hour))
	if got := events(b, noon); got != "14h+ db.caps" {
		t.Errorf("events are %q", got)
	}
}

func TestFilesKeepTheirPlaceBelowTheProject(t *testing.T) {
	ref := checks.Ref{Kind: checks.Dockerfile, ID: "/src/shop/web/Dockerfile", Name: "web/Dockerfile"}
	if got := PlaceOf("/src/shop", ref); got.Name != "web/Dockerfile" {
		t.Errorf("place is %q", got.Name)
	}
	if got := PlaceOf("/elsewhere", ref); got.Name != "/src/shop/web/Dockerfile" {
		t.Errorf("place is %q", got.Name)
	}
}

func store(t *testing.T) *Store { return NewStore(filepath.Join(t.TempDir(), "plimsoll", "history")) }

func TestStoreKeepsWhatItWasTold(t *testing.T) {
	s := store(t)
	d := newDiary()
	d.hour(item("1", "web", "root"))
	d.hour(item("1", "web", "root", "caps/80:80"))
	d.hour(item("1", "web", "caps/80:80"))
	d.hour()
	d.Score([]float64{43.5, 100}, d.now)
	if err := s.Save("engine E", d.Pending(), d.now); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load("engine E")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := events(got, noon), events(d.Book, noon); a != b || a == "" {
		t.Errorf("events on disk are %q, in memory %q", a, b)
	}
	if !got.Began().Equal(noon.Add(time.Hour)) || !got.Seen().Equal(d.now) || len(got.Days(3)) != 1 {
		t.Errorf("began %v, seen %v, days %v", got.Began(), got.Seen(), got.Days(3))
	}
	if other, err := s.Load("engine F"); err != nil || !other.Began().IsZero() {
		t.Errorf("another engine has a history: %v, %v", other, err)
	}
	info, err := os.Stat(s.dir.Path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v", info, err)
	}
	names, _ := s.dir.Names()
	for _, n := range names {
		if info, err := os.Stat(filepath.Join(s.dir.Path, n)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", n, info, err)
		}
	}
}

// TestTwoProcesses lets many write at once: nothing of anybody is lost.
func TestTwoProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	var wait sync.WaitGroup
	const writers = 8
	for w := range writers {
		wait.Go(func() {
			s := NewStore(dir)
			for n := range 3 {
				b, err := s.Load("x")
				if err != nil {
					t.Error(err)
					return
				}
				now := noon.Add(time.Duration(n) * time.Hour)
				b.Observe("/", item("1", "shared", "root"), all, now)
				b.Observe("/", item("2", fmt.Sprintf("own-%d-%d", w, n), "caps"), all, now)
				if err := s.Save("x", b.Pending(), now); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	b, err := NewStore(dir).Load("x")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.records); n != writers*3+1 {
		t.Errorf("%d records, want %d", n, writers*3+1)
	}
	names, _ := namesIn(dir)
	if len(names) != 2 {
		t.Errorf("files are %q: a book and a lock", names)
	}
}

func namesIn(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func TestDamagedBooksAreLeftAlone(t *testing.T) {
	s := store(t)
	d := newDiary()
	d.hour(item("1", "web", "root"))
	if err := s.Save("x", d.Pending(), noon); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir.Path, fileName("x"))
	for name, content := range map[string]string{
		"empty": "", "no gzip": "{}", "cut off": compressed(t, `{"schema":1,"scope":"x"`), "another version": compressed(t, `{"schema":2,"scope":"x"}`),
		"another scope": compressed(t, `{"schema":1,"scope":"y"}`), "no times": compressed(t, `{"schema":1,"scope":"x","places":[{"findings":[{"check":"a","severity":"high","times":[]}]}]}`),
		"too many times": compressed(t, `{"schema":1,"scope":"x","places":[{"findings":[{"check":"a","severity":"high","times":[`+strings.Repeat("1,", 99)+`1]}]}]}`),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load("x"); err == nil {
			t.Errorf("%s: no error", name)
		}
		d.hour(item("1", "web", "caps"))
		if err := s.Save("x", d.Pending(), noon); err == nil {
			t.Errorf("%s: it was overwritten", name)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func compressed(t *testing.T, text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	z.Close()
	return b.String()
}

func TestBooksAreBounded(t *testing.T) {
	b := NewBook()
	for n := range capacity + 500 {
		k := Known{Place{checks.Container, fmt.Sprintf("c%d", n)}, "root", "", checks.High}
		b.note(Change{Op: Appeared, At: noon.Unix() + int64(n), Known: k})
		if n%2 == 0 {
			b.note(Change{Op: Removed, At: noon.Unix() + int64(n), Known: k})
		}
	}
	b.trim(noon.Add(time.Hour))
	if len(b.records) != capacity {
		t.Errorf("%d records", len(b.records))
	}
	b.trim(noon.Add(keep + 24*time.Hour))
	if n := len(b.records); n != (capacity+500)/2 || len(b.removed) != 0 {
		t.Errorf("%d records and %d removed after all that is gone is too old", n, len(b.removed))
	}
	times := Times{0}
	for n := range 100 {
		times = times.add(int64(n + 1))
	}
	if len(times) > most || times[0] != 0 || !times.open() || times[len(times)-1] != 100 {
		t.Errorf("times are %v", times)
	}
	for n := range keptPostures + 9 {
		b.Score([]float64{50}, noon.AddDate(0, 0, n))
	}
	b.trim(noon)
	if days := b.Days(1000); len(days) != keptPostures || days[len(days)-1].Date <= days[0].Date {
		t.Errorf("%d days", len(days))
	}
	s := store(t)
	for n := range books + 3 {
		if err := s.Save(fmt.Sprint("scope ", n), []Change{{Op: Looked, At: int64(n + 1)}}, noon); err != nil {
			t.Fatal(err)
		}
	}
	if names, _ := namesIn(s.dir.Path); len(names) != books+1 {
		t.Errorf("%d files", len(names))
	}
	if first, err := s.Load("scope 0"); err != nil || !first.Began().IsZero() {
		t.Errorf("the oldest book is still there: %v", err)
	}
}

// TestNoSecretIsKept offers secrets wherever text from outside goes.
func TestNoSecretIsKept(t *testing.T) {
	s := store(t)
	const canary = "ghp_c4naryc4naryc4naryc4naryc4naryc4na12"
	i := item("1", canary, "root/"+canary, "caps/https://me:c4nary-password@host/")
	i.Report.Findings[0].Message = checks.Msg("%s", canary)
	i.Report.Findings[0].Evidence = []checks.Evidence{{Source: canary, Detail: canary}}
	b := NewBook()
	b.Observe("/", i, all, noon)
	if err := s.Save("x", b.Pending(), noon); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(s.dir.Path, fileName("x")))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || !bytes.Contains(plain, []byte(`"root"`)) || bytes.Contains(plain, []byte("c4nary")) {
		t.Errorf("the book says %s, %v", plain, err)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 24, 15, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"36h": now.Add(-36 * time.Hour), "90m": now.Add(-90 * time.Minute), "2d": now.AddDate(0, 0, -2), "1w": now.AddDate(0, 0, -7),
		"today": now.Truncate(24 * time.Hour), "yesterday": now.Truncate(24*time.Hour).AddDate(0, 0, -1),
		"2026-11-20": time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), "2026-11-20T08:00:00+02:00": time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC),
	} {
		if got, err := ParseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "tomorrow", "-2h", "2", "99999d", "2026-13-01", "d"} {
		if got, err := ParseSince(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// BenchmarkObserve is what one container costs among 1,000 with ten findings
// each; nothing is written.
func BenchmarkObserve(b *testing.B) {
	d := newDiary()
	var items []*inventory.Item
	for n := range 1000 {
		i := item(fmt.Sprint(n), fmt.Sprintf("service-%d", n))
		for k := range 10 {
			i.Report.Findings = append(i.Report.Findings, checks.Finding{Check: root, Key: fmt.Sprint(k), Subject: i.Ref, Severity: checks.High})
		}
		items = append(items, i)
	}
	d.hour(items...)
	for b.Loop() {
		d.Observe("/", items[500], all, d.now)
	}
}

// picture is an image, whose layers were read or not yet, with findings of real
// checks.
func picture(t *testing.T, name string, read bool, found ...string) *inventory.Item {
	t.Helper()
	subject := &image.Image{}
	subject.Inspect.ID, subject.Inspect.RepoTags = "sha256:"+name, []string{name}
	if read {
		subject.Files = &layers.Summary{}
	}
	i := &inventory.Item{Ref: subject.Ref(), Subject: subject}
	for _, c := range image.Checks() {
		if slices.Contains(found, c.ID) {
			i.Report.Findings = append(i.Report.Findings, checks.Finding{Check: c, Subject: i.Ref, Severity: c.Severity})
		}
	}
	if len(i.Report.Findings) != len(found) {
		t.Fatalf("no such checks among %q", found)
	}
	return i
}

// TestLayersAreReadLater: at each start an image is seen before its layers are
// read. That is neither a cure, nor is what they hold new.
func TestLayersAreReadLater(t *testing.T) {
	const config, key, never = "image-user-root", "image-private-key", "image-never-scanned"
	d := newDiary()
	for range 3 { // starts of the program
		d.hour(picture(t, "app:1", false, config, never))
		d.Looked(nil, nil, []string{config, key, never}, d.now)
		d.hour(picture(t, "app:1", true, config, key))
	}
	if got := events(d.Book, noon); got != "" {
		t.Errorf("events of an image that was always there: %q", got)
	}
	d.hour(picture(t, "app:1", true, config)) // built anew without the key
	d.hour(picture(t, "app:1", true, config, key))
	d.hour(picture(t, "app:1", true, config, key), picture(t, "new:1", false, config))
	d.hour(picture(t, "app:1", true, config, key), picture(t, "new:1", true, config, key))
	if got, want := events(d.Book, noon), "22h+ new:1.image-private-key, 21h+ new:1.image-user-root, 20h++ app:1.image-private-key, 19h- app:1.image-private-key"; got != want {
		t.Errorf("events are %q, want %q", got, want)
	}
}
