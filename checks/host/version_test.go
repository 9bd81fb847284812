package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
)

func TestVersionOrder(t *testing.T) {
	ascending := []string{"1.0.0-beta.2", "1.0.0-rc1", "1.0.0~rc93+ds1", "1.0.0-rc95", "1.0.0", "v1.1.5", "1.1.12", "1.2", "1.2.8", "1.10.0", "20.10.24+dfsg1"}
	for i, text := range ascending {
		v, ok := parseVersion(text)
		if !ok {
			t.Fatalf("%q is no version", text)
		}
		for j, other := range ascending {
			w, _ := parseVersion(other)
			if got, want := v.compare(w), compareInts(i, j); got != want {
				t.Errorf("%s against %s: %d, want %d", text, other, got, want)
			}
		}
	}
	for text, want := range map[string]string{
		"1.1.12-0ubuntu2~22.04.1": "1.1.12", "1.6.20~ds1-1+deb12u3": "1.6.20", "6.11.4-arch1-1": "6.11.4", "4.44.3 (202357)": "4.44.3", "2.0.0-beta.24": "2.0.0-beta.24",
	} {
		v, _ := parseVersion(text)
		if w, _ := parseVersion(want); v != w {
			t.Errorf("%s is read as %v", text, v)
		}
	}
	for _, text := range []string{"", "buildx-stable-1", "master", "dev", "7", "v"} {
		if v, ok := parseVersion(text); ok {
			t.Errorf("%q is read as %v", text, v)
		}
	}
}

func compareInts(i, j int) int { return max(-1, min(1, i-j)) }

func TestHasFix(t *testing.T) {
	fixes := []version{}
	for _, text := range []string{"1.2.8", "1.3.3", "1.4.0-rc.3"} {
		v, _ := parseVersion(text)
		fixes = append(fixes, v)
	}
	for text, want := range map[string]bool{
		"1.1.15": false, "1.2.7": false, "1.2.8": true, "1.2.9": true, "1.3.0": false, "1.3.3": true, "1.4.0-rc.2": false, "1.4.0-rc.3": true,
		"1.4.0": true, "1.5.0": true, "2.0.0": true, "1.0.0-rc95": false,
	} {
		if v, _ := parseVersion(text); v.hasFix(fixes) != want {
			t.Errorf("%s has the fix: %v, want %v", text, !want, want)
		}
	}
}

// TestAdvisories reads the table as its users never do: all of it.
func TestAdvisories(t *testing.T) {
	all, err := advisories()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(advisoryTable, "As of "+advisoriesDate) {
		t.Error("the table is of another day than the code says")
	}
	seen := map[[2]string]bool{}
	parts := map[string]bool{}
	for _, a := range all {
		if key := [2]string{a.part, a.cve}; seen[key] {
			t.Errorf("%v stands twice", key)
		} else {
			seen[key] = true
		}
		parts[a.part] = true
		if !strings.HasPrefix(a.cve, "CVE-") || len(a.fixed) == 0 || a.effect == "" || strings.HasSuffix(a.effect, ".") {
			t.Errorf("%+v is not as it should be", a)
		}
		for _, fix := range a.fixed {
			if fix.hasFix(a.fixed) == false || a.since.compare(fix) >= 0 {
				t.Errorf("%s: %v is no fix", a.cve, fix)
			}
		}
	}
	for _, part := range []string{"runc", "containerd", "engine", "authorization", "BuildKit", "builder of the engine", "Docker Desktop", "kernel"} {
		if !parts[part] {
			t.Errorf("no advisory of %s", part)
		}
	}
	for _, c := range []*checks.Check{runcEscape, containerdVulnerable, desktopEscape, authzBypassable, buildkitVulnerable, kernelEscape} {
		for _, ref := range c.Refs {
			if strings.HasPrefix(ref, "CVE-") && !strings.Contains(advisoryTable, "\t"+ref+"\t") {
				t.Errorf("%s refers to %s, which the table does not have", c.ID, ref)
			}
		}
	}
}

// TestAgainstOSV compares the table with records of the Go vulnerability
// database: every first good release there is one here.
func TestAgainstOSV(t *testing.T) {
	const sample = "../../../shared/vulnerability/osv-go-sample.zip"
	if _, err := os.Stat(filepath.FromSlash(sample)); err != nil {
		t.Skip("no sample of the Go vulnerability database here: ", err)
	}
	compared := 0
	for module, part := range map[string]string{
		"github.com/opencontainers/runc": "runc", "github.com/containerd/containerd": "containerd", "github.com/containerd/containerd/v2": "containerd",
		"github.com/moby/buildkit": "BuildKit",
	} {
		for id, fixed := range osvFixes(t, sample, module) {
			all, _ := advisories()
			for _, a := range all {
				if a.part != part || a.cve != id {
					continue
				}
				compared++
				for _, text := range fixed {
					if v, ok := parseVersion(text); !ok || !slices.Contains(a.fixed, v) {
						t.Errorf("%s: fixed in %s of %s, the table has %s", id, text, module, a.fixedText)
					}
				}
			}
		}
	}
	if compared < 15 {
		t.Errorf("only %d advisories were compared", compared)
	}
}

// versioned checks fire by version; their cases are in TestVersions.
var versioned = map[string]bool{
	"engine-version-outdated": true, "runc-escape-cve": true, "containerd-cve": true, "desktop-escape-cve": true,
	"buildkit-cve": true, "host-kernel-escape-cve": true, "daemon-authz-plugin-bypassable": true,
}

var versionCases = []struct {
	name   string
	change func(h *Host)
	want   map[string]checks.Severity
}{
	{"current", func(h *Host) {}, nil},
	{"runc of a release", func(h *Host) { h.Parts["runc"] = Part{Version: "1.1.11"} }, map[string]checks.Severity{"runc-escape-cve": checks.Critical}},
	{"runc that lacks the last fix", func(h *Host) { h.Parts["runc"] = Part{Version: "1.3.3"} }, map[string]checks.Severity{"runc-escape-cve": checks.Medium}},
	{"runc told by info only", func(h *Host) { h.Parts = nil; h.Info.RuncCommit.ID = "v1.1.7-0-g860f061" }, map[string]checks.Severity{"runc-escape-cve": checks.Critical}},
	{"commit that is no version", func(h *Host) { h.Parts = nil; h.Info.RuncCommit.ID = "860f061b76bb4fc671f0f9e900f7d80ff93d4eb7" }, nil},
	{"runc of Debian, changelog silent", func(h *Host) { debian(h, "runc", Part{"1.1.5+ds1", "1.1.5+ds1-1+deb12u1"}, "CVE-2024-21626") },
		map[string]checks.Severity{"runc-escape-cve": checks.High}},
	{"runc of Debian with all fixes", func(h *Host) {
		debian(h, "runc", Part{"1.1.5+ds1", "1.1.5+ds1-1+deb12u9"}, "CVE-2024-21626", "CVE-2024-45310", "CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881", "CVE-2026-41579")
	}, nil},
	{"runc of Debian elsewhere", func(h *Host) { h.Machine = nil; h.Parts["runc"] = Part{"1.1.5+ds1", "1.1.5+ds1-1+deb12u1"} },
		map[string]checks.Severity{"runc-escape-cve": checks.Info}},
	{"runc of Ubuntu elsewhere", func(h *Host) { h.Machine = nil; h.Parts["runc"] = Part{"1.1.12-0ubuntu2~22.04.1", ""} },
		map[string]checks.Severity{"runc-escape-cve": checks.Info}},
	{"nobody signs, the system is Ubuntu", func(h *Host) {
		h.Machine, h.Platform, h.Info.OperatingSystem = nil, "", "Ubuntu 24.04 LTS"
		h.Parts["containerd"] = Part{Version: "1.7.12"}
	}, map[string]checks.Severity{"containerd-cve": checks.Info}},
	{"containerd of a release", func(h *Host) { h.Parts["containerd"] = Part{Version: "v1.7.28"} }, map[string]checks.Severity{"containerd-cve": checks.Medium}},
	{"old containerd", func(h *Host) { h.Parts["containerd"] = Part{Version: "1.4.2"} }, map[string]checks.Severity{"containerd-cve": checks.High}},
	{"Desktop", func(h *Host) { h.Platform = "Docker Desktop 4.44.2 (201998)" }, map[string]checks.Severity{"desktop-escape-cve": checks.Critical}},
	{"current Desktop", func(h *Host) { h.Platform = "Docker Desktop 4.71.0 (225177)" }, nil},
	{"BuildKit in a container", func(h *Host) { h.Containers[0].Image = "moby/buildkit:v0.12.4@sha256:0" }, map[string]checks.Severity{"buildkit-cve": checks.High}},
	{"BuildKit by a moving tag", func(h *Host) { h.Containers[0].Image = "moby/buildkit:buildx-stable-1" }, nil},
	{"engine of an abandoned branch", func(h *Host) { h.Info.ServerVersion = "24.0.9" },
		map[string]checks.Severity{"engine-version-outdated": checks.High, "buildkit-cve": checks.High}},
	{"engine behind", func(h *Host) { h.Info.ServerVersion = "29.5.0" }, map[string]checks.Severity{"engine-version-outdated": checks.High}},
	{"engine that a distribution cares for", func(h *Host) {
		h.Platform, h.Info.ServerVersion, h.Info.OperatingSystem = "", "26.1.5+dfsg1", "Debian GNU/Linux 13 (trixie)"
		h.Machine.Packages = map[string]Package{"docker.io": {Name: "docker.io", Version: "26.1.5+dfsg1-9+b11",
			Fixed: map[string]bool{"CVE-2026-33997": true, "CVE-2026-41567": true, "CVE-2026-41568": true, "CVE-2026-42306": true}}}
	}, nil},
	{"Podman's version is not an engine's", func(h *Host) { h.Info.ServerVersion = "dev" }, nil},
	{"plugin", func(h *Host) { h.Info.Plugins.Authorization = []string{"broker"}; h.Info.ServerVersion = "29.3.0" },
		map[string]checks.Severity{"daemon-authz-plugin-bypassable": checks.High, "engine-version-outdated": checks.High}},
	{"kernel", func(h *Host) { h.Info.KernelVersion = "6.12.84" }, map[string]checks.Severity{"host-kernel-escape-cve": checks.High}},
	{"kernel of WSL", func(h *Host) { h.Info.KernelVersion = "5.15.153.1-microsoft-standard-WSL2" }, map[string]checks.Severity{"host-kernel-escape-cve": checks.High}},
	{"kernel of Debian behind its ABI", func(h *Host) { h.Info.KernelVersion, h.Machine.Kernel = "6.1.0-28-amd64", "6.1.119" },
		map[string]checks.Severity{"host-kernel-escape-cve": checks.High}},
	{"kernel of Debian elsewhere", func(h *Host) { h.Machine = nil; h.Info.KernelVersion = "6.1.0-28-amd64" }, nil},
	{"kernel of Ubuntu", func(h *Host) {
		h.Info.KernelVersion, h.Machine.Kernel, h.Machine.Patched = "5.15.0-119-generic", "5.15.160", true
	}, map[string]checks.Severity{"host-kernel-escape-cve": checks.Info}},
	{"kernel of Red Hat", func(h *Host) { h.Info.KernelVersion = "5.14.0-427.13.1.el9_4.x86_64" }, nil},
}

// debian makes part one of Debian's, in a package that names fixed.
func debian(h *Host, name string, part Part, fixed ...string) {
	h.Platform, h.Info.OperatingSystem = "", "Debian GNU/Linux 12 (bookworm)"
	h.Parts[name] = part
	p := Package{Name: name, Version: part.Commit, Fixed: map[string]bool{}}
	for _, id := range fixed {
		p.Fixed[id] = true
	}
	h.Machine.Packages = map[string]Package{name: p}
}

func TestVersions(t *testing.T) {
	fired := map[string]bool{}
	for _, test := range versionCases {
		t.Run(test.name, func(t *testing.T) {
			h := sound()
			test.change(h)
			got := map[string]checks.Severity{}
			for _, f := range checks.Run(h, Checks(), nil).Findings {
				if versioned[f.Check.ID] {
					got[f.Check.ID], fired[f.Check.ID] = f.Severity, true
				} else if test.want != nil && !strings.HasPrefix(f.Check.ID, "daemon-") && f.Check.ID != "host-audit-missing-daemon" {
					t.Errorf("found %s as well", f.Check.ID)
				}
			}
			for id := range versioned {
				if got[id] != test.want[id] {
					t.Errorf("%s is %v, want %v", id, got[id], test.want[id])
				}
			}
		})
	}
	for id := range versioned {
		if !fired[id] {
			t.Errorf("no case makes %s fire", id)
		}
	}
}

func TestAbandoned(t *testing.T) {
	day := func(text string) time.Time { d, _ := time.Parse(time.DateOnly, text); return d }
	for _, test := range []struct {
		version, on string
		want        bool
	}{
		{"20.10.24", "2026-11-25", true}, {"24.0.9", "2026-11-25", true}, {"25.0.13", "2026-11-25", false}, {"25.0.13", "2027-01-01", true},
		{"27.5.1", "2026-11-25", true}, {"28.5.2", "2026-11-25", false}, {"29.9.0", "2026-11-25", false}, {"30.0.0", "2026-11-25", false},
	} {
		if v, _ := parseVersion(test.version); abandoned(v, day(test.on)) != test.want {
			t.Errorf("%s on %s abandoned: %v", test.version, test.on, !test.want)
		}
	}
}
