package host

import (
	"path"
	"slices"
	"strings"

	"plimsoll/checks"
)

// How far the engine keeps a container away from the machine when nobody asks
// for more.

var usernsOff = check(checks.Check{
	ID:       "daemon-userns-off",
	Title:    "Root in a container is root on the host",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 2.9 (v1.6.0)", "CWE-250"},
}, func(h *Host, report func(checks.Finding)) {
	if _, remapped := h.securityOption("userns", ""); !h.linux() || remapped || h.rootless() {
		return
	}
	f := checks.Finding{
		Message:  checks.Msg("root in a container of %s is root for the kernel, too", h.Ref().Name),
		Evidence: []checks.Evidence{h.securityOptions()},
	}
	if h.desktop() {
		f.Severity = checks.Info
		f.Message = checks.Msg("root in a container is root in the virtual machine of %s", h.Ref().Name)
	}
	report(f)
})

// The engine tells of no-new-privileges only since it has been able to, so its
// silence is heard together with its file.
var newPrivilegesAllowed = check(checks.Check{
	ID:       "daemon-new-privileges-allowed",
	Title:    "Containers may gain privileges by default",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 2.14 (v1.6.0)", "CWE-250"},
}, func(h *Host, report func(checks.Finding)) {
	set, known := h.Daemon.setting("no-new-privileges", "")
	if _, said := h.securityOption("no-new-privileges", ""); !h.linux() || said || !known || set.isTrue() {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("setuid programs in containers of %s make root of any user", h.Ref().Name),
		Evidence: []checks.Evidence{set.evidence, h.securityOptions()},
	})
})

var seccompCustomOrOff = check(checks.Check{
	ID:       "daemon-seccomp-custom-or-off",
	Title:    "System calls are not filtered as usual",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 2.17 (v1.6.0)", "OWASP Docker rule 6"},
}, func(h *Host, report func(checks.Finding)) {
	profile, on := h.securityOption("seccomp", "profile")
	f := checks.Finding{Evidence: []checks.Evidence{h.securityOptions()}}
	switch {
	case !h.linux() || len(h.Info.SecurityOptions) == 0 && h.Info.KernelVersion == "":
		return
	case !on || profile == "unconfined":
		f.Message = checks.Msg("containers of %s may use every system call of the kernel", h.Ref().Name)
	case profile == "" || profile == "default" || profile == "builtin":
		return
	default:
		f.Severity = checks.Low
		f.Message = checks.Msg("all containers are filtered by a profile of this machine's own, %s, which does not follow the engine's", profile)
	}
	report(f)
})

var lsmMissing = check(checks.Check{
	ID:       "daemon-lsm-missing",
	Title:    "Neither AppArmor nor SELinux confines containers",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"OWASP Docker rule 6"},
}, func(h *Host, report func(checks.Finding)) {
	_, apparmor := h.securityOption("apparmor", "")
	_, selinux := h.securityOption("selinux", "")
	// Rootless engines cannot load AppArmor profiles, and the virtual machine
	// of Desktop is the wall there.
	if !h.linux() || apparmor || selinux || h.rootless() || h.desktop() || len(h.Info.SecurityOptions) == 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("no security module of the kernel of %s stands behind the other walls", h.Ref().Name),
		Evidence: []checks.Evidence{h.securityOptions()},
	})
})

// knownRuntimes start containers as is known to be safe, or safer.
var knownRuntimes = []string{
	"runc", "crun", "youki", "runsc", "gvisor", "kata", "kata-runtime", "kata-fc", "kata-qemu", "sysbox-runc", "nvidia", "crun-wasm",
	"io.containerd.runc.v2", "io.containerd.runc.v1", "io.containerd.runtime.v1.linux", "io.containerd.kata.v2", "io.containerd.runsc.v1",
}

var defaultRuntimeUnknown = check(checks.Check{
	ID:       "daemon-default-runtime-unknown",
	Title:    "The default runtime is not a well-known one",
	Severity: checks.Info,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-829"},
}, func(h *Host, report func(checks.Finding)) {
	name := h.Info.DefaultRuntime
	if name == "" || !h.linux() {
		return
	}
	program := h.Info.Runtimes[name].Path
	known := slices.Contains(knownRuntimes, name)
	if program != "" {
		// A well-known name may hide another program.
		known = slices.Contains(knownRuntimes, strings.TrimPrefix(path.Base(program), "nvidia-container-")) ||
			path.Base(program) == "nvidia-container-runtime"
	}
	if known {
		return
	}
	detail := name
	if program != "" {
		detail += ", " + program
	}
	report(checks.Finding{
		Message:  checks.Msg("every container of %s is started by %s: know where it comes from", h.Ref().Name, name),
		Evidence: []checks.Evidence{{Source: "docker info, DefaultRuntime", Detail: detail}},
	})
})
