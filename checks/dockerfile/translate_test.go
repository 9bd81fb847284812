package dockerfile

import (
	"slices"
	"strings"
	"testing"

	"plimsoll/checks"
)

func TestAlpineTable(t *testing.T) {
	last := ""
	for line := range strings.Lines(alpineTable) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 2 || !packageName().MatchString(columns[0]) || columns[1] == "" {
			t.Errorf("%q is no line of two names", line)
			continue
		}
		if columns[0] <= last {
			t.Errorf("%s comes after %s", columns[0], last)
		}
		last = columns[0]
		for _, name := range strings.Fields(columns[1]) {
			if name != "-" && !packageName().MatchString(name) {
				t.Errorf("%s is no name of a package", name)
			}
		}
	}
	if len(alpineNames()) < 100 {
		t.Errorf("%d names", len(alpineNames()))
	}
}

func TestToAlpine(t *testing.T) {
	for _, c := range []struct{ name, from, want, left string }{
		{"names", "RUN apt-get update && apt-get install -y --no-install-recommends build-essential libpq-dev curl=7.* && rm -rf /var/lib/apt/lists/*",
			"RUN apk add --no-cache build-base libpq-dev curl", ""},
		{"lines", "RUN apt-get update \\\n    && apt-get install -y \\\n        locales \\\n        g++ \\\n        xz-utils:amd64 \\\n    && make",
			"RUN apk add --no-cache g++ \\\n        xz \\\n    && make", ""},
		{"alone", "RUN apt-get update\nRUN apt-get -qq install -y git -t bookworm zip\nRUN apt-get clean",
			"RUN apk add --no-cache git zip", ""},
		{"unknown", "RUN apt-get install -y foo-bar libpq-dev", "RUN apk add --no-cache foo-bar libpq-dev", "foo-bar"},
		{"needless", "RUN apt-get update && apt-get install -y apt-utils && make", "RUN make", ""},
		{"another way", "RUN apt-get update && apt-get install -y $PACKAGES", "RUN apt-get update && apt-get install -y $PACKAGES", "RUN:2"},
		{"other tools", "RUN dpkg -i x.deb\nRUN useradd joe", "RUN dpkg -i x.deb\nRUN useradd joe", "RUN:2, RUN:3"},
		{"nothing", "RUN npm ci", "RUN npm ci", ""},
	} {
		src := "FROM node:24-bookworm\n" + c.from + "\n"
		f := Parse("/Dockerfile", "Dockerfile", []byte(src))
		edits, left := f.toAlpine(f.Stages[0])
		got, err := Apply(f.Source, edits)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if want := "FROM node:24-bookworm\n" + c.want + "\n"; string(got) != want {
			t.Errorf("%s: is\n%s\nwant\n%s", c.name, got, want)
		}
		if strings.Join(left, ", ") != c.left {
			t.Errorf("%s: left is %q, want %q", c.name, left, c.left)
		}
	}
}

// TestSmallerVariantTranslates holds that the fix does so for Alpine, and only
// then, and names what it leaves.
func TestSmallerVariantTranslates(t *testing.T) {
	f := Parse("/Dockerfile", "Dockerfile", []byte("FROM python:3.13\nRUN apt-get update && apt-get install -y libpq-dev foo\nCMD [\"/app\"]\n"))
	report := everything(f)
	i := slices.IndexFunc(report.Findings, func(x checks.Finding) bool { return x.Check.ID == "base-image-not-minimal" })
	if i < 0 || len(report.Findings[i].Fixes) != 1 {
		t.Fatal("no fix")
	}
	fix := report.Findings[i].Fixes[0]
	if !strings.HasSuffix(fix.Caution.String(), ": foo") {
		t.Errorf("the caution is %q", fix.Caution)
	}
	for tag, want := range map[string]string{
		"3.13-slim":   "FROM python:3.13-slim\nRUN apt-get update && apt-get install -y libpq-dev foo\nCMD [\"/app\"]\n",
		"3.13-alpine": "FROM python:3.13-alpine\nRUN apk add --no-cache libpq-dev foo\nCMD [\"/app\"]\n",
	} {
		edits, err := fix.Edit(checks.Values{"variant": tag})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Apply(f.Source, edits); err != nil || string(got) != want {
			t.Errorf("%s: %v\n%s", tag, err, got)
		}
	}
}
