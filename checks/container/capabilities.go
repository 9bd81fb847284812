package container

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
)

var capabilitiesNotDropped = hostRule(checks.Check{
	ID:       "container-capabilities-not-dropped",
	Title:    "All default capabilities are kept",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.4 (v1.6.0)", "OWASP Docker rule 3", "CWE-250"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.Privileged || len(host.CapDrop) > 0 || c.windows() {
		return
	}
	f := c.found(setting{"HostConfig.CapDrop", []string{"cap_drop"}}, "none",
		checks.Msg("%s keeps every default capability", c.Settings.Name))
	needed, why := c.neededCapabilities()
	f.Fixes = []checks.Fix{{
		ID:      "drop-capabilities",
		Title:   checks.Msg("drop all capabilities but those it needs"),
		Caution: checks.Msg("what needs another capability fails; a rare task may show it late"),
		Choices: []checks.Choice{capabilityChoice(checks.Msg("capabilities to keep"), needed, why)},
		Change: func(s *checks.Settings, values checks.Values) error {
			capabilities, err := parseCapabilities(values[capabilityKey])
			if err != nil {
				return err
			}
			s.Host.CapDrop, s.Host.CapAdd = []string{"ALL"}, capabilities
			return nil
		},
	}}
	report(f)
})

const capabilityKey = "capabilities"

func capabilityChoice(label checks.Message, suggested []string, why checks.Message) checks.Choice {
	suggested = slices.DeleteFunc(normalCapabilities(suggested), func(name string) bool { return name == "ALL" })
	return checks.Choice{
		Key:     capabilityKey,
		Label:   label,
		Why:     why,
		Default: strings.Join(suggested, ","),
		Valid: func(value string) error {
			_, err := parseCapabilities(value)
			return err
		},
	}
}

// startup is what programs need that prepare their files and then leave root.
var startup = []string{"CHOWN", "SETGID", "SETUID"}

// imageNeeds are needs of widespread images beyond what their settings show, by the
// last part of the repository.
var imageNeeds = map[string][]string{
	"nginx":    startup,
	"httpd":    startup,
	"redis":    startup,
	"valkey":   startup,
	"mongo":    startup,
	"postgres": {"CHOWN", "DAC_READ_SEARCH", "FOWNER", "SETGID", "SETUID"},
	"mysql":    {"CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"},
	"mariadb":  {"CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"},
}

// neededCapabilities proposes what to keep and says why.
func (c *Container) neededCapabilities() ([]string, checks.Message) {
	added := c.Settings.Host.CapAdd
	if c.Settings.Config == nil {
		return append(slices.Clone(startup), added...), checks.Message{}
	}
	user, userKnown := c.user()
	if uid, ok := checks.UID(user, c.Passwd); userKnown && user != "" && (!ok || uid != 0) {
		if port := c.lowPortOfHost(); port != "" {
			return added, checks.Msg("a process that is not root holds no capabilities anyway; in the network of the host it cannot open port %s", port)
		}
		return added, checks.Msg("a process that is not root holds no capabilities anyway")
	}
	needs, why := slices.Concat(startup, added), checks.Msg("enough to prepare files and switch to another user")
	if set, ok := imageNeeds[repository(c.Settings.Image)]; ok {
		needs, why = slices.Concat(set, added), checks.Msg("known needs of the image %s", repository(c.Settings.Image))
	} else if how := c.dropsPrivileges(); how != "" {
		why = checks.Msg("it switches to another user with %s", how)
	}
	if c.writesToHost() {
		needs = append(needs, "DAC_OVERRIDE")
		why = checks.Msg("enough to prepare files, to switch to another user and to write to mounted folders of other users")
	}
	return needs, why
}

// repository returns the last part of the repository that ref names.
func repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	ref = ref[strings.LastIndexByte(ref, '/')+1:]
	name, _, _ := strings.Cut(ref, ":")
	return name
}

func (c *Container) writesToHost() bool {
	return slices.ContainsFunc(c.mounts(), func(m hostMount) bool { return !m.readOnly && m.kind == mount.TypeBind })
}

var capabilityNames = strings.Fields(`AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN
	DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE
	MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN
	SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`)

// parseCapabilities reads names separated by commas or blanks; none is fine.
func parseCapabilities(value string) ([]string, error) {
	names := normalCapabilities(strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }))
	for _, name := range names {
		if name == "ALL" {
			return nil, refuse(checks.Msg("ALL would keep everything: name the capabilities one by one"))
		}
		if !slices.Contains(capabilityNames, name) {
			return nil, refuse(checks.Msg("%s is not a capability: use names such as CHOWN or SETUID", name))
		}
	}
	return names, nil
}

// normalCapabilities writes names the way the documentation does, each once
// and in order.
func normalCapabilities(names []string) []string {
	var normal []string
	for _, name := range names {
		if name = strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(name)), "CAP_"); name != "" {
			normal = append(normal, name)
		}
	}
	slices.Sort(normal)
	return slices.Compact(normal)
}
