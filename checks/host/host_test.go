package host

import (
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"

	"plimsoll/checks"
)

// sound returns an engine that nothing is wrong with.
func sound() *Host {
	bridge := &network.Inspect{}
	bridge.Options = map[string]string{enableICC: "false"}
	return &Host{
		Info: system.Info{
			ID:                 "engine",
			Name:               "harbour",
			OSType:             "linux",
			SecurityOptions:    []string{"name=seccomp,profile=builtin", "name=rootless"},
			LiveRestoreEnabled: true,
		},
		Bridge:     bridge,
		Containers: []Running{{"web", "shop:1.2"}, {"falco", "falcosecurity/falco:0.39"}},
		Processes:  []string{"dockerd"},
	}
}

var cases = []struct {
	name   string
	change func(h *Host)
	want   []string
}{
	{"nothing", func(h *Host) {}, nil},

	{"root", func(h *Host) { h.Info.SecurityOptions = []string{"name=seccomp,profile=default", "name=userns"} }, []string{"daemon-runs-as-root"}},
	{"no options", func(h *Host) { h.Info.SecurityOptions = nil }, []string{"daemon-runs-as-root"}},
	{"rootless, old form", func(h *Host) { h.Info.SecurityOptions = []string{"rootless"} }, nil},
	{"windows", func(h *Host) {
		h.Info.OSType, h.Info.SecurityOptions, h.Info.LiveRestoreEnabled = "windows", nil, false
	}, nil},

	{"traffic", func(h *Host) { h.Bridge.Options[enableICC] = "true" }, []string{"daemon-inter-container-traffic-open"}},
	{"traffic not known", func(h *Host) { h.Bridge.Options = nil }, nil},
	{"no bridge", func(h *Host) { h.Bridge = nil }, nil},

	{"no live restore", func(h *Host) { h.Info.LiveRestoreEnabled = false }, []string{"daemon-live-restore-off"}},
	{"not in a swarm", func(h *Host) {
		h.Info.LiveRestoreEnabled, h.Info.Swarm.LocalNodeState = false, swarm.LocalNodeStateInactive
	}, []string{"daemon-live-restore-off"}},
	{"swarm", func(h *Host) {
		h.Info.LiveRestoreEnabled, h.Info.Swarm.LocalNodeState = false, swarm.LocalNodeStateActive
	}, nil},

	{"no monitor", func(h *Host) { h.Containers = nil }, []string{"runtime-monitor-missing"}},
	{"no monitor, processes unknown", func(h *Host) { h.Containers, h.Processes = nil, nil }, []string{"runtime-monitor-missing"}},
	{"what only belongs to Falco", func(h *Host) {
		h.Containers = []Running{{"falco", "falcosecurity/falcosidekick-ui:2"}, {"sysdig", "shop/sysdig-docs"}}
	}, []string{"runtime-monitor-missing"}},
	{"Falco as a process", func(h *Host) { h.Containers, h.Processes = nil, []string{"init", "falco"} }, nil},
	{"sysdig agent", func(h *Host) { h.Containers = []Running{{"a", "quay.io/sysdig/agent-slim@sha256:0"}} }, nil},
	{"Tetragon", func(h *Host) { h.Containers = []Running{{"a", "quay.io/cilium/tetragon:v1.2"}} }, nil},
	{"Tracee", func(h *Host) { h.Containers = []Running{{"a", "docker.io/aquasec/tracee"}} }, nil},
	{"mirrored Falco", func(h *Host) { h.Containers = []Running{{"a", "localhost:5000/falcosecurity/falco"}} }, nil},
}

func TestChecks(t *testing.T) {
	fired := map[string]bool{}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			h := sound()
			test.change(h)
			report := checks.Run(h, Checks(), nil)
			for _, err := range report.Errors {
				t.Error(err)
			}
			var got []string
			for _, f := range report.Findings {
				got = append(got, f.Check.ID)
				fired[f.Check.ID] = true
				if len(f.Evidence) == 0 {
					t.Errorf("%s: no evidence", f.Check.ID)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
	for _, c := range slices.Concat(networkChecks, volumeChecks, swarmChecks) {
		fired[c.ID] = true // their tables are TestNetworks, TestVolumes and TestSwarm
	}
	for _, c := range Checks() {
		if !fired[c.ID] {
			t.Errorf("no case makes %s fire", c.ID)
		}
	}
}

func TestNothingKnown(t *testing.T) {
	report := checks.Run(&Host{}, Checks(), nil)
	for _, err := range report.Errors {
		t.Error(err)
	}
}

func TestVirtualMachineOfDesktop(t *testing.T) {
	h := sound()
	h.Info.SecurityOptions, h.Info.OperatingSystem = nil, "Docker Desktop"
	report := checks.Run(h, Checks(), nil)
	if len(report.Findings) != 1 || report.Findings[0].Severity != checks.Info {
		t.Errorf("found %v", report.Findings)
	}
}

func TestHostileText(t *testing.T) {
	h := sound()
	h.Info.Name, h.Info.SecurityOptions = "\x1b[2J", []string{"\x1b[2J"}
	for _, f := range checks.Run(h, Checks(), nil).Findings {
		if shown := f.Message.String() + f.Evidence[0].String(); strings.Contains(shown, "\x1b") {
			t.Errorf("%s shows %q", f.Check.ID, shown)
		}
	}
}
