package container

import (
	"archive/tar"
	stdbytes "bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

// writing plans a hardening of the container ref after it wrote path, with a
// fate for that.
func (l *lab) writing(ref, path string, f fate, ids ...string) *fixes.Plan {
	l.Helper()
	if len(ids) == 0 {
		ids = hardening
	}
	for range 500 {
		c := l.subject(ref)
		r := l.asking(c, ids...)
		r.Values = checks.Values{fateKey: string(f)}
		p, err := l.fixer.Plan(l.Context(), c, r)
		if err != nil {
			l.Fatal(err)
		}
		if d, ok := p.Detail.(*detail); ok && slices.Contains(d.world.written(), path) {
			return p
		}
		pause()
	}
	l.Fatalf("%s never wrote %s", ref, path)
	return nil
}

// fateOf returns the choice of p about what was written.
func fateOf(p *fixes.Plan) (fixes.Choice, bool) {
	i := slices.IndexFunc(p.Choices, func(c fixes.Choice) bool { return c.Key == fateKey })
	if i < 0 {
		return fixes.Choice{}, false
	}
	return p.Choices[i], true
}

// entries returns what is at path of a container, with everything that is to be
// kept of it.
func (l *lab) entries(ref, path string) []string {
	l.Helper()
	got, err := l.cli.CopyFromContainer(l.Context(), ref, client.CopyFromContainerOptions{SourcePath: path})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		l.Fatal(err)
	}
	defer got.Content.Close()
	out, err := listed(got.Content)
	if err != nil {
		l.Fatal(err)
	}
	return out
}

func listed(r io.Reader) (out []string, err error) {
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		attribute := h.PAXRecords["SCHILY.xattr.security.capability"]
		out = append(out, fmt.Sprintf("%s %c %o %d:%d %s >%s %q %x", h.Name, h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.ModTime.UTC().Format(time.RFC3339), h.Linkname, text, attribute))
	}
}

// seed puts files of all kinds into a container that was not started.
func (l *lab) seed(id string) {
	l.Helper()
	var b stdbytes.Buffer
	t := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "srv/", Typeflag: tar.TypeDir, Mode: 0o1770, Uid: 1000, Gid: 1001},
		{Name: "srv/file", Typeflag: tar.TypeReg, Mode: 0o4640, Uid: 1000, Gid: 7, Size: 5},
		{Name: "srv/sub/", Typeflag: tar.TypeDir, Mode: 0o700},
		{Name: "srv/sub/hard", Typeflag: tar.TypeLink, Linkname: "srv/file"},
		{Name: "srv/sub/link", Typeflag: tar.TypeSymlink, Linkname: "../../etc/nothing", Mode: 0o777},
		{Name: "srv/pipe", Typeflag: tar.TypeFifo, Mode: 0o600},
		{Name: "srv/able", Typeflag: tar.TypeReg, Mode: 0o755, Size: 5, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		{Name: "srv/odd\x1b[31m name", Typeflag: tar.TypeReg, Mode: 0o644, Size: 5},
		{Name: "inner/beside", Typeflag: tar.TypeReg, Mode: 0o600, Size: 5},
		{Name: "inner/volume/data", Typeflag: tar.TypeReg, Mode: 0o600, Size: 5},
		{Name: "etc/own", Typeflag: tar.TypeReg, Mode: 0o600, Size: 5},
	} {
		h.ModTime = time.Unix(1_577_934_245, 0)
		if err := t.WriteHeader(&h); err != nil {
			l.Fatal(err)
		}
		if _, err := io.WriteString(t, "12345"[:h.Size]); err != nil {
			l.Fatal(err)
		}
	}
	if err := t.Close(); err != nil {
		l.Fatal(err)
	}
	if _, err := l.cli.CopyToContainer(l.Context(), id, client.CopyToContainerOptions{DestinationPath: "/", Content: &b}); err != nil {
		l.Fatal(err)
	}
	if _, err := l.cli.ContainerStart(l.Context(), id, client.ContainerStartOptions{}); err != nil {
		l.Fatal(err)
	}
}

// TestWrittenIsCarried: what a container wrote is in its replacement before that
// starts, as it was, and what volumes hold is not copied over.
func TestWrittenIsCarried(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Files = map[string]string{"/etc/gone": "text"}
		l.load(image)
		name := l.prefix + "app"
		o := service("-write", "/state/log=started", "-remove", "/etc/gone")
		o.HostConfig.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: l.prefix + "inner", Target: "/inner/volume"}}
		l.seed(l.create("app", o))
		p := l.writing(name, "/state/log", moved)
		c, ok := fateOf(p)
		if !ok || c.Value != string(moved) || strings.Join(c.Options, " ") != "leave carry save commit" || len(c.Names) != 4 {
			t.Fatalf("choice %+v", c)
		}
		if text := pretty(p.Notes); !strings.Contains(text, "what it deleted of its image is in the replacement again") || !strings.Contains(text, "/etc/gone") || strings.Contains(text, "\x1b") {
			t.Errorf("notes %s", text)
		}
		before := l.inspect(name)
		was, own, beside := l.entries(name, "/srv"), l.entries(name, "/etc/own"), l.entries(name, "/inner/beside")
		r := l.apply(p)
		now := l.inspect(name)
		if is := l.entries(name, "/srv"); strings.Join(is, "\n") != strings.Join(was, "\n") {
			t.Errorf("was\n%s\nis\n%s", strings.Join(was, "\n"), strings.Join(is, "\n"))
		}
		if is := l.entries(name, "/etc/own"); len(is) != 1 || is[0] != own[0] {
			t.Errorf("was %s, is %s", own, is)
		}
		if is := l.entries(name, "/inner/beside"); len(is) != 1 || is[0] != beside[0] {
			t.Errorf("beside a volume: was %s, is %s", beside, is)
		}
		if is := strings.Join(l.entries(name, "/state"), "\n"); !strings.Contains(is, `"started\nstarted\n"`) {
			t.Errorf("what it wrote itself: %s", is)
		}
		l.same(before, now, "HostConfig.Memory", "HostConfig.SecurityOpt")
		if text := pretty(r.Proof); !strings.Contains(text, "came along") || strings.Contains(text, "not copied") {
			t.Errorf("proof %s", text)
		}
		if err := l.fixer.Undo(t.Context(), r.Entry, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
	})
}

// TestWrittenIsSaved: the file is the user's, for nobody else, and stays when
// the change is undone.
func TestWrittenIsSaved(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service("-write", "/state/log=started"))
		p := l.writing(name, "/state/log", saved)
		before := l.inspect(name)
		r := l.apply(p)
		if len(r.Files) != 1 || len(l.entry(r.Entry).Files) != 1 || l.entry(r.Entry).Files[0] != r.Files[0] {
			t.Fatalf("files %v, in the ledger %v", r.Files, l.entry(r.Entry).Files)
		}
		if is := strings.Join(l.entries(name, "/state/log"), ""); strings.Contains(is, `"started\nstarted`) {
			t.Errorf("it was carried too: %s", is)
		}
		check := func() {
			t.Helper()
			f, err := os.Open(r.Files[0])
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if info, err := f.Stat(); err != nil || info.Mode() != 0o600 || filepath.Dir(r.Files[0]) != l.m.o.Written {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if got, err := listed(f); err != nil || len(got) != 2 || !strings.HasPrefix(got[0], "state/ 5 755 0:0 ") || !strings.HasPrefix(got[1], "state/log 0 644 0:0 ") || !strings.Contains(got[1], `"started\n"`) {
				t.Errorf("%v: %q", err, got)
			}
		}
		check()
		if err := l.fixer.Undo(t.Context(), r.Entry, nil); err != nil {
			t.Fatal(err)
		}
		check()
		l.back(before)
	})
}

// TestWrittenIsBaked: the replacement runs an image of the original, without its
// secrets as far as the engine allows it; undo removes that.
func TestWrittenIsBaked(t *testing.T) {
	const secret = "ghp_CANARYnotARealToken0123456789abcdefg"
	onEngines(t, func(t *testing.T, l *lab) {
		image := dockertest.Probe("app:1")
		image.Files = map[string]string{"/etc/gone": "text", "/etc/stays": "text"}
		l.load(image)
		name := l.prefix + "app"
		o := service("-write", "/state/log=started", "-remove", "/etc/gone")
		o.Config.Env, o.Config.Labels = []string{"API_TOKEN=" + secret, "PLAIN=1"}, map[string]string{"team": "blue"}
		if l.server == nil {
			o.HostConfig.NetworkMode = api.NetworkMode(l.network("a", ""))
		}
		id := l.create("app", o)
		if l.server == nil { // another network, which is connected to after creation
			if _, err := l.cli.NetworkConnect(t.Context(), l.network("b", ""), client.NetworkConnectOptions{Container: id}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.cli.ContainerStart(t.Context(), id, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
		p := l.writing(name, "/state/log", baked)
		if text := pretty(p.Notes) + pretty(p.Steps); !strings.Contains(text, "API_TOKEN") || !strings.Contains(text, "do not push it") || strings.Contains(text, "what it deleted") || strings.Contains(text, secret) {
			t.Errorf("it says %s", text)
		}
		before := l.inspect(name)
		r := l.apply(p)
		now := l.inspect(name)
		l.same(before, now, "HostConfig.Memory", "HostConfig.SecurityOpt")
		if now.Path != before.Path || !slices.Equal(now.Args, before.Args) || !slices.Contains(now.Config.Env, "API_TOKEN="+secret) {
			t.Errorf("it runs %s %s with %v", now.Path, now.Args, now.Config.Env)
		}
		if is := strings.Join(l.entries(name, "/state/log"), ""); !strings.Contains(is, `"started\nstarted\n"`) {
			t.Errorf("what it wrote: %s", is)
		}
		if l.entries(name, "/etc/gone") != nil || l.entries(name, "/etc/stays") == nil {
			t.Error("what it deleted is there, or what it left is not")
		}
		ref := bakedRef(name, r.Entry)
		made, err := l.m.image(t.Context(), ref)
		if err != nil || made == nil || made.ID != now.Image || now.Config.Image != ref || slices.Contains(made.Config.Env, "API_TOKEN="+secret) {
			t.Fatalf("image %+v, %v; it runs %s of %s", made, err, now.Image, now.Config.Image)
		}
		if text := pretty(r.Reminders); !strings.Contains(text, "API_TOKEN") || strings.Contains(text, secret) { // of API 1.41, which keeps it elsewhere
			t.Errorf("reminders %s", text)
		}
		// It follows no tag any more, and can be changed and taken back like another.
		if again := l.planFor(name, "container-pids-unlimited"); again.Mechanism == fixes.Recreate {
			t.Errorf("an update of %s", ref)
		}
		if err := l.fixer.Undo(t.Context(), r.Entry, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
		if image, err := l.m.image(t.Context(), ref); err != nil || image != nil {
			t.Errorf("the image is left: %v", err)
		}
	})
}

// An image that something else uses by now is not removed, nor one of the same
// name that somebody else made.
func TestBakedImageThatIsUsedStays(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		l := memoryLab(t)
		l.load(dockertest.Probe("app:1"), dockertest.Probe("other:1", "-x", "other"))
		name := l.prefix + "app"
		l.run("app", service("-write", "/state=1"))
		before := l.inspect(name)
		r := l.apply(l.writing(name, "/state", baked))
		ref := bakedRef(name, r.Entry)
		if foreign {
			if _, err := l.cli.ImageTag(t.Context(), client.ImageTagOptions{Source: l.prefix + "other:1", Target: ref}); err != nil {
				t.Fatal(err)
			}
		} else if _, err := l.cli.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "user", Config: &api.Config{Image: ref}}); err != nil {
			t.Fatal(err)
		}
		if err := l.fixer.Undo(t.Context(), r.Entry, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
		if image, err := l.m.image(t.Context(), ref); err != nil || image == nil {
			t.Errorf("foreign %t: the image was removed: %v", foreign, err)
		}
	}
}

// The choice is there only where something was written and a replacement is
// made, and has only what is possible.
func TestFatesThatArePossible(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	id := l.run("quiet", service("-write", "/data/log=only in a volume"))
	if c, ok := fateOf(l.planFor(id, hardening...)); ok {
		t.Errorf("nothing was written: %+v", c)
	}
	id = l.run("app", service("-write", "/state=1"))
	if p := l.planFor(id, "container-memory-unlimited"); p.Mechanism != fixes.Update {
		t.Errorf("mechanism %s", p.Mechanism)
	} else if c, ok := fateOf(p); ok {
		t.Errorf("nothing is replaced: %+v", c)
	}
	if p := l.planFor(id, hardening...); p.Detail.(*detail).written != left {
		t.Errorf("without a word: %s", p.Detail.(*detail).written)
	}
	p := l.writing(id, "/state", moved, "container-rootfs-writable")
	if c, _ := fateOf(p); !strings.Contains(p.Blocked.String(), "read-only") || slices.Contains(c.Options, string(moved)) {
		t.Errorf("into a read-only root: blocked %q, options %v", p.Blocked, c.Options)
	}
	if p := l.planFor(id, "container-rootfs-writable"); !p.Blocked.IsZero() || !strings.Contains(pretty(p.Notes), "its root is read-only") {
		t.Errorf("blocked %q, notes %s", p.Blocked, pretty(p.Notes))
	}
	c := l.subject(id)
	r := l.asking(c, hardening...)
	r.Values = checks.Values{fateKey: "burn"}
	if _, err := l.fixer.Plan(t.Context(), c, r); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "leave, carry, save, commit") {
		t.Errorf("an unknown one: %v", err)
	}
	l.load(dockertest.Probe("app:1", "-x", "new"))
	p = l.plan(id, fixes.Request{Update: true, Values: checks.Values{fateKey: string(baked)}})
	if c, _ := fateOf(p); p.Blocked.IsZero() || slices.Contains(c.Options, string(baked)) {
		t.Errorf("an image below an update: blocked %q, options %v", p.Blocked, c.Options)
	}
	if p := l.plan(id, fixes.Request{Update: true, Values: checks.Values{fateKey: string(moved)}}); !p.Blocked.IsZero() {
		t.Errorf("an update carries: %s", p.Blocked)
	} else {
		l.apply(p)
		if is := strings.Join(l.entries(l.prefix+"app", "/state"), ""); !strings.Contains(is, `"1\n`) {
			t.Errorf("after the update: %s", is)
		}
	}
	l.m.o.Written = ""
	if c, _ := fateOf(l.writing(l.prefix+"app", "/state", left)); slices.Contains(c.Options, string(saved)) {
		t.Errorf("saved nowhere: %v", c.Options)
	}
}

// Whatever fails on the way, the original is back and nothing is left.
func TestFailedFates(t *testing.T) {
	for _, c := range []struct {
		fate     fate
		endpoint string
		nth      int
	}{
		{moved, "GET /containers/{id}/archive", 0}, {moved, "PUT /containers/{id}/archive", 1}, {moved, "GET /containers/{id}/changes", 1}, {moved, "GET /containers/{id}/changes", 2},
		{moved, "POST /containers/{id}/start", 1},
		{saved, "GET /containers/{id}/archive", 0}, {saved, "POST /containers/{id}/start", 1},
		{baked, "POST /commit", 1}, {baked, "DELETE /containers/{id}", 1}, {baked, "POST /containers/create", 2}, {baked, "POST /containers/{id}/start", 1},
	} {
		for _, after := range []bool{false, true} {
			l := memoryLab(t)
			l.load(dockertest.Probe("app:1"))
			name := l.prefix + "app"
			l.run("app", service("-write", "/state=1"))
			p := l.writing(name, "/state", c.fate)
			before := l.inspect(name)
			l.server.Forget()
			fault := dockertest.Fault{Endpoint: c.endpoint, Nth: c.nth, Status: 500, Message: "no"}
			if after {
				fault = dockertest.Fault{Endpoint: c.endpoint, Nth: c.nth, After: true}
			}
			l.server.Inject(fault)
			_, err := l.fixer.Apply(t.Context(), p, nil)
			l.server.Heal()
			if err == nil && strings.HasPrefix(c.endpoint, "GET ") && after {
				continue // clients ask again
			}
			if err == nil {
				t.Errorf("%s, %s: applied", c.fate, c.endpoint)
				continue
			}
			l.back(before)
			if names, err := os.ReadDir(l.m.o.Written); len(names) > 0 {
				t.Errorf("%s, %s: left %v, %v", c.fate, c.endpoint, names, err)
			}
			if image, err := l.m.image(t.Context(), bakedRef(name, p.ID)); err != nil || image != nil {
				t.Errorf("%s, %s: the image is left: %v", c.fate, c.endpoint, err)
			}
		}
	}
}

// An engine that takes the archive and keeps nothing of it is found out.
func TestCopyThatDoesNotArrive(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	name := l.prefix + "app"
	l.run("app", service("-write", "/state=1"))
	p := l.writing(name, "/state", moved)
	before := l.inspect(name)
	l.server.Inject(dockertest.Fault{Endpoint: "PUT /containers/{id}/archive", Nth: 1, Status: 200})
	if err := l.applyFails(p); !strings.Contains(err.Error(), "/state was copied and is not there") {
		t.Error(err)
	}
	l.back(before)
}

// The user gives up while something is copied.
func TestGivenUpWhileCopying(t *testing.T) {
	for _, f := range []fate{moved, saved} {
		l := memoryLab(t)
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service("-write", "/state=1"))
		p := l.writing(name, "/state", f)
		before := l.inspect(name)
		ctx, cancel := context.WithCancel(t.Context())
		l.server.Watch(func(c dockertest.Call) {
			if c.Endpoint == "GET /containers/{id}/archive" {
				cancel()
			}
		})
		if _, err := l.fixer.Apply(ctx, p, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", f, err)
		}
		l.back(before)
		if _, err := os.ReadDir(l.m.o.Written); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

// What a stopped container wrote comes along too.
func TestWrittenByWhatDoesNotRun(t *testing.T) {
	for _, f := range []fate{moved, saved, baked} {
		l := memoryLab(t)
		l.load(dockertest.Probe("app:1"))
		name := l.prefix + "app"
		l.run("app", service("-write", "/state=1"))
		if _, err := l.cli.ContainerStop(t.Context(), name, client.ContainerStopOptions{}); err != nil {
			t.Fatal(err)
		}
		before := l.inspect(name)
		r := l.apply(l.writing(name, "/state", f))
		if is := strings.Join(l.entries(name, "/state"), ""); f != saved && !strings.Contains(is, `"1\n"`) {
			t.Errorf("%s: %s", f, is)
		}
		if now := l.inspect(name); now.ID == before.ID || now.State.Running {
			t.Errorf("%s: replaced %t, running %t", f, now.ID != before.ID, now.State.Running)
		}
		if err := l.fixer.Undo(t.Context(), r.Entry, nil); err != nil {
			t.Fatal(err)
		}
		l.back(before)
	}
}

// All containers of an image take what they wrote along, but for those that
// cannot.
func TestMembersCarryWhatTheyWrote(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		old := l.load(dockertest.Probe("app:1", "-x", "old"))[0]
		l.run("a", service("-write", "/state=a"))
		l.run("b", client.ContainerCreateOptions{
			Config:     &api.Config{Image: "app:1", Cmd: []string{"-write", "/state=b"}},
			HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + l.inspect(l.prefix+"a").ID)},
		})
		l.run("c", service("-write", "/data/log=c"))
		l.writing(l.prefix+"a", "/state", left)
		l.writing(l.prefix+"b", "/state", left)
		names := []string{l.prefix + "a", l.prefix + "b", l.prefix + "c"}
		before := l.inspected(names)
		l.load(dockertest.Probe("app:1", "-x", "new"))
		for _, f := range []fate{moved, saved} {
			p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true, Values: checks.Values{fateKey: string(f)}})
			if err != nil {
				t.Fatal(err)
			}
			if c, _ := fateOf(p); c.Value != string(f) || strings.Join(c.Options, " ") != "leave carry save" {
				t.Errorf("choice %+v", c)
			}
			r := l.apply(p)
			for _, n := range []string{"a", "b"} {
				twice := fmt.Sprintf("%q", n+"\n"+n+"\n")
				if is := strings.Join(l.entries(l.prefix+n, "/state"), ""); strings.Contains(is, twice) != (f == moved) {
					t.Errorf("%s, %s: %s", f, n, is)
				}
			}
			if f == saved && len(r.Files) != 2 {
				t.Errorf("files %v", r.Files)
			}
			if err := l.fixer.Undo(t.Context(), r.Entry, nil); err != nil {
				t.Fatal(err)
			}
			l.asBefore(before)
			if l.server == nil {
				return // takes seconds
			}
		}
		p, err := l.fixer.Plan(t.Context(), l.imageOf(old), fixes.Request{Update: true, Values: checks.Values{fateKey: string(baked)}})
		if err != nil || p.Blocked.IsZero() {
			t.Errorf("an image below an update: %v", err)
		}
	})
}

// TestKilledWithWhatWasWritten kills the program at every step of a replacement
// that has more to do than to take over. What the original wrote is where it was
// to be, or the original is back.
func TestKilledWithWhatWasWritten(t *testing.T) {
	for _, f := range []fate{moved, saved, baked} {
		t.Run(string(f), func(t *testing.T) {
			onEngines(t, func(t *testing.T, l *lab) {
				l.load(dockertest.Probe("app:1"))
				reached := map[stage]bool{}
				for at := 1; ; at++ { // before, nothing is recorded
					if l.server == nil && at < 3 {
						continue // as without anything written; each takes seconds
					}
					done := true
					for _, finish := range []bool{true, false} {
						if l.server == nil && finish != (at%2 == 0) {
							done = false
							continue
						}
						name := fmt.Sprintf("%sapp%d-%t", l.prefix, at, finish)
						l.run(strings.TrimPrefix(name, l.prefix), service("-write", "/state=1"))
						l.writing(name, "/state", left)
						before := l.inspect(name)
						if !l.crash(name, at, crashLate+"=1", crashFate+"="+string(f)) {
							if l.server != nil {
								break
							}
							return
						}
						done = false
						l.killedWith(f, before, finish, reached)
					}
					if done {
						break
					}
				}
				for _, s := range map[fate][]stage{moved: {stopping, carrying, shelving}, saved: {saving, shelving}, baked: {stopping, baking, clearing, remaking, comparing, shelving}}[f] {
					if !reached[s] {
						t.Errorf("never killed at %s", s)
					}
				}
			})
		})
	}
}

// killedWith ends a crashed change and checks what became of what was written.
func (l *lab) killedWith(f fate, before *api.InspectResponse, finish bool, reached map[stage]bool) {
	l.Helper()
	e := l.crashed()
	name := containerName(before)
	j, err := decode(e)
	if err != nil {
		l.Fatal(err)
	}
	reached[j.Stage] = true
	if err := l.fixer.Recover(l.Context(), e.ID, finish, nil); err != nil {
		l.Fatalf("%s: %v", j.Stage, err)
	}
	now := l.inspect(name)
	replaced := now.ID != before.ID
	if replaced && !finish || !now.State.Running {
		l.Errorf("%s: replaced %t, running %t", j.Stage, replaced, now.State.Running)
	}
	has := strings.Contains(strings.Join(l.entries(name, "/state"), ""), `"1\n`)
	twice := strings.Contains(strings.Join(l.entries(name, "/state"), ""), `"1\n1\n"`)
	_, missing := os.Stat(savedFile(l.m.o.Written, name, e.ID))
	image, err := l.m.image(l.Context(), bakedRef(name, e.ID))
	if err != nil {
		l.Fatal(err)
	}
	switch {
	case !replaced:
		if !has || missing == nil || image != nil {
			l.Errorf("%s: taken back, it has what it wrote: %t, there is a file: %t, an image: %t", j.Stage, has, missing == nil, image != nil)
		}
	case f == moved && !twice, f == baked && (!twice || image == nil || image.ID != now.Image), f == saved && missing != nil:
		l.Errorf("%s: finished, what it wrote was carried: %t, there is a file: %t, an image: %t", j.Stage, twice, missing == nil, image != nil)
	}
	for _, c := range l.family(name) {
		if strings.HasSuffix(c.Names[0], newSuffix) {
			l.Errorf("%s: %s is left", j.Stage, c.Names)
		}
	}
}

// Without a journal the labels say what was to become of what was written.
func TestLostJournalOfWhatWasWritten(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	later := quickly
	later.Now = func() time.Time { return time.Now().Add(abandoned) }
	afterwards := l.dispatcher(New(l.cli, later))
	for _, f := range []fate{moved, baked} {
		for at := 2; at < 8; at++ {
			for _, finish := range []bool{true, false} {
				name := fmt.Sprintf("%s%s%d-%t", l.prefix, f, at, finish)
				l.run(strings.TrimPrefix(name, l.prefix), service("-write", "/state=1"))
				before := l.inspect(name)
				if !l.crash(name, at, crashLate+"=1", crashFate+"="+string(f)) {
					t.Fatal("the child was not killed")
				}
				tx := l.crashed().ID
				if err := os.RemoveAll(l.ledger.Path()); err != nil {
					t.Fatal(err)
				}
				found, err := afterwards.Interrupted(t.Context())
				if err != nil || len(found) > 1 {
					t.Fatalf("%s, %d: %v, %v", f, at, found, err)
				}
				if len(found) == 0 {
					continue // it works already
				}
				if err := afterwards.Recover(t.Context(), tx, finish, nil); err != nil {
					t.Fatal(err)
				}
				now := l.inspect(name)
				is := strings.Join(l.entries(name, "/state"), "")
				if !now.State.Running || now.ID != before.ID && (!finish || !strings.Contains(is, `"1\n1\n"`)) {
					t.Errorf("%s, %d: running %t, replaced %t, %s", f, at, now.State.Running, now.ID != before.ID, is)
				}
				if image, err := l.m.image(t.Context(), bakedRef(name, tx)); err != nil || (now.ID == before.ID) != (image == nil) && f == baked {
					t.Errorf("%s, %d: the image is left: %v", f, at, err)
				}
			}
		}
	}
}

// Those that are replaced together because they need each other take along what
// they wrote, too, each as it can.
func TestJointReplacementCarries(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	a := l.run("a", service("-write", "/state=a"))
	l.run("b", client.ContainerCreateOptions{
		Config:     &api.Config{Image: "app:1", Cmd: []string{"-write", "/state=b"}},
		HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode("container:" + a)},
	})
	names := []string{l.prefix + "a", l.prefix + "b"}
	before := l.inspected(names)
	for _, f := range []fate{moved, baked} {
		asks := l.asksFor(map[string]string{names[0]: "container-new-privileges-allowed", names[1]: "container-rootfs-writable"})
		for i := range asks {
			asks[i].Request.Values = checks.Values{fateKey: string(f)}
		}
		batch, err := l.fixer.PlanBatch(t.Context(), asks)
		if err != nil || l.told(batch) != "a recreate a b" {
			t.Fatalf("%v: %s", err, l.told(batch))
		}
		p := batch.Parts[0].Plan
		if c, ok := fateOf(p); !ok || strings.Join(c.Options, " ") != "leave carry save" {
			t.Errorf("choice %+v", c)
		}
		if n := len(slices.DeleteFunc(slices.Clone(p.Choices), func(c fixes.Choice) bool { return c.Key != fateKey })); n != 1 {
			t.Errorf("it is asked %d times", n)
		}
		if text := pretty(p.Notes); !strings.Contains(text, map[fate]string{moved: "its root is read-only", baked: "one container at a time"}[f]) {
			t.Errorf("%s: notes %s", f, text)
		}
		if _, err := l.fixer.ApplyBatch(t.Context(), batch, fixes.BatchOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		if is := strings.Join(l.entries(names[0], "/state"), ""); strings.Contains(is, `"a\na\n"`) != (f == moved) {
			t.Errorf("%s, a: %s", f, is)
		}
		if is := strings.Join(l.entries(names[1], "/state"), ""); strings.Contains(is, `"b\nb\n"`) {
			t.Errorf("%s, b: %s", f, is)
		}
		if err := l.fixer.UndoBatch(t.Context(), batch.ID, nil); err != nil {
			t.Fatal(err)
		}
		l.asBefore(before)
	}
}

// What lies in too many places to be asked for one by one, while the container
// is away, is not: that is said once.
func TestTooManyPlaces(t *testing.T) {
	l := memoryLab(t)
	l.load(dockertest.Probe("app:1"))
	id := l.run("app", service())
	b := dockertest.Behaviour{Changes: []api.FilesystemChange{{Kind: api.ChangeModify, Path: "/etc"}}}
	for i := range mostPlaces {
		b.Changes = append(b.Changes, api.FilesystemChange{Kind: api.ChangeAdd, Path: fmt.Sprintf("/etc/%d", i)})
	}
	if err := l.server.Behave(id, b); err != nil {
		t.Fatal(err)
	}
	p := l.planFor(id, hardening...)
	if c, _ := fateOf(p); strings.Join(c.Options, " ") != "leave commit" || strings.Count(pretty(p.Notes), "too many to copy") != 1 {
		t.Errorf("options %v, notes %s", c.Options, pretty(p.Notes))
	}
	b.Changes[0].Kind = api.ChangeAdd // all of it new: one place
	if err := l.server.Behave(id, b); err != nil {
		t.Fatal(err)
	}
	if c, _ := fateOf(l.planFor(id, hardening...)); len(c.Options) != 4 {
		t.Errorf("options %v", c.Options)
	}
}
