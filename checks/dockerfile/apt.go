package dockerfile

import (
	"bytes"
	"strings"

	"plimsoll/checks"
)

var aptRecommendsInstalled = check(checks.Check{
	ID:       "apt-recommends-installed",
	Title:    "Recommended packages are installed too",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"hadolint DL3015", "trivy DS-0029"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) || !f.mentions(in, "apt") || f.recommendsOff(in) {
			return
		}
		var calls []packageCall
		for _, c := range f.script(in).commands {
			if p, ok := packageCallOf(c); ok && p.manager == "apt" && p.installs() && !p.recommendsDecided {
				calls = append(calls, p)
			}
		}
		if len(calls) == 0 {
			return
		}
		p := calls[0]
		finding := f.findingAt(in, p.verb.start, p.verb.end, in.Stage.label()+"/"+p.first(),
			checks.Msg("apt installs what it recommends along with %s", p.first()))
		var edits []checks.Edit
		for _, p := range calls {
			if p.exact {
				edits = append(edits, checks.Edit{
					Start: p.verb.end, End: p.verb.end, New: " --no-install-recommends",
					Reason: checks.Msg("only what was asked for"),
				})
			}
		}
		if len(edits) == len(calls) {
			finding.Fixes = []checks.Fix{{
				ID: "no-recommends", Title: checks.Msg("install without recommended packages"), Safe: true,
				Edit: fixed(edits...),
			}}
		}
		report(finding)
	})
})

// recommendsOff reports whether apt was configured not to recommend before in.
func (f *File) recommendsOff(in *Instruction) bool {
	const setting = "Install-Recommends"
	if !bytes.Contains(f.Source, []byte(setting)) || !f.ordinary() {
		return false
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Line <= in.Line && f.mentions(other, setting) {
				return true
			}
		}
	}
	return false
}

var aptListsLeft = check(checks.Check{
	ID:       "apt-lists-left",
	Title:    "Package lists stay in the image",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"hadolint DL3009", "dockle DKL-DI-0005"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) || !f.mentions(in, "apt") {
			return
		}
		x := f.indexOf(in)["apt"]
		if x.update == nil || x.pure || f.listsCleaned(in) {
			return
		}
		finding := f.findingAt(in, x.update.words[x.update.at].start, x.update.words[x.update.at].end, in.Stage.label()+"/"+f.firstInstalled(in),
			checks.Msg("this step downloads the package lists and leaves them in its layer"))
		if edits, ok := f.cleanEdits(in); ok {
			finding.Fixes = []checks.Fix{{
				ID: "remove-lists", Title: checks.Msg("remove the package lists in the same step"), Safe: true,
				Edit: fixed(edits...),
			}}
		}
		report(finding)
	})
})

func (f *File) firstInstalled(in *Instruction) string {
	for _, c := range f.script(in).commands {
		if p, ok := packageCallOf(c); ok && p.installs() {
			return p.first()
		}
	}
	return "update"
}

var packageIndexUpdateAlone = check(checks.Check{
	ID:       "package-index-update-alone",
	Title:    "Package index refreshed in a step of its own",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 4.7 (v1.6.0)", "dockle CIS-DI-0007", "trivy DS-0017", "checkov CKV_DOCKER_5"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "update", "makecache", "refresh", "upgrade") {
			return
		}
		for _, manager := range managers {
			x := f.indexOf(in)[manager]
			if x.update == nil || x.installs {
				continue
			}
			dependants := f.dependants(in, manager)
			if !x.pure && len(dependants) == 0 {
				continue
			}
			w := x.update.words[x.update.at]
			finding := f.findingAt(in, w.start, w.end, in.Stage.label()+"/"+manager,
				checks.Msg("%s refreshes the index in a step that is cached, so later installs may use an old one", w.text))
			for _, d := range dependants[:min(len(dependants), 3)] {
				finding.Evidence = append(finding.Evidence, f.lineEvidence(d, d.Line))
			}
			if edits, ok := f.mergeUpdate(in, x, manager, dependants); ok {
				finding.Fixes = []checks.Fix{{
					ID: "merge-update", Title: checks.Msg("refresh the index in the step that installs"), Safe: true,
					Edit: fixed(edits...),
				}}
			}
			report(finding)
		}
	})
})

// mergeUpdate moves the refresh of in into the steps that install after it.
func (f *File) mergeUpdate(in *Instruction, x index, manager string, dependants []*Instruction) ([]checks.Edit, bool) {
	if len(in.Flags) > 0 || !x.update.exact || manager != "apt" && manager != "apk" {
		return nil, false
	}
	edits, ok := f.updateEdits(manager, dependants)
	if !ok {
		return nil, false
	}
	if x.pure {
		if len(dependants) == 0 && f.inherited(in.Stage) {
			return nil, false
		}
		return append(edits, f.remove(in, checks.Msg("the refresh moves into the step that installs"))), true
	}
	if manager == "apt" && !f.listsCleaned(in) {
		edit, ok := f.appendEdit(in, f.asRoot(in, removeLists), checks.Msg("the lists are of no use in the image"))
		if !ok {
			return nil, false
		}
		edits = append(edits, edit)
	}
	return edits, true
}

// inherited reports whether another stage is built on s.
func (f *File) inherited(s *Stage) bool {
	for _, other := range f.Stages {
		if other.Parent == s {
			return true
		}
	}
	return false
}

const removeLists = "rm -rf /var/lib/apt/lists/*"

// cleanEdits removes the lists at the end of in, and lets the later steps that
// counted on them fetch their own.
func (f *File) cleanEdits(in *Instruction) ([]checks.Edit, bool) {
	edit, ok := f.appendEdit(in, f.asRoot(in, removeLists), checks.Msg("the lists are of no use in the image"))
	if !ok {
		return nil, false
	}
	edits, ok := f.updateEdits("apt", f.dependants(in, "apt"))
	return append(edits, edit), ok
}

// updateEdits puts a refresh of the index before each of dependants.
func (f *File) updateEdits(manager string, dependants []*Instruction) ([]checks.Edit, bool) {
	line := "apt-get update"
	if manager == "apk" {
		line = "apk update"
	}
	var edits []checks.Edit
	for _, d := range dependants {
		edit, ok := f.prependEdit(d, f.asRoot(d, line), checks.Msg("an install needs an index that is as new as itself"))
		if !ok {
			return nil, false
		}
		edits = append(edits, edit)
		if manager == "apt" && !f.listsCleaned(d) {
			edit, ok := f.appendEdit(d, f.asRoot(d, removeLists), checks.Msg("the lists are of no use in the image"))
			if !ok {
				return nil, false
			}
			edits = append(edits, edit)
		}
	}
	return edits, true
}

// listsCleaned reports whether in leaves no package lists of apt behind.
func (f *File) listsCleaned(in *Instruction) bool {
	for _, mount := range in.Flag("mount") {
		if (strings.Contains(mount, "type=cache") || strings.Contains(mount, "type=tmpfs")) && strings.Contains(mount, "/var/lib/apt") {
			return true
		}
	}
	for _, c := range f.script(in).commands {
		switch c.program() {
		case "rm", "find":
			for _, a := range c.args() {
				if strings.Contains(a.text, "/var/lib/apt") || strings.Contains(a.text, "/var/lib/{") && strings.Contains(a.text, "apt") || a.text == "/var/lib/*" {
					return true
				}
			}
		case "apt-get", "apt":
			for _, a := range c.args() {
				if a.text == "dist-clean" || a.text == "distclean" {
					return true
				}
			}
		}
	}
	return false
}

// asRoot returns command as a step that is not root's has to write it.
func (f *File) asRoot(in *Instruction, command string) string {
	if u := f.userAt(in); u.known && !u.isRoot() {
		return "sudo " + command
	}
	return command
}
