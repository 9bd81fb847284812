package container

import (
	"slices"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// unconfined is the value of a security option that switches it off.
const unconfined = "unconfined"

var securityOptions = setting{"HostConfig.SecurityOpt", []string{"security_opt"}}

// securityOption starts a finding about the option opt, as it is written, with
// a fix that leaves it out.
func (c *Container) securityOption(opt string, message checks.Message, fix checks.Fix) checks.Finding {
	s := securityOptions
	s.keys = append([]string{"security_opt." + opt}, s.keys...)
	f := c.found(s, opt, message)
	fix.Change = func(s *checks.Settings, _ checks.Values) error {
		s.Host.SecurityOpt = slices.DeleteFunc(s.Host.SecurityOpt, func(o string) bool { return o == opt })
		return nil
	}
	f.Fixes = []checks.Fix{fix}
	return f
}

// optionWith returns the option of that name and one of the values, as it is
// written.
func optionWith(options []string, name string, values ...string) (string, bool) {
	i := slices.IndexFunc(options, func(opt string) bool {
		n, value := splitOption(opt)
		return n == name && slices.Contains(values, value)
	})
	if i < 0 {
		return "", false
	}
	return options[i], true
}

var seccompUnconfined = hostRule(checks.Check{
	ID:       "container-seccomp-unconfined",
	Title:    "System calls are not filtered",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.22 (v1.6.0)", "OWASP Docker rule 6", "CWE-693"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	opt, ok := optionWith(host.SecurityOpt, "seccomp", unconfined)
	if !ok {
		return
	}
	report(c.securityOption(opt, checks.Msg("%s may use every system call of the kernel", c.Settings.Name), checks.Fix{
		ID:      "seccomp-default",
		Title:   checks.Msg("filter system calls with the profile of the engine"),
		Caution: checks.Msg("debuggers, profilers and nested containers may need calls that the profile denies"),
	}))
})

var apparmorMissing = hostRule(checks.Check{
	ID:       "container-apparmor-missing",
	Title:    "Not confined by AppArmor",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.2 (v1.6.0)", "OWASP Docker rule 6", "CWE-693"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.Privileged || c.Inspect != nil && (c.Engine == nil || !c.Engine.AppArmor) {
		return // privileged ones never are; without the engine's word it would be a guess
	}
	message := checks.Msg("%s is not confined by AppArmor", c.Settings.Name)
	if opt, ok := optionWith(host.SecurityOpt, "apparmor", unconfined); ok {
		report(c.securityOption(opt, message, checks.Fix{
			ID:      "apparmor-default",
			Title:   checks.Msg("confine it with the profile of the engine"),
			Caution: checks.Msg("mounting file systems and writing below /proc and /sys fails"),
		}))
		return
	}
	if c.Inspect != nil && c.Inspect.AppArmorProfile == "" && c.running() {
		report(c.found(setting{"AppArmorProfile", []string{"security_opt"}}, "none", message))
	}
})

var selinuxMissing = hostRule(checks.Check{
	ID:       "container-selinux-missing",
	Title:    "Not confined by SELinux",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.3 (v1.6.0)", "OWASP Docker rule 6", "CWE-693"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	switch {
	case host.Privileged || host.PidMode.IsHost() || host.IpcMode.IsHost():
		return // the engine itself does not label these
	case c.Inspect != nil && (c.Engine == nil || !c.Engine.SELinux):
		return
	}
	if opt, ok := optionWith(host.SecurityOpt, "label", "disable", "type:spc_t", "type=spc_t"); ok {
		report(c.securityOption(opt, checks.Msg("%s is not confined by SELinux", c.Settings.Name), checks.Fix{
			ID:      "selinux-label",
			Title:   checks.Msg("confine it with a label of its own"),
			Caution: checks.Msg("mounted folders of the host are out of its reach until they are relabelled with :z or :Z"),
		}))
	}
})

const systemPathsOption = "systempaths"

var systemPathsUnmasked = hostRule(checks.Check{
	ID:       "container-system-paths-unmasked",
	Title:    "System paths are not masked",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-668"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.Privileged {
		return
	}
	opt, said := optionWith(host.SecurityOpt, systemPathsOption, unconfined)
	emptied := func(paths []string) bool { return paths != nil && len(paths) == 0 }
	s, seen := setting{"HostConfig.MaskedPaths", []string{"security_opt." + opt, "security_opt"}}, "[]"
	switch {
	case said:
		s.field, seen = securityOptions.field, opt
	case emptied(host.MaskedPaths):
	case emptied(host.ReadonlyPaths):
		s.field = "HostConfig.ReadonlyPaths"
	default:
		return
	}
	f := c.found(s, seen, checks.Msg("%s sees the parts of /proc and /sys that the engine hides or protects", c.Settings.Name))
	f.Fixes = []checks.Fix{{
		ID:      "mask-paths",
		Title:   checks.Msg("hide and protect system paths as the engine does"),
		Caution: checks.Msg("nested containers and tools that change kernel settings stop working"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.MaskedPaths, s.Host.ReadonlyPaths = nil, nil
			s.Host.SecurityOpt = slices.DeleteFunc(s.Host.SecurityOpt, func(o string) bool {
				name, _ := splitOption(o)
				return name == systemPathsOption
			})
			return nil
		},
	}}
	report(f)
})

// running reports whether c runs now.
func (c *Container) running() bool {
	return c.Inspect != nil && c.Inspect.State != nil && c.Inspect.State.Running
}
