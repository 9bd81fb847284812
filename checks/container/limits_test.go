package container

import (
	"testing"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

func logs(c *Container, driver string, options map[string]string) {
	c.Settings.Host.LogConfig = container.LogConfig{Type: driver, Config: options}
}

var limitCases = []testCase{
	{"swap without end", func(c *Container) { c.Settings.Host.MemorySwap = -1 }, []string{"container-swap-unlimited"}},
	{"much swap", func(c *Container) { c.Settings.Host.MemorySwap = 1 << 30 }, []string{"container-swap-unlimited"}},
	{"swap as the engine gives it", func(c *Container) { c.Settings.Host.MemorySwap = 128 << 20 }, nil},
	{"swap without a memory limit", func(c *Container) { c.Settings.Host.Memory, c.Settings.Host.MemorySwap = 0, -1 }, []string{"container-memory-unlimited"}},
	{"most of the memory", func(c *Container) { c.Engine = &Engine{Memory: 100 << 20} }, []string{"container-memory-no-reservation"}},
	{"most of the memory, reserved", func(c *Container) {
		c.Engine = &Engine{Memory: 100 << 20}
		c.Settings.Host.MemoryReservation = 32 << 20
	}, nil},
	{"little of the memory", func(c *Container) { c.Engine = &Engine{Memory: 1 << 30} }, nil},
	{"open files", func(c *Container) { publish(c, "127.0.0.1", "8080"); c.Settings.Host.Ulimits = nil }, []string{"container-ulimits-default"}},
	{"other limits", func(c *Container) {
		publish(c, "127.0.0.1", "8080")
		c.Settings.Host.Ulimits = []*container.Ulimit{{Name: "core"}, nil}
	}, []string{"container-ulimits-default"}},
	{"open files of nobody", func(c *Container) { c.Settings.Host.Ulimits = nil }, nil},
	{"disk of a database", func(c *Container) { c.Settings.Image = "library/postgres:16" }, []string{"container-blkio-unlimited"}},
	{"disk of a database, weighed", func(c *Container) { c.Settings.Image = "postgres:16"; c.Settings.Host.BlkioWeight = 300 }, nil},

	{"log without limits", func(c *Container) { logs(c, "json-file", nil) }, []string{"container-log-unbounded"}},
	{"log with number only", func(c *Container) { logs(c, "json-file", map[string]string{"max-file": "3"}) }, []string{"container-log-unbounded"}},
	{"log limits switched off", func(c *Container) { logs(c, "local", map[string]string{"max-size": "-1"}) }, []string{"container-log-unbounded"}},
	{"limited log", func(c *Container) { logs(c, "json-file", map[string]string{"max-size": "10m"}) }, nil},
	{"local log", func(c *Container) { logs(c, "local", nil) }, nil},
	{"log elsewhere", func(c *Container) { logs(c, "journald", nil) }, nil},

	{"never killed", func(c *Container) { yes := true; c.Settings.Host.OomKillDisable = &yes }, []string{"container-oom-protection-abused disabled"}},
	{"killed last", func(c *Container) { c.Settings.Host.OomScoreAdj = -1000 }, []string{"container-oom-protection-abused score"}},
	{"killed like others", func(c *Container) { c.Settings.Host.OomKillDisable = new(bool); c.Settings.Host.OomScoreAdj = -100 }, nil},
	{"near its limits", func(c *Container) { c.Observed = &Observed{MemoryPeak: 60 << 20, CPUPeak: 0.95, PidsPeak: 95, CPUs: 4} },
		[]string{"container-limit-too-tight cpu", "container-limit-too-tight memory", "container-limit-too-tight pids"}},
	{"far from its limits", func(c *Container) { c.Observed = &Observed{MemoryPeak: 30 << 20, CPUPeak: 0.5, PidsPeak: 50, CPUs: 4} }, nil},
	{"large shared memory", func(c *Container) { c.Settings.Host.Memory, c.Settings.Host.ShmSize = 8<<30, 2<<30 }, []string{"container-shm-oversized"}},
	{"shared memory above the limit", func(c *Container) { c.Settings.Host.ShmSize = 256 << 20 }, []string{"container-shm-oversized"}},
	{"no shared memory", func(c *Container) { c.Settings.Host.IpcMode, c.Settings.Host.ShmSize = "none", 4<<30 }, nil},
	{"usual shared memory", func(c *Container) { c.Settings.Host.ShmSize = 64 << 20 }, nil},
	{"shell that stays", func(c *Container) { c.Settings.Config.Cmd = []string{"/bin/sh", "-c", "migrate && serve"} }, []string{"container-init-missing"}},
	{"package manager", func(c *Container) { c.Settings.Config.Cmd = []string{"npm", "start"} }, []string{"container-init-missing"}},
	{"shell of the image", func(c *Container) { c.Image.Config.Cmd = []string{"bash", "-ec", "a; b"} }, []string{"container-init-missing"}},
	{"shell that goes", func(c *Container) { c.Settings.Config.Cmd = []string{"sh", "-c", "migrate && exec serve"} }, nil},
	{"shell with one command", func(c *Container) { c.Settings.Config.Cmd = []string{"sh", "-c", "serve --all"} }, nil},
	{"shell with an init", func(c *Container) {
		yes := true
		c.Settings.Config.Cmd, c.Settings.Host.Init = []string{"sh", "-c", "a; b"}, &yes
	}, nil},
}

func TestRaisedMemoryKeepsSwap(t *testing.T) {
	for before, want := range map[int64]int64{-1: -1, 64 << 20: 128 << 20, 128 << 20: 256 << 20} {
		c := sound()
		c.Settings.Host.MemorySwap = before
		c.Observed = &Observed{MemoryPeak: 64 << 20}
		fix := fixOf(t, c, "container-limit-too-tight", "raise-memory")
		if got := tryFix(t, c, fix, checks.Values{"memory": "128m"}).Settings.Host; got.Memory != 128<<20 || got.MemorySwap != want {
			t.Errorf("swap %d becomes %d, want %d", before, got.MemorySwap, want)
		}
	}
}

func TestLimitChoices(t *testing.T) {
	c := sound()
	publish(c, "127.0.0.1", "22")
	c.Settings.Host.Ulimits = nil
	c.Settings.Host.ShmSize, c.Settings.Host.OomScoreAdj = 2<<30, -999
	c.Settings.Image = "redis:7"
	c.Engine = &Engine{Memory: 64 << 20}
	logs(c, "json-file", nil)
	for _, test := range []struct {
		check, fix string
		refused    []string
	}{
		{"container-ulimits-default", "nofile-limit", []string{"", "x", "0", "-1", "99999999"}},
		{"container-shm-oversized", "shm-size", []string{"", "x", "0", "2g", "1k"}},
		{"container-blkio-unlimited", "blkio-weight", []string{"", "x", "0", "9", "1001"}},
		{"container-memory-no-reservation", "memory-reservation", []string{"", "x", "0", "65m"}},
		{"container-log-unbounded", "log-limit", []string{"", "x", "0", "1k", "-1"}},
		{"container-privileged-port", "higher-port", []string{"", "x", "0", "80", "65536"}},
	} {
		fix := fixOf(t, c, test.check, test.fix)
		for _, value := range test.refused {
			if fix.Choices[0].Valid(value) == nil {
				t.Errorf("%s accepts %q", test.fix, value)
			}
			values := defaults(fix)
			values[fix.Choices[0].Key] = value
			if fix.Change(c.Settings.Clone(), values) == nil {
				t.Errorf("%s applies %q", test.fix, value)
			}
		}
	}
}
