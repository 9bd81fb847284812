package dockerfile

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"plimsoll/checks"
)

//go:embed alpine.tsv
var alpineTable string

// inAlpine returns the packages of Alpine that have what a package of Debian
// has: none where Alpine does not need it, and false where that is not known.
func inAlpine(debian string) (names []string, known bool) {
	value, known := alpineNames()[debian]
	if value == "-" {
		return nil, known
	}
	return strings.Fields(value), known
}

var alpineNames = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(alpineTable) {
		if debian, alpine, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && !strings.HasPrefix(line, "#") {
			out[debian] = alpine
		}
	}
	return out
})

// toAlpine returns the edits that let the steps built on s, whose image is one
// of Debian, install with apk what they install with apt, and names what it
// leaves to a person: packages whose name in Alpine is not known, and lines with
// what Alpine does not have.
func (f *File) toAlpine(s *Stage) (edits []checks.Edit, left []string) {
	for _, stage := range f.Stages {
		if stage.Root() != s {
			continue
		}
		for _, in := range stage.Instructions {
			if in.Keyword != "RUN" {
				continue
			}
			more, names, ok := f.stepToAlpine(in)
			if !ok {
				left = append(left, fmt.Sprint("RUN:", in.Line))
				continue
			}
			edits = append(edits, more...)
			left = append(left, names...)
		}
	}
	slices.Sort(left)
	return edits, slices.Compact(left)
}

// onlyInDebian are programs that images of Alpine do not have, and that do
// nothing which apk could do instead.
var onlyInDebian = []string{
	"apt-key", "apt-mark", "apt-cache", "add-apt-repository", "debconf-set-selections", "dpkg", "dpkg-reconfigure", "groupadd", "locale-gen",
	"update-alternatives", "update-rc.d", "useradd", "usermod",
}

// stepToAlpine translates the step in: ok is false where it does something else
// with apt than to install by name and to clean up.
func (f *File) stepToAlpine(in *Instruction) (edits []checks.Edit, left []string, ok bool) {
	text := string(f.Source[in.Start:in.End])
	if !slices.ContainsFunc(append([]string{"apt", "apt-get"}, onlyInDebian...), func(tool string) bool { return hasWord(text, tool) }) {
		return nil, nil, true
	}
	if len(f.script(in).commands) == 0 {
		return nil, nil, false
	}
	reason := checks.Msg("Alpine installs with apk, under its own names")
	installs := 0
	var gone []*command
	for _, c := range f.script(in).commands {
		program := c.program()
		if slices.Contains(onlyInDebian, program) {
			return nil, nil, false
		}
		if program == "rm" && slices.ContainsFunc(c.args(), func(w shellWord) bool { return strings.HasPrefix(w.text, "/var/lib/apt") }) {
			gone = append(gone, c)
			continue
		}
		p, isCall := packageCallOf(c)
		if !isCall || p.manager != "apt" {
			continue
		}
		switch {
		case !c.exact || c.at != 0:
			return nil, nil, false
		case p.refreshes() || p.verb.text == "clean" || p.verb.text == "autoclean" || p.verb.text == "autoremove":
			gone = append(gone, c)
		case p.installs():
			more, names, translated := f.installToAlpine(c, p, reason)
			switch {
			case !translated:
				return nil, nil, false
			case len(more) == 0:
				gone = append(gone, c)
			default:
				edits, left = append(edits, more...), append(left, names...)
				installs++
			}
		default:
			return nil, nil, false
		}
	}
	if installs == 0 && len(gone) == len(f.script(in).commands) && len(gone) > 0 {
		return []checks.Edit{f.remove(in, reason)}, nil, !in.open
	}
	for _, c := range gone {
		edit, can := f.takeOut(in, c.words[0].start, c.words[len(c.words)-1].end, reason)
		if !can {
			return nil, nil, false
		}
		edits = append(edits, edit)
	}
	return edits, left, true
}

// installToAlpine makes c, an apt-get install, an apk add of the same; no edits
// are left where Alpine needs none of it.
func (f *File) installToAlpine(c *command, p packageCall, reason checks.Message) (edits []checks.Edit, left []string, ok bool) {
	words := c.args()
	first := slices.Index(words, p.packages[0])
	words = words[first:]
	edits = append(edits, checks.Edit{Start: c.words[c.at].start, End: words[0].start, New: "apk add --no-cache ", Reason: reason})
	kept := 0
	for i, w := range words {
		var names []string
		if slices.Contains(p.packages, w) {
			name, _, _ := strings.Cut(w.text, "=")
			name, _, _ = strings.Cut(name, ":")
			if !w.literal || !packageName().MatchString(name) {
				return nil, nil, false
			}
			known := false
			if names, known = inAlpine(name); !known {
				names, left = []string{name}, append(left, name)
			}
		}
		kept += len(names)
		text := strings.Join(names, " ")
		switch {
		case text == w.text:
		case text != "":
			edits = append(edits, checks.Edit{Start: w.start, End: w.end, New: text, Reason: reason})
		case i > 0:
			edits = append(edits, checks.Edit{Start: words[i-1].end, End: w.end, Reason: reason})
		case len(words) > 1:
			edits = append(edits, checks.Edit{Start: w.start, End: words[1].start, Reason: reason})
		}
	}
	if kept == 0 {
		return nil, nil, true
	}
	return edits, left, true
}

// packageName matches the names of packages of Debian.
var packageName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`) })
