package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

var wgetAndCurlBoth = check(checks.Check{
	ID:       "wget-and-curl-both",
	Title:    "wget and curl",
	Severity: checks.Info,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"hadolint DL4001", "trivy DS-0014"},
}, func(f *File, report func(checks.Finding)) {
	type user struct {
		in   *Instruction
		call *call
	}
	uses := map[*Stage][]user{}
	f.eachCall(func(in *Instruction, k *call) {
		uses[in.Stage] = append(uses[in.Stage], user{in, k})
	}, "wget", "curl")
	for _, s := range f.Stages {
		list := uses[s]
		i := slices.IndexFunc(list, func(u user) bool { return u.call.tool != list[0].call.tool })
		if i < 0 {
			f.reportBothInstalled(s, report)
			continue
		}
		first, other := list[0], list[i]
		finding := f.findingAt(other.in, other.call.name.start, other.call.name.end, s.label(),
			checks.Msg("%s is used here and %s before: one of them can do both", other.call.tool, first.call.tool))
		finding.Evidence = append(finding.Evidence, f.lineEvidence(first.in, first.in.Line))
		for _, keep := range []string{first.call.tool, other.call.tool} {
			var edits []checks.Edit
			ok := true
			for _, u := range list {
				if u.call.tool != keep {
					more, can := f.translated(u.in, u.call)
					edits, ok = append(edits, more...), ok && can
				}
			}
			if ok {
				finding.Fixes = append(finding.Fixes, checks.Fix{
					ID: "keep-" + keep, Title: checks.Msg("use %s for all downloads of the stage", keep),
					Caution: checks.Msg("%s has to be installed, and certificates are verified from now on", keep),
					Edit:    fixed(edits...),
				})
			}
		}
		report(finding)
	}
})

// reportBothInstalled reports that s, which is shipped, installs both tools.
func (f *File) reportBothInstalled(s *Stage, report func(checks.Finding)) {
	if !f.Shipped(s) {
		return
	}
	var where *Instruction
	var word shellWord
	seen := ""
	for _, in := range s.Instructions {
		if in.Keyword != "RUN" || !f.mentions(in, "wget", "curl") {
			continue
		}
		for _, c := range f.script(in).commands {
			p, ok := packageCallOf(c)
			if !ok || !p.installs() {
				continue
			}
			for _, w := range p.packages {
				name, _, _ := strings.Cut(w.text, "=")
				if name != "wget" && name != "curl" {
					continue
				}
				if seen == "" {
					seen = name
				} else if name != seen && where == nil {
					where, word = in, w
				}
			}
		}
	}
	if where != nil {
		report(f.findingAt(where, word.start, word.end, s.label(), checks.Msg("curl and wget are both installed: one of them can do what both do")))
	}
}

// translated returns the edits that make k, a curl or wget, the other one. The
// address stays where it is, and what other fixes do to the options goes with
// them: certificates are verified, and nothing is drawn.
func (f *File) translated(in *Instruction, k *call) ([]checks.Edit, bool) {
	if len(k.operands) != 1 || !k.exact || k.nested || in.IsExec || f.executes(in, k) {
		return nil, false
	}
	address := k.operands[0]
	text := strings.Trim(address.text, `"'`)
	if !strings.Contains(text, "://") || strings.HasSuffix(text, "/") || strings.ContainsAny(text, "?*[") {
		return nil, false // saved under another name
	}
	file, named := "", false
	for _, o := range k.options {
		switch {
		case k.tool == "wget" && (o.name == "-O" || o.name == "--output-document") || k.tool == "curl" && (o.name == "-o" || o.name == "--output"):
			if o.value.start < 0 || !o.value.literal && o.value.start == o.word.start {
				return nil, false
			}
			file = string(f.Source[o.value.start:o.value.end])
			if o.value.start == o.word.start { // -Ofile, --output-document=file
				file = o.value.text
			}
		case k.tool == "curl" && (o.name == "-O" || o.name == "--remote-name"):
			named = true
		case !strings.Contains(" -q --quiet -nv --no-verbose --progress --show-progress --no-check-certificate -f -s -S -L -k --fail --silent --show-error --location --insecure ", " "+o.name+" "):
			return nil, false
		}
	}
	var command string
	switch {
	case k.tool == "wget" && file == "-":
		command = "curl -fsSL "
	case k.tool == "wget" && file != "":
		command = "curl -fsSL -o " + file + " "
	case k.tool == "wget":
		command = "curl -fsSLO "
	case named && file == "":
		command = "wget -q "
	case file != "" && file != "-":
		command = "wget -qO " + file + " "
	default:
		command = "wget -qO- "
	}
	reason := checks.Msg("one tool for all downloads")
	edits := []checks.Edit{
		{Start: k.name.start, End: k.name.start, New: command, Reason: reason},
		{Start: k.name.start, End: address.start, Reason: reason},
	}
	if end := k.words[len(k.words)-1].end; end > address.end {
		edits = append(edits, checks.Edit{Start: address.end, End: end, Reason: reason})
	}
	return edits, true
}

// executes reports whether in gives what k downloads to an interpreter.
func (f *File) executes(in *Instruction, k *call) bool {
	file := outputOf(k)
	for _, c := range f.script(in).commands {
		if !isShell(c.program()) && !interprets(c) {
			continue
		}
		if pipesInto(f.script(in), k.command, c) || file != "" && anyNamed(c.args(), file) {
			return true
		}
	}
	return false
}

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
