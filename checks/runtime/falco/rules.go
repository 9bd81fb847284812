package falco

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"plimsoll/checks/runtime"
	"plimsoll/checks/terminal"
)

// Rules are rules for Falco, of what is normal for containers, and what is not
// among them.
type Rules struct {
	Text    []byte    // a rules file; the same of the same
	Known   []string  // services that there are rules for, sorted
	Waiting []Waiting // services that are not known well enough, sorted
	Odd     []string  // names that a list of Falco cannot hold, sorted: rules raise alerts about them
}

// A Waiting is a service that is not known well enough yet.
type Waiting struct {
	Service string
	Left    time.Duration // that it has to be watched still
	Never   bool          // it starts more programs than are remembered
}

// Written begins the first line of each rules file of ours.
const Written = "# plimsoll: rules for Falco"

// Names of rules of ours, around that of the service.
const (
	programRule  = "Unexpected program in "
	listenerRule = "Unexpected listener in "
	ours         = " (plimsoll)"
)

const head = Written + `, from what is normal for each container.
# "plimsoll watch --falco-rules FILE" writes this file anew: what is
# changed here is lost. To allow more, append it in a file that Falco
# loads later (those of a folder in the order of their names):
#   - list: %s
#     items: ['"curl"']
#     override: {items: append}
# plimsoll looks once a second and may have missed what ran for less.
# What a container is told to start by its command or health check is
# allowed, as is whatever it starts in its first 30 seconds.
`

const engine = `
- required_engine_version: 0.57.0 # Falco 0.42

- required_plugin_versions:
    - name: container
      version: 0.4.0
`

// A service is what one block of rules is for: containers that are the same.
type service struct {
	name       string
	id         string   // of its lists and macros
	containers []string // names
	numbered   []string // beginnings of names that a number follows
	programs   []string // nil: not restricted
	ports      []string // nil: not restricted
	declared   bool
}

// Of returns rules of what is normal for the containers that are known.
func Of(all []runtime.Standing) Rules {
	byName := map[string][]runtime.Standing{}
	for _, s := range all {
		byName[s.Facts.Service] = append(byName[s.Facts.Service], s)
	}
	var r Rules
	odd := map[string]bool{}
	var services []*service
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		w := Waiting{Service: name}
		for _, s := range byName[name] {
			w.Left, w.Never = max(w.Left, s.Left), w.Never || s.Never
		}
		if w.Left > 0 || w.Never {
			r.Waiting = append(r.Waiting, w)
			continue
		}
		if s := serviceOf(name, byName[name], odd); len(s.containers) > 0 && (s.programs != nil || s.ports != nil) {
			services = append(services, s)
			r.Known = append(r.Known, name)
		}
	}
	identify(services)
	r.Odd = slices.Sorted(maps.Keys(odd))
	var b bytes.Buffer
	example := service{id: "web"}
	if len(services) > 0 {
		example = *services[0]
	}
	fmt.Fprintf(&b, head, example.programsOf())
	for _, w := range r.Waiting {
		why := "has to be watched for " + w.Left.Round(time.Second).String() + " more"
		if w.Never {
			why = "starts too many different programs"
		}
		fmt.Fprintf(&b, "# Not among them: %s %s.\n", comment(w.Service), why)
	}
	for _, name := range r.Odd {
		fmt.Fprintf(&b, "# No list of Falco can hold this name: %s\n", comment(name))
	}
	b.WriteString(engine)
	for _, s := range services {
		s.write(&b)
	}
	r.Text = b.Bytes()
	return r
}

// serviceOf gathers what is normal for the containers of a service, which may
// be of several images while it is updated.
func serviceOf(name string, all []runtime.Standing, odd map[string]bool) *service {
	s := &service{name: name}
	programs, ports := map[string]bool{}, map[string]bool{}
	anyProgram, anyPort := false, false
	for i := range all {
		f, n := &all[i].Facts, &all[i].Normal
		if !containerName.MatchString(f.Name) {
			odd[f.Name] = true
			continue
		}
		s.containers = insert(s.containers, f.Name)
		if prefix := numbered(f); prefix != "" {
			s.numbered = insert(s.numbered, prefix)
		}
		s.declared = s.declared || n.Declared
		anyProgram = anyProgram || n.Declared && n.Programs == nil
		// Where nobody could look for listeners none was learned.
		anyPort = anyPort || !f.OwnNetwork || n.Declared && n.Listeners == nil || !n.Declared && len(n.Listeners) == 0
		for _, p := range append(f.Told(), n.Programs...) {
			if !writable(p) {
				odd[p] = true
				continue
			}
			programs[p] = true
			if short := p[:min(len(p), longestComm)]; !strings.HasPrefix(p, "/") && writable(short) {
				programs[short] = true
			}
		}
		for _, p := range append(slices.Collect(maps.Keys(f.Ports)), n.Listeners...) {
			if port, tcp := strings.CutSuffix(p, "/tcp"); tcp && number.MatchString(port) {
				ports[port] = true
			}
		}
	}
	if !anyProgram {
		s.programs = append([]string{}, slices.Sorted(maps.Keys(programs))...)
	}
	if !anyPort {
		s.ports = append([]string{}, slices.SortedFunc(maps.Keys(ports), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })...)
	}
	return s
}

// longestComm is how many bytes of a program's name the kernel keeps, and so
// proc.name has.
const longestComm = 15

var (
	containerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$`)
	number        = regexp.MustCompile(`^[0-9]{1,5}$`)
)

// numbered returns what stands before the number in the name that compose gave
// to a container, since others of its service are called alike. "" where the
// name is one of the user's.
func numbered(f *runtime.Facts) string {
	project, of, composed := strings.Cut(f.Service, "/")
	for _, between := range []string{"-", "_"} {
		prefix := project + between + of + between
		if n, ok := strings.CutPrefix(f.Name, prefix); composed && ok && number.MatchString(n) {
			return prefix
		}
	}
	return ""
}

func insert(list []string, s string) []string {
	i, found := slices.BinarySearch(list, s)
	if found {
		return list
	}
	return slices.Insert(list, i, s)
}

// writable reports whether a name can stand in a list of Falco. It puts the text
// of lists into conditions as it is, and takes for another list what stands
// between blanks, brackets, commas and equals signs, even in quotes.
func writable(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return strings.ContainsRune(" \t\r\n(),='\"`\\", r) || !unicode.IsPrint(r)
	}) && terminal.Line(name) == name
}

// comment makes a name fit for a line of a comment.
func comment(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, terminal.Line(name))
	if r := []rune(name); len(r) > 80 {
		name = string(r[:80]) + "…"
	}
	return name
}

// identify gives each service an identifier that Falco takes. What would be
// called alike is told apart by its whole name, hashed.
func identify(services []*service) {
	wanted, taken := map[string]int{}, map[string]bool{}
	for _, s := range services {
		s.id = replaced(s.name, '_', "")
		wanted[s.id]++
	}
	for _, s := range services {
		if wanted[s.id] > 1 {
			s.id += fmt.Sprintf("_%x", sha256.Sum256([]byte(s.name)))[:9]
		}
		for taken[s.id] { // somebody chose a name that ends like a hash
			s.id += "_"
		}
		taken[s.id] = true
	}
}

// mostID is how long the part of an identifier may be that others choose.
const mostID = 80

// replaced returns name with everything replaced that is neither an ASCII letter
// nor a digit nor one of also.
func replaced(name string, by rune, also string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune(also, r) {
			return r
		}
		return by
	}, name[:min(len(name), mostID)])
}

// called returns what rules call the service: its name, where that is harmless.
func (s *service) called() string {
	if replaced(s.name, '_', "/_.-") == s.name {
		return s.name
	}
	return "~" + s.id
}

// Names of lists and macros. What stands before the identifier tells them apart
// whatever that is.
func (s *service) here() string       { return "plimsoll_in_" + s.id }
func (s *service) known() string      { return "plimsoll_known_" + s.id }
func (s *service) programsOf() string { return "plimsoll_programs_" + s.id }
func (s *service) portsOf() string    { return "plimsoll_ports_" + s.id }

// write writes the lists, macros and rules of one service.
func (s *service) write(b *bytes.Buffer) {
	from := "learned"
	if s.declared {
		from = "from the configuration"
	}
	fmt.Fprintf(b, "\n# %s: %s\n- macro: %s\n  condition: >\n    (container.name in (%s)", comment(s.name), from, s.here(), quoted(s.containers))
	for _, prefix := range s.numbered {
		fmt.Fprintf(b, "\n    or container.name glob \"%s[0-9]\" or container.name glob \"%[1]s[0-9][0-9]\"", prefix)
	}
	b.WriteString(")\n")
	if s.programs != nil {
		s.writePrograms(b)
	}
	if s.ports != nil {
		s.writePorts(b)
	}
}

func (s *service) writePrograms(b *bytes.Buffer) {
	writeList(b, s.programsOf(), s.programs, `'"%s"'`)
	fmt.Fprintf(b, `
- macro: %[1]s
  condition: >
    (proc.name in (%[2]s) or basename(proc.exe) in (%[2]s)
    or proc.exe in (%[2]s) or proc.exepath in (%[2]s))
`, s.known(), s.programsOf())
	schedulers := ""
	if slices.ContainsFunc(s.programs, func(p string) bool { return slices.Contains(runtime.Schedulers(), p) }) {
		schedulers = fmt.Sprintf("\n    and not proc.aname in (%s)", quoted(runtime.Schedulers()))
	}
	fmt.Fprintf(b, `
- rule: "%s%s%s"
  desc: A program was started that this container has never run while plimsoll learned what is normal for it.
  condition: >
    evt.type in (execve, execveat) and not evt.rawres < 0
    and %s and not %s
    and not container.duration <= 30000000000%s
  output: Unexpected program %%proc.name in %%container.name | %s terminal=%%proc.tty
  priority: ERROR
  tags: [plimsoll, container, process, mitre_execution, T1059]
`, programRule, s.called(), ours, s.here(), s.known(), schedulers, fields)
}

func (s *service) writePorts(b *bytes.Buffer) {
	writeList(b, s.portsOf(), s.ports, "%s")
	fmt.Fprintf(b, `
- rule: "%s%s%s"
  desc: A program waits for connections on a port that this container neither exposes nor ever used before.
  condition: >
    evt.type = listen and not evt.rawres < 0
    and %s and fd.type in (ipv4, ipv6) and fd.sport > 0
    and not fd.sport in (%s)
    and not (fd.sport >= 32768 and (fd.sip = "127.0.0.1" or fd.sip = "::1"))
  output: Unexpected listener on port %%fd.sport in %%container.name | port=%%fd.sport address=%%fd.name %s
  priority: WARNING
  tags: [plimsoll, container, network, mitre_command_and_control, T1571]
`, listenerRule, s.called(), ours, s.here(), s.portsOf(), fields)
}

// fields are what alerts say beside what happened.
const fields = "process=%proc.name exe=%proc.exepath parent=%proc.pname command=%proc.cmdline user=%user.name" +
	" user_uid=%user.uid evt_type=%evt.type container_id=%container.id container_name=%container.name" +
	" image=%container.image.repository tag=%container.image.tag"

// writeList writes a list of items, each in the given form.
func writeList(b *bytes.Buffer, name string, items []string, form string) {
	fmt.Fprintf(b, "\n- list: %s\n", name)
	if len(items) == 0 {
		b.WriteString("  items: []\n")
		return
	}
	b.WriteString("  items:\n")
	for _, item := range items {
		fmt.Fprintf(b, "    - "+form+"\n", item)
	}
}

// quoted returns names as the inside of brackets of a condition.
func quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }
