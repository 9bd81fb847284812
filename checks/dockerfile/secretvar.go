package dockerfile

import (
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var secretInEnvOrArg = check(checks.Check{
	ID:       "secret-in-env-or-arg",
	Title:    "Secret in ENV or ARG",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "dockle CIS-DI-0010", "hadolint DL3064", "BuildKit SecretsUsedInArgOrEnv", "trivy DS-0031", "OWASP Docker rule 12", "CWE-522"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "ENV" && in.Keyword != "ARG" {
			continue
		}
		for _, p := range f.Pairs(in) {
			if !secret.SensitiveName(p.Name) || !mayBeSecret(in, p) {
				continue
			}
			finding := f.findingAt(in, p.Start, p.End, p.Name, checks.Msg("%s %s stays readable in the image: docker history and docker inspect show it", in.Keyword, p.Name))
			if in.Keyword == "ARG" {
				finding.Message = checks.Msg("the value of ARG %s stays readable in the image's history", p.Name)
			}
			if in.Stage != nil && !f.Shipped(in.Stage) {
				finding.Severity = checks.Medium
				finding.Message = checks.Msg("%s %s stays readable in the build cache and in the build's provenance", in.Keyword, p.Name)
			}
			finding.Fixes = f.hideFix(p.Name)
			report(finding)
		}
	}
})

// mayBeSecret reports whether a pair with a sensitive name can hold a secret:
// a value, a variable, or for ARG what the build gives.
func mayBeSecret(in *Instruction, p Pair) bool {
	value := strings.Trim(p.Value, `"'`)
	switch {
	case in.Keyword == "ARG" && value == "":
		return true
	case strings.Contains(value, "$"):
		return true
	}
	return secret.Variable(p.Name, value)
}
