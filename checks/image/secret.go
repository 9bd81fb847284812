package image

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var secretInEnv = configRule(checks.Check{
	ID:       "image-secret-in-env",
	Title:    "Secret in the environment of an image",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "dockle CIS-DI-0010", "OWASP Docker rule 12", "CWE-526"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	for _, variable := range config.Env {
		name, value, ok := strings.Cut(variable, "=")
		if !ok || !secret.Variable(name, value) {
			continue
		}
		report(checks.Finding{
			Key:      name,
			Message:  checks.Msg("everyone who has %s can read the secret in its variable %s", i.Ref().Name, name),
			Evidence: []checks.Evidence{{Source: "Config.Env", Detail: name}},
		})
	}
})

var secretInHistory = check(checks.Check{
	ID:       "image-secret-in-history",
	Title:    "Secret in the history of an image",
	Severity: checks.Critical,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "CWE-538"},
}, func(i *Image, report func(checks.Finding)) {
	reported := map[string]bool{}
	for n, layer := range slices.Backward(i.History) {
		for _, l := range leaks(layer.CreatedBy) {
			if reported[l.key] || l.env && i.hasEnv(l.key) || i.shows(l.value) {
				continue // the same value in every later layer, or told by another check
			}
			reported[l.key] = true
			report(checks.Finding{
				Key:     l.key,
				Message: checks.Msg("everyone who has %s can read the secret %s in its history", i.Ref().Name, l.key),
				Evidence: []checks.Evidence{{
					Source: fmt.Sprintf("history, step %d", len(i.History)-n),
					Detail: l.shown,
				}},
			})
		}
	}
})

// shows reports whether the secret value also stands in what
// image-secret-in-label-or-cmd reads, which is where to take it out.
func (i *Image) shows(value string) bool {
	c := i.Inspect.Config
	if c == nil || value == "" {
		return false
	}
	holds := func(word string) bool { return strings.Contains(word, value) }
	return slices.ContainsFunc(c.Cmd, holds) || slices.ContainsFunc(c.Entrypoint, holds) ||
		c.Healthcheck != nil && slices.ContainsFunc(c.Healthcheck.Test, holds) ||
		slices.ContainsFunc(slices.Collect(maps.Values(c.Labels)), holds)
}

func (i *Image) hasEnv(name string) bool {
	return i.Inspect.Config != nil && slices.ContainsFunc(i.Inspect.Config.Env, func(v string) bool {
		return strings.HasPrefix(v, name+"=")
	})
}

// A leak is a secret that a step of the history shows.
type leak struct {
	key   string // name of the variable, else the form of the token
	env   bool   // a variable of the image rather than of the build
	shown string // what stands there, masked
	value string // not to be shown
}

// assigned matches NAME=value as it stands in build arguments, in commands and
// in ENV instructions, where values with blanks may be quoted.
var assigned = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[\s;&|"'(])(?:-{1,2})?([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s;&|"')]+)`)
})

// longestStep bounds the work on one step; real ones are a few kilobytes.
const longestStep = 64 << 10

func leaks(createdBy string) []leak {
	text := createdBy[:min(len(createdBy), longestStep)]
	if !strings.ContainsAny(text, "=:-_") {
		return nil
	}
	var found []leak
	env := isEnv(text)
	var taken [][]int
	var assignments [][]int
	if strings.Contains(text, "=") {
		assignments = assigned().FindAllStringSubmatchIndex(text, -1)
	}
	for _, m := range assignments {
		name, value := text[m[2]:m[3]], strings.Trim(text[m[4]:m[5]], `"'`)
		if secret.Variable(name, value) {
			found = append(found, leak{name, env, masked(text, m[4], m[5]), value})
			taken = append(taken, m[4:6])
		}
	}
	for _, t := range secret.Tokens(text) {
		if !slices.ContainsFunc(taken, func(m []int) bool { return m[0] <= t.Start && t.End <= m[1] }) {
			found = append(found, leak{t.Rule, false, masked(text, t.Start, t.End), text[t.Start:t.End]})
		}
	}
	return found
}

// isEnv recognises ENV as both builders record it.
func isEnv(step string) bool {
	step = strings.TrimSpace(strings.TrimPrefix(step, "/bin/sh -c #(nop)"))
	return strings.HasPrefix(step, "ENV ")
}

// masked returns the surroundings of the secret text[start:end], without it.
// Everything is masked before anything is cut, so that no half of another
// secret is left.
func masked(text string, start, end int) string {
	const around = 60
	before, after := []rune(secret.Redact(text[:start])), []rune(secret.Redact(text[end:]))
	return string(before[max(0, len(before)-around):]) + secret.Mask + string(after[:min(len(after), around)])
}

// configRule declares a rule that the configuration of an image decides.
func configRule(c checks.Check, run func(*Image, *dockerspec.DockerOCIImageConfig, func(checks.Finding))) *checks.Check {
	return check(c, func(i *Image, report func(checks.Finding)) {
		if i.Inspect.Config != nil {
			run(i, i.Inspect.Config, report)
		}
	})
}
