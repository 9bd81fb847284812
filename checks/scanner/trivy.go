package scanner

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
)

// https://trivy.dev/docs/latest/configuration/ : every flag is also a variable.
var trivy = kind{
	program: "trivy",
	module:  "github.com/aquasecurity/trivy",
	ask:     []string{"version", "--format", "json"},
	update:  "trivy image --download-db-only",
	scan: func(archive, _ string) []string {
		return []string{"image", "--input", archive, "--format", "json"}
	},
	env: []string{
		"TRIVY_SCANNERS=vuln", "TRIVY_SECURITY_CHECKS=vuln", "TRIVY_LIST_ALL_PKGS=false", "TRIVY_NO_PROGRESS=true",
		"TRIVY_SKIP_DB_UPDATE=true", "TRIVY_SKIP_JAVA_DB_UPDATE=true", "TRIVY_OFFLINE_SCAN=true",
		"TRIVY_SKIP_VERSION_CHECK=true", "TRIVY_DISABLE_TELEMETRY=true", "TRIVY_TIMEOUT=30m", "TRIVY_EXIT_CODE=0",
	},
	inherit: []string{"TRIVY_CACHE_DIR"},
	parse:   parseTrivy,
	signs: []sign{
		{"cannot be specified on the first run", noDatabase},
		{"failed to download vulnerability db", noDatabase},
		{"failed to download java db", noDatabase},
		{"old db schema", oldDatabase},
		{"old schema version", oldDatabase},
	},
}

// trivyReport is schema 2, of trivy since 0.20.
type trivyReport struct {
	SchemaVersion int
	Results       []struct {
		Type            string
		Vulnerabilities []trivyVulnerability
	}
}

type trivyVulnerability struct {
	VulnerabilityID                string
	PkgName, PkgPath               string
	InstalledVersion, FixedVersion string
	PkgIdentifier                  struct{ PURL string }
	Severity, Title                string
	VendorIDs                      []string
	Layer                          struct{ DiffID string }
	CVSS                           map[string]struct{ V2Score, V3Score, V40Score float64 }
}

func parseTrivy(data []byte) (*report, error) {
	var in trivyReport
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	if in.SchemaVersion != 2 {
		return nil, fmt.Errorf("schema %d, not 2", in.SchemaVersion)
	}
	var out report
	for _, result := range in.Results {
		for _, v := range result.Vulnerabilities {
			p, ok := parsePURL(v.PkgIdentifier.PURL)
			if !ok {
				p.Type = trivyTypes[result.Type]
			}
			p.Name, p.Version, p.Path = v.PkgName, v.InstalledVersion, v.PkgPath
			found := vulnerability.Vulnerability{ID: v.VulnerabilityID, Aliases: v.VendorIDs, Summary: v.Title, Package: p, Severity: severity(v.Severity)}
			found.Fixed, _, _ = strings.Cut(v.FixedVersion, ",")
			for _, score := range v.CVSS {
				found.Score = max(found.Score, score.V3Score, score.V40Score)
			}
			out.add(found, v.Layer.DiffID)
		}
	}
	return &out, nil
}

// trivyTypes are the kinds of packages of results that have no package URL, as
// trivy wrote them before 0.48.
var trivyTypes = map[string]packages.Type{
	"debian": packages.Deb, "ubuntu": packages.Deb, "alpine": packages.APK, "wolfi": packages.APK, "chainguard": packages.APK,
	"redhat": packages.RPM, "centos": packages.RPM, "rocky": packages.RPM, "alma": packages.RPM, "amazon": packages.RPM, "oracle": packages.RPM,
	"fedora": packages.RPM, "photon": packages.RPM, "suse linux enterprise server": packages.RPM, "opensuse.leap": packages.RPM,
	"gobinary": packages.Go, "gomod": packages.Go, "node-pkg": packages.NPM, "npm": packages.NPM, "yarn": packages.NPM, "pnpm": packages.NPM,
	"python-pkg": packages.PyPI, "pip": packages.PyPI, "pipenv": packages.PyPI, "poetry": packages.PyPI, "jar": packages.Maven, "pom": packages.Maven,
	"gemspec": packages.Gem, "bundler": packages.Gem, "cargo": packages.Cargo, "rustbinary": packages.Cargo, "composer": packages.PHP,
}

// trivyData returns when the advisories of trivy were published, by its answer
// to the question for its version; zero when it has none.
func trivyData(answer []byte) time.Time {
	var in struct{ VulnerabilityDB struct{ UpdatedAt time.Time } }
	_ = json.Unmarshal(answer, &in) // zero then
	return in.VulnerabilityDB.UpdatedAt
}
