package dockerfile

import (
	"bytes"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var credentialInURL = check(checks.Check{
	ID:       "credential-in-url",
	Title:    "Credentials in a URL",
	Severity: checks.Critical,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-522", "CWE-798"},
}, func(f *File, report func(checks.Finding)) {
	if !bytes.Contains(f.Source, []byte("://")) || !bytes.ContainsRune(f.Source, '@') {
		return
	}
	f.eachLiteral(func(l literal) {
		if l.inURL() {
			report(f.literalFinding(l, checks.Msg("line %d holds a password in a URL (%s): change it where it was issued, it is in the history of the file", l.line, l.match.Rule)))
		}
	})
	f.eachRun(func(in *Instruction) {
		if in.mountsKind("secret") {
			return // whose value is not written down anywhere
		}
		for _, u := range userinfos(string(f.Source[in.Start:in.End])) {
			for _, name := range variableNames(u.text) {
				if !secret.SensitiveName(name) {
					continue
				}
				start := in.Start + u.start
				finding := f.findingAt(in, start, start+len(u.text), in.Stage.label()+"/"+name, checks.Msg("%s is put into a URL: it is in the history of the image, and in whatever the tool writes down", "$"+name))
				finding.Severity = checks.High
				if c := f.commandAt(in, start); c != nil && forgetsURLs(c.program()) {
					finding.Fixes = f.hideFix(name)
				}
				report(finding)
				break
			}
		}
	})
})

// A userinfo is what stands before the @ of a URL.
type userinfo struct {
	start int
	text  string
}

func userinfos(text string) []userinfo {
	var out []userinfo
	for at := 0; ; {
		i := strings.Index(text[at:], "://")
		if i < 0 {
			return out
		}
		start := at + i + len("://")
		at = start
		end := start + strings.IndexAny(text[start:]+" ", " \t\r\n/\"'<>|;&()")
		if i := strings.LastIndexByte(text[start:end], '@'); i > 0 {
			out = append(out, userinfo{start, text[start : start+i]})
		}
	}
}

// userinfo returns where the user and the password of the URL begin that byte
// at of the source is one of.
func (f *File) userinfo(at int) (start int, ok bool) {
	line := bytes.LastIndexByte(f.Source[:at], '\n') + 1
	rest, _, _ := bytes.Cut(f.Source[line:], []byte("\n"))
	for _, u := range userinfos(string(rest)) {
		if from := line + u.start; from <= at && at < from+len(u.text) {
			return from, true
		}
	}
	return 0, false
}

// commandAt returns the command of in that has a word around byte at of the
// source.
func (f *File) commandAt(in *Instruction, at int) *command {
	for _, c := range f.script(in).commands {
		for _, w := range c.words {
			if w.start >= 0 && w.start <= at && at < w.end {
				return c
			}
		}
	}
	return nil
}

// forgetsURLs reports whether program leaves the addresses it fetches from
// nowhere in the image.
func forgetsURLs(program string) bool {
	switch toolName(program) {
	case "curl", "wget", "pip", "uv", "twine":
		return true
	}
	return false
}

// gitHelper takes user and password out of the address that git gets, which
// git would keep in .git/config, and lets it ask for them.
func (f *File) gitHelper(c *command, m secret.Match, start int, id string) ([]checks.Edit, bool) {
	if !c.exact || c.nested {
		return nil, false
	}
	end := bytes.IndexByte(f.Source[m.End:], '@')
	if end < 0 {
		return nil, false
	}
	end += m.End + 1
	host, _, _ := strings.Cut(string(f.Source[end:min(len(f.Source), end+100)]), "/")
	user := strings.TrimSuffix(string(f.Source[start:m.Start]), ":")
	if user == "" { // the token stands in place of the user
		switch host {
		case "github.com":
			user = "x-access-token"
		case "gitlab.com":
			user = "oauth2"
		default:
			return nil, false
		}
	}
	if strings.Trim(user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		return nil, false
	}
	word := c.words[c.at]
	helper := ` -c credential.helper='!f() { echo username=` + user + `; echo "password=$(cat /run/secrets/` + id + `)"; }; f'`
	return []checks.Edit{
		{Start: word.end, End: word.end, New: helper, Reason: checks.Msg("git asks for the password and does not write it down")},
		{
			Start: start, End: end, Reason: checks.Msg("git keeps the address, with all that stands in it"),
			Moved: []checks.MovedSecret{{ID: id, Value: checks.Sensitive(f.Source[m.Start:m.End])}},
		},
	}, true
}
