package image

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/packages"
)

// toolRule declares a rule that reports the programs of one kind, as one
// finding.
func toolRule(c checks.Check, tool layers.Tool, message func(name, tools string) checks.Message) *checks.Check {
	return filesRule(c, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
		var found []layers.Found
		for _, f := range s.Tools {
			if f.Rule == tool {
				found = append(found, f)
			}
		}
		if len(found) > 0 {
			report(checks.Finding{Message: message(i.Ref().Name, some(found)), Evidence: i.files(found, slashed)})
		}
	})
}

var packageManagerPresent = toolRule(checks.Check{
	ID:       "image-package-manager-present",
	Title:    "Image keeps its package manager",
	Severity: checks.Info,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.3 (v1.6.0)", "dockle CIS-DI-0003"},
}, layers.PackageManager, func(name, tools string) checks.Message {
	return checks.Msg("whoever gets into a container of %s can install what is missing: %s", name, tools)
})

var shellPresent = toolRule(checks.Check{
	ID:       "image-shell-present",
	Title:    "Image has a shell",
	Severity: checks.Info,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.3 (v1.6.0)"},
}, layers.Shell, func(name, tools string) checks.Message {
	return checks.Msg("an intruder in a container of %s finds a shell: %s", name, tools)
})

var attackTools = toolRule(checks.Check{
	ID:       "image-attack-tools-present",
	Title:    "Image has tools that help an intruder",
	Severity: checks.Medium,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.3 (v1.6.0)", "dockle CIS-DI-0003", "falco Launch Suspicious Network Tool in Container"},
}, layers.AttackTool, func(name, tools string) checks.Message {
	return checks.Msg("%s brings along what an intruder would look for: %s", name, tools)
})

var compilerPresent = toolRule(checks.Check{
	ID:       "image-compiler-present",
	Title:    "Image has a compiler",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.3 (v1.6.0)"},
}, layers.Compiler, func(name, tools string) checks.Message {
	return checks.Msg("%s ships what it was built with: %s", name, tools)
})

var sshServer = toolRule(checks.Check{
	ID:       "image-ssh-server-present",
	Title:    "Image has an SSH server",
	Severity: checks.Medium,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 5.7 (v1.6.0)"},
}, layers.SSHServer, func(name, tools string) checks.Message {
	return checks.Msg("%s has a second way in: %s", name, tools)
})

var sudoPresent = toolRule(checks.Check{
	ID:       "image-sudo-present",
	Title:    "Image has sudo or its like",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"hadolint DL3004", "CWE-250"},
}, layers.Sudo, func(name, tools string) checks.Message {
	return checks.Msg("a user in a container of %s can become root with %s where its rules allow it", name, tools)
})

var unownedBinaries = filesRule(checks.Check{
	ID:       "image-unowned-binaries",
	Title:    "Programs that no package brought",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CWE-1104"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if len(s.Unowned) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("a scanner that reads the packages of %s knows nothing of %s", i.Ref().Name, some(s.Unowned)),
			Evidence: i.files(s.Unowned, func(f layers.Found) string { return fmt.Sprintf("/%s, %s", f.Path, size(f.Size)) }),
		})
	}
})

var packagesUnverified = filesRule(checks.Check{
	ID:       "image-packages-unverified",
	Title:    "Package manager that does not verify packages",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.11 (v1.6.0)", "dockle CIS-DI-0011", "CWE-347"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if len(s.Untrusted) == 0 {
		return
	}
	var evidence []checks.Evidence
	for _, u := range s.Untrusted[:min(len(s.Untrusted), mostEvidence)] {
		evidence = append(evidence, checks.Evidence{Source: fmt.Sprintf("/%s, line %d", u.File, u.Line), Detail: shorten(u.Text, 160)})
	}
	report(checks.Finding{
		Message:  checks.Msg("package managers in %s install what nobody signed, says %s", i.Ref().Name, "/"+s.Untrusted[0].File),
		Evidence: more(evidence, len(s.Untrusted)),
	})
})

var licenseDenied = filesRule(checks.Check{
	ID:       "image-license-denied",
	Title:    "Package under a licence that is not allowed",
	Severity: checks.Info,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"trivy license"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if len(i.Rules.Licenses) == 0 {
		return
	}
	installed := map[packages.Package]bool{}
	for _, p := range s.Installed.Packages {
		installed[packages.Package{Type: p.Type, Name: p.Name}] = true
	}
	var evidence []checks.Evidence
	for _, l := range s.Licenses {
		denied := deniedLicense(l.Name, i.Rules.Licenses)
		if denied == "" || l.Type == packages.Deb && !installed[packages.Package{Type: l.Type, Name: l.Package}] {
			continue // of Debian the licences stay behind when a package goes
		}
		evidence = append(evidence, checks.Evidence{Source: fmt.Sprintf("%s (%s), /%s", l.Package, l.Type, l.File), Detail: denied})
	}
	if len(evidence) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("packages in %s are under licences that the project denies", i.Ref().Name),
			Evidence: more(slices.Clip(evidence[:min(len(evidence), mostEvidence)]), len(evidence)),
		})
	}
})

// deniedLicense returns the first licence of expression that rules deny; ""
// where one of several to choose from is fine.
func deniedLicense(expression string, rules []string) string {
	expression = strings.NewReplacer("(", " ", ")", " ", ",", " AND ").Replace(expression)
	for all := range strings.SplitSeq(strings.ReplaceAll(expression, " and ", " AND "), " AND ") {
		denied, first := true, ""
		for one := range strings.SplitSeq(strings.ReplaceAll(all, " or ", " OR "), " OR ") {
			words := strings.Fields(one)
			if len(words) == 0 {
				continue
			}
			id := spdx(words[0]) // without WITH an exception
			if !slices.ContainsFunc(rules, func(rule string) bool { return licenseMatches(rule, id) }) {
				denied = false
			} else if first == "" {
				first = id
			}
		}
		if denied && first != "" {
			return first
		}
	}
	return ""
}

func licenseMatches(rule, id string) bool {
	rule, id = strings.ToLower(rule), strings.ToLower(id)
	if prefix, ok := strings.CutSuffix(rule, "*"); ok {
		return strings.HasPrefix(id, prefix)
	}
	return rule == id
}

// spdx returns the SPDX id of a licence that Debian or an old list spells in
// its own way; other names stay as they are.
func spdx(name string) string {
	switch name {
	case "Expat":
		return "MIT"
	case "Apache-2", "Apache2", "ASL-2.0":
		return "Apache-2.0"
	}
	family, version, ok := strings.Cut(name, "-")
	if !ok || family != "GPL" && family != "LGPL" && family != "AGPL" {
		return name
	}
	ending := "-only"
	version, later := strings.CutSuffix(version, "+")
	if later {
		ending = "-or-later"
	}
	if strings.HasSuffix(version, "-only") || strings.HasSuffix(version, "-or-later") {
		return name
	}
	if !strings.Contains(version, ".") {
		version += ".0"
	}
	return family + "-" + version + ending
}
