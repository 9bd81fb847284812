package dockerfile

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"plimsoll/checks"
)

var remoteScriptPiped = check(checks.Check{
	ID:       "remote-script-piped-to-shell",
	Title:    "Download piped into a shell",
	Severity: checks.High,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.11 (v1.6.0)", "OWASP Docker rule 9", "CWE-494"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "curl", "wget") {
			return
		}
		s := f.script(in)
		for _, p := range s.pipes {
			d, ok := downloadIn(p)
			if !ok {
				continue
			}
			start := p.start
			if !d.get.exact {
				start = -1
			}
			finding := f.findingAt(in, start, p.end, in.Stage.label()+"/"+d.address(),
				checks.Msg("%s is executed by %s as it arrives: nobody can know what ran", d.address(), d.shell.program()))
			finding.Fixes = f.verifyFix(in, p, d)
			report(finding)
		}
		for _, c := range s.commands {
			if fetched := substituted(c); fetched != "" {
				report(f.findingAt(in, c.words[0].start, c.words[0].end, in.Stage.label()+"/"+fetched,
					checks.Msg("%s executes what %s downloads: nobody can know what ran", c.program(), fetched)))
			}
		}
	})
})

// A download is a pipe in which a shell executes what is fetched.
type download struct {
	get   *command
	shell *command
	url   *shellWord // nil when there is not exactly one that can be read
	last  bool       // the two are neighbours and nothing else is in the pipe
}

func downloadIn(p *pipe) (download, bool) {
	var d download
	for i, c := range p.parts {
		if c == nil {
			continue
		}
		switch name := c.program(); {
		case name == "curl" || name == "wget":
			d.get, d.last = c, len(p.parts) == 2 && i == 0
		case d.get != nil && interprets(c):
			d.shell = c
			d.url = onlyURL(d.get)
			return d, true
		}
	}
	return d, false
}

// interprets reports whether c executes its standard input.
func interprets(c *command) bool {
	name := c.program()
	if !isShell(name) && name != "python" && name != "python3" && name != "perl" && name != "ruby" && name != "node" && name != "php" {
		return false
	}
	for _, a := range c.args() {
		switch {
		case a.text == "-s" || a.text == "-" || a.text == "/dev/stdin" || a.text == "--":
			return true
		case a.text == "-c" || a.text == "-e" || a.text == "-m" || a.text == "-r" || a.text == "-n" || a.text == "-p" || a.text == "-ne" || a.text == "-pe":
			return false
		case strings.HasPrefix(a.text, "-") && isShell(name):
			if !strings.HasPrefix(a.text, "--") && strings.Contains(a.text, "c") {
				return false
			}
			if !strings.HasPrefix(a.text, "--") && strings.Contains(a.text, "s") {
				return true
			}
		case strings.HasPrefix(a.text, "-"):
		default:
			return false // a script of its own
		}
	}
	return true
}

// substituted returns the tool whose output c executes: sh -c "$(curl …)",
// bash <(curl …), eval "$(wget …)".
func substituted(c *command) string {
	name := c.program()
	if !isShell(name) && name != "eval" && name != "source" && name != "." {
		return ""
	}
	for _, a := range c.args() {
		if a.literal {
			continue
		}
		text := strings.TrimLeft(a.text, `"`)
		for _, opening := range []string{"$(", "<(", "`"} {
			rest, ok := strings.CutPrefix(text, opening)
			if !ok {
				continue
			}
			for _, tool := range []string{"curl", "wget"} {
				if strings.HasPrefix(strings.TrimSpace(rest), tool+" ") {
					return tool
				}
			}
		}
	}
	return ""
}

func onlyURL(c *command) *shellWord {
	var found *shellWord
	args := c.args()
	for i := range args {
		w := args[i]
		if strings.Contains(w.text, "://") && !strings.HasPrefix(w.text, "-") {
			if found != nil {
				return nil
			}
			found = &args[i]
		}
	}
	return found
}

// address names what is downloaded, without what may be secret in a URL.
func (d download) address() string {
	if d.url == nil {
		return d.get.program()
	}
	text := strings.Trim(d.url.text, `"'`)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		text, _, _ = strings.Cut(text, "?")
		if _, host, ok := strings.Cut(text, "@"); ok {
			return host
		}
		return text
	}
	return u.Host + u.Path
}

// verifyFix saves the download, compares its checksum, and runs it then.
func (f *File) verifyFix(in *Instruction, p *pipe, d download) []checks.Fix {
	if !p.list || !d.last || d.url == nil || !d.get.exact || !d.shell.exact || in.IsExec || len(in.Heredocs) > 0 {
		return nil
	}
	if len(d.get.stmt.Redirs)+len(d.shell.stmt.Redirs) > 0 || strings.Contains(string(f.Source[p.start:p.end]), "|&") {
		return nil
	}
	file := "/tmp/" + scriptName(d.address())
	output, ok := outputEdits(d.get, file)
	if !ok {
		return nil
	}
	run, ok := f.runOf(d, file)
	if !ok {
		return nil
	}
	name := f.freeArg(in, strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(scriptName(d.address())))+"_SHA256")
	key := "sha256-" + strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(name, "_SHA256"), "_", "-"))
	getEnd := d.get.words[len(d.get.words)-1].end
	return []checks.Fix{{
		ID: "verify-checksum", Title: checks.Msg("download first, verify the checksum, then run"),
		Caution: checks.Msg("without a checksum here the build stops until it is given: --build-arg %s=…", name),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("SHA-256 of %s", d.address()), Default: "", Valid: validChecksum,
			Why: checks.Msg("read the script, then take its sha256sum; empty leaves it to the build argument"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			sum := strings.ToLower(v[key])
			if err := validChecksum(sum); err != nil {
				return nil, err
			}
			declaration := "ARG " + name
			if sum != "" {
				declaration += "=" + sum
			}
			reason := checks.Msg("what was not verified is not executed")
			edits := []checks.Edit{f.insertBefore(in, declaration, checks.Msg("the checksum of the script that was read"))}
			for _, e := range output {
				e.Reason = reason
				edits = append(edits, e)
			}
			return append(edits, checks.Edit{
				Start: getEnd, End: p.end,
				New:    fmt.Sprintf(` && echo "${%s}  %s" | sha256sum -c - && %s && rm -f %s`, name, file, run, file),
				Reason: reason,
			}), nil
		},
	}}
}

func validChecksum(sum string) error {
	if sum == "" {
		return nil
	}
	if len(sum) != 64 || strings.Trim(strings.ToLower(sum), "0123456789abcdef") != "" {
		return &checks.Problem{What: checks.Msg("a SHA-256 is 64 hexadecimal digits")}
	}
	return nil
}

// scriptName returns a plain file name for what is at address.
func scriptName(address string) string {
	name := path.Base(address)
	plain := strings.Map(func(r rune) rune {
		if r < 0x80 && (isLetterOrDigit(byte(r)) || r == '.' || r == '-' || r == '_') {
			return r
		}
		return -1
	}, name)
	plain = strings.TrimLeft(plain, "-._0123456789")
	if plain == "" || strings.Contains(name, "$") {
		return "install.sh"
	}
	return plain
}

// freeArg returns name, or name with a number if the stage of in has it.
func (f *File) freeArg(in *Instruction, name string) string {
	taken := func(name string) bool {
		for _, other := range in.Stage.Instructions {
			if (other.Keyword == "ARG" || other.Keyword == "ENV") && f.declares(other, name) {
				return true
			}
		}
		return false
	}
	free := name
	for n := 2; taken(free); n++ {
		free = strings.TrimSuffix(name, "_SHA256") + fmt.Sprintf("_%d_SHA256", n)
	}
	return free
}

// outputEdits makes a download go to file. The edits of what is inserted at
// the end of the command are left to the caller's replacement, so the option
// goes right after the program.
func outputEdits(c *command, file string) ([]checks.Edit, bool) {
	program := c.words[c.at]
	option := " -o " + file
	if c.program() == "wget" {
		option = " -O " + file
	}
	var edits []checks.Edit
	args := c.args()
	for i := 0; i < len(args); i++ {
		w := args[i]
		if !strings.HasPrefix(w.text, "-") || w.text == "-" {
			continue
		}
		if c.program() == "curl" {
			if w.text == "-o" || w.text == "--output" || strings.HasPrefix(w.text, "--output=") || w.text == "--remote-name" || isShort(w.text) && strings.ContainsAny(w.text, "oO") {
				return nil, false
			}
			continue
		}
		switch {
		case w.text == "--output-document=-":
			edits = append(edits, checks.Edit{Start: w.start, End: w.end, New: "-O " + file})
		case w.text == "-O" || w.text == "--output-document":
			if i+1 >= len(args) || args[i+1].text != "-" {
				return nil, false
			}
			edits = append(edits, checks.Edit{Start: w.start, End: args[i+1].end, New: "-O " + file})
		case isShort(w.text) && strings.HasSuffix(w.text, "O-"):
			edits = append(edits, checks.Edit{Start: w.start, End: w.end, New: strings.TrimSuffix(w.text, "O-") + "O " + file})
		case isShort(w.text) && strings.HasSuffix(w.text, "O"):
			if i+1 >= len(args) || args[i+1].text != "-" {
				return nil, false
			}
			edits = append(edits, checks.Edit{Start: args[i+1].start, End: args[i+1].end, New: file})
		case isShort(w.text) && strings.Contains(w.text, "O"):
			return nil, false
		}
	}
	switch {
	case len(edits) > 1 || c.program() == "wget" && len(edits) == 0:
		return nil, false // wget without -O - writes to a file of its own
	case len(edits) == 0:
		edits = []checks.Edit{{Start: program.end, End: program.end, New: option}}
	}
	return edits, true
}

func isShort(w string) bool { return !strings.HasPrefix(w, "--") }

// runOf returns the command of the shell in d with file in place of its
// standard input: "bash -s -- x" becomes "bash FILE x".
func (f *File) runOf(d download, file string) (string, bool) {
	c := d.shell
	var b strings.Builder
	// Assignments and wrappers before the program stay as they are.
	stmtStart, _ := c.text.Range(int(c.stmt.Pos().Offset()), int(c.stmt.Pos().Offset()))
	programEnd := c.words[c.at].end
	lead := string(f.Source[stmtStart:programEnd])
	if strings.ContainsAny(lead, "\n\r") {
		return "", false
	}
	b.WriteString(lead)
	args := c.args()
	i := 0
	for ; i < len(args); i++ {
		w := args[i].text
		if w == "-" || w == "/dev/stdin" || w == "-s" {
			continue
		}
		if w == "--" {
			i++
			break
		}
		if isShell(c.program()) && strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") {
			if rest := strings.ReplaceAll(w[1:], "s", ""); rest != "" {
				b.WriteString(" -" + rest)
			}
			continue
		}
		break
	}
	b.WriteString(" " + file)
	for ; i < len(args); i++ {
		b.WriteString(" " + string(f.Source[args[i].start:args[i].end]))
	}
	out := b.String()
	return out, !strings.ContainsAny(out, "\n\r")
}
