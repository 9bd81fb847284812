package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

var addInsteadOfCopy = check(checks.Check{
	ID:       "add-instead-of-copy",
	Title:    "ADD where COPY does",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.9 (v1.6.0)", "dockle CIS-DI-0009", "hadolint DL3020", "trivy DS-0005", "checkov CKV_DOCKER_4", "OWASP Docker rule 9"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "ADD" || in.Stage == nil || !plainFiles(in.sources()) {
			continue
		}
		sources := in.sources()
		name := "text"
		if len(sources) > 0 {
			name = sources[0]
		}
		finding := f.finding(in, in.Stage.label()+"/"+name, checks.Msg("ADD of %s would also unpack archives and fetch addresses, COPY would not", name))
		if in.couldBeCopy() {
			finding.Fixes = []checks.Fix{{ID: "copy", Title: checks.Msg("use COPY"), Safe: true, Edit: fixed(f.copyEdit(in))}}
		}
		report(finding)
	}
})

// couldBeCopy reports whether COPY does all that in, an ADD, does.
func (in *Instruction) couldBeCopy() bool {
	return in.Stage != nil && plainFiles(in.sources()) && !onlyOfAdd(in.Flags)
}

// copyEdit returns the edit that makes in, an ADD, a COPY.
func (f *File) copyEdit(in *Instruction) checks.Edit {
	return checks.Edit{
		Start: in.Start, End: in.Start + len("ADD"), New: f.keyword("COPY"),
		Reason: checks.Msg("COPY does only this"),
	}
}

// sources returns what a COPY or ADD takes, heredocs left out.
func (in *Instruction) sources() []string {
	words := in.Exec
	if !in.IsExec {
		for _, w := range in.Words() {
			words = append(words, w.Text)
		}
	}
	if len(words) == 0 {
		return nil
	}
	var out []string
	for _, w := range words[:len(words)-1] {
		if !strings.HasPrefix(w, "<<") {
			out = append(out, w)
		}
	}
	return out
}

// onlyOfAdd reports whether flags holds one that COPY does not have.
func onlyOfAdd(flags []Flag) bool {
	for _, f := range flags {
		switch f.Name {
		case "checksum", "keep-git-dir", "unpack":
			return true
		}
	}
	return false
}

// plainFiles reports whether ADD does with all of sources what COPY would.
func plainFiles(sources []string) bool {
	for _, s := range sources {
		if isRemote(s) || isArchive(s) || strings.Contains(s, "$") || strings.HasPrefix(s, "file:") || strings.HasPrefix(s, "multi:") {
			return false // the last two are how history writes what a COPY did
		}
	}
	return true
}

func isRemote(s string) bool {
	return strings.Contains(s, "://") || strings.HasPrefix(s, "git@") || strings.HasSuffix(s, ".git")
}

func isArchive(s string) bool {
	s = strings.ToLower(strings.TrimRight(s, "*?"))
	for _, ending := range []string{".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".gz", ".bz2", ".xz", ".zst", ".lzma"} {
		if strings.HasSuffix(s, ending) || strings.Contains(s, ".tar") {
			return true
		}
	}
	return false
}
