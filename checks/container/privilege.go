package container

import (
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

var privileged = hostRule(checks.Check{
	ID:       "container-privileged",
	Title:    "Privileged mode",
	Severity: checks.Critical,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.5 (v1.6.0)", "OWASP Docker rule 3", "CWE-250"},
	Covers:   []string{"container-capabilities-not-dropped", "container-capabilities-added", "container-cap-escape-class"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if !host.Privileged {
		return
	}
	f := c.found(setting{"HostConfig.Privileged", []string{"privileged"}}, "true",
		checks.Msg("%s is privileged: it can do whatever root on the host can", c.Settings.Name))
	f.Fixes = []checks.Fix{{
		ID:      "unprivileged",
		Title:   checks.Msg("leave privileged mode"),
		Caution: checks.Msg("devices, mounts and kernel settings that it used are out of its reach"),
		Choices: []checks.Choice{capabilityChoice(checks.Msg("capabilities that it needs beyond the default ones"), host.CapAdd, checks.Message{})},
		Change: func(s *checks.Settings, values checks.Values) error {
			capabilities, err := parseCapabilities(values[capabilityKey])
			if err != nil {
				return err
			}
			s.Host.Privileged = false
			s.Host.CapAdd = capabilities
			// The engine disabled labels because of privileged mode, and would
			// leave them disabled. Emptied path lists are its doing too.
			s.Host.SecurityOpt = slices.DeleteFunc(s.Host.SecurityOpt, func(opt string) bool { return opt == "label=disable" })
			s.Host.MaskedPaths, s.Host.ReadonlyPaths = nil, nil
			return nil
		},
	}}
	report(f)
})

const noNewPrivileges = "no-new-privileges"

var newPrivilegesAllowed = hostRule(checks.Check{
	ID:       "container-new-privileges-allowed",
	Title:    "New privileges allowed",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.26 (v1.6.0)", "OWASP Docker rule 4", "CWE-250"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	denied, said := deniesNewPrivileges(host.SecurityOpt)
	if denied || !said && c.NoNewPrivileges || c.windows() {
		return
	}
	f := c.found(setting{"HostConfig.SecurityOpt", []string{"security_opt"}}, list(host.SecurityOpt),
		checks.Msg("%s may gain privileges through setuid programs", c.Settings.Name))
	if p, gained := c.gainedRoot(); gained {
		f.Message = checks.Msg("%s gains privileges through a setuid program, and would not work without", c.Settings.Name)
		f.Evidence = append(f.Evidence, topEvidence(p))
		report(f)
		return
	}
	f.Fixes = []checks.Fix{{
		ID:      noNewPrivileges,
		Title:   checks.Msg("deny new privileges"),
		Caution: checks.Msg("setuid programs such as sudo, su and some versions of ping stop working"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.SecurityOpt = append(slices.DeleteFunc(s.Host.SecurityOpt, func(opt string) bool {
				name, _ := splitOption(opt)
				return name == noNewPrivileges
			}), noNewPrivileges+":true")
			return nil
		},
	}}
	report(f)
})

// gainedRoot returns a process of root that one of another user has started, which
// takes a setuid program. What somebody runs with docker exec does not count.
func (c *Container) gainedRoot() (Process, bool) {
	if !c.running() || !c.numbered() {
		return Process{}, false
	}
	entered, all := c.entered(c.Processes), runtime.LineageOf(c.Processes)
	for _, p := range c.Processes {
		if parent, known := all[p.Parent]; known && p.UID == 0 && parent.UID != 0 && !entered(p) {
			return p, true
		}
	}
	return Process{}, false
}

// deniesNewPrivileges reads the option as the engine does: without a value it
// is on, the last one counts.
func deniesNewPrivileges(options []string) (denied, said bool) {
	for _, opt := range options {
		name, value := splitOption(opt)
		if name != noNewPrivileges {
			continue
		}
		said, denied = true, true
		if value != "" {
			b, err := strconv.ParseBool(value)
			denied = err == nil && b
		}
	}
	return denied, said
}

// splitOption splits "name=value", and "name:value" of older clients.
func splitOption(opt string) (name, value string) {
	if i := strings.IndexAny(opt, "=:"); i >= 0 {
		return opt[:i], opt[i+1:]
	}
	return opt, ""
}

func list(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, ", ")
}
