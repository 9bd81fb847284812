package dockerfile

import (
	"errors"
	"path"
	"strings"

	"plimsoll/checks"
)

// destination returns where a COPY or ADD puts files, as written and with
// variables filled in, and the byte of the source behind its last letter.
func (f *File) destination(in *Instruction) (written, dest string, certain bool, end int) {
	s := in.Args.String
	if strings.HasPrefix(s, "[") && !in.IsExec {
		return "", "", false, 0
	}
	if in.IsExec {
		if len(in.Exec) < 2 {
			return "", "", false, 0
		}
		written = in.Exec[len(in.Exec)-1]
		end = strings.LastIndexByte(s, '"')
	} else {
		words := in.Words()
		if len(words) < 2 {
			return "", "", false, 0
		}
		written = words[len(words)-1].Text
		end = len(s)
		if strings.HasSuffix(written, `"`) || strings.HasSuffix(written, "'") {
			end--
		}
		written = strings.Trim(written, `"'`)
	}
	dest, certain = written, true
	if strings.Contains(written, "$") {
		dest, certain = f.expand(written, f.variablesAt(in))
	}
	_, end = in.Args.Range(end-1, end)
	return written, dest, certain && dest != "", end
}

var copyManyNeedsSlash = check(checks.Check{
	ID:       "copy-many-needs-slash",
	Title:    "Several files copied to one name",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3021", "trivy DS-0011"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || in.Stage == nil {
			continue
		}
		sources := in.sources()
		if len(sources)+len(in.Heredocs) < 2 || fromHistory(sources) {
			continue
		}
		written, dest, certain, end := f.destination(in)
		if !certain || isDirectory(dest) || in.Stage.windows && strings.HasSuffix(dest, `\`) {
			continue
		}
		finding := f.finding(in, in.Stage.label()+"/"+written, checks.Msg("%d files go to %s, which is a directory only with a slash at its end", len(sources)+len(in.Heredocs), written))
		finding.Fixes = []checks.Fix{{
			ID: "slash", Title: checks.Msg("end the directory with a slash"), Safe: true,
			Edit: fixed(checks.Edit{Start: end, End: end, New: "/", Reason: checks.Msg("several files need a directory")}),
		}}
		report(finding)
	}
})

func isDirectory(dest string) bool {
	return strings.HasSuffix(dest, "/") || dest == "." || dest == ".." || strings.HasSuffix(dest, "/.") || strings.HasSuffix(dest, "/..")
}

// fromHistory reports whether sources are those of docker history, which tells
// what was copied by a checksum: file:8b88… in /etc.
func fromHistory(sources []string) bool {
	if len(sources) != 2 || sources[1] != "in" {
		return false
	}
	kind, sum, ok := strings.Cut(sources[0], ":")
	return ok && (kind == "file" || kind == "dir" || kind == "multi") && len(sum) == 64
}

var copyRelativeWithoutWorkdir = check(checks.Check{
	ID:       "copy-relative-without-workdir",
	Title:    "Relative destination without WORKDIR",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3045"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		if s.windows || s.Parent != nil && hasWorkdir(s.Parent) {
			continue
		}
		for _, in := range s.Instructions {
			if in.Keyword == "WORKDIR" {
				break
			}
			if in.Keyword != "COPY" && in.Keyword != "ADD" {
				continue
			}
			written, dest, certain, _ := f.destination(in)
			if !certain || isAbsolute(dest) || fromHistory(in.sources()) {
				continue
			}
			finding := f.finding(in, s.label()+"/"+written, checks.Msg("%s to %s depends on the working directory of the base image", in.Keyword, written))
			if s.Root().Image == "scratch" {
				finding.Severity = checks.Info
				finding.Message = checks.Msg("%s to %s means the root directory, which nothing here says", in.Keyword, written)
			}
			if dir := workdirOf(s.Root()); dir != "" {
				finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "image " + s.Root().Image, Detail: "works in " + dir})
				finding.Fixes = f.workdirFix(s, in, dir)
			}
			report(finding)
		}
	}
})

func hasWorkdir(s *Stage) bool { return lastOf(s, "WORKDIR") != nil }

// workdirFix writes down the working directory above in, the first instruction
// that depends on it.
func (f *File) workdirFix(s *Stage, in *Instruction, dir string) []checks.Fix {
	first := in
	for _, other := range s.Instructions {
		if other.Keyword == "COPY" || other.Keyword == "ADD" {
			if _, dest, certain, _ := f.destination(other); certain && !isAbsolute(dest) {
				first = other
				break
			}
		}
	}
	key := s.choice("workdir")
	return []checks.Fix{{
		ID: "workdir", Title: checks.Msg("say the working directory"),
		Caution: checks.Msg("with another directory than %s everything relative below moves there", dir),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("working directory"), Default: dir, Valid: validWorkdir,
			Why: checks.Msg("the base image works there, so nothing moves"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validWorkdir(v[key]); err != nil {
				return nil, err
			}
			return []checks.Edit{f.insertBefore(first, f.keyword("WORKDIR")+" "+v[key], checks.Msg("relative paths start from here, whatever the base image says"))}, nil
		},
	}}
}

func validWorkdir(dir string) error {
	if !strings.HasPrefix(dir, "/") || path.Clean(dir) != dir || strings.ContainsAny(dir, " \t\r\n\"'`\\$#") {
		return errors.New("a working directory is an absolute path")
	}
	return nil
}

// workdirOf returns the working directory that the image s builds on is known
// to have, or "".
func workdirOf(s *Stage) string {
	if s.Image == "scratch" {
		return "/"
	}
	r := parseReference(s.Image)
	name := r.official()
	if strings.Contains(r.tag, "onbuild") || strings.Contains(r.tag, "windows") {
		return ""
	}
	switch name {
	case "alpine", "debian", "ubuntu", "busybox", "fedora", "centos", "rockylinux", "almalinux", "amazonlinux", "oraclelinux",
		"node", "python", "ruby", "rust", "perl", "openjdk", "eclipse-temurin", "amazoncorretto", "nginx", "gcc", "buildpack-deps":
		return "/"
	case "golang":
		return "/go"
	case "httpd":
		return "/usr/local/apache2"
	case "tomcat":
		return "/usr/local/tomcat"
	case "php":
		return "/var/www/html"
	}
	return ""
}

var archiveCopiedThenExtracted = check(checks.Check{
	ID:       "archive-copied-then-extracted",
	Title:    "Archive copied, then unpacked",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3010"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		if s.windows {
			continue
		}
		for i, in := range s.Instructions {
			if in.Keyword != "COPY" || len(in.Flag("from")) > 0 {
				continue
			}
			for _, source := range in.sources() {
				if name := path.Base(source); isTar(name) {
					if run := f.unpacks(s.Instructions[i+1:], name); run != nil {
						finding := f.finding(in, s.label()+"/"+name, checks.Msg("%s is copied, and unpacked in line %d: ADD does both and leaves no archive behind", name, run.Line))
						finding.Evidence = append(finding.Evidence, f.lineEvidence(run, run.Line))
						report(finding)
					}
				}
			}
		}
	}
})

// isTar reports whether ADD unpacks a local file of this name.
func isTar(name string) bool {
	name = strings.ToLower(name)
	for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz", ".tar.zst"} {
		if strings.HasSuffix(name, ending) && len(name) > len(ending) {
			return true
		}
	}
	return false
}

// unpacks returns the first RUN of instructions that unpacks an archive called
// name with tar.
func (f *File) unpacks(instructions []*Instruction, name string) *Instruction {
	for _, in := range instructions {
		if in.Keyword != "RUN" || !f.mentions(in, "tar") {
			continue
		}
		for _, c := range f.script(in).commands {
			if p := c.program(); p != "tar" && p != "bsdtar" || !extracts(c) {
				continue
			}
			for _, w := range c.args() {
				text := strings.TrimPrefix(w.text, "--file=")
				if matched, err := path.Match(name, path.Base(text)); w.literal && (path.Base(text) == name || err == nil && matched) {
					return in
				}
			}
		}
	}
	return nil
}

// extracts reports whether c, a tar, unpacks.
func extracts(c *command) bool {
	for i, w := range c.args() {
		switch {
		case w.text == "--extract" || w.text == "--get":
			return true
		case strings.HasPrefix(w.text, "--"):
		case strings.HasPrefix(w.text, "-") || i == 0:
			if strings.Contains(w.text, "x") && !strings.Contains(w.text, "/") && !strings.Contains(w.text, ".") {
				return true
			}
		}
	}
	return false
}

var vexCopiedIntoImage = check(checks.Check{
	ID:       "vex-copied-into-image",
	Title:    "VEX document as a file of the image",
	Severity: checks.Info,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"tally prefer-vex-attestation"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || !f.Shipped(in.Stage) || !f.mentions(in, "vex", "VEX") {
			continue
		}
		for _, source := range in.sources() {
			if isVEX(path.Base(source)) {
				report(f.finding(in, source, checks.Msg("%s lies in the image unsigned, and what it says of vulnerabilities can never be updated there", source)))
			}
		}
	}
})

// isVEX reports whether a file of this name says which vulnerabilities matter.
func isVEX(name string) bool {
	name, ok := strings.CutSuffix(strings.ToLower(name), ".json")
	if !ok {
		return false
	}
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '.' || r == '-' || r == '_' }) {
		if part == "vex" || part == "openvex" {
			return true
		}
	}
	return false
}
