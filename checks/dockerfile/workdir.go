package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var workdirRelative = check(checks.Check{
	ID:       "workdir-relative",
	Title:    "Relative working directory",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3000", "trivy DS-0009", "checkov CKV_DOCKER_10", "BuildKit WorkdirRelativePath"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "WORKDIR" || in.Stage == nil || in.Stage.windows {
			continue
		}
		written := in.Args.String
		dir, certain := written, true
		if strings.ContainsAny(written, "$\"'\\") {
			dir, certain = f.expand(written, f.variablesAt(in))
		}
		if !certain || isAbsolute(dir) || dir == "" {
			continue
		}
		before, known := f.workdirBefore(in)
		finding := f.finding(in, in.Stage.label()+"/"+written, checks.Msg("WORKDIR %s depends on the WORKDIR before it, %s", written, before))
		if !known {
			finding.Message = checks.Msg("WORKDIR %s depends on the working directory of the base image", written)
		}
		if !strings.Contains(written, "$") {
			start, end := in.Args.Range(0, len(written))
			fix := checks.Fix{
				ID: "absolute", Title: checks.Msg("write the whole path"), Safe: known,
				Edit: fixed(checks.Edit{
					Start: start, End: end, New: path.Join(before, dir),
					Reason: checks.Msg("the same directory, whatever comes before"),
				}),
			}
			if !known {
				fix.Caution = checks.Msg("right if the base image works in /, which is not known here")
			}
			if !strings.ContainsAny(path.Join(before, dir), " \t\"'\\") {
				finding.Fixes = []checks.Fix{fix}
			}
		}
		report(finding)
	}
})

func isAbsolute(dir string) bool {
	return strings.HasPrefix(dir, "/") || len(dir) > 1 && dir[1] == ':' || strings.HasPrefix(dir, `\`)
}

// workdirBefore returns the working directory that in starts from. It is known
// when an absolute WORKDIR of the chain says so, or there is no base image.
func (f *File) workdirBefore(in *Instruction) (dir string, known bool) {
	var relative []string
	for _, s := range in.Stage.Chain() {
		end := len(s.Instructions)
		for i, other := range s.Instructions {
			if other == in {
				end = i
			}
		}
		for i := end - 1; i >= 0; i-- {
			other := s.Instructions[i]
			if other.Keyword != "WORKDIR" {
				continue
			}
			d := other.Args.String
			if strings.ContainsAny(d, "$\"'\\") {
				expanded, certain := f.expand(d, f.variablesAt(other))
				if !certain {
					return "/", false
				}
				d = expanded
			}
			if isAbsolute(d) {
				return path.Join(append([]string{d}, relative...)...), true
			}
			relative = append([]string{d}, relative...)
		}
	}
	return path.Join(append([]string{"/"}, relative...)...), in.Stage.Root().Image == "scratch"
}
