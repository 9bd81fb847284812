package attack

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"plimsoll/checks"
	"plimsoll/checks/host"
)

// An engine is what is known of the engine and its machine.
type engine struct {
	spot     Spot
	facts    []fact
	remaps   bool // root of containers is nobody on the host
	rootless bool
}

func (e *engine) equal(o *engine) bool {
	return o != nil && e.spot == o.spot && slices.Equal(e.facts, o.facts) && e.remaps == o.remaps && e.rootless == o.rootless
}

// accessible reads the warning that an engine gives about itself:
// "WARNING: API is accessible on http://0.0.0.0:2375 without encryption."
var accessible = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`API is accessible on (?:https?|tcp)://(\S+?):(\d+) without`)
})

// clouds match the kernels that clouds build for their own machines.
var clouds = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:-(aws|azure|gcp|gke|oracle|ibm)\b|\.(amzn)\d)`)
})

// escapeChecks report a runtime, an engine or a kernel that containers are
// known to break out of.
var escapeChecks = []string{"runc-escape-cve", "desktop-escape-cve", "containerd-cve", "host-kernel-escape-cve"}

// engineOf returns what is known of h. Its report is asked for what only
// checks with tables of versions, or of the machine, can tell.
func engineOf(h *host.Host, report *checks.Report) *engine {
	e := &engine{spot: Spot{Ref: h.Ref()}}
	for _, option := range h.Info.SecurityOptions {
		name, _, _ := strings.Cut(strings.TrimPrefix(option, "name="), ",")
		e.remaps = e.remaps || name == "userns"
		e.rootless = e.rootless || name == "rootless"
	}
	for _, warning := range h.Info.Warnings {
		m := accessible().FindStringSubmatch(warning)
		if m == nil {
			continue
		}
		f := fact{engineOpen, "daemon-tcp-without-tls", "", m[1] + ":" + m[2], "docker info, Warnings", warning}
		if m[1] == "127.0.0.1" || m[1] == "localhost" || m[1] == "[::1]" {
			f.trait = engineLocal
		}
		e.facts = append(e.facts, f)
	}
	if h.Bridge != nil {
		const option = "com.docker.network.bridge.enable_icc"
		if open, err := strconv.ParseBool(h.Bridge.Options[option]); err != nil || open {
			e.facts = append(e.facts, fact{bridgeOpen, "daemon-inter-container-traffic-open", "", bridge, "network bridge, " + option, h.Bridge.Options[option]})
		}
	}
	if m := clouds().FindStringSubmatch(h.Info.KernelVersion); m != nil {
		e.facts = append(e.facts, fact{inCloud, "", "", m[1] + m[2], "docker info, KernelVersion", h.Info.KernelVersion})
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		seen := ""
		if len(f.Evidence) > 0 {
			seen = f.Evidence[0].String()
		}
		switch {
		case f.Check.ID == "host-docker-group-members":
			e.facts = append(e.facts, fact{groupMembers, f.Check.ID, f.Key, f.Key, "group docker", seen})
		case slices.Contains(escapeChecks, f.Check.ID) && f.Severity >= checks.High:
			e.facts = append(e.facts, fact{escapable, f.Check.ID, f.Key, f.Check.ID, f.Check.ID, seen})
		}
	}
	return e
}
