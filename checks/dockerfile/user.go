package dockerfile

import (
	"fmt"
	"strconv"
	"strings"

	"plimsoll/checks"
)

var finalUserRoot = check(checks.Check{
	ID:       "final-user-root",
	Title:    "Image ends as root",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.1 (v1.6.0)", "dockle CIS-DI-0001", "hadolint DL3002", "trivy DS-0002", "checkov CKV_DOCKER_8", "OWASP Docker rule 2", "CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	u := f.userOf(s)
	if u.in == nil || !u.isRoot() {
		return
	}
	message := checks.Msg("the last USER is %s, so every process of the container starts as root", u.written())
	finding := f.finding(u.in, "", message)
	switch {
	case u.unset != "":
		finding.Message = checks.Msg("USER %s is empty, which means root, unless the build sets %s", u.written(), u.unset)
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "ARG " + u.unset, Detail: "has no default"})
		finding.Severity = checks.Medium
	case u.written() != u.name:
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "USER " + u.written(), Detail: fmt.Sprintf("is %q in this stage", u.name)})
	case u.alias():
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "image " + s.Root().Image, Detail: "/etc/passwd gives " + u.name + " the uid 0"})
	}
	f.offerUser(&finding, s, u)
	f.offerAccount(&finding, s, u)
	report(finding)
})

var userMissing = check(checks.Check{
	ID:       "user-missing",
	Title:    "No user set, so root",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.1 (v1.6.0)", "dockle CIS-DI-0001", "trivy DS-0002", "checkov CKV_DOCKER_3", "OWASP Docker rule 2", "CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows || s.exports() || s.Root().Base.Text == "" {
		return
	}
	u := f.userOf(s)
	if u.in != nil || u.known && !u.isRoot() {
		return
	}
	image := s.Root().Image
	finding := f.finding(s.From, "", checks.Msg("the final stage never leaves root: it has no USER"))
	evidence := checks.Evidence{Source: "image " + image}
	switch {
	case !u.known && nonRootByName(parseReference(image)):
		return
	case !u.known:
		if !s.Root().Certain {
			// Nobody can tell what the build will be given.
			image = s.Root().Base.Text
			evidence.Source = "image " + image
			finding.Severity = checks.Medium
		}
		finding.Message = checks.Msg("the final stage has no USER, so it runs as root unless %s sets another user", image)
		evidence.Detail = "not on this engine, so its user is not known"
	case image == "scratch":
		evidence.Detail = "has no user but root"
	case u.name == "":
		evidence.Detail = "image config sets no user"
	default:
		evidence.Detail = "image config sets the user " + u.name
	}
	finding.Evidence = append(finding.Evidence, evidence)
	switch {
	case image == "scratch" && f.started(s) == "" && lastOf(s, "EXPOSE") == nil:
		finding.Severity = checks.Low
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "start-up", Detail: "there is no command: the image holds files"})
	case strings.HasSuffix(f.started(s), ".wasm"):
		finding.Severity = checks.Low
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "start-up", Detail: "WebAssembly runs in the sandbox of its runtime, whoever its user is"})
	case f.shellOnly(s):
		finding.Severity = checks.Medium
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "start-up", Detail: "nothing but the shell of the base image: what runs is decided by who starts the container or builds on the image"})
	}
	f.offerUser(&finding, s, u)
	f.offerAccount(&finding, s, u)
	report(finding)
})

// exports reports whether s is there to hand out files, as docker build
// --output does: nothing could run in it.
func (s *Stage) exports() bool {
	copies := false
	for _, t := range s.Chain() {
		for _, in := range t.Instructions {
			switch in.Keyword {
			case "CMD", "ENTRYPOINT", "RUN", "EXPOSE":
				return false
			case "COPY":
				copies = copies || len(in.Flag("from")) > 0
			}
		}
	}
	return copies && s.Root().Image == "scratch"
}

// A user is who runs what comes after a USER, or after a FROM.
type user struct {
	name   string       // variables filled in
	in     *Instruction // the USER; nil when it comes from the base image
	known  bool
	unset  string // the ARG without default that makes name empty
	passwd []byte
}

// userOf returns the user that s ends with.
func (f *File) userOf(s *Stage) user {
	last := s.From
	if n := len(s.Instructions); n > 0 {
		last = s.Instructions[n-1]
	}
	if last.Keyword == "USER" {
		return f.resolveUser(last)
	}
	return f.userAt(last)
}

// userAt returns the user that executes in.
func (f *File) userAt(in *Instruction) user {
	if in.user != nil {
		return f.resolveUser(in.user)
	}
	return f.baseUser(in.Stage)
}

func (f *File) baseUser(s *Stage) user {
	b, ok := f.base(s)
	return user{name: b.User, known: ok, passwd: b.Passwd}
}

func (f *File) resolveUser(in *Instruction) user {
	b, known := f.base(in.Stage)
	u := user{name: in.Args.String, in: in, known: true, passwd: b.Passwd}
	if !strings.ContainsAny(u.name, "$\"'\\") {
		return u
	}
	v := f.variablesAt(in)
	u.name, u.known = f.expand(u.name, v)
	if u.known || !strings.Contains(in.Args.String, "$") {
		u.known = true
		return u
	}
	// A variable without value is empty in the build, and so is the user: but
	// only if the base image does not set it, and nobody gives it.
	name := variableName(in.Args.String)
	switch {
	case u.name != "":
		u.known = true // a default within the word: ${U:-root}
	case f.declaredAbove(in, name):
		u.unset, u.known = name, true
	case f.declaredGlobally(name):
		u.known = true
	default:
		u.known = known
	}
	return u
}

// variableName returns the name of the first variable in word.
func variableName(word string) string {
	_, rest, _ := strings.Cut(word, "$")
	rest = strings.TrimPrefix(rest, "{")
	end := 0
	for end < len(rest) && (rest[end] == '_' || isLetterOrDigit(rest[end])) {
		end++
	}
	return rest[:end]
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// declaredAbove reports whether an ARG of the chain declares name before in.
func (f *File) declaredAbove(in *Instruction, name string) bool {
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Keyword == "ARG" && other.Line < in.Line && f.declares(other, name) {
				return true
			}
		}
	}
	return false
}

func (f *File) declaredGlobally(name string) bool {
	for _, in := range f.Instructions {
		if in.Stage == nil && in.Keyword == "ARG" && f.declares(in, name) {
			return true
		}
	}
	return false
}

func (f *File) declares(in *Instruction, name string) bool {
	for _, p := range f.Pairs(in) {
		if p.Name == name {
			return true
		}
	}
	return false
}

// written returns the user as it stands in the file.
func (u user) written() string {
	if u.in == nil {
		return u.name
	}
	return u.in.Args.String
}

// isRoot reports whether u is known to be uid 0.
func (u user) isRoot() bool {
	if !u.known {
		return false
	}
	name, _, _ := strings.Cut(u.name, ":")
	if name == "" || name == "root" {
		return true
	}
	if uid, err := strconv.Atoi(name); err == nil {
		return uid == 0
	}
	return uidOf(u.passwd, name) == "0"
}

// alias reports whether u is root by another name.
func (u user) alias() bool { return uidOf(u.passwd, u.name) == "0" && u.name != "root" }

// uidOf returns the uid of name in the text of an /etc/passwd, "" when unknown.
func uidOf(passwd []byte, name string) string {
	for line := range strings.Lines(string(passwd)) {
		if fields := strings.SplitN(line, ":", 5); len(fields) > 3 && fields[0] == name {
			return fields[2]
		}
	}
	return ""
}
