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
		if !f.Shipped(in.Stage) || !f.ordinary() || !f.mentions(in, "rm ", "clean") {
			return
		}
		moved := false // relative paths are no longer those of the step
		for _, c := range f.script(in).commands {
			if c.nested {
				continue
			}
			switch c.program() {
			case "cd", "pushd":
				moved = true
			case "rm":
				for _, w := range c.args() {
					if w.literal && !strings.HasPrefix(w.text, "-") && !(moved && !isAbsolute(w.text)) {
						f.reportRemoval(in, w, report)
					}
				}
			default:
				if p, ok := packageCallOf(c); ok && p.verb.text == "clean" && p.manager != "apt" {
					f.reportCleaning(in, c, p, report)
				}
			}
		}
	})
})

// reportRemoval reports that w, which in removes, is in an earlier layer.
func (f *File) reportRemoval(in *Instruction, w shellWord, report func(checks.Finding)) {
	target := strings.TrimRight(strings.TrimSuffix(w.text, "*"), "/")
	target, ok := f.located(in, target)
	if !ok || target == "/" || strings.ContainsAny(target, "*?[{") {
		return
	}
	maker := f.madeBefore(in, target)
	if maker == nil {
		return
	}
	finding := f.findingAt(in, w.start, w.end, in.Stage.label()+"/"+target,
		checks.Msg("%s was made in line %d: deleting it here hides it, its bytes stay in that layer", w.text, maker.Line))
	finding.Evidence = append(finding.Evidence, f.lineEvidence(maker, maker.Line))
	if maker.Keyword == "RUN" {
		finding.Fixes = f.mergeFix([]*Instruction{maker, in})
	}
	report(finding)
}

// reportCleaning reports that a cache that c empties is in an earlier layer,
// and that the step fills none itself.
func (f *File) reportCleaning(in *Instruction, c *command, p packageCall, report func(checks.Finding)) {
	if f.fillsCache(in, p.manager) {
		return
	}
	for _, other := range in.Stage.Instructions {
		if other.Line >= in.Line {
			return
		}
		if other.Keyword != "RUN" || !f.fillsCache(other, p.manager) {
			continue
		}
		finding := f.findingAt(in, c.words[c.at].start, p.verb.end, in.Stage.label()+"/"+c.program()+" clean",
			checks.Msg("the cache that %s clean empties was filled in line %d: its bytes stay in that layer", c.program(), other.Line))
		finding.Evidence = append(finding.Evidence, f.lineEvidence(other, other.Line))
		finding.Fixes = f.mergeFix([]*Instruction{other, in})
		report(finding)
		return
	}
}

// fillsCache reports whether in makes manager fetch something.
func (f *File) fillsCache(in *Instruction, manager string) bool {
	for _, c := range f.script(in).commands {
		if p, ok := packageCallOf(c); ok && p.manager == manager {
			switch p.verb.text {
			case "clean", "remove", "erase", "autoremove", "del", "rm", "info", "search", "list":
			default:
				return true
			}
		}
	}
	return false
}

// located returns the path that name is for a step that works where in does.
// Without a WORKDIR that is known, relative paths stay relative.
func (f *File) located(in *Instruction, name string) (string, bool) {
	if name == "" || strings.ContainsAny(name, "$~`\"'\\") {
		return "", false
	}
	if isAbsolute(name) {
		return path.Clean(name), true
	}
	if dir, known := f.workdirBefore(in); known {
		return path.Join(dir, name), true
	}
	for _, s := range in.Stage.Chain() {
		if hasWorkdir(s) {
			return "", false
		}
	}
	return path.Clean(name), true
}

// madeBefore returns the earlier step of in's stage that certainly makes the
// path target, and nothing when in does so itself.
func (f *File) madeBefore(in *Instruction, target string) *Instruction {
	if target == aptLists && f.indexOf(in)["apt"].update != nil || in.Keyword == "RUN" && f.fetchesInto(in, target, true) {
		return nil
	}
	var found *Instruction
	for _, other := range in.Stage.Instructions {
		if other.Line >= in.Line {
			break
		}
		if f.makes(other, target) {
			found = other
		}
	}
	return found
}

const aptLists = "/var/lib/apt/lists"

// inside reports whether name is target or below it.
func inside(name, target string) bool {
	return name == target || strings.HasPrefix(name, target+"/")
}

// makes reports whether in certainly creates the path target, or what is in it.
func (f *File) makes(in *Instruction, target string) bool {
	switch in.Keyword {
	case "COPY", "ADD":
		return len(in.Heredocs) == 0 && f.copiesInto(in, target)
	case "RUN":
		for _, m := range in.mounts() {
			if m.volatile() && m.target != "" && inside(target, strings.TrimRight(m.target, "/")) {
				return false
			}
		}
		if target == aptLists && f.mentions(in, "apt") {
			return f.indexOf(in)["apt"].update != nil && !f.listsCleaned(in)
		}
		if !f.mentions(in, path.Base(target)) && !f.mentions(in, "-O", "clone") {
			return false
		}
		return f.fetchesInto(in, target, false)
	}
	return false
}

// copiesInto reports whether in, a COPY or ADD, puts target or something in it.
func (f *File) copiesInto(in *Instruction, target string) bool {
	_, dest, certain, _ := f.destination(in)
	if !certain {
		return false
	}
	to, ok := f.located(in, dest)
	if !ok {
		return false
	}
	if inside(to, target) && to != "/" {
		return true
	}
	sources := in.sources()
	for _, s := range sources {
		if strings.ContainsAny(s, "*?[$") || s == "." || s == "./" || strings.HasSuffix(s, "/.") || strings.HasSuffix(s, "/") || !isDirectory(dest) && len(sources) < 2 {
			continue // what ends there, and by what name, is the context's business
		}
		if in.Keyword == "ADD" && isArchive(s) && !isDownload(s) {
			continue // unpacked, not there itself
		}
		if base := path.Base(s); path.Ext(base) != "" && path.Join(to, base) == target {
			return true
		}
	}
	return false
}

// fetchesInto reports whether in, a RUN, downloads or clones target or something
// in it, and leaves it there, or ever.
func (f *File) fetchesInto(in *Instruction, target string, ever bool) bool {
	made, gone := false, false
	at := func(name string) bool {
		p, ok := f.located(in, name)
		return ok && inside(p, target)
	}
	s := f.script(in)
	calls := map[*command]*call{}
	for _, k := range s.calls {
		calls[k.command] = k
	}
	moved := false
	for _, c := range s.commands {
		if c.nested {
			continue
		}
		relative := func(name string) bool { return moved && !isAbsolute(name) }
		k := calls[c]
		switch name := c.program(); {
		case name == "cd" || name == "pushd":
			moved = true
		case name == "rm" || name == "mv":
			for _, w := range c.args() {
				removed := strings.TrimRight(strings.TrimSuffix(w.text, "*"), "/")
				if p, ok := f.located(in, removed); ok && !relative(w.text) && inside(target, p) {
					gone = true
				}
			}
		case k != nil && (name == "curl" || name == "wget"):
			file := outputOf(k)
			if file == "" && len(k.operands) == 1 && (name == "wget" && !k.has("-O", "--output-document", "-P", "--directory-prefix", "--spider") || name == "curl" && k.has("-O", "--remote-name")) {
				file = path.Base(plainAddress(k.operands[0].text))
			}
			if file != "" && !relative(file) && at(file) {
				made, gone = true, false
			}
		case k != nil && name == "git" && k.is("clone") && len(k.operands) > 0:
			folder := k.operands[len(k.operands)-1].text
			if len(k.operands) == 1 {
				folder = strings.TrimSuffix(path.Base(folder), ".git")
			}
			if !relative(folder) && at(folder) {
				made, gone = true, false
			}
		}
	}
	return made && (ever || !gone)
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
		moved := false
		for _, c := range f.script(in).commands {
			option := c.program()
			moved = moved || option == "cd" || option == "pushd"
			if option != "chmod" && option != "chown" {
				continue
			}
			value, targets, recursive := setsOn(c)
			if value == "" {
				continue
			}
			for _, target := range targets {
				if moved && !isAbsolute(target.text) {
					continue
				}
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

// setsOn returns what a chmod or chown sets, and for which paths.
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
			if a.literal {
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
	target, ok := f.located(in, strings.TrimSuffix(target, "/"))
	if !ok || target == "/" || target == "." || strings.ContainsAny(target, "*?[{") {
		return nil
	}
	for _, other := range in.Stage.Instructions {
		if other == in {
			break
		}
		if other.Keyword != "COPY" && other.Keyword != "ADD" || len(other.Heredocs) > 0 {
			continue
		}
		_, dest, certain, _ := f.destination(other)
		to, ok := f.located(other, dest)
		if !certain || !ok {
			continue
		}
		if to == target {
			found = other
			continue
		}
		if s := other.sources(); len(s) == 1 && isDirectory(dest) && !strings.ContainsAny(s[0], "*?[$") && path.Ext(s[0]) != "" && path.Join(to, path.Base(s[0])) == target {
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
