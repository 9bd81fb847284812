package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// managers are the package managers with an index that can be stale.
var managers = []string{"apt", "apk", "dnf", "zypper"}

// managerHints are the names of the programs of each.
var managerHints = map[string][]string{
	"apt": {"apt"}, "apk": {"apk"}, "dnf": {"dnf", "yum"}, "zypper": {"zypper"},
}

// A packageCall is one call of a package manager.
type packageCall struct {
	manager           string
	verb              shellWord
	packages          []shellWord
	exact             bool
	recommendsDecided bool // --no-install-recommends or its opposite
	elsewhere         bool // not about the system: apt has another root, index or state
}

// packageCallOf returns what c asks of a package manager, if it is one.
func packageCallOf(c *command) (packageCall, bool) {
	p := packageCall{exact: c.exact}
	valued := "" // short options with a value
	switch c.program() {
	case "apt-get", "apt", "aptitude":
		p.manager, valued = "apt", "octqa"
	case "apk":
		p.manager, valued = "apk", "pXt"
	case "yum", "dnf", "microdnf", "tdnf":
		p.manager, valued = "dnf", "cdexR"
	case "zypper":
		p.manager, valued = "zypper", "cDprt"
	default:
		return p, false
	}
	args := c.args()
	for i := 0; i < len(args); i++ {
		w := args[i]
		switch {
		case strings.HasPrefix(w.text, "-") && len(w.text) > 1:
			if strings.Contains(w.text, "install-recommends") || strings.Contains(w.text, "no-recommends") || strings.Contains(w.text, "Install-Recommends") {
				p.recommendsDecided = true
			}
			if strings.HasPrefix(w.text, "-oDir") || strings.HasPrefix(w.text, "--option=Dir") {
				p.elsewhere = p.manager == "apt"
			}
			last := w.text[len(w.text)-1]
			long := strings.HasPrefix(w.text, "--")
			// -q of apt takes a value only attached to it, all others a word.
			if !long && last != 'q' && strings.IndexByte(valued, last) >= 0 || w.text == "--option" || w.text == "--target-release" || w.text == "--repository" || w.text == "--virtual" {
				i++
				if i < len(args) && strings.Contains(args[i].text, "Install-Recommends") {
					p.recommendsDecided = true
				}
				if i < len(args) && strings.HasPrefix(args[i].text, "Dir") && p.manager == "apt" {
					p.elsewhere = true
				}
			}
		case p.verb.text == "" && w.literal:
			p.verb = w
		case p.verb.text == "":
			// A variable before the verb holds options.
		default:
			p.packages = append(p.packages, w)
		}
	}
	return p, p.verb.text != ""
}

func (p packageCall) installs() bool {
	switch p.verb.text {
	case "install", "add", "in", "groupinstall", "localinstall":
		return len(p.packages) > 0
	}
	return false
}

// refreshes reports whether p does nothing but fetch the index.
func (p packageCall) refreshes() bool {
	switch p.manager {
	case "apt", "apk":
		return p.verb.text == "update" && !p.elsewhere
	case "dnf":
		return p.verb.text == "makecache" || p.verb.text == "check-update" || p.verb.text == "update" && len(p.packages) == 0
	case "zypper":
		return p.verb.text == "refresh" || p.verb.text == "ref"
	}
	return false
}

// first names the package that stands for the call.
func (p packageCall) first() string {
	if len(p.packages) == 0 {
		return p.verb.text
	}
	return p.packages[0].text
}

// An index says what a RUN does to the index of one package manager.
type index struct {
	update   *command // the first refresh
	installs bool     // something is installed after it, or by itself
	pure     bool     // there is nothing in the step but refreshes
}

// indexOf returns what in does to the indexes, by manager.
func (f *File) indexOf(in *Instruction) map[string]index {
	s := f.script(in)
	s.indexing.Do(func() { s.indexes = indexesOf(s) })
	return s.indexes
}

func indexesOf(s *script) map[string]index {
	out := map[string]index{}
	others := false
	for _, c := range s.commands {
		p, ok := packageCallOf(c)
		if !ok {
			switch c.program() {
			case "set", "export", "true", ":", "echo", "apt-key":
			default:
				others = true
			}
			continue
		}
		x := out[p.manager]
		switch {
		case p.refreshes():
			if x.update == nil {
				x.update = c
			}
		case p.installs():
			x.installs = true
			others = true
		case p.verb.text == "clean" || p.verb.text == "autoclean":
		default:
			others = true
		}
		out[p.manager] = x
	}
	for m, x := range out {
		x.pure = !others
		out[m] = x
	}
	return out
}

// dependants returns the later steps of in's stage, and of stages built on it,
// that install with manager from an index that they did not fetch themselves.
func (f *File) dependants(in *Instruction, manager string) []*Instruction {
	var out []*Instruction
	if !f.ordinary() {
		return nil
	}
	for _, other := range f.Instructions {
		if other.Keyword != "RUN" || other.Line <= in.Line || other.Stage == nil || !f.mentions(other, managerHints[manager]...) {
			continue
		}
		for _, s := range other.Stage.Chain() {
			if s != in.Stage {
				continue
			}
			if x := f.indexOf(other)[manager]; x.installs && x.update == nil && !f.ownIndex(other, manager) {
				out = append(out, other)
			}
		}
	}
	return out
}

// ownIndex reports whether the installs of in fetch the index by an option.
func (f *File) ownIndex(in *Instruction, manager string) bool {
	if manager != "apk" {
		return false
	}
	for _, c := range f.script(in).commands {
		if p, ok := packageCallOf(c); !ok || p.manager != manager || !p.installs() {
			continue
		}
		fresh := false
		for _, a := range c.args() {
			if a.text == "--no-cache" || a.text == "--update-cache" || a.text == "--update" || strings.HasPrefix(a.text, "-") && !strings.HasPrefix(a.text, "--") && strings.Contains(a.text, "U") {
				fresh = true
			}
		}
		if !fresh {
			return false
		}
	}
	return true
}

func (f *File) eachRun(visit func(*Instruction)) {
	for _, in := range f.Instructions {
		if in.Keyword == "RUN" && in.Stage != nil {
			visit(in)
		}
	}
}

// prependEdit puts a command before everything else that in runs.
func (f *File) prependEdit(in *Instruction, command string, reason checks.Message) (checks.Edit, bool) {
	if in.IsExec || in.open || in.Args.String == "" {
		return checks.Edit{}, false
	}
	if len(in.Heredocs) > 0 {
		h := in.Heredocs[0]
		if !isHeredocOnly(in) || strings.HasPrefix(string(f.Source[h.Start:h.End]), "#!") {
			return checks.Edit{}, false
		}
		return checks.Edit{Start: h.Start, End: h.Start, New: command + f.eol(), Reason: reason}, true
	}
	at := in.Args.Offset(0)
	return checks.Edit{Start: at, End: at, New: command + " && ", Reason: reason}, true
}

// appendEdit puts a command after everything else that in runs, if that is a
// list of commands that succeeds.
func (f *File) appendEdit(in *Instruction, command string, reason checks.Message) (checks.Edit, bool) {
	s := f.script(in)
	if s.tail < 0 || in.open {
		return checks.Edit{}, false
	}
	edit := checks.Edit{Start: s.tail, End: s.tail, Reason: reason}
	switch indent, rest := f.continuation(in, s.tail); {
	case s.lines:
		edit.New = command + f.eol()
	case indent != "" && rest:
		edit.New = " " + string(f.Escape) + f.eol() + indent + "&& " + command
	default:
		edit.New = " && " + command
	}
	return edit, true
}

// continuation returns the indentation of the line of in that holds the byte
// before at, "" for the first line, and whether nothing follows on that line.
func (f *File) continuation(in *Instruction, at int) (indent string, last bool) {
	start := at
	for start > in.Start && f.Source[start-1] != '\n' {
		start--
	}
	end := at
	for end < len(f.Source) && (f.Source[end] == ' ' || f.Source[end] == '\t' || f.Source[end] == '\r') {
		end++
	}
	last = end == len(f.Source) || f.Source[end] == '\n'
	if start == in.Start {
		return "", last
	}
	line := string(f.Source[start:at])
	for l := range strings.Lines(string(f.Source[in.Start:at])) {
		if trimmed := strings.TrimLeft(l, " \t"); strings.HasPrefix(trimmed, "&&") && trimmed != l {
			line = l // as the other commands of the list are
		}
	}
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))], last
}
