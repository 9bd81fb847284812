package image

import (
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/lifecycle"
)

// distributions are official images by the ID of os-release.
var distributions = map[string]string{
	"debian": "debian", "ubuntu": "ubuntu", "alpine": "alpine", "fedora": "fedora", "centos": "centos", "amzn": "amazonlinux",
	"ol": "oraclelinux", "opensuse-leap": "opensuse/leap",
}

var eolOS = filesRule(checks.Check{
	ID:       "image-eol-os",
	Title:    "Distribution past its end of life",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CWE-1104"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	release := s.Installed.Release
	if release == nil {
		return
	}
	r, known := lifecycle.Find(distributions[release.ID], release.Version)
	if !known || !r.Ended(lifecycle.Day(i.Now)) {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("%s is made of %s %s, which has had no security fixes since %s", i.Ref().Name, r.Product, r.Cycle, r.End),
		Evidence: []checks.Evidence{
			{Source: "/etc/os-release", Detail: release.ID + " " + release.Version},
			{Source: "end of life", Detail: r.Product + " " + r.Cycle + " " + r.End},
		},
	})
})

// runtimes are official images by the variable that they tell their version
// with.
var runtimes = []struct{ variable, image string }{
	{"NODE_VERSION", "node"}, {"PYTHON_VERSION", "python"}, {"RUBY_VERSION", "ruby"}, {"PHP_VERSION", "php"}, {"GOLANG_VERSION", "golang"},
	{"DOTNET_VERSION", "mcr.microsoft.com/dotnet/runtime"}, {"PG_VERSION", "postgres"}, {"MYSQL_VERSION", "mysql"}, {"MARIADB_VERSION", "mariadb"},
	{"MONGO_VERSION", "mongo"}, {"TOMCAT_VERSION", "tomcat"},
}

var eolRuntime = check(checks.Check{
	ID:       "image-eol-runtime",
	Title:    "Language or service past its end of life",
	Severity: checks.High,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.4 (v1.6.0)", "CWE-1104"},
}, func(i *Image, report func(checks.Finding)) {
	for _, kind := range runtimes {
		version := strings.TrimPrefix(i.variable(kind.variable), "v")
		if _, after, ok := strings.Cut(version, ":"); ok {
			version = after // an epoch of Debian
		}
		r, known := lifecycle.Find(kind.image, version)
		if !known {
			if major, _, ok := strings.Cut(version, "-"); ok {
				r, known = lifecycle.Find(kind.image, major)
			}
		}
		if known && r.Ended(lifecycle.Day(i.Now)) {
			report(checks.Finding{
				Key:     r.Product,
				Message: checks.Msg("%s runs %s %s, which has had no security fixes since %s", i.Ref().Name, r.Product, version, r.End),
				Evidence: []checks.Evidence{
					{Source: "Config.Env", Detail: kind.variable + "=" + i.variable(kind.variable)},
					{Source: "end of life", Detail: r.Product + " " + r.Cycle + " " + r.End},
				},
			})
		}
	}
})
