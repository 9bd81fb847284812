package dockerfile

import (
	"strconv"
	"strings"

	"plimsoll/checks"
)

var useraddHugeSparseLog = check(checks.Check{
	ID:       "useradd-huge-sparse-log",
	Title:    "useradd with a high number and without -l",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3046"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "useradd") {
			return
		}
		for _, c := range f.script(in).commands {
			if c.program() != "useradd" || skipsLog(c) {
				continue
			}
			uid := uidGiven(c)
			if len(uid) < 6 {
				continue
			}
			word := c.words[c.at]
			finding := f.findingAt(in, word.start, word.end, in.Stage.label()+"/"+uid, checks.Msg("useradd makes a log of %s entries for the user %s: a file of many megabytes in the layer", uid, uid))
			if c.exact {
				finding.Fixes = []checks.Fix{{
					ID: "no-log-init", Title: checks.Msg("add -l"), Safe: true,
					Edit: fixed(checks.Edit{Start: word.end, End: word.end, New: " -l", Reason: checks.Msg("no entries in the logs of logins, which no container has")}),
				}}
			}
			report(finding)
		}
	})
})

func skipsLog(c *command) bool {
	for _, a := range c.args() {
		if a.text == "--no-log-init" {
			return true
		}
		if !strings.HasPrefix(a.text, "-") || strings.HasPrefix(a.text, "--") {
			continue
		}
		for _, letter := range a.text[1:] {
			if letter == 'l' {
				return true
			}
			if strings.ContainsRune("bcdefgGkKpRPsuZ", letter) {
				break // the rest is its value
			}
		}
	}
	return false
}

// uidGiven returns the number that a useradd asks for.
func uidGiven(c *command) string {
	args := c.args()
	for i, a := range args {
		value, ok := strings.CutPrefix(a.text, "--uid=")
		if !ok && (a.text == "--uid" || strings.HasPrefix(a.text, "-") && !strings.HasPrefix(a.text, "--") && strings.HasSuffix(a.text, "u")) && i+1 < len(args) {
			value, ok = args[i+1].text, true
		}
		if !ok {
			value, ok = strings.CutPrefix(a.text, "-u")
		}
		if _, err := strconv.ParseUint(value, 10, 32); ok && err == nil {
			return strings.TrimLeft(value, "0")
		}
	}
	return ""
}
