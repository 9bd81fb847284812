package dockerfile

import (
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll/checks"
)

// A LabelSchema is what the user wants the labels of images to be. Without one
// no label is missing or superfluous.
type LabelSchema struct {
	Required []string
	Formats  map[string]LabelFormat // by key; these keys are allowed, too
	Strict   bool                   // no other keys
}

// A LabelFormat is what the value of a label has to be.
type LabelFormat string

const (
	LabelText    LabelFormat = "text"
	LabelURL     LabelFormat = "url"
	LabelDate    LabelFormat = "rfc3339"
	LabelLicense LabelFormat = "spdx"
	LabelHash    LabelFormat = "hash"
	LabelSemver  LabelFormat = "semver"
	LabelEmail   LabelFormat = "email"
	LabelDigest  LabelFormat = "digest"
)

// eachLabel calls visit for every label of the file.
func (f *File) eachLabel(visit func(in *Instruction, p Pair)) {
	for _, in := range f.Instructions {
		if in.Keyword == "LABEL" && in.Stage != nil {
			for _, p := range f.Pairs(in) {
				visit(in, p)
			}
		}
	}
}

var labelKeyInvalid = check(checks.Check{
	ID:       "label-key-invalid",
	Title:    "Key of a label out of the ordinary",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3048", "tally labels/valid-key"},
}, func(f *File, report func(checks.Finding)) {
	f.eachLabel(func(in *Instruction, p Pair) {
		switch {
		case p.Name == "" || strings.Contains(p.Name, "$"):
		case reservedLabel(p.Name):
			report(f.findingAt(in, p.Start, p.End, p.Name, checks.Msg("%s belongs to Docker: keys with this beginning are reserved", p.Name)))
		case !validLabelKey(p.Name):
			report(f.findingAt(in, p.Start, p.End, p.Name, checks.Msg("the key %s should be small letters, digits, and single dots or hyphens between them", p.Name)))
		}
	})
})

func reservedLabel(key string) bool {
	if strings.HasPrefix(key, "com.docker.extension.") || strings.HasPrefix(key, "com.docker.desktop.extension.") {
		return false // what the makers of extensions are told to set
	}
	return strings.HasPrefix(key, "com.docker.") || strings.HasPrefix(key, "io.docker.") || strings.HasPrefix(key, "org.dockerproject.")
}

func validLabelKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		case (c == '.' || c == '-') && i > 0 && i < len(key)-1 && key[i-1] != '.' && key[i-1] != '-':
		default:
			return false
		}
	}
	return key != ""
}

var labelEmpty = check(checks.Check{
	ID:       "label-empty",
	Title:    "Label without a value",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3051"},
}, func(f *File, report func(checks.Finding)) {
	f.eachLabel(func(in *Instruction, p Pair) {
		if strings.TrimSpace(strings.Trim(p.Value, `"'`)) == "" {
			report(f.findingAt(in, p.Start, p.End, p.Name, checks.Msg("the label %s has no value", p.Name)))
		}
	})
})

var labelRequiredMissing = check(checks.Check{
	ID:       "label-required-missing",
	Title:    "Required label missing",
	Severity: checks.Info,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"hadolint DL3049"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || len(f.Rules.Labels.Required) == 0 {
		return
	}
	for _, key := range f.Rules.Labels.Required {
		if f.labelled(s, key) {
			continue
		}
		report(f.finding(s.From, key, checks.Msg("the label %s, which the configuration asks for, is missing", key)))
	}
})

// labelled reports whether the chain of s sets a label, or may.
func (f *File) labelled(s *Stage, key string) bool {
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword == "LABEL" && slices.ContainsFunc(f.Pairs(in), func(p Pair) bool { return p.Name == key || strings.Contains(p.Name, "$") }) {
				return true
			}
		}
	}
	return false
}

var labelSuperfluous = check(checks.Check{
	ID:       "label-superfluous",
	Title:    "Label that is not provided for",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3050"},
}, func(f *File, report func(checks.Finding)) {
	if !f.Rules.Labels.Strict {
		return
	}
	f.eachLabel(func(in *Instruction, p Pair) {
		if _, ok := f.Rules.Labels.Formats[p.Name]; ok || slices.Contains(f.Rules.Labels.Required, p.Name) || strings.Contains(p.Name, "$") {
			return
		}
		report(f.findingAt(in, p.Start, p.End, p.Name, checks.Msg("the label %s is not among those that the configuration allows", p.Name)))
	})
})

var labelDuplicate = check(checks.Check{
	ID:       "label-duplicate-or-overlapping",
	Title:    "Label set twice",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally labels/no-duplicate-keys"},
}, func(f *File, report func(checks.Finding)) {
	type place struct {
		in    *Instruction
		pairs []Pair
		i     int
	}
	for _, s := range f.Stages {
		last := map[string]place{}
		for _, in := range s.Instructions {
			if in.Keyword != "LABEL" {
				continue
			}
			pairs := f.Pairs(in)
			for i, p := range pairs {
				before, twice := last[p.Name]
				last[p.Name] = place{in, pairs, i}
				if !twice {
					continue
				}
				old := before.pairs[before.i]
				finding := f.findingAt(before.in, old.Start, old.End, s.label()+"/"+p.Name, checks.Msg("the label %s is set again in line %d, only that one counts", p.Name, f.lineOf(in, p.Start)))
				finding.Evidence = append(finding.Evidence, f.lineEvidence(in, f.lineOf(in, p.Start)))
				if edits, ok := f.removePair(before.in, before.pairs, before.i); ok {
					finding.Fixes = []checks.Fix{{ID: "keep-last", Title: checks.Msg("delete the label that does not count"), Safe: true, Edit: fixed(edits)}}
				}
				report(finding)
			}
		}
	}
})

// removePair takes the i-th pair of in out, with all of in if it is the only
// one. It fails where several go at once: what is left would have to be known.
func (f *File) removePair(in *Instruction, pairs []Pair, i int) (checks.Edit, bool) {
	reason := checks.Msg("a later line replaces it")
	if in.open {
		return checks.Edit{}, false
	}
	if len(pairs) == 1 {
		return f.remove(in, reason), true
	}
	doomed := 0
	for j, p := range pairs {
		if slices.ContainsFunc(pairs[j+1:], func(q Pair) bool { return q.Name == p.Name }) || f.labelledAgain(in, p.Name) {
			doomed++
		}
	}
	if doomed == len(pairs) {
		return f.remove(in, reason), true
	}
	p := pairs[i]
	start, end := p.Start, p.End
	if i > 0 {
		start = pairs[i-1].End
	} else {
		end = pairs[1].Start
	}
	if strings.Contains(string(f.Source[min(start, p.Start):p.Start])+string(f.Source[p.End:max(end, p.End)]), "#") {
		return checks.Edit{}, false
	}
	return checks.Edit{Start: start, End: end, Reason: reason}, true
}

// labelledAgain reports whether an instruction below in sets the label key.
func (f *File) labelledAgain(in *Instruction, key string) bool {
	below := false
	for _, other := range in.Stage.Instructions {
		if below && other.Keyword == "LABEL" && f.declares(other, key) {
			return true
		}
		below = below || other == in
	}
	return false
}

var labelFormatWrong = check(checks.Check{
	ID:       "label-format-wrong",
	Title:    "Value of a label in the wrong form",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3052", "hadolint DL3053", "hadolint DL3054", "hadolint DL3055", "hadolint DL3056", "hadolint DL3058"},
}, func(f *File, report func(checks.Finding)) {
	f.eachLabel(func(in *Instruction, p Pair) {
		format, ok := f.Rules.Labels.Formats[p.Name]
		if !ok {
			format, ok = standardLabel(p.Name)
		}
		if !ok || strings.Contains(p.Value, "$") {
			return
		}
		value, certain := f.expand(p.Value, variables{})
		if !certain || value == "" || format.holds(value) {
			return
		}
		message := checks.Msg("the label %s must be an address (https://…), not %s", p.Name, value)
		switch format {
		case LabelDate:
			message = checks.Msg("the label %s must be a time such as 2026-01-31T12:00:00Z, not %s", p.Name, value)
		case LabelLicense:
			message = checks.Msg("the label %s must be an SPDX expression such as Apache-2.0, not %s", p.Name, value)
		case LabelHash:
			message = checks.Msg("the label %s must be the hash of a commit, not %s", p.Name, value)
		case LabelSemver:
			message = checks.Msg("the label %s must be a version such as 1.2.3, not %s", p.Name, value)
		case LabelEmail:
			message = checks.Msg("the label %s must be an e-mail address, not %s", p.Name, value)
		case LabelDigest:
			message = checks.Msg("the label %s must be a digest (sha256:…), not %s", p.Name, value)
		}
		report(f.findingAt(in, p.Start, p.End, p.Name, message))
	})
})

// standardLabel returns the form that the OCI or label-schema.org prescribes
// for the value of a label.
func standardLabel(key string) (LabelFormat, bool) {
	switch key {
	case "org.opencontainers.image.url", "org.opencontainers.image.documentation", "org.opencontainers.image.source",
		"org.label-schema.url", "org.label-schema.vcs-url":
		return LabelURL, true
	case "org.opencontainers.image.created", "org.label-schema.build-date":
		return LabelDate, true
	case "org.opencontainers.image.licenses":
		return LabelLicense, true
	case "org.opencontainers.image.base.digest":
		return LabelDigest, true
	}
	return "", false
}

var (
	semverForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
	})
	hashForm    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{7,40}|[0-9a-f]{64})$`) })
	digestForm  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`) })
	licenseForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:-]*\+?$`) })
)

// holds reports whether value is in the form of f.
func (f LabelFormat) holds(value string) bool {
	switch f {
	case LabelURL:
		u, err := url.Parse(value)
		return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "") || strings.HasPrefix(value, "git@") && strings.Contains(value, ":")
	case LabelDate:
		_, err := time.Parse(time.RFC3339, strings.Replace(value, " ", "T", 1))
		return err == nil
	case LabelLicense:
		return isLicense(value)
	case LabelHash:
		return hashForm().MatchString(value)
	case LabelSemver:
		return semverForm().MatchString(value)
	case LabelEmail:
		a, err := mail.ParseAddress(value)
		return err == nil && a.Address == value
	case LabelDigest:
		return digestForm().MatchString(value)
	}
	return true
}

// isLicense reports whether s is built like an SPDX expression, and not one of
// the names that people take for identifiers.
func isLicense(s string) bool {
	operand := true // an identifier comes next
	for word := range strings.FieldsSeq(strings.NewReplacer("(", " ", ")", " ").Replace(s)) {
		switch word {
		case "AND", "OR", "WITH":
			if operand {
				return false
			}
			operand = true
			continue
		}
		if !operand || !licenseForm().MatchString(word) || notLicense(word) {
			return false
		}
		operand = false
	}
	return !operand
}

func notLicense(word string) bool {
	switch strings.ToLower(word) {
	case "apache", "apache2", "apache-2", "apachev2", "apache2.0", "asl-2.0", "bsd", "gpl", "gplv2", "gplv3", "gpl2", "gpl3", "lgpl", "lgplv3", "agpl", "agplv3",
		"mpl", "mpl2", "mplv2", "cc0", "commercial", "proprietary", "license", "licence", "none", "unknown", "various", "mit-license":
		return true
	}
	return false
}
