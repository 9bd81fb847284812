package scanner

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"plimsoll/checks/vulnerability"
)

// https://oss.anchore.com/docs/reference/grype/configuration/
var grype = kind{
	program: "grype",
	module:  "github.com/anchore/grype",
	ask:     []string{"version", "-o", "json"},
	update:  "grype db update",
	scan: func(archive, _ string) []string {
		return []string{"docker-archive:" + archive, "-o", "json"}
	},
	env:     []string{"GRYPE_DB_AUTO_UPDATE=false", "GRYPE_CHECK_FOR_APP_UPDATE=false", "SYFT_CHECK_FOR_APP_UPDATE=false"},
	inherit: []string{"GRYPE_DB_CACHE_DIR", "GRYPE_DB_VALIDATE_AGE", "GRYPE_DB_MAX_ALLOWED_BUILT_AGE"},
	parse:   parseGrype,
	signs: []sign{
		{"database does not exist", noDatabase},
		{"no vulnerability database", noDatabase},
		{"vulnerability database is missing", noDatabase},
		{"max allowed age", oldDatabase},
		{"unsupported database", oldDatabase},
		{"failed to load vulnerability db", noDatabase},
	},
}

type grypeReport struct {
	Matches    *[]grypeMatch
	Descriptor struct {
		DB struct {
			Built  time.Time // until grype 0.87
			Status struct{ Built time.Time }
		}
	}
}

type grypeMatch struct {
	Vulnerability struct {
		ID, Severity, Description string
		Fix                       struct{ Versions []string }
		CVSS                      []struct{ Metrics struct{ BaseScore float64 } }
		EPSS                      []struct{ EPSS float64 }
		KnownExploited            []struct{ DateAdded string }
	}
	RelatedVulnerabilities []struct{ ID, Description string }
	Artifact               struct {
		Name, Version, PURL string
		Locations           []struct{ Path, LayerID string }
	}
}

func parseGrype(data []byte) (*report, error) {
	var in grypeReport
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	if in.Matches == nil {
		return nil, errors.New("no matches in it")
	}
	out := report{data: in.Descriptor.DB.Built}
	if built := in.Descriptor.DB.Status.Built; !built.IsZero() {
		out.data = built
	}
	for _, m := range *in.Matches {
		v, a := m.Vulnerability, m.Artifact
		p, _ := parsePURL(a.PURL)
		if p.Name == "" {
			p.Name = a.Name
		}
		p.Version = a.Version
		found := vulnerability.Vulnerability{ID: v.ID, Summary: v.Description, Severity: severity(v.Severity), Minor: strings.EqualFold(v.Severity, "negligible")}
		for _, other := range m.RelatedVulnerabilities {
			if other.ID != v.ID {
				found.Aliases = append(found.Aliases, other.ID)
			}
			if found.Summary == "" {
				found.Summary = other.Description
			}
		}
		if len(v.Fix.Versions) > 0 {
			found.Fixed = v.Fix.Versions[0]
		}
		for _, c := range v.CVSS {
			found.Score = max(found.Score, c.Metrics.BaseScore)
		}
		for _, e := range v.EPSS {
			found.Probability = max(found.Probability, e.EPSS)
		}
		for _, k := range v.KnownExploited {
			if at, err := time.Parse(time.DateOnly, shortened(k.DateAdded, len(time.DateOnly))); err == nil {
				found.Exploited = at
			}
		}
		layer := ""
		if len(a.Locations) > 0 {
			p.Path, layer = strings.TrimPrefix(a.Locations[0].Path, "/"), a.Locations[0].LayerID
		}
		found.Package = p
		out.add(found, layer)
	}
	return &out, nil
}
