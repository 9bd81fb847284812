package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

var sudoUsed = check(checks.Check{
	ID:       "sudo-used",
	Title:    "sudo in the build",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"dockle DKL-DI-0001", "hadolint DL3004", "trivy DS-0010", "checkov CKV2_DOCKER_1"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "RUN" || in.Stage == nil || !f.mentions(in, "sudo") {
			continue
		}
		var used []*command
		for _, c := range f.script(in).commands {
			if c.sudo >= 0 && c.words[c.sudo].text != "doas" {
				used = append(used, c)
			}
		}
		if len(used) == 0 {
			continue
		}
		first := used[0]
		finding := f.findingAt(in, first.words[first.sudo].start, first.words[first.sudo].end, in.Stage.label()+"/"+first.program(),
			checks.Msg("RUN calls sudo for %s: a build step is root or it is not", first.program()))
		finding.Fixes = f.sudoFix(in, used)
		report(finding)
	}
})

// sudoFix takes sudo away: where the step is root already that is all, else
// the whole step becomes root's.
func (f *File) sudoFix(in *Instruction, used []*command) []checks.Fix {
	var edits []checks.Edit
	for _, c := range used {
		end, ok := sudoEnd(c)
		if !ok {
			return nil
		}
		edits = append(edits, checks.Edit{
			Start: c.words[c.sudo].start, End: c.words[end].start,
			Reason: checks.Msg("the step is root already"),
		})
	}
	u := f.userAt(in)
	switch {
	case u.known && u.isRoot():
		return []checks.Fix{{ID: "strip-sudo", Title: checks.Msg("take sudo away"), Safe: true, Edit: fixed(edits...)}}
	case !u.known:
		return []checks.Fix{{
			ID: "strip-sudo", Title: checks.Msg("take sudo away"),
			Caution: checks.Msg("the user of the base image is not known here: if it is not root, the step fails"),
			Edit:    fixed(edits...),
		}}
	}
	after, ok := f.insertAfter(in, "USER "+u.written(), checks.Msg("back to the user of before"))
	if !ok {
		return nil
	}
	before := f.insertBefore(in, "USER root", checks.Msg("this step needs root, and says so"))
	return []checks.Fix{{
		ID: "user-root", Title: checks.Msg("run the step as root instead of sudo"),
		Caution: checks.Msg("everything in this step becomes root's, also the files that it makes"),
		Edit:    fixed(append(edits, before, after)...),
	}}
}

// sudoEnd returns the index of the word that follows sudo and its options, if
// nothing but the right to be root is lost without them.
func sudoEnd(c *command) (int, bool) {
	if !c.exact {
		return 0, false
	}
	for i := c.sudo + 1; i < len(c.words); i++ {
		switch w := c.words[i].text; {
		case w == "-E" || w == "-H" || w == "-n" || w == "-EH" || w == "-HE" || w == "--preserve-env" || w == "--":
		case strings.HasPrefix(w, "-"):
			return 0, false
		default:
			return i, true
		}
	}
	return 0, false
}
