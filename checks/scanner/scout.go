package scanner

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"plimsoll/checks/vulnerability"
)

// https://docs.docker.com/reference/cli/docker/scout/cves/ : a plugin, run the
// way the docker command runs it. It has no format of its own that is
// documented, so SARIF is read; and it asks Docker's server about the packages.
var scout = kind{
	program: "docker-scout",
	module:  "github.com/docker/scout-cli-plugin",
	ask:     []string{"scout", "version"},
	online:  true,
	scan: func(archive, out string) []string {
		return []string{"scout", "cves", "--format", "sarif", "--output", out, "archive://" + archive}
	},
	file:    true,
	env:     []string{"DOCKER_SCOUT_NO_CACHE=true", "DOCKER_CLI_HINTS=false"},
	inherit: []string{"DOCKER_CONFIG", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"},
	parse:   parseScout,
	signs: []sign{
		{"log in with your docker id", notLoggedIn},
		{"could not authenticate", notLoggedIn},
		{"not entitled", notLoggedIn},
		{"unauthorized", notLoggedIn},
	},
}

type sarif struct {
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct{ Rules []scoutRule }
		}
	}
}

type scoutRule struct {
	ID               string
	ShortDescription struct{ Text string }
	Properties       struct {
		Severity string   `json:"cvssV3_severity"`
		Score    string   `json:"security-severity"`
		Fixed    string   `json:"fixed_version"`
		PURL     string   // until 0.24
		PURLs    []string // since
	}
}

func parseScout(data []byte) (*report, error) {
	var in sarif
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	if in.Version != "2.1.0" || len(in.Runs) == 0 {
		return nil, fmt.Errorf("SARIF %q with %d runs", shortened(in.Version, 20), len(in.Runs))
	}
	var out report
	for _, run := range in.Runs {
		for _, rule := range run.Tool.Driver.Rules {
			of := rule.Properties
			for _, text := range append(of.PURLs, of.PURL) {
				p, ok := parsePURL(text)
				if !ok {
					continue
				}
				found := vulnerability.Vulnerability{ID: rule.ID, Package: p, Severity: severity(of.Severity)}
				found.Summary = strings.TrimSpace(strings.TrimPrefix(rule.ShortDescription.Text, rule.ID+":"))
				if score, err := strconv.ParseFloat(of.Score, 64); err == nil && score >= 0 && score <= 10 {
					found.Score = score
				}
				if !strings.EqualFold(of.Fixed, "not fixed") {
					found.Fixed = of.Fixed
				}
				out.add(found, "")
			}
		}
	}
	return &out, nil
}
