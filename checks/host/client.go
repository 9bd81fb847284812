package host

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"plimsoll/checks"
)

// A Client is the docker command of this user: whom it trusts, whom it talks
// to and what it keeps.
type Client struct {
	Config    string     // path of config.json
	Plain     []string   // registries whose password or token stands in Config
	Endpoints []Endpoint // engines that it can be pointed at
	Exposed   []Exposed  // files that others can get at and should not
	Builders  []Builder
	Plugins   []Plugin
	Scanners  []Scanner
	Trust     string // value of DOCKER_CONTENT_TRUST
}

// A Scanner is a program on PATH that is a harmful release of a vulnerability
// scanner.
type Scanner struct {
	Name, Path, Version string
	Source              string // how the version is known
}

// An Endpoint is an engine's address.
type Endpoint struct {
	Name     string // of the context, or "DOCKER_HOST"
	Host     string // "tcp://10.0.0.7:2375"
	Source   string // where it is written
	Verified bool   // the engine has to prove who it is
}

// An Exposed file has something in it that is only for this user.
type Exposed struct {
	Path   string
	Mode   fs.FileMode
	Key    bool // it is a private key; else it holds a password or token
	Change bool // others can also change it
}

// A Builder is a node of buildx.
type Builder struct {
	Name     string
	Source   string   // where it is written
	Insecure []string // what it grants to every build: "--allow-insecure-entitlement security.insecure"
}

// A Plugin is a program that docker runs as one of its commands.
type Plugin struct {
	Path    string
	Writers string // who else can change it: "group dev", "everybody", "user bob"; "" when nobody can
	Shadows string // plugin of the system that this one is run instead of, or ""
}

// notaryEnds is the day on which Docker's Notary service is switched off.
var notaryEnds = time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC)

var clientCredentials = check(checks.Check{
	ID:       "client-credentials-in-plaintext",
	Title:    "Registry password is stored unencrypted",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-256", "CWE-522"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Client == nil || len(h.Client.Plain) == 0 {
		return
	}
	registries := strings.Join(h.Client.Plain, ", ")
	report(checks.Finding{
		Message:  checks.Msg("whoever reads %s can push and pull as you at %s", h.Client.Config, registries),
		Evidence: []checks.Evidence{{Source: h.Client.Config + ", auths", Detail: registries}},
	})
})

var clientContextInsecure = check(checks.Check{
	ID:       "client-context-tcp-insecure",
	Title:    "docker talks to an engine without verified encryption",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"OWASP Docker rule 1", "CWE-295", "CWE-319"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Client == nil {
		return
	}
	for _, e := range h.Client.Endpoints {
		scheme, address, _ := strings.Cut(e.Host, "://")
		if e.Verified || scheme != "tcp" && scheme != "http" && scheme != "https" {
			continue
		}
		f := checks.Finding{
			Key:      e.Name,
			Message:  checks.Msg("%s sends everything, secrets too, to whoever answers at %s", e.Name, e.Host),
			Evidence: []checks.Evidence{{Source: e.Source, Detail: e.Host}},
		}
		if loopback(address) {
			f.Severity = checks.Medium
			f.Message = checks.Msg("%s uses %s, which every program on this machine can use as well", e.Name, e.Host)
		}
		report(f)
	}
})

var clientConfigPermissions = check(checks.Check{
	ID:       "client-config-permissions",
	Title:    "Others can read or change docker's secrets of this user",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 3.14 (v1.6.0)", "CWE-732"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Client == nil {
		return
	}
	for _, e := range h.Client.Exposed {
		f := checks.Finding{Key: e.Path, Evidence: []checks.Evidence{{Source: e.Path, Detail: fmt.Sprintf("%04o", e.Mode.Perm())}}}
		switch {
		case e.Change:
			f.Message = checks.Msg("other accounts can change %s and so decide what docker does as you", e.Path)
		case e.Key:
			f.Message = checks.Msg("other accounts can read %s, a private key that opens an engine", e.Path)
		default:
			f.Message = checks.Msg("other accounts can read %s, with a registry's password or token in it", e.Path)
		}
		report(f)
	}
})

var contentTrustSet = check(checks.Check{
	ID:       "client-content-trust-env-set",
	Title:    "Docker Content Trust is on and about to fail",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.5 (v1.6.0)"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Client == nil || h.Client.Trust == "" {
		return
	}
	f := checks.Finding{
		Message:  checks.Msg("pulls fail when Docker's Notary service ends on %s, and a docker command from version 29 on ignores the variable", notaryEnds.Format(time.DateOnly)),
		Evidence: []checks.Evidence{{Source: "environment", Detail: "DOCKER_CONTENT_TRUST=" + h.Client.Trust}},
	}
	if !h.Now.Before(notaryEnds) {
		f.Message = checks.Msg("Docker's Notary service ended on %s: older docker commands cannot pull, newer ones verify nothing", notaryEnds.Format(time.DateOnly))
	}
	report(f)
})

var clientInsecureBuilder = check(checks.Check{
	ID:       "client-insecure-builder",
	Title:    "A builder gives every build root rights",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-250"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Client == nil {
		return
	}
	for _, b := range h.Client.Builders {
		if len(b.Insecure) == 0 {
			continue
		}
		report(checks.Finding{
			Key:      b.Name,
			Message:  checks.Msg("builder %s lets a Dockerfile run steps without any sandbox", b.Name),
			Evidence: []checks.Evidence{{Source: b.Source, Detail: strings.Join(b.Insecure, " ")}},
		})
	}
})

var scannerUntrusted = check(checks.Check{
	ID:       "scanner-binary-untrusted",
	Title:    "A vulnerability scanner is a release with malicious code",
	Severity: checks.Critical,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CVE-2026-33634", "CWE-506"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Client == nil {
		return
	}
	for _, s := range h.Client.Scanners {
		report(checks.Finding{
			Key:      s.Path,
			Message:  checks.Msg("%s is %s %s, a release into which attackers put code that steals", s.Path, s.Name, s.Version),
			Evidence: []checks.Evidence{{Source: s.Source, Detail: s.Name + " " + s.Version}},
		})
	}
})

var pluginUntrusted = check(checks.Check{
	ID:       "client-plugin-untrusted",
	Title:    "A plugin of docker can be exchanged",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CWE-426", "CWE-732"},
}, func(h *Host, report func(checks.Finding)) {
	if h.Client == nil {
		return
	}
	for _, p := range h.Client.Plugins {
		switch {
		case p.Writers != "":
			report(checks.Finding{
				Key:      p.Path,
				Message:  checks.Msg("docker runs %s with your rights, and other accounts can change it", p.Path),
				Evidence: []checks.Evidence{{Source: p.Path, Detail: "writable by " + p.Writers}},
			})
		case p.Shadows != "":
			report(checks.Finding{
				Key:      p.Path,
				Severity: checks.Info,
				Message:  checks.Msg("docker runs %s instead of %s, which gets the updates", p.Path, p.Shadows),
				Evidence: []checks.Evidence{{Source: p.Path, Detail: "found before " + p.Shadows}},
			})
		}
	}
})
