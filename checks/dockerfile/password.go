package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

var passwordSetInBuild = check(checks.Check{
	ID:       "password-set-in-build",
	Title:    "Password set in the build",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"checkov CKV2_DOCKER_17", "CWE-798", "CWE-259"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "passwd", "usermod", "useradd") {
			return
		}
		s := f.script(in)
		for _, c := range s.commands {
			message, ok := setsPassword(s, c)
			if !ok {
				continue
			}
			finding := f.findingAt(in, c.words[c.at].start, c.words[c.at].end, in.Stage.label()+"/"+c.program(), message)
			if !f.Shipped(in.Stage) {
				finding.Severity = checks.Low
			}
			// A useradd without the password would still be wanted, and is left to a person.
			if start, end, ok := s.extent(c); ok && c.program() != "useradd" {
				if edit, ok := f.takeOut(in, start, end, checks.Msg("an account without a password cannot be logged into with one")); ok {
					finding.Fixes = []checks.Fix{{
						ID: "no-password", Title: checks.Msg("set no password"),
						Caution: checks.Msg("nobody can log in with a password then: docker exec needs none"),
						Edit:    fixed(edit),
					}}
				}
			}
			report(finding)
		}
	})
})

// setsPassword reports whether c gives an account a password, or takes the
// need for one away.
func setsPassword(s *script, c *command) (checks.Message, bool) {
	args := c.args()
	switch c.program() {
	case "chpasswd":
		for _, a := range args {
			if a.text == "--help" || a.text == "-h" {
				return checks.Message{}, false
			}
		}
		return checks.Msg("chpasswd sets a password that everyone who has the image can read or guess"), true
	case "passwd":
		var user string
		for _, a := range args {
			switch a.text {
			case "-l", "--lock", "-S", "--status", "-e", "--expire", "--help", "-u", "--unlock", "-x", "-n", "-w", "-i":
				return checks.Message{}, false
			case "-d", "--delete":
				user = "-d"
			default:
				if user == "" && !strings.HasPrefix(a.text, "-") {
					user = a.text
				}
			}
		}
		if user == "-d" {
			return checks.Msg("passwd -d lets everyone in without a password"), true
		}
		return checks.Msg("passwd sets a password that everyone who has the image can read or guess"), s.fed(c)
	case "usermod", "useradd":
		for i, a := range args {
			value, ok := strings.CutPrefix(a.text, "--password=")
			short := !strings.HasPrefix(a.text, "--") && strings.HasPrefix(a.text, "-") && strings.HasSuffix(a.text, "p") && strings.Trim(a.text, "-mrMNUolp") == ""
			if !ok && (a.text == "--password" || short) && i+1 < len(args) {
				value, ok = args[i+1].text, true
			}
			if ok {
				return checks.Msg("%s -p sets a password that everyone who has the image can read or guess", c.program()), !locked(value)
			}
		}
	}
	return checks.Message{}, false
}

// locked reports whether the hash is none that any password has.
func locked(hash string) bool {
	return strings.HasPrefix(hash, "!") || strings.HasPrefix(hash, "*") || hash == "x" || hash == "NP"
}

// fed reports whether c reads from a pipe or a file.
func (s *script) fed(c *command) bool {
	for _, p := range s.pipes {
		for i, part := range p.parts {
			if part == c && i > 0 {
				return true
			}
		}
	}
	return c.stmt != nil && len(c.stmt.Redirs) > 0
}
