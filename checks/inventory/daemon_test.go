package inventory

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
)

// ofHost returns what the checks of the host find of an engine, by check.
func ofHost(t *testing.T, c *client.Client) map[string]checks.Finding {
	t.Helper()
	target, err := engine.Resolve(c.DaemonHost())
	if err != nil {
		t.Fatal(err)
	}
	v := New(Options{Target: &target, Suite: host.Checks(), Policy: &checks.Policy{Profile: checks.All}})
	items, err := v.Gather(t.Context(), Selection{Host: true})
	if err != nil || len(items) != 1 {
		t.Fatalf("gathered %d items: %v", len(items), err)
	}
	if errs := items[0].Report.Errors; len(errs) > 0 {
		t.Fatal(errs)
	}
	findings := map[string]checks.Finding{}
	for _, f := range items[0].Report.Findings {
		findings[f.Check.ID] = f
	}
	return findings
}

// A careless daemon.json and command line show in what the engine tells and in
// what its process and file say.
func TestOddEngine(t *testing.T) {
	got := ofHost(t, dockertest.PrivateWith(t, `{"insecure-registries": ["registry.lan:5000"], "debug": true, "experimental": true, "log-driver": "none", "cgroup-parent": "/batch"}`,
		"--host", "tcp://127.0.0.1:2375", "--iptables=false"))
	for id, evidence := range map[string]string{
		"daemon-tcp-without-tls":      "docker info, Warnings",
		"daemon-insecure-registries":  "docker info, RegistryConfig",
		"daemon-debug-on":             "docker info, Debug",
		"daemon-experimental-on":      "docker info, ExperimentalBuild",
		"daemon-logging-local-only":   "docker info, LoggingDriver",
		"daemon-iptables-disabled":    "command line of dockerd",
		"daemon-cgroup-parent-custom": "daemon.json",

		"daemon-new-privileges-allowed":      "daemon.json and command line",
		"daemon-ulimits-default":             "daemon.json and command line",
		"daemon-userland-proxy-on":           "daemon.json and command line",
		"daemon-default-bind-all-interfaces": "network bridge",
	} {
		f, ok := got[id]
		if !ok {
			t.Errorf("%s is not found", id)
		} else if !slices.ContainsFunc(f.Evidence, func(e checks.Evidence) bool { return strings.Contains(e.Source, evidence) }) {
			t.Errorf("%s is concluded from %v, want %s", id, f.Evidence, evidence)
		}
	}
	if f := got["daemon-tcp-without-tls"]; f.Severity != checks.High {
		t.Errorf("a port of this machine alone is %s", f.Severity)
	}
}

// What was set right is not found, and other engines on this machine, with
// other settings, do not get in the way.
func TestCarefulEngine(t *testing.T) {
	got := ofHost(t, dockertest.PrivateWith(t, `{"icc": false, "ip": "127.0.0.1", "no-new-privileges": true, "live-restore": true, "userland-proxy": false,
		"log-opts": {"max-size": "10m"}, "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 4096}}}`))
	for _, id := range []string{
		"daemon-inter-container-traffic-open", "daemon-default-bind-all-interfaces", "daemon-new-privileges-allowed", "daemon-live-restore-off",
		"daemon-userland-proxy-on", "daemon-log-rotation-missing", "daemon-ulimits-default", "daemon-tcp-without-tls", "daemon-insecure-registries",
		"daemon-debug-on", "daemon-experimental-on", "daemon-iptables-disabled", "daemon-cgroup-parent-custom", "daemon-log-level-not-info", "daemon-legacy-storage-driver",
	} {
		if f, ok := got[id]; ok {
			t.Errorf("%s: %s, by %v", id, f.Message, f.Evidence)
		}
	}
	if _, ok := got["daemon-runs-as-root"]; !ok {
		t.Error("nothing is found at all")
	}
}

// An engine that is set up as it comes has no rotation of logs.
func TestPlainEngine(t *testing.T) {
	if _, ok := ofHost(t, dockertest.Private(t))["daemon-log-rotation-missing"]; !ok {
		t.Error("no rotation of logs, and nobody says so")
	}
}

// A socket behind which something else than dockerd stands is not this
// machine's engine: its files say nothing about it.
func TestForwardedSocket(t *testing.T) {
	site := here()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	info := system.Info{OSType: "linux", Name: name, KernelVersion: site.line("/proc/sys/kernel/osrelease")}
	if pid := site.daemonOf(info, dockertest.Run(t).Host()); pid != 0 {
		t.Errorf("process %d is taken for the engine", pid)
	}
}
