package container

import (
	"cmp"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// stateful declares a rule that needs running state; it does not apply to services.
func stateful(c checks.Check, run func(*Container, *container.InspectResponse, func(checks.Finding))) *checks.Check {
	return declare(c, func(s *Container, report func(checks.Finding)) {
		if s.Inspect != nil {
			run(s, s.Inspect, report)
		}
	})
}

// hostRule declares a rule that the part of the settings decides which
// concerns the host.
func hostRule(c checks.Check, run func(*Container, *container.HostConfig, func(checks.Finding))) *checks.Check {
	return declare(c, func(s *Container, report func(checks.Finding)) {
		if s.Settings.Host != nil {
			run(s, s.Settings.Host, report)
		}
	})
}

// configRule declares a rule that the portable part of the settings decides.
func configRule(c checks.Check, run func(*Container, *container.Config, func(checks.Finding))) *checks.Check {
	return declare(c, func(s *Container, report func(checks.Finding)) {
		if s.Settings.Config != nil {
			run(s, s.Settings.Config, report)
		}
	})
}

func declare(c checks.Check, run func(*Container, func(checks.Finding))) *checks.Check {
	c.Kind = checks.Container
	c.Run = func(s checks.Subject, report func(checks.Finding)) {
		if s := s.(*Container); !s.Kept() && !s.Past() {
			run(s, report)
		}
	}
	return &c
}

// A setting is one thing that a container is created with, as it is called in
// an inspection and in a compose file.
type setting struct {
	field string   // "HostConfig.Memory"
	keys  []string // "mem_limit", "deploy.resources.limits.memory"
}

// found starts a finding about setting, which was seen to be value. A service
// gets the line of the setting, or its own where nothing is set.
func (c *Container) found(s setting, value string, message checks.Message) checks.Finding {
	f := checks.Finding{Message: message, Evidence: []checks.Evidence{{Source: s.field, Detail: value}}}
	if c.Compose == nil {
		return f
	}
	f.Line = c.Compose.Line
	f.Evidence[0] = checks.Evidence{Source: s.keys[0], Detail: "not set"}
	for _, key := range s.keys {
		if line, ok := c.Compose.Keys[key]; ok {
			f.Line = line
			f.Evidence[0] = checks.Evidence{Source: key, Detail: cmp.Or(value, "empty")}
			break
		}
	}
	f.EndLine = f.Line
	return f
}
