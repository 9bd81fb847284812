package container

import (
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var secretInArgs = configRule(checks.Check{
	ID:       "container-secret-in-args",
	Title:    "Secret in a command line or label",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"OWASP Docker rule 12", "CWE-214"},
}, func(c *Container, config *container.Config, report func(checks.Finding)) {
	var test []string
	if config.Healthcheck != nil {
		test = config.Healthcheck.Test
	}
	for _, line := range []struct {
		setting
		key     string
		words   []string
		message checks.Message
	}{
		{setting{"Config.Entrypoint", []string{"entrypoint"}}, "entrypoint", config.Entrypoint,
			checks.Msg("the entry point of %s holds a secret", c.Settings.Name)},
		{setting{"Config.Cmd", []string{"command"}}, "command", config.Cmd,
			checks.Msg("the command of %s holds a secret", c.Settings.Name)},
		{setting{"Config.Healthcheck", []string{"healthcheck.test", "healthcheck"}}, "healthcheck", test,
			checks.Msg("the health check of %s holds a secret", c.Settings.Name)},
	} {
		text := strings.Join(line.words, " ")
		if len(secret.Find(text)) == 0 {
			continue
		}
		f := c.found(line.setting, secret.Redact(text), line.message)
		f.Key = line.key
		report(f)
	}
	for _, name := range slices.Sorted(maps.Keys(config.Labels)) {
		if !secret.Variable(name, config.Labels[name]) {
			continue
		}
		f := c.found(setting{"Config.Labels", []string{"labels." + name, "labels." + name + "=" + config.Labels[name], "labels"}}, name,
			checks.Msg("the label %s of %s holds a secret", name, c.Settings.Name))
		f.Evidence[0].Detail = name
		f.Key = name
		if f.Evidence[0].Source != "Config.Labels" {
			f.Evidence[0].Source = "labels"
		}
		report(f)
	}
})
