package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

var consecutiveRuns = check(checks.Check{
	ID:       "consecutive-runs",
	Title:    "Neighbouring RUNs that could be one",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3059"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		if !f.Shipped(s) {
			continue
		}
		var groups [][]*Instruction
		for i := 0; i < len(s.Instructions); {
			j := i + 1
			for j < len(s.Instructions) && f.couldBeOne(s.Instructions[j-1], s.Instructions[j]) {
				j++
			}
			if j-i > 1 {
				groups = append(groups, s.Instructions[i:j])
			}
			i = j
		}
		if len(groups) > 0 {
			f.reportRuns(groups, report)
		}
	}
})

// short reports whether in is a step of few commands: longer ones are kept
// apart for the cache.
func (f *File) short(in *Instruction) bool { return len(f.script(in).commands) <= 2 }

// makesUser reports whether in makes an account, which stands on its own before
// USER.
func (f *File) makesUser(in *Instruction) bool {
	return f.mentions(in, "useradd", "adduser", "groupadd", "addgroup")
}

// couldBeOne reports whether b, which follows a, is better off in it.
func (f *File) couldBeOne(a, b *Instruction) bool {
	return together(a, b) && (f.short(a) || f.short(b)) && !f.makesUser(a) && !f.makesUser(b)
}

// together reports whether b, which follows a, could be a part of it.
func together(a, b *Instruction) bool {
	if a.Keyword != "RUN" || b.Keyword != "RUN" || len(a.Heredocs) > 0 || len(b.Heredocs) > 0 || a.IsExec || b.IsExec || a.trigger != b.trigger {
		return false
	}
	return slices.EqualFunc(a.Flags, b.Flags, func(x, y Flag) bool { return x.Name == y.Name && x.Value == y.Value })
}

// reportRuns reports the groups of RUNs of a stage where the first one goes on.
func (f *File) reportRuns(groups [][]*Instruction, report func(checks.Finding)) {
	first := groups[0]
	finding := f.finding(first[1], first[1].Stage.label(),
		checks.Msg("%d RUNs in a row make as many layers: one can do it", len(first)))
	finding.EndLine = first[len(first)-1].EndLine
	for _, group := range groups[1:] {
		finding.Evidence = append(finding.Evidence, f.lineEvidence(group[1], group[1].Line))
	}
	finding.Fixes = f.mergeFix(groups...)
	report(finding)
}

// boundaries are words of steps that other fixes may put an instruction before
// or after, so that their ends have to stay where they are.
var boundaries = [...]string{
	"sudo", "curl", "wget", "chmod", "chown", "cd ", "update", "ln ", "|", "useradd", "adduser", "npm", "yarn", "pip", "git", "ssh", "dotnet", "next", "gcloud", "az ",
	"password", "passwd", "TOKEN", "SECRET", "PASS", "KEY",
}

// mergeFix makes one step of each group, RUNs of which each follows the other.
func (f *File) mergeFix(groups ...[]*Instruction) []checks.Fix {
	var edits []checks.Edit
	for _, group := range groups {
		for i, b := range group[1:] {
			edit, ok := f.mergeEdit(group[i], b)
			if !ok {
				return nil
			}
			edits = append(edits, edit)
		}
	}
	return []checks.Fix{{
		ID: "merge-runs", Title: checks.Msg("make it one RUN"),
		Caution: checks.Msg("a change in one part repeats all of it when the image is built again"),
		Edit:    fixed(edits...),
	}}
}

// mergeEdit makes b, which follows a at once, the end of a.
func (f *File) mergeEdit(a, b *Instruction) (checks.Edit, bool) {
	if !together(a, b) || f.next(a) != b || len(b.Flags) > 0 || f.mentions(a, boundaries[:]...) || f.mentions(b, boundaries[:]...) {
		return checks.Edit{}, false
	}
	first, second := f.script(a), f.script(b)
	if !first.chain || !second.chain || first.tail < 0 || first.tail != a.End || changesShell(first) || changesShell(second) {
		return checks.Edit{}, false
	}
	to := b.Args.Offset(0)
	if strings.Contains(string(f.Source[a.End:b.Start]), "#") || strings.Contains(string(f.Source[b.Start:to]), "#") {
		return checks.Edit{}, false
	}
	return checks.Edit{
		Start: a.End, End: to, New: " " + string(f.Escape) + f.eol() + "    && ",
		Reason: checks.Msg("one step, one layer"),
	}, true
}

// next returns the instruction after in.
func (f *File) next(in *Instruction) *Instruction {
	for i, other := range f.Instructions {
		if other == in && i+1 < len(f.Instructions) {
			return f.Instructions[i+1]
		}
	}
	return nil
}

// changesShell reports whether s changes the shell for what comes after it.
func changesShell(s *script) bool {
	if len(s.assigns) > 0 || len(s.commands) == 0 {
		return true
	}
	for _, c := range s.commands {
		switch c.program() {
		case "cd", "set", "export", "umask", "exit", "exec", ".", "source", "alias", "trap", "ulimit", "pushd", "shopt", "unset", "":
			return true
		}
	}
	return false
}

// manyLayers is how many layers of its own a file may make.
const manyLayers = 20

var tooManyLayers = check(checks.Check{
	ID:       "too-many-layers",
	Title:    "Many layers",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"mint 20020"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil {
		return
	}
	n := 0
	for _, t := range s.Chain() {
		for _, in := range t.Instructions {
			switch in.Keyword {
			case "RUN", "COPY", "ADD":
				n++
			}
		}
	}
	if n > manyLayers {
		report(f.finding(s.From, "", checks.Msg("the file puts %d layers on its base image: more than %d are hard to read and slow to pull", n, manyLayers)))
	}
})
