package dockerfile

import (
	"slices"
	"strconv"
	"strings"

	"plimsoll/checks"
)

// offerUser adds the fix to a finding that s runs as root, unless a user would
// not make it better.
func (f *File) offerUser(finding *checks.Finding, s *Stage, u user) {
	if severity, why := f.leavesRoot(s); severity != 0 {
		finding.Severity = severity
		finding.Evidence = append(finding.Evidence, why)
		return
	}
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword == "ONBUILD" {
				finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "ONBUILD", Detail: "images built on this one would run their steps as that user"})
				return
			}
		}
	}
	name, why := f.suggestUser(s)
	name, pin, same := f.numbered(s, name)
	if !same {
		why = checks.Msg("a number works in every image, and orchestrators can check it")
	}
	edit, ok := f.userEdit(s, u)
	if !ok {
		return
	}
	finding.Fixes = []checks.Fix{{
		ID: "nonroot-user", Title: checks.Msg("run as a user without privileges"),
		Caution: checks.Msg("files that the program writes must belong to that user: start the new image and try it"),
		Choices: []checks.Choice{{
			Key: "user", Label: checks.Msg("user to run as"), Why: why, Default: name, Valid: validUser,
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validUser(v["user"]); err != nil {
				return nil, err
			}
			edits := []checks.Edit{edit(v["user"])}
			if v["user"] == name {
				edits = append(edits, pin...)
			}
			return edits, nil
		},
	}}
}

// userEdit returns how a user gets into s: in place of the last one when
// nothing is built after it, else below everything that is built.
func (f *File) userEdit(s *Stage, u user) (func(name string) checks.Edit, bool) {
	reason := checks.Msg("what runs in the container no longer is root")
	if u.in != nil && u.in.Stage == s && !buildsAfter(s, u.in) && u.in.Args.String != "" {
		start, end := u.in.Args.Range(0, len(u.in.Args.String))
		return func(name string) checks.Edit {
			return checks.Edit{Start: start, End: end, New: name, Reason: reason}
		}, true
	}
	if _, ok := f.insertAfter(s.tail(), "", reason); !ok {
		return nil, false
	}
	return func(name string) checks.Edit {
		edit, _ := f.insertAfter(s.tail(), "USER "+name, reason)
		return edit
	}, true
}

// buildsAfter reports whether an instruction of s after in may need its user.
func buildsAfter(s *Stage, in *Instruction) bool {
	for _, other := range s.Instructions[slices.Index(s.Instructions, in)+1:] {
		switch other.Keyword {
		case "RUN", "COPY", "ADD", "WORKDIR", "USER", "VOLUME", "ONBUILD":
			return true
		}
	}
	return false
}

// unprivileged is a uid that no distribution gives to anybody, and that needs
// no entry in /etc/passwd.
const unprivileged = "10001:10001"

// suggestUser returns the user that fits s best, and why.
func (f *File) suggestUser(s *Stage) (name string, why checks.Message) {
	for _, stage := range s.Chain() {
		for i := len(stage.Instructions) - 1; i >= 0; i-- {
			if in := stage.Instructions[i]; in.Keyword == "USER" {
				if u := f.resolveUser(in); u.known && !u.isRoot() && validUser(u.name) == nil {
					return u.name, checks.Msg("the file uses this user already")
				}
			}
		}
	}
	if name := f.createdUser(s); name != "" {
		return name, checks.Msg("the file creates this user")
	}
	if b, ok := f.base(s); ok && b.Passwd != nil {
		for _, ready := range []string{"node", "nonroot", "app", "bun", "deno"} {
			if uid := uidOf(b.Passwd, ready); uid != "" && uid != "0" {
				return uid + ":" + uid, checks.Msg("the base image has the user %s for this", ready)
			}
		}
	}
	r := parseReference(s.Root().Image)
	switch {
	case r.official() == "node":
		return "1000:1000", checks.Msg("the base image has the user %s for this", "node")
	case strings.HasPrefix(r.name, "gcr.io/distroless/"):
		return "65532:65532", checks.Msg("the base image has the user %s for this", "nonroot")
	}
	return unprivileged, checks.Msg("a number works in every image, and orchestrators can check it")
}

// createdUser returns a user that a RUN of s creates, by number if that is
// written down, else by name.
func (f *File) createdUser(s *Stage) string {
	for _, stage := range s.Chain() {
		for i := len(stage.Instructions) - 1; i >= 0; i-- {
			in := stage.Instructions[i]
			if in.Keyword != "RUN" || !f.mentions(in, "useradd", "adduser") {
				continue
			}
			for _, c := range f.script(in).commands {
				if c.program() != "useradd" && c.program() != "adduser" {
					continue
				}
				if name := createdBy(c); validUser(name) == nil {
					return name
				}
			}
		}
	}
	return ""
}

// createdBy returns the user that c creates, as far as it can be told.
func createdBy(c *command) string {
	a, operands, _ := readAccount(c)
	switch n, err := strconv.Atoi(a.uid); {
	case err == nil && n == 0:
		return "" // root by another name
	case err == nil:
		return a.uid
	case len(operands) > 0:
		return operands[0]
	}
	return ""
}

func validUser(name string) error {
	if name == "" || strings.ContainsAny(name, " \t\r\n\"'`\\$#") || strings.HasPrefix(name, "-") {
		return &checks.Problem{What: checks.Msg("a user is a name or a number, with :group if needed")}
	}
	u := user{name: name, known: true}
	if u.isRoot() {
		return &checks.Problem{What: checks.Msg("this is root")}
	}
	return nil
}

// hasWord reports whether word stands in text by itself.
func hasWord(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(word)
		if (start == 0 || !isLetterOrDigit(text[start-1])) && (end == len(text) || !isLetterOrDigit(text[end])) {
			return true
		}
		at = end
	}
}
