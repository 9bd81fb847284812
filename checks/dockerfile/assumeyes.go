package dockerfile

import (
	"bytes"
	"strings"

	"plimsoll/checks"
)

// A prompting says when a package manager asks a question that nobody answers.
type prompting struct {
	id, title string
	refs      []string
	tools     []string
	verbs     []string
	answers   []string // options that answer
	option    string   // the one to add
	early     bool     // it stands before the verb
}

func promptings() []prompting {
	rpmVerbs := []string{"install", "in", "update", "upgrade", "remove", "erase", "reinstall", "localinstall", "groupinstall", "downgrade", "distro-sync", "autoremove", "swap", "group"}
	return []prompting{
		{
			id: "apt-not-assuming-yes", title: "apt would ask before it installs",
			refs: []string{"hadolint DL3014", "trivy DS-0021"}, tools: []string{"apt-get", "apt", "aptitude"},
			verbs:   []string{"install", "upgrade", "dist-upgrade", "full-upgrade", "remove", "purge", "autoremove", "build-dep", "reinstall", "safe-upgrade"},
			answers: []string{"-y", "--yes", "--assume-yes", "--force-yes", "--assume-no", "-s", "--simulate", "--dry-run", "--print-uris", "--just-print", "-d", "--download-only"},
			option:  "-y",
		},
		{
			id: "yum-not-assuming-yes", title: "yum would ask before it installs",
			refs: []string{"hadolint DL3030"}, tools: []string{"yum"}, verbs: rpmVerbs,
			answers: []string{"-y", "--assumeyes", "--assumeno"}, option: "-y",
		},
		{
			id: "dnf-not-assuming-yes", title: "dnf would ask before it installs",
			refs: []string{"hadolint DL3038"}, tools: []string{"dnf", "tdnf"}, verbs: rpmVerbs,
			answers: []string{"-y", "--assumeyes", "--assumeno"}, option: "-y",
		},
		{
			id: "zypper-not-noninteractive", title: "zypper would ask before it installs",
			refs: []string{"hadolint DL3034"}, tools: []string{"zypper"},
			verbs:   []string{"install", "in", "update", "up", "patch", "dup", "dist-upgrade", "remove", "rm", "source-install", "si"},
			answers: []string{"-n", "--non-interactive", "-y", "--no-confirm"}, option: "-n", early: true,
		},
	}
}

func promptingChecks() []*checks.Check {
	var out []*checks.Check
	for _, p := range promptings() {
		out = append(out, check(checks.Check{
			ID: p.id, Title: p.title, Severity: checks.Low, Chapter: checks.Hygiene, Refs: p.refs,
		}, p.run))
	}
	return out
}

func (p *prompting) run(f *File, report func(checks.Finding)) {
	if p.option == "-y" && f.assumesYes() {
		return
	}
	f.eachCall(func(in *Instruction, k *call) {
		if k.piped || !k.is(p.verbs...) || k.has(p.answers...) || p.quiet(k) {
			return
		}
		for _, w := range k.args() {
			if !w.literal && !strings.HasPrefix(w.text, "\"") && strings.HasPrefix(w.text, "$") && w.start < k.verb.start {
				return // may hold the option
			}
		}
		finding := f.findingAt(in, k.name.start, k.verb.end, in.Stage.label()+"/"+k.tool+" "+k.verb.text+" "+k.about(),
			checks.Msg("%s %s asks for confirmation, and nobody is there to answer: the build stops", k.tool, k.verb.text))
		if k.exact {
			at := k.verb.end
			if p.early {
				at = k.name.end
			}
			finding.Fixes = []checks.Fix{{
				ID: "assume-yes", Title: checks.Msg("answer yes to %s", k.tool), Safe: true,
				Edit: fixed(checks.Edit{Start: at, End: at, New: " " + p.option, Reason: checks.Msg("a build cannot answer questions")}),
			}}
		}
		report(finding)
	}, p.tools...)
}

// quiet reports whether k is so quiet that it assumes yes: -qq of apt.
func (p *prompting) quiet(k *call) bool {
	if p.tools[0] != "apt-get" {
		return false
	}
	n := 0
	for _, o := range k.options {
		switch {
		case o.name == "-q" || o.name == "--quiet":
			n++
		case (o.name == "-o" || o.name == "--option") && strings.Contains(strings.ToLower(o.value.text), "assume-yes"):
			return true
		}
		if strings.HasPrefix(o.word.text, "-q=2") || o.word.text == "--quiet=2" {
			return true
		}
	}
	return n >= 2
}

// assumesYes reports whether the file configures its package manager to assume
// yes, for all steps.
func (f *File) assumesYes() bool {
	lower := bytes.ToLower(f.Source)
	return bytes.Contains(lower, []byte("get::assume-yes")) || bytes.Contains(lower, []byte("assumeyes=")) || bytes.Contains(lower, []byte("assumeyes ="))
}

// about names what k is about: its first operand.
func (k *call) about() string {
	if len(k.operands) == 0 {
		return ""
	}
	return k.operands[0].text
}
