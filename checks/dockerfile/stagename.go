package dockerfile

import (
	"errors"
	"strconv"
	"strings"

	"plimsoll/checks"
)

var stageNameDuplicate = check(checks.Check{
	ID:       "stage-name-duplicate",
	Title:    "Two stages of one name",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3024", "BuildKit DuplicateStageName", "trivy DS-0012", "checkov CKV_DOCKER_11"},
}, func(f *File, report func(checks.Finding)) {
	first := map[string]*Stage{}
	for _, s := range f.Stages {
		name := strings.ToLower(s.Name)
		if name == "" {
			continue
		}
		before := first[name]
		first[name] = s
		if before == nil {
			continue
		}
		finding := f.finding(s.From, name, checks.Msg("line %d has a stage %s already, so what takes files from %s may mean either", before.From.Line, before.Name, s.Name))
		finding.Evidence = append(finding.Evidence, f.lineEvidence(before.From, before.From.Line))
		// The last one is what the name means, so the one before it can be
		// renamed unless a FROM between them builds on it.
		if !f.builtOn(before) && f.namesakes(name) == 2 {
			finding.Fixes = f.renameFix(before, f.freeStageName(name+"-1"), nil)
		}
		report(finding)
	}
})

// builtOn reports whether a FROM of the file names s.
func (f *File) builtOn(s *Stage) bool {
	for _, other := range f.Stages {
		if other.Parent == s {
			return true
		}
	}
	return false
}

// namesakes returns how many stages are called name.
func (f *File) namesakes(name string) int {
	n := 0
	for _, s := range f.Stages {
		if strings.EqualFold(s.Name, name) {
			n++
		}
	}
	return n
}

var stageNameReserved = check(checks.Check{
	ID:       "stage-name-reserved",
	Title:    "Stage with a reserved name",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3063", "BuildKit ReservedStageName"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		name := strings.ToLower(s.Name)
		if name != "scratch" && name != "context" {
			continue
		}
		finding := f.finding(s.From, name, checks.Msg("%s has a meaning of its own and cannot be the name of a stage", s.Name))
		if !f.builtOn(s) && f.namesakes(name) == 1 {
			finding.Fixes = f.renameFix(s, f.freeStageName(name+"-stage"), f.stageUses())
		}
		report(finding)
	}
})

// freeStageName returns name, or name with a number if there is such a stage.
func (f *File) freeStageName(name string) string {
	free := name
	for n := 2; f.stageNamed(free) != nil; n++ {
		free = name + "-" + strconv.Itoa(n)
	}
	return free
}

// renameFix gives s another name, also where uses mean it.
func (f *File) renameFix(s *Stage, name string, uses []stageUse) []checks.Fix {
	words := s.From.Words()
	if len(words) != 3 {
		return nil
	}
	var places []stageUse
	for _, u := range uses {
		if _, number := u.number(); f.stageOf(u) == s && !number {
			if u.start < 0 {
				return nil
			}
			places = append(places, u)
		}
	}
	key := s.choice("stage-name")
	return []checks.Fix{{
		ID: "rename-stage", Title: checks.Msg("rename the stage"),
		Caution: checks.Msg("who builds it with --target %s must use the new name", s.Name),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("name of the stage"), Default: name, Valid: validStageName,
			Why: checks.Msg("a name that is free in this file"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validStageName(v[key]); err != nil {
				return nil, err
			}
			reason := checks.Msg("one name for one stage")
			edits := []checks.Edit{{Start: words[2].Start, End: words[2].End, New: v[key], Reason: reason}}
			for _, u := range places {
				edits = append(edits, checks.Edit{Start: u.start, End: u.end, New: v[key], Reason: reason})
			}
			return edits, nil
		},
	}}
}

func validStageName(name string) error {
	if name == "" || name[0] < 'a' || name[0] > 'z' || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || name == "scratch" || name == "context" {
		return errors.New("the name of a stage starts with a small letter and has small letters, digits, - _ and . only")
	}
	return nil
}

var stageNameCase = check(checks.Check{
	ID:       "stage-name-case",
	Title:    "Capitals in the name of a stage",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit StageNameCasing"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		lower := strings.ToLower(s.Name)
		if s.Name == lower {
			continue
		}
		words := s.From.Words()
		finding := f.finding(s.From, lower, checks.Msg("the stage %s is called %s by the builder, which knows no capitals", s.Name, lower))
		if f.stageNamed(lower) == s && lower != "scratch" && lower != "context" {
			reason := checks.Msg("the name that the builder uses")
			edits := []checks.Edit{{Start: words[2].Start, End: words[2].End, New: lower, Reason: reason}}
			for _, u := range f.stageUses() {
				if strings.EqualFold(u.name, lower) && u.name != lower && u.start >= 0 {
					edits = append(edits, checks.Edit{Start: u.start, End: u.end, New: lower, Reason: reason})
				}
			}
			for _, other := range f.Stages {
				if other.Parent == s && other.Base.Text != lower && strings.EqualFold(other.Base.Text, lower) {
					edits = append(edits, checks.Edit{Start: other.Base.Start, End: other.Base.End, New: lower, Reason: reason})
				}
			}
			finding.Fixes = []checks.Fix{{ID: "lower-case", Title: checks.Msg("write the name in small letters"), Safe: true, Edit: fixed(edits...)}}
		}
		report(finding)
	}
})
