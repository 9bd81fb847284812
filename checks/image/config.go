package image

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"plimsoll/checks"
)

var userRoot = configRule(checks.Check{
	ID:       "image-user-root",
	Title:    "Image runs as root",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.1 (v1.6.0)", "dockle CIS-DI-0001", "OWASP Docker rule 2", "CWE-250"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	if i.Inspect.Os == "windows" || !checks.IsRoot(config.User, i.Passwd) {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("containers of %s run as root", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "Config.User", Detail: strconv.Quote(config.User)}},
	})
})

var healthcheckMissing = configRule(checks.Check{
	ID:       "image-healthcheck-missing",
	Title:    "Image has no health check",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 4.6 (v1.6.0)", "dockle CIS-DI-0006"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	seen := "none"
	if h := config.Healthcheck; h != nil && len(h.Test) > 0 {
		if h.Test[0] != "NONE" {
			return
		}
		seen = "switched off"
	}
	report(checks.Finding{
		Message:  checks.Msg("nothing asks containers of %s whether they still work", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "Config.Healthcheck", Detail: seen}},
	})
})

const (
	day       = 24 * time.Hour
	oldAge    = 180 * day
	firstYear = 2013 // of Docker; earlier dates are set on purpose, for reproducible builds
)

// date reads when an image was created; it is not known of images whose date
// was set on purpose.
func date(created string) (t time.Time, known bool) {
	t, err := time.Parse(time.RFC3339Nano, created)
	return t, err == nil && t.Year() >= firstYear
}

// after reports whether an image of the date a is known to be newer than one of
// the date b.
func after(a, b string) bool {
	x, known := date(a)
	y, known2 := date(b)
	return known && known2 && x.After(y)
}

var oldBuild = check(checks.Check{
	ID:       "image-old-build",
	Title:    "Image was built long ago",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.4 (v1.6.0)"},
}, func(i *Image, report func(checks.Finding)) {
	built, known := date(i.Inspect.Created)
	if !known || i.Now.Sub(built) < oldAge {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("%s was built %d days ago and lacks every fix since", i.Ref().Name, int(i.Now.Sub(built)/day)),
		Evidence: []checks.Evidence{{Source: "Created", Detail: i.Inspect.Created}},
	})
})

var latestOnly = check(checks.Check{
	ID:       "image-latest-only",
	Title:    "Image is known as latest only",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 5.28 (v1.6.0)", "dockle DKL-DI-0006"},
}, func(i *Image, report func(checks.Finding)) {
	tags := 0
	for _, t := range i.Inspect.RepoTags {
		if t == "<none>:<none>" {
			continue
		}
		if tags++; !strings.HasSuffix(t, ":latest") {
			return
		}
	}
	if tags == 0 {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("nothing tells which version %s is", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "RepoTags", Detail: strings.Join(i.Inspect.RepoTags, ", ")}},
		Fixes:    i.tagFix(),
	})
})

// tagFix gives i a tag that stays when latest moves on: its version, or the day on
// which it was built.
func (i *Image) tagFix() []checks.Fix {
	repository, _, _ := strings.Cut(i.Reference(), "@")
	repository = strings.TrimSuffix(repository, ":latest")
	c := checks.Choice{
		Key: "tag", Label: checks.Msg("tag"), Default: i.Label("org.opencontainers.image.version"),
		Why: checks.Msg("its label %s says so", "org.opencontainers.image.version"), Valid: validTag,
	}
	if validTag(c.Default) != nil {
		c.Default, c.Why = ShortID(i.Inspect.ID), checks.Msg("nothing tells its version, so the tag is its id")
		if built, known := date(i.Inspect.Created); known {
			c.Default, c.Why = built.UTC().Format("20060102"), checks.Msg("nothing tells its version, so the tag is the day on which it was built")
		}
	}
	return []checks.Fix{{
		ID: "tag", Title: checks.Msg("give it a tag that stays when latest moves on"), Choices: []checks.Choice{c},
		Tag: func(v checks.Values) string { return repository + ":" + v["tag"] },
	}}
}

var tagForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

func validTag(tag string) error {
	if !tagForm.MatchString(tag) || tag == "latest" {
		return &checks.Problem{What: checks.Msg("a tag is letters, digits, and the signs _ . - after the first, and not latest")}
	}
	return nil
}
