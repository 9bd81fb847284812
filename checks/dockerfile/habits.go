package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

var nonsenseCommand = check(checks.Check{
	ID:       "nonsense-command",
	Title:    "Command that makes no sense in a build",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3001"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		for _, c := range f.script(in).commands {
			name := c.program()
			message, ok := nonsense(name)
			if !ok || name == "kill" && c.nested || len(c.args()) > 0 && (c.args()[0].text == "--version" || c.args()[0].text == "-V") {
				continue
			}
			report(f.findingAt(in, c.words[c.at].start, c.words[c.at].end, in.Stage.label()+"/"+name, message))
		}
	})
})

// nonsense says why the program name has no business in a build.
func nonsense(name string) (checks.Message, bool) {
	switch name {
	case "vim", "vi", "nano", "emacs", "less", "more", "top", "htop":
		return checks.Msg("%s is for a person at a terminal, and a build has neither", name), true
	case "ssh", "telnet":
		return checks.Msg("%s logs in somewhere else: a build should fetch files, not use other machines", name), true
	case "shutdown", "reboot", "halt", "poweroff":
		return checks.Msg("%s stops a machine, and a build step is none", name), true
	case "service":
		return checks.Msg("%s starts a daemon that ends with this step: nothing of it is in the image", name), true
	case "ps", "free", "kill", "ifconfig":
		return checks.Msg("%s looks at what runs now, and a build step runs alone", name), true
	case "mount", "umount":
		return checks.Msg("%s needs rights that a build should not have, and a mount ends with this step", name), true
	}
	return checks.Message{}, false
}

var cdInsteadOfWorkdir = check(checks.Check{
	ID:       "cd-instead-of-workdir",
	Title:    "cd where WORKDIR is meant",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3003", "trivy DS-0013"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "cd") {
			return
		}
		own := ownCommands(f.script(in))
		if len(own) == 0 {
			return
		}
		last := own[len(own)-1]
		if last.program() == "cd" && len(last.args()) > 0 {
			report(f.findingAt(in, last.words[0].start, last.words[len(last.words)-1].end, in.Stage.label()+"/"+last.args()[0].text,
				checks.Msg("cd %s at the end of a step does nothing: the next one starts where this one did", last.args()[0].text)))
			return
		}
		cd, begins := workingDirectory(own)
		if cd == nil {
			return
		}
		dir := cd.args()[0]
		message := checks.Msg("the step begins with cd %s: WORKDIR is what says where a step works", dir.text)
		if !begins {
			message = checks.Msg("the step goes on in %s: WORKDIR is what says where a step works", dir.text)
		}
		finding := f.findingAt(in, cd.words[0].start, dir.end, in.Stage.label()+"/"+dir.text, message)
		if begins {
			finding.Fixes = f.cdFix(in, cd, own)
		}
		report(finding)
	})
})

// workingDirectory returns the cd that says where a step of the commands own
// works, and whether the step begins with it: cd, or mkdir and cd. A directory
// that the step makes or unpacks itself, or leaves again, is its own business.
func workingDirectory(own []*command) (cd *command, begins bool) {
	i := 0
	for i < len(own)-1 && (own[i].program() == "set" || own[i].program() == "export" || own[i].program() == "echo") {
		i++
	}
	first := own[i]
	if first.program() == "mkdir" && i+1 < len(own) && own[i+1].program() == "cd" && len(own[i+1].args()) == 1 && anyNamed(first.args(), own[i+1].args()[0].text) {
		first = own[i+1]
	}
	if first.program() == "cd" && len(first.args()) == 1 && first.args()[0].text != "-" {
		return first, true
	}
	for _, c := range own {
		if c.program() != "cd" && c.program() != "pushd" {
			continue
		}
		if cd != nil || c.program() == "pushd" || len(c.args()) != 1 || !c.args()[0].literal || !strings.HasPrefix(c.args()[0].text, "/") {
			return nil, false
		}
		cd = c
	}
	if cd == nil {
		return nil, false
	}
	dir := strings.TrimRight(cd.args()[0].text, "/")
	for _, c := range own {
		if c == cd {
			continue
		}
		for _, w := range c.words {
			if text := strings.Trim(w.text, `"'`); dir == "" || text == dir || strings.HasPrefix(text, dir+"/") || strings.HasPrefix(dir, strings.TrimRight(text, "/")+"/") && strings.HasPrefix(text, "/") {
				return nil, false
			}
		}
	}
	return cd, false
}

// ownCommands returns the commands of s that are its own, not those of
// substitutions, functions, conditions and strings.
func ownCommands(s *script) []*command {
	var out []*command
	for _, c := range s.commands {
		if !c.nested {
			out = append(out, c)
		}
	}
	return out
}

// cdFix turns the cd that a step begins with into WORKDIR before it, and
// goes back after it.
func (f *File) cdFix(in *Instruction, cd *command, own []*command) []checks.Fix {
	dir := cd.args()[0]
	s := f.script(in)
	if !s.chain || !cd.exact || cd != own[0] || len(own) < 2 || !dir.literal || !strings.HasPrefix(dir.text, "/") || strings.ContainsAny(dir.text, " $\"'\\*?[`") || len(in.Heredocs) > 0 || in.open || len(cd.stmt.Redirs) > 0 {
		return nil
	}
	before, ok := f.workdirBefore(in)
	if !ok || strings.ContainsAny(before, " $\"'\\`") || f.mentions(in, "sudo") {
		return nil
	}
	next := own[1]
	from, to := cd.words[0].start, next.words[0].start
	if start, ok := f.assignedBefore(s, next); ok {
		to = start
	}
	if strings.Contains(string(f.Source[from:to]), "#") {
		return nil
	}
	after, ok := f.insertAfter(in, "WORKDIR "+before, checks.Msg("back to the directory of before"))
	if !ok {
		return nil
	}
	return []checks.Fix{{
		ID: "workdir", Title: checks.Msg("use WORKDIR"),
		Caution: checks.Msg("WORKDIR makes the directory if it is not there, where cd would have failed"),
		Edit: fixed(
			f.insertBefore(in, "WORKDIR "+dir.text, checks.Msg("the directory of this step, for everybody to see")),
			checks.Edit{Start: from, End: to, Reason: checks.Msg("the step starts there")},
			after,
		),
	}}
}

// assignedBefore returns where the assignments before c start.
func (f *File) assignedBefore(s *script, c *command) (int, bool) {
	start, _ := c.text.Range(int(c.stmt.Pos().Offset()), int(c.stmt.Pos().Offset()))
	return start, start < c.words[0].start
}
