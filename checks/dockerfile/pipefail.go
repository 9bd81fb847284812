package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

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
			if !hides || p.tested {
				continue
			}
			start := p.start
			if !p.exact() {
				start = -1
			}
			finding := f.findingAt(in, start, p.end, in.Stage.label(),
				checks.Msg("if %s fails the step goes on: only the end of a pipe counts", name))
			if p.exact() {
				finding.Fixes = f.pipefailFix(in, reported)
			}
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
	if in.IsExec {
		return false // SHELL is for the other form
	}
	sh := f.shellInstruction(in)
	return sh != nil && (shellOption(sh.Exec, "pipefail") || !isShell(pathBase(sh.Exec[0])))
}

// shellOption reports whether words start a shell with the option name: -o
// pipefail, -eo pipefail, -opipefail.
func shellOption(words []string, name string) bool {
	for i, w := range words {
		if strings.HasPrefix(w, "-") && strings.HasSuffix(w, "o"+name) || i > 0 && w == name && strings.HasPrefix(words[i-1], "-") && strings.HasSuffix(words[i-1], "o") {
			return true
		}
	}
	return false
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
				checks.Msg("%s puts %s in the place of /bin/sh for every script in the image: SHELL changes it for the build", c.program(), to))
			if onlyLinks(s) && s.chain && len(in.Flags) == 0 && strings.HasPrefix(to, "/") && f.shellAt(in) == "" && len(in.Heredocs) == 0 && !in.open {
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

// onlyLinks reports whether s does nothing but exchange /bin/sh.
func onlyLinks(s *script) bool {
	for _, c := range s.commands {
		_, links := linksShell(c)
		if !links && !(c.program() == "rm" && len(c.args()) > 0 && isSh(c.args()[len(c.args())-1].text)) {
			return false
		}
	}
	return true
}

// linksShell returns what c puts in the place of /bin/sh.
func linksShell(c *command) (string, bool) {
	var operands []string
	for _, a := range c.args() {
		if !strings.HasPrefix(a.text, "-") {
			operands = append(operands, a.text)
		}
	}
	switch c.program() {
	case "ln", "cp", "mv":
	case "update-alternatives":
		// --install LINK NAME PATH PRIORITY
		if len(operands) > 2 && isSh(operands[0]) {
			return operands[2], true
		}
		return "", false
	default:
		return "", false
	}
	if len(operands) != 2 || !isSh(operands[1]) || strings.Contains(operands[0], "busybox") || !isShell(pathBase(operands[0])) {
		return "", false
	}
	return operands[0], true
}

func isSh(path string) bool { return path == "/bin/sh" || path == "/usr/bin/sh" }
