package compose

import (
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// Checks returns the checks of this package: those of compose files
// themselves, and those of containers that need no running container, applied
// to each service.
func Checks() []*checks.Check {
	all := []*checks.Check{imageMutable, inlineSecret, fileDrift, fixNotPersisted, schemaOrStyle}
	for _, c := range container.ServiceChecks() {
		all = append(all, perService(c))
	}
	return all
}

// perService returns rule as a check of compose files. What it covers is
// dropped, because that would hide findings of other services.
func perService(rule *checks.Check) *checks.Check {
	c := *rule
	c.Kind = checks.Compose
	c.Covers = nil
	c.Run = func(subject checks.Subject, report func(checks.Finding)) {
		file := subject.(*File)
		for _, service := range file.Services {
			rule.Run(file.observed(service), func(f checks.Finding) {
				f.Fixes = file.fixes(service, f.Fixes)
				if rule.ID == rootfsID && file.fed[service.Compose.Service] {
					f.Fixes = nil // docker compose could not copy the secret into it
				}
				f.Fixes = append(f.Fixes, file.ownFixes(rule.ID, service, f)...)
				f.Key = strings.TrimSuffix(service.Compose.Service+"/"+f.Key, "/")
				report(f)
			})
		}
	}
	return &c
}
