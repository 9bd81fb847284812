package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var exposeSSH = check(checks.Check{
	ID:       "expose-ssh",
	Title:    "Image serves SSH",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.7 (v1.6.0)", "trivy DS-0004", "checkov CKV_DOCKER_1"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil {
		return
	}
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			switch in.Keyword {
			case "EXPOSE":
				f.exposed(in, report)
			case "CMD", "ENTRYPOINT":
				if startsSSH(in) {
					report(f.finding(in, "sshd", checks.Msg("%s starts an SSH server: docker exec gives a shell without one", in.Keyword)))
				}
			}
		}
	}
})

// exposed reports port 22 among the ports of in.
func (f *File) exposed(in *Instruction, report func(checks.Finding)) {
	isSSH := func(p port) bool {
		return p.first == 22 && p.last == 22 && !strings.EqualFold(p.protocol, "udp")
	}
	for _, p := range f.portsOf(in) {
		if !isSSH(p) {
			continue
		}
		finding := f.findingAt(in, p.word.Start, p.word.End, "22", checks.Msg("EXPOSE %s offers SSH on the network", p.word.Text))
		finding.Fixes = f.hidePorts(in, isSSH, checks.Msg("docker exec gives a shell without a server on the network"))
		report(finding)
		return
	}
}

// removeWord returns the edit that takes out words[i], with the space before
// it or, of the first, the space after it.
func removeWord(words []Word, i int, reason checks.Message) checks.Edit {
	if i == 0 {
		return checks.Edit{Start: words[0].Start, End: words[1].Start, Reason: reason}
	}
	return checks.Edit{Start: words[i-1].End, End: words[i].End, Reason: reason}
}

func startsSSH(in *Instruction) bool {
	words := in.Exec
	if !in.IsExec {
		words = strings.Fields(in.Args.String)
	}
	for i, w := range words {
		switch path.Base(strings.Trim(w, `"';`)) {
		case "sshd":
			return true
		case "ssh":
			if i > 0 && (words[i-1] == "service" || strings.HasSuffix(words[i-1], "/init.d/")) {
				return true
			}
		}
	}
	return false
}
