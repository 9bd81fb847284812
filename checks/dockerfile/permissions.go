package dockerfile

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"plimsoll/checks"
)

// A modeUse is a place where a mode is given to files.
type modeUse struct {
	in         *Instruction
	tool       string // "chmod", "install", "mkdir", "COPY"
	mode       string
	targets    []string
	start, end int // of the mode alone; -1 when unknown
	command    *command
	recursive  bool
	files      []shellWord // targets of chmod
}

// eachMode calls visit for every mode in the file.
func (f *File) eachMode(visit func(modeUse)) {
	for _, in := range f.Instructions {
		if in.Stage == nil || in.Stage.windows {
			continue
		}
		switch in.Keyword {
		case "COPY", "ADD":
			for _, flag := range in.Flags {
				if words := in.operands(); flag.Name == "chmod" && len(words) > 0 && flag.End-flag.Start == len("--chmod=")+len(flag.Value) {
					visit(modeUse{in: in, tool: in.Keyword, mode: flag.Value, targets: words[len(words)-1:], start: flag.End - len(flag.Value), end: flag.End})
				}
			}
		case "RUN":
			if !f.mentions(in, "chmod", "install", "mkdir") {
				continue
			}
			for _, c := range f.script(in).commands {
				if m, ok := modeGiven(c); ok && !f.deletedIn(in, m.targets) {
					m.in, m.command = in, c
					visit(m)
				}
			}
		}
	}
}

// deletedIn reports whether the step in deletes all of targets again.
func (f *File) deletedIn(in *Instruction, targets []string) bool {
	if !f.mentions(in, "rm ") {
		return false
	}
	gone := 0
	for _, t := range targets {
		for _, c := range f.script(in).commands {
			if c.program() == "rm" && slices.ContainsFunc(c.args(), func(w shellWord) bool { return w.text == t }) {
				gone++
				break
			}
		}
	}
	return gone > 0 && gone == len(targets)
}

// modeGiven returns the mode that c gives.
func modeGiven(c *command) (modeUse, bool) {
	m := modeUse{tool: c.program(), start: -1, end: -1}
	args := c.args()
	place := func(w shellWord, skip int) {
		m.mode = w.text[skip:]
		if c.exact && w.end-w.start == len(w.text) {
			m.start, m.end = w.start+skip, w.end
		}
	}
	switch m.tool {
	case "chmod":
		for _, w := range args {
			switch {
			case strings.HasPrefix(w.text, "-") && strings.Trim(w.text, "-Rcfvh") == "", strings.HasPrefix(w.text, "--"):
				m.recursive = m.recursive || strings.Contains(w.text, "R") || w.text == "--recursive"
			case m.mode == "" && w.literal:
				place(w, 0)
			case m.mode == "":
				return m, false
			default:
				m.targets = append(m.targets, w.text)
				m.files = append(m.files, w)
			}
		}
	case "install", "mkdir":
		for i := 0; i < len(args); i++ {
			w := args[i]
			switch {
			case strings.HasPrefix(w.text, "--mode="):
				place(w, len("--mode="))
			case w.text == "--mode", w.text == "--owner", w.text == "--group", w.text == "--target-directory":
				if i++; i < len(args) && w.text == "--mode" {
					place(args[i], 0)
				}
			case strings.HasPrefix(w.text, "--"):
			case strings.HasPrefix(w.text, "-") && len(w.text) > 1:
				if j := strings.IndexByte(w.text, 'm'); j > 0 && j < len(w.text)-1 && strings.Trim(w.text[1:j], "pvdDCsbcT") == "" {
					place(w, j+1)
				} else if last := w.text[len(w.text)-1]; strings.IndexByte("mogtS", last) >= 0 && i+1 < len(args) {
					if i++; last == 'm' {
						place(args[i], 0)
					}
				}
			default:
				m.targets = append(m.targets, w.text)
			}
		}
	default:
		return m, false
	}
	return m, m.mode != "" && len(m.targets) > 0
}

// octal returns the bits of a numeric mode.
func (m modeUse) octal() (int64, bool) {
	if strings.Trim(m.mode, "01234567") != "" || len(m.mode) > 5 {
		return 0, false
	}
	bits, err := strconv.ParseInt(m.mode, 8, 32)
	return bits, err == nil
}

// A clause is one part of a symbolic mode: who, how and what.
type clause struct{ who, op, what string }

func (m modeUse) clauses() []clause {
	var out []clause
	for _, part := range strings.Split(m.mode, ",") {
		i := strings.IndexAny(part, "+-=")
		if i < 0 || strings.Trim(part[:i], "ugoa") != "" || strings.Trim(part[i+1:], "rwxXstugo") != "" {
			return nil
		}
		out = append(out, clause{part[:i], part[i : i+1], part[i+1:]})
	}
	return out
}

func writeClauses(cs []clause) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.who+c.op+c.what)
	}
	return strings.Join(out, ",")
}

// worldWritable reports whether m lets everyone write, and returns the mode
// without that.
func (m modeUse) worldWritable() (tight string, yes bool) {
	if bits, ok := m.octal(); ok {
		if bits&0o002 == 0 || bits&0o1000 != 0 {
			return "", false
		}
		tight = strconv.FormatInt(bits&^0o022, 8)
		return strings.Repeat("0", max(0, len(m.mode)-len(tight))) + tight, true
	}
	cs := m.clauses()
	sticky := false
	for i, c := range cs {
		sticky = sticky || c.op != "-" && strings.Contains(c.what, "t")
		if c.op != "-" && strings.ContainsAny(c.who, "oa") && strings.Contains(c.what, "w") {
			yes = true
			if strings.Contains(c.who, "a") {
				cs[i].who = "u"
				if c.op == "=" || strings.ContainsAny(c.what, "rxX") {
					cs[i].who = "u"
					cs = append(cs, clause{"go", c.op, strings.ReplaceAll(c.what, "w", "")})
				}
			} else if what := strings.ReplaceAll(c.what, "w", ""); what == "" {
				cs[i].who = strings.ReplaceAll(c.who, "o", "")
				if cs[i].who == "" {
					cs[i].who = "u"
				}
			} else {
				cs[i].what = what
			}
		}
	}
	return writeClauses(cs), yes && !sticky
}

var worldWritablePath = check(checks.Check{
	ID:       "world-writable-path",
	Title:    "Files that everyone may write",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-732"},
}, func(f *File, report func(checks.Finding)) {
	keys := map[string]int{}
	f.eachMode(func(m modeUse) {
		tight, yes := m.worldWritable()
		if !yes {
			return
		}
		target := strings.Join(m.targets, " ")
		finding := f.findingAt(m.in, m.start, m.end, m.in.Stage.label()+"/"+target, checks.Msg("%s %s lets every user of the container write to %s", m.tool, m.mode, target))
		if !f.Shipped(m.in.Stage) {
			finding.Severity = checks.Low
		}
		if m.start >= 0 {
			if bits, ok := m.octal(); ok && (path.Clean(target) == "/tmp" || path.Clean(target) == "/var/tmp") {
				tight = strconv.FormatInt(bits|0o1000, 8)
			}
			key := unique(keys, "mode-"+strconv.Itoa(f.lineOf(m.in, m.start)))
			key = strings.ReplaceAll(key, "#", "-")
			title, caution := checks.Msg("let only the owner write"), checks.Msg("the program must own what it writes to: chown it to its user, start the new image and try it")
			owner, user, owned := f.owned(m)
			if owned {
				title, caution = checks.Msg("give it to %s, and let nobody else write", user), checks.Msg("nobody but %s can write to %s any more: start the new image and try it", user, target)
			}
			finding.Fixes = []checks.Fix{{
				ID: "tighten-mode", Title: title, Caution: caution,
				Choices: []checks.Choice{{
					Key: key, Label: checks.Msg("mode of %s", target), Default: tight, Valid: validMode,
				}},
				Edit: func(v checks.Values) ([]checks.Edit, error) {
					mode := v[key]
					if err := validMode(mode); err != nil {
						return nil, err
					}
					edits := []checks.Edit{{Start: m.start, End: m.end, New: mode, Reason: checks.Msg("others may read, not write")}}
					if owned {
						edits = append(edits, owner)
					}
					return edits, nil
				},
			}}
		}
		report(finding)
	})
})

// owned returns the edit that gives the files of m to the user that the image
// runs as: the one who wrote to them so far.
func (f *File) owned(m modeUse) (edit checks.Edit, user string, ok bool) {
	s := f.Final()
	if s == nil || !slices.Contains(s.Chain(), m.in.Stage) {
		return edit, "", false
	}
	u := f.userOf(s)
	if at := f.userAt(m.in); !u.known || u.isRoot() || validUser(u.name) != nil || !f.exists(u, m.in) || at.in != nil && !at.isRoot() || at.in == nil && at.known && !at.isRoot() {
		return edit, "", false
	}
	edit.Reason = checks.Msg("who runs the program is who writes here")
	if m.command == nil {
		at := m.in.Args.Offset(0)
		edit.Start, edit.End, edit.New = at, at, "--chown="+u.name+" "
		return edit, u.name, len(m.in.Flag("chown")) == 0
	}
	c, script := m.command, f.script(m.in)
	if m.tool != "chmod" || !c.exact || c.nested || c.sudo >= 0 || c.at != 0 || !script.chain || len(m.files) == 0 {
		return edit, "", false
	}
	first, last := m.files[0], m.files[len(m.files)-1]
	if first.start < 0 || last.end < first.start || strings.ContainsAny(string(f.Source[first.start:last.end]), "\n") {
		return edit, "", false
	}
	edit.New = "chown " + map[bool]string{true: "-R "}[m.recursive] + u.name + " " + string(f.Source[first.start:last.end]) + " && "
	edit.Start, edit.End = c.words[0].start, c.words[0].start
	return edit, u.name, true
}

// exists reports whether u can be named in the step in: a number can, a name
// that the base image has, and one that an earlier step creates.
func (f *File) exists(u user, in *Instruction) bool {
	name, _, _ := strings.Cut(u.name, ":")
	if _, err := strconv.Atoi(name); err == nil || uidOf(u.passwd, name) != "" {
		return true
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Keyword == "RUN" && other.Line < in.Line && f.mentions(other, "useradd", "adduser") && f.mentions(other, name) {
				return true
			}
		}
	}
	return false
}

func validMode(mode string) error {
	m := modeUse{mode: mode}
	_, numeric := m.octal()
	if !numeric && m.clauses() == nil || mode == "" {
		return &checks.Problem{What: checks.Msg("a mode is a number such as 755 or letters such as u+w")}
	}
	if _, yes := m.worldWritable(); yes {
		return &checks.Problem{What: checks.Msg("this mode still lets everyone write")}
	}
	return nil
}

var setuidBitAdded = check(checks.Check{
	ID:       "setuid-bit-added",
	Title:    "Program that runs as its owner",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.8 (v1.6.0)", "CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	f.eachMode(func(m modeUse) {
		plain, yes := m.special()
		if !yes {
			return
		}
		target := strings.Join(m.targets, " ")
		finding := f.findingAt(m.in, m.start, m.end, m.in.Stage.label()+"/"+target, checks.Msg("%s %s makes %s run with the rights of its owner, whoever starts it", m.tool, m.mode, target))
		if !f.Shipped(m.in.Stage) {
			finding.Severity = checks.Low
		}
		// A mode that lets everyone write as well is one edit, not two.
		if _, also := m.worldWritable(); m.start >= 0 && !also {
			finding.Fixes = []checks.Fix{{
				ID: "drop-setuid", Title: checks.Msg("take the bit away"),
				Caution: checks.Msg("the program then has the rights of whoever starts it: a file capability is the smaller way to give it one"),
				Edit:    fixed(checks.Edit{Start: m.start, End: m.end, New: plain, Reason: checks.Msg("nobody gets more rights by starting it")}),
			}}
		}
		report(finding)
	})
})

// special reports whether m sets a bit that makes programs run as their owner
// or group, and returns the mode without. The group's bit is what shared
// directories have, so it counts on programs only.
func (m modeUse) special() (plain string, yes bool) {
	directory := m.tool == "mkdir"
	if bits, ok := m.octal(); ok {
		group := bits&0o2000 != 0 && m.programs()
		if bits&0o4000 == 0 && !group || directory {
			return "", false
		}
		return strconv.FormatInt(bits&^0o6000, 8), true
	}
	cs := m.clauses()
	for i, c := range cs {
		if c.op == "-" || !strings.Contains(c.what, "s") || directory {
			continue
		}
		if !strings.ContainsAny(c.who, "ua") && c.who != "" && !m.programs() {
			continue
		}
		yes = true
		if what := strings.ReplaceAll(c.what, "s", ""); what != "" || c.op == "=" {
			cs[i].what = what
		} else {
			cs[i].op = "-"
		}
	}
	return writeClauses(cs), yes
}

// programs reports whether all targets lie where programs are.
func (m modeUse) programs() bool {
	for _, t := range m.targets {
		if dir := path.Base(path.Dir(t)); dir != "bin" && dir != "sbin" && dir != "libexec" {
			return false
		}
	}
	return true
}
