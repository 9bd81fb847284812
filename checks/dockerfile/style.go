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
		return checks.Msg("%s needs rights that a build has not, and a mount ends with this step", name), true
	}
	return checks.Message{}, false
}

var wgetAndCurlBoth = check(checks.Check{
	ID:       "wget-and-curl-both",
	Title:    "wget and curl",
	Severity: checks.Info,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"hadolint DL4001", "trivy DS-0014"},
}, func(f *File, report func(checks.Finding)) {
	first := map[*Stage]*call{}
	lines := map[*Stage]*Instruction{}
	done := map[*Stage]bool{}
	f.eachCall(func(in *Instruction, k *call) {
		s := in.Stage
		if done[s] {
			return
		}
		switch other := first[s]; {
		case other == nil:
			first[s], lines[s] = k, in
		case other.tool != k.tool:
			done[s] = true
			finding := f.findingAt(in, k.name.start, k.name.end, s.label(),
				checks.Msg("%s is used here and %s before: one of them can do both", k.tool, other.tool))
			finding.Evidence = append(finding.Evidence, f.lineEvidence(lines[s], lines[s].Line))
			report(finding)
		}
	}, "wget", "curl")
})

var wgetNoisyProgress = check(checks.Check{
	ID:       "wget-noisy-progress",
	Title:    "wget fills the log of the build",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3047"},
}, func(f *File, report func(checks.Finding)) {
	f.eachCall(func(in *Instruction, k *call) {
		if k.has("-q", "--quiet", "-nv", "--no-verbose", "--progress", "-o", "--output-file", "-a", "--append-output", "--spider", "--version", "--help", "-b") || len(k.operands) == 0 && !k.has("-i") {
			return
		}
		finding := f.findingAt(in, k.name.start, k.name.end, in.Stage.label()+"/"+plainAddress(k.about()),
			checks.Msg("wget draws its progress into the log of the build, line by line"))
		if k.exact {
			option := "-q" // which the wget of BusyBox knows too
			if root := in.Stage.Root(); root.Certain && debianFamily(root.Image) {
				option = "-nv"
			}
			at := k.name.end
			finding.Fixes = []checks.Fix{{
				ID: "quiet", Title: checks.Msg("download quietly"), Safe: true,
				Edit: fixed(checks.Edit{Start: at, End: at, New: " " + option, Reason: checks.Msg("the log keeps what matters")}),
			}}
		}
		report(finding)
	}, "wget")
})

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
		first, last := own[0], own[len(own)-1]
		if first.program() == "set" && len(own) > 1 {
			first = own[1]
		}
		switch {
		case last.program() == "cd" && len(last.args()) > 0:
			report(f.findingAt(in, last.words[0].start, last.words[len(last.words)-1].end, in.Stage.label()+"/"+last.args()[0].text,
				checks.Msg("cd %s at the end of a step does nothing: the next one starts where this one did", last.args()[0].text)))
		case first.program() == "cd" && len(first.args()) == 1:
			dir := first.args()[0]
			finding := f.findingAt(in, first.words[0].start, dir.end, in.Stage.label()+"/"+dir.text,
				checks.Msg("the step begins with cd %s: WORKDIR is what says where a step works", dir.text))
			finding.Fixes = f.cdFix(in, first, own)
			report(finding)
		}
	})
})

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

var pipefailMissing = check(checks.Check{
	ID:       "pipefail-missing",
	Title:    "A pipe hides a failure",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL4006"},
}, func(f *File, report func(checks.Finding)) {
	reported := map[*Stage]bool{} // the first SHELL of a stage is enough
	f.eachRun(func(in *Instruction) {
		s := f.script(in)
		if len(s.pipes) == 0 || f.pipefail(in) {
			return
		}
		for _, p := range s.pipes {
			name, hides := hiddenFailure(p)
			if !hides || p.tested || !p.exact() {
				continue
			}
			finding := f.findingAt(in, p.start, p.end, in.Stage.label()+"/"+name,
				checks.Msg("if %s fails the step goes on: only the end of a pipe counts", name))
			finding.Fixes = f.pipefailFix(in, reported)
			report(finding)
			return
		}
	})
})

func (p *pipe) exact() bool {
	for _, c := range p.parts {
		if c != nil && !c.exact {
			return false
		}
	}
	return true
}

// hiddenFailure returns the command of p whose failure would go unnoticed.
// Those that cannot fail are not worth a word.
func hiddenFailure(p *pipe) (string, bool) {
	for _, c := range p.parts[:len(p.parts)-1] {
		if c == nil {
			return "", false
		}
		switch name := c.program(); name {
		case "echo", "printf", "yes", "true", "":
		default:
			return name, true
		}
	}
	return "", false
}

// pipefail reports whether a failing pipe fails in.
func (f *File) pipefail(in *Instruction) bool {
	if f.mentions(in, "pipefail") {
		return true
	}
	sh := f.shellInstruction(in)
	return sh != nil && (f.mentions(sh, "pipefail") || !isShell(pathBase(sh.Exec[0])))
}

func pathBase(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// pipefailFix makes pipes fail: for the step, where its shell can, else by a
// SHELL for the stage.
func (f *File) pipefailFix(in *Instruction, reported map[*Stage]bool) []checks.Fix {
	root := in.Stage.Root()
	if !root.Certain || len(in.Heredocs) > 0 || in.IsExec || in.open {
		return nil
	}
	caution := checks.Msg("a step that hid a failure until now stops the build")
	sh := f.shellAt(in)
	if alpineFamily(root.Image) && sh == "" || pathBase(sh) == "bash" {
		edit, ok := f.prependEdit(in, "set -o pipefail", checks.Msg("every part of a pipe counts"))
		if !ok || !f.script(in).chain {
			return nil
		}
		return []checks.Fix{{
			ID: "set-pipefail", Title: checks.Msg("let the step fail when a part of the pipe fails"), Caution: caution, Edit: fixed(edit),
		}}
	}
	if !debianFamily(root.Image) || sh != "" {
		return nil
	}
	line := `SHELL ["/bin/bash", "-o", "pipefail", "-c"]`
	target := in.Stage
	if reported[target] {
		// One SHELL serves the whole stage, and this step comes after it.
		return nil
	}
	reported[target] = true
	return []checks.Fix{{
		ID: "shell-pipefail", Title: checks.Msg("run the steps with bash and pipefail"),
		Caution: checks.Msg("a step that hid a failure until now stops the build, and steps run in bash instead of sh from here on"),
		Edit:    fixed(f.insertBefore(in, line, checks.Msg("every part of a pipe counts"))),
	}}
}

var shellChangedByLink = check(checks.Check{
	ID:       "shell-changed-by-link",
	Title:    "sh is exchanged by a link",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL4005"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "/bin/sh") {
			return
		}
		s := f.script(in)
		for _, c := range s.commands {
			to, ok := linksShell(c)
			if !ok {
				continue
			}
			finding := f.findingAt(in, c.words[c.at].start, c.words[len(c.words)-1].end, in.Stage.label(),
				checks.Msg("ln puts %s in the place of /bin/sh for every script in the image: SHELL changes it for the build", to))
			if len(s.commands) == 1 && s.chain && len(in.Flags) == 0 && strings.HasPrefix(to, "/") && f.shellAt(in) == "" && len(in.Heredocs) == 0 && !in.open {
				finding.Fixes = []checks.Fix{{
					ID: "shell", Title: checks.Msg("use SHELL"),
					Caution: checks.Msg("scripts that begin with #!/bin/sh run in the shell of the base image again"),
					Edit: fixed(checks.Edit{
						Start: in.Start, End: in.End, New: f.keyword("SHELL") + ` ["` + to + `", "-c"]`,
						Reason: checks.Msg("the shell of the steps, and of nothing else"),
					}),
				}}
			}
			report(finding)
			return
		}
	})
})

// linksShell returns what c links to /bin/sh.
func linksShell(c *command) (string, bool) {
	if c.program() != "ln" {
		return "", false
	}
	var operands []string
	for _, a := range c.args() {
		if !strings.HasPrefix(a.text, "-") {
			operands = append(operands, a.text)
		}
	}
	if len(operands) != 2 || operands[1] != "/bin/sh" && operands[1] != "/usr/bin/sh" || strings.Contains(operands[0], "busybox") {
		return "", false
	}
	return operands[0], true
}
