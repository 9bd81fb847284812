package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var removeInLaterLayer = check(checks.Check{
	ID:       "remove-in-later-layer",
	Title:    "Deleted in a later layer than it was made in",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"mint 20021"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) || !f.mentions(in, "rm ") {
			return
		}
		for _, c := range f.script(in).commands {
			if c.program() != "rm" || c.nested {
				continue
			}
			for _, w := range c.args() {
				target := strings.TrimRight(w.text, "/")
				if !w.literal || !strings.HasPrefix(target, "/") || strings.HasPrefix(w.text, "-") {
					continue
				}
				maker := f.madeBefore(in, target)
				if maker == nil {
					continue
				}
				finding := f.findingAt(in, w.start, w.end, in.Stage.label()+"/"+target,
					checks.Msg("%s was made in line %d: deleting it here hides it, its bytes stay in that layer", target, maker.Line))
				finding.Evidence = append(finding.Evidence, f.lineEvidence(maker, maker.Line))
				if maker.Keyword == "RUN" {
					finding.Fixes = f.mergeFix(maker, in)
				}
				report(finding)
			}
		}
	})
})

// madeBefore returns the earlier step of in's stage that certainly makes the
// path target, and nothing when in does so itself.
func (f *File) madeBefore(in *Instruction, target string) *Instruction {
	var found *Instruction
	for _, other := range in.Stage.Instructions {
		if other.Line > in.Line {
			break
		}
		if f.makes(other, target) {
			if other == in {
				return nil
			}
			found = other
		}
	}
	return found
}

// makes reports whether in certainly creates the path target, or what is in it.
func (f *File) makes(in *Instruction, target string) bool {
	switch in.Keyword {
	case "COPY", "ADD":
		if len(in.Heredocs) > 0 {
			return false
		}
		_, to, certain, _ := f.destination(in)
		if !certain {
			return false
		}
		if strings.TrimRight(to, "/") == target && to != "/" {
			return true
		}
		for _, s := range in.sources() {
			if strings.HasPrefix(to, "/") && path.Join(to, path.Base(s)) == target && (strings.HasSuffix(to, "/") || len(in.sources()) > 1) {
				return !isDownload(s) || in.Keyword == "ADD"
			}
		}
	case "RUN":
		if !f.mentions(in, target) {
			return false
		}
		for _, k := range f.script(in).calls {
			if (k.tool == "curl" || k.tool == "wget") && outputOf(k) == target {
				return true
			}
			if k.tool == "git" && k.is("clone") && len(k.operands) > 1 && strings.TrimRight(k.operands[1].text, "/") == target {
				return true
			}
		}
		for _, c := range f.script(in).commands {
			if c.program() == "mkdir" && anyNamed(c.args(), target) && target != "/tmp" {
				for _, a := range c.args() {
					if strings.TrimRight(a.text, "/") == target {
						return true
					}
				}
			}
		}
	}
	return false
}

var chmodInExtraLayer = check(checks.Check{
	ID:       "chmod-in-extra-layer",
	Title:    "Copied files changed in a layer of their own",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"tally prefer-copy-chmod"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) || !f.mentions(in, "chmod", "chown") {
			return
		}
		for _, c := range f.script(in).commands {
			option := c.program()
			if option != "chmod" && option != "chown" {
				continue
			}
			value, targets, recursive := setsOn(c)
			if value == "" {
				continue
			}
			for _, target := range targets {
				copied := f.copiedTo(in, target.text)
				if copied == nil || len(copied.Flag(option)) > 0 {
					continue
				}
				finding := f.findingAt(in, c.words[c.at].start, target.end, in.Stage.label()+"/"+option+" "+target.text,
					checks.Msg("%s after COPY stores %s a second time: COPY --%s sets it at once", option, target.text, option))
				finding.Evidence = append(finding.Evidence, f.lineEvidence(copied, copied.Line))
				if len(targets) == 1 {
					finding.Fixes = f.copyFlagFix(in, copied, option, value, target.text, recursive)
				}
				report(finding)
				break
			}
		}
	})
})

// setsOn returns what a chmod or chown sets, and for which absolute paths.
func setsOn(c *command) (value string, targets []shellWord, recursive bool) {
	for _, a := range c.args() {
		switch {
		case a.text == "-R" || a.text == "--recursive":
			recursive = true
		case strings.HasPrefix(a.text, "--") || value == "" && strings.HasPrefix(a.text, "-") && len(a.text) > 1 && strings.Trim(a.text[1:], "Rvcfh") == "":
			recursive = recursive || strings.Contains(a.text, "R")
		case value == "":
			if !a.literal {
				return "", nil, false
			}
			value = a.text
		default:
			if a.literal && strings.HasPrefix(a.text, "/") {
				targets = append(targets, a)
			}
		}
	}
	return value, targets, recursive
}

// copiedTo returns the COPY or ADD of in's stage before in that makes target,
// with no other step in between that could have changed it.
func (f *File) copiedTo(in *Instruction, target string) *Instruction {
	var found *Instruction
	for _, other := range in.Stage.Instructions {
		if other == in {
			break
		}
		if other.Keyword != "COPY" && other.Keyword != "ADD" || len(other.Heredocs) > 0 {
			continue
		}
		_, to, certain, _ := f.destination(other)
		if !certain {
			continue
		}
		if strings.TrimRight(to, "/") == strings.TrimRight(target, "/") && len(strings.TrimRight(target, "/")) > 1 {
			found = other
			continue
		}
		if s := other.sources(); len(s) == 1 && strings.HasPrefix(to, "/") && strings.HasSuffix(to, "/") && !strings.ContainsAny(s[0], "*?[$") && path.Join(to, path.Base(s[0])) == target {
			found = other
		}
	}
	return found
}

// copyFlagFix gives copied the flag, and takes away the step that did the same.
func (f *File) copyFlagFix(in, copied *Instruction, option, value, target string, recursive bool) []checks.Fix {
	s := f.script(in)
	if len(s.commands) != 1 || !s.chain || len(in.Flags) > 0 || in.IsExec || len(in.Heredocs) > 0 || in.user != copied.user || f.inherited(in.Stage) && in == in.Stage.Instructions[len(in.Stage.Instructions)-1] {
		return nil
	}
	if copied.Keyword == "ADD" && !copied.couldBeCopy() || f.changesBetween(copied, in, target) || strings.ContainsAny(value, "$\"' ") {
		return nil
	}
	caution := checks.Msg("files that were in %s before the COPY keep their owner", target)
	if option == "chmod" {
		_, dest, _, _ := f.destination(copied)
		switch {
		case recursive || strings.HasSuffix(dest, "/") && strings.TrimRight(dest, "/") == target:
			return nil // a directory and the files in it want different modes
		case value == "+x" || value == "a+x":
			value = "755"
		case strings.Trim(value, "01234567") != "":
			return nil
		}
		caution = checks.Msg("COPY --chmod needs BuildKit, which is the default since Docker 23; --chmod=%s sets all bits of the mode", value)
	}
	at := copied.Start + len(copied.Keyword)
	return []checks.Fix{{
		ID: "copy-" + option, Title: checks.Msg("let COPY set it"), Caution: caution,
		Edit: fixed(
			checks.Edit{Start: at, End: at, New: " --" + option + "=" + value, Reason: checks.Msg("one layer instead of two")},
			f.remove(in, checks.Msg("COPY does it now")),
		),
	}}
}

// changesBetween reports whether a step between from and to mentions target.
func (f *File) changesBetween(from, to *Instruction, target string) bool {
	for _, other := range to.Stage.Instructions {
		if other.Line > from.Line && other.Line < to.Line && (f.mentions(other, target) || other.Keyword == "USER") {
			return true
		}
	}
	return false
}

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
		for i := 0; i < len(s.Instructions); {
			j := i + 1
			for j < len(s.Instructions) && together(s.Instructions[j-1], s.Instructions[j]) {
				j++
			}
			if group := s.Instructions[i:j]; len(group) > 1 {
				f.reportRuns(group, report)
			}
			i = j
		}
	}
})

// together reports whether b, which follows a, could be a part of it.
func together(a, b *Instruction) bool {
	return a.Keyword == "RUN" && b.Keyword == "RUN" && len(a.Flags) == 0 && len(b.Flags) == 0 && len(a.Heredocs) == 0 && len(b.Heredocs) == 0 && !a.IsExec && !b.IsExec
}

func (f *File) reportRuns(group []*Instruction, report func(checks.Finding)) {
	second, last := group[1], group[len(group)-1]
	finding := f.finding(second, second.Stage.label()+"/"+firstWords(second),
		checks.Msg("%d RUNs in a row make as many layers: one can do it", len(group)))
	finding.EndLine = last.EndLine
	if len(group) == 2 {
		finding.Fixes = f.mergeFix(group[0], second)
	}
	report(finding)
}

// firstWords names a step by how it begins.
func firstWords(in *Instruction) string {
	words := in.Words()
	if len(words) == 0 {
		return in.Keyword
	}
	text := words[0].Text
	if len(words) > 1 {
		text += " " + words[1].Text
	}
	return text
}

// boundaries are words of steps that other fixes may put an instruction before
// or after, so that their ends have to stay where they are.
var boundaries = [...]string{
	"sudo", "curl", "wget", "chmod", "chown", "cd ", "update", "ln ", "|", "useradd", "adduser", "npm", "yarn", "pip", "git", "ssh", "dotnet", "next", "gcloud", "az ",
	"password", "passwd", "TOKEN", "SECRET", "PASS", "KEY",
}

// mergeFix makes b, which follows a at once, the end of a.
func (f *File) mergeFix(a, b *Instruction) []checks.Fix {
	if !together(a, b) || f.next(a) != b || f.mentions(a, boundaries[:]...) || f.mentions(b, boundaries[:]...) {
		return nil
	}
	first, second := f.script(a), f.script(b)
	if !first.chain || !second.chain || first.tail < 0 || first.tail != a.End || changesShell(first) || changesShell(second) {
		return nil
	}
	to := b.Args.Offset(0)
	if strings.Contains(string(f.Source[a.End:b.Start]), "#") || strings.Contains(string(f.Source[b.Start:to]), "#") {
		return nil
	}
	return []checks.Fix{{
		ID: "merge-runs", Title: checks.Msg("make it one RUN"),
		Caution: checks.Msg("a change in either of them repeats both when the image is built again"),
		Edit: fixed(checks.Edit{
			Start: a.End, End: to, New: " " + string(f.Escape) + f.eol() + "    && ",
			Reason: checks.Msg("one step, one layer"),
		}),
	}}
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
		report(f.finding(s.From, s.label(), checks.Msg("the file puts %d layers on its base image: more than %d are hard to read and slow to pull", n, manyLayers)))
	}
})
