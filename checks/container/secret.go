package container

import (
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var secretInEnv = configRule(checks.Check{
	ID:       "container-secret-in-env",
	Title:    "Secret in the environment",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "CIS 7.4 (v1.6.0)", "OWASP Docker rule 12", "CWE-526"},
}, func(c *Container, config *container.Config, report func(checks.Finding)) {
	for _, variable := range config.Env {
		name, value, ok := strings.Cut(variable, "=")
		if !ok {
			continue
		}
		message, severity := checks.Msg("%s holds a secret in the variable %s", c.Settings.Name, name), checks.High
		if !secret.Variable(name, value) {
			// A service may take the secret from outside of its file, but
			// everyone who can inspect the container reads it all the same.
			if c.Compose == nil || !secret.SensitiveName(name) || !strings.HasPrefix(value, "${") {
				continue
			}
			message, severity = checks.Msg("%s receives a secret in the variable %s", c.Settings.Name, name), checks.Medium
		}
		f := c.found(setting{"Config.Env", []string{"environment." + name, "env_file"}}, name, message)
		f.Key, f.Severity = name, severity
		if h, ok := c.Handover(name); ok && c.Compose == nil {
			f.Fixes = []checks.Fix{handedOver(h)}
		}
		report(f)
	}
})
