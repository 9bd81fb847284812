package host

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"plimsoll/checks"
)

// A Machine is the Linux machine that a local engine runs on.
type Machine struct {
	Kernel         string            // version of the stable kernel it was built from: "6.1.119"; "" when only its builder knows
	KernelSource   string            // where Kernel was read
	Patched        bool              // its builder adds fixes without changing Kernel
	Mounts         []Mount           // in the order of mountinfo
	Group          *Group            // whose members command the engine; nil when there is none, or unknown
	Audit          *Audit            // nil: unknown
	AuditWorthy    []string          // files and directories of the engine that exist here
	Files          []File            // those that decide over the engine
	Sysctl         map[string]string // by name with dots
	Firewall       string            // "ufw", "firewalld" or ""
	FirewallSource string            // file that says so
	Packages       map[string]Package
	Unread         []Unread
}

// Unread is a file that would have said something and could not be read.
type Unread struct {
	Path string
	Err  string // "" when more rights are needed
}

// Notes implements [checks.Noted]: what was not looked at is no finding.
func (h *Host) Notes() []checks.Message {
	if h.Machine == nil {
		return nil
	}
	var notes []checks.Message
	for _, u := range h.Machine.Unread {
		if u.Err == "" {
			notes = append(notes, checks.Msg("%s: only root may read it", u.Path))
		} else {
			notes = append(notes, checks.Msg("%s: could not be read (%s)", u.Path, u.Err))
		}
	}
	return notes
}

// A Mount is a line of mountinfo.
type Mount struct {
	Point  string // "/var/lib/docker"
	Device string // "254:0": the same for all mounts of one file system
	Source string // "/dev/vda1"
}

// mountOf returns the mount that path is on.
func (m *Machine) mountOf(path string) Mount {
	var best Mount
	for _, mount := range m.Mounts {
		below := mount.Point == "/" || path == mount.Point || strings.HasPrefix(path, mount.Point+"/")
		if below && len(mount.Point) >= len(best.Point) {
			best = mount // the later of two on one point hides the other
		}
	}
	return best
}

// A Group has a name and members.
type Group struct {
	Name    string
	Members []string
}

// A File is one that decides over the engine, with what its owner and mode are
// and may be at most.
type File struct {
	Path         string
	Mode         fs.FileMode // permission bits
	Owner, Group string      // names, or numbers of those without

	Owners []string    // owner must be among them; none: anyone
	Groups []string    // group must be among them; none: any
	Most   fs.FileMode // bits that may be set
}

// A Package is one of the distribution that brings a part of the engine.
type Package struct {
	Name    string // "docker.io"
	Version string // "20.10.24+dfsg1-1+deb12u1"

	// Fixed are CVEs that its changelog names; nil when there is no changelog
	// to read, so that nothing is known of its fixes.
	Fixed map[string]bool
}

var groupMembers = check(checks.Check{
	ID:       "host-docker-group-members",
	Title:    "Ordinary accounts are root through the engine",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 1.1.2 (v1.6.0)", "OWASP Docker rule 1", "CWE-269"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil || h.rootless() {
		return
	}
	g := h.Machine.Group
	if g == nil || len(g.Members) == 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("in group %s and therefore root without a password: %s", g.Name, strings.Join(g.Members, ", ")),
		Evidence: []checks.Evidence{{Source: "/etc/group and /etc/passwd", Detail: g.Name + ": " + strings.Join(g.Members, " ")}},
	})
})

var fileOwnership = check(checks.Check{
	ID:       "host-file-ownership",
	Title:    "A file that decides over the engine has another owner",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs: []string{
		"CIS 3.1 (v1.6.0)", "CIS 3.3 (v1.6.0)", "CIS 3.5 (v1.6.0)", "CIS 3.7 (v1.6.0)", "CIS 3.9 (v1.6.0)", "CIS 3.11 (v1.6.0)",
		"CIS 3.13 (v1.6.0)", "CIS 3.15 (v1.6.0)", "CIS 3.17 (v1.6.0)", "CIS 3.19 (v1.6.0)", "CIS 3.22 (v1.6.0)", "CIS 3.23 (v1.6.0)", "CWE-282",
	},
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil {
		return
	}
	for _, f := range h.Machine.Files {
		if allowed(f.Owners, f.Owner) && allowed(f.Groups, f.Group) {
			continue
		}
		report(checks.Finding{
			Key:      f.Path,
			Message:  checks.Msg("%s belongs to %s, not to %s", f.Path, f.Owner+":"+f.Group, want(f.Owners, f.Owner)+":"+want(f.Groups, f.Group)),
			Evidence: []checks.Evidence{{Source: f.Path, Detail: f.seen()}},
		})
	}
})

func allowed(names []string, name string) bool {
	return len(names) == 0 || slices.Contains(names, name)
}

// want returns what name should be.
func want(names []string, name string) string {
	if allowed(names, name) {
		return name
	}
	return names[0]
}

func (f File) seen() string { return fmt.Sprintf("%s:%s %04o", f.Owner, f.Group, f.Mode.Perm()) }

var filePermissions = check(checks.Check{
	ID:       "host-file-permissions",
	Title:    "A file that decides over the engine is too open",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs: []string{
		"CIS 3.2 (v1.6.0)", "CIS 3.4 (v1.6.0)", "CIS 3.6 (v1.6.0)", "CIS 3.8 (v1.6.0)", "CIS 3.10 (v1.6.0)", "CIS 3.12 (v1.6.0)",
		"CIS 3.14 (v1.6.0)", "CIS 3.16 (v1.6.0)", "CIS 3.18 (v1.6.0)", "CIS 3.20 (v1.6.0)", "CIS 3.21 (v1.6.0)", "CIS 3.24 (v1.6.0)", "CWE-732",
	},
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil {
		return
	}
	for _, f := range h.Machine.Files {
		if f.Mode.Perm()&^f.Most == 0 {
			continue
		}
		report(checks.Finding{
			Key:      f.Path,
			Message:  checks.Msg("%s has mode %s where %s would do", f.Path, fmt.Sprintf("%04o", f.Mode.Perm()), fmt.Sprintf("%04o", f.Most)),
			Evidence: []checks.Evidence{{Source: f.Path, Detail: f.seen()}},
		})
	}
})

// A hardening is a kernel setting and the least that a server should have.
type hardening struct{ name, least string }

var hardenings = []hardening{
	{"kernel.randomize_va_space", "2"}, {"kernel.kptr_restrict", "1"}, {"kernel.dmesg_restrict", "1"},
	{"kernel.unprivileged_bpf_disabled", "1"}, {"kernel.yama.ptrace_scope", "1"},
	{"fs.protected_symlinks", "1"}, {"fs.protected_hardlinks", "1"},
}

// SysctlNames lists the kernel settings that are asked for.
func SysctlNames() []string {
	var names []string
	for _, s := range hardenings {
		names = append(names, s.name)
	}
	return names
}

var notHardened = check(checks.Check{
	ID:       "host-not-hardened",
	Title:    "The host itself is not hardened",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 1.2.1 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Machine == nil {
		return
	}
	var weak []string
	for _, s := range hardenings {
		if value, known := h.Machine.Sysctl[s.name]; known && cmp.Compare(value, s.least) < 0 {
			weak = append(weak, s.name+"="+value)
		}
	}
	if len(weak) == 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("the kernel of %s lets an intruder look around more than necessary: %s", h.Ref().Name, strings.Join(weak, ", ")),
		Evidence: []checks.Evidence{{Source: "/proc/sys", Detail: strings.Join(weak, " ")}},
	})
})
