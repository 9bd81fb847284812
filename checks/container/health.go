package container

import (
	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var healthcheckMissing = configRule(checks.Check{
	ID:       "container-healthcheck-missing",
	Title:    "No health check",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 5.27 (v1.6.0)"},
}, func(c *Container, config *container.Config, report func(checks.Finding)) {
	seen := "none"
	switch health := config.Healthcheck; {
	case health != nil && len(health.Test) > 0 && health.Test[0] == "NONE":
		seen = "switched off"
	case health != nil && len(health.Test) > 0:
		return
	case c.Image != nil && c.Image.Config != nil && c.Image.Config.Healthcheck != nil:
		if test := c.Image.Config.Healthcheck.Test; len(test) > 0 && test[0] != "NONE" {
			return
		}
	}
	f := c.found(setting{"Config.Healthcheck", []string{"healthcheck"}}, seen,
		checks.Msg("nothing asks %s whether it still works", c.Settings.Name))
	if seen == "none" { // who switched it off had a reason
		f.Fixes = c.probeFixes(config)
	}
	report(f)
})
