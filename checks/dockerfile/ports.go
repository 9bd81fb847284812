package dockerfile

import (
	"strconv"
	"strings"

	"plimsoll/checks"
)

// A port is one word of an EXPOSE: [ip:][host:]port[-port][/protocol].
type port struct {
	word        Word
	text        string // variables filled in
	written     bool   // text stands in the source like this
	host        string // ip and port of the host, with the colon behind it
	first, last int    // -1 when they are no numbers
	number      string // as written: "80", "8000-8010"
	protocol    string // as written; "" without
}

// portsOf returns the ports that an EXPOSE names with certainty.
func (f *File) portsOf(in *Instruction) []port {
	if in.Keyword != "EXPOSE" || in.Stage == nil {
		return nil
	}
	var v variables
	var out []port
	for _, w := range in.Words() {
		text := w.Text
		if strings.ContainsAny(text, "$\"'") {
			if v == nil {
				v = f.variablesAt(in)
			}
			expanded, certain := f.expand(text, v)
			if !certain || expanded == "" || len(strings.Fields(expanded)) != 1 {
				continue
			}
			text = expanded
		}
		out = append(out, parsePort(w, text))
	}
	return out
}

func parsePort(w Word, text string) port {
	p := port{word: w, text: text, written: w.Text == text}
	rest := text
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		p.host, rest = rest[:i+1], rest[i+1:]
	}
	p.number, p.protocol, _ = strings.Cut(rest, "/")
	low, high, isRange := strings.Cut(p.number, "-")
	p.first = portNumber(low)
	p.last = p.first
	if isRange {
		p.last = portNumber(high)
	}
	return p
}

// portNumber returns the number that s is, or -1.
func portNumber(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || s[0] == '+' {
		return -1
	}
	return n
}

// tcp reports whether p is a port of TCP.
func (p port) tcp() bool { return p.protocol == "" || strings.EqualFold(p.protocol, "tcp") }

// has reports whether n is among p.
func (p port) has(n int) bool { return p.first >= 0 && p.first <= n && n <= p.last }

var exposePortOutOfRange = check(checks.Check{
	ID:       "expose-port-out-of-range",
	Title:    "Port that cannot exist",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3011", "trivy DS-0008"},
}, func(f *File, report func(checks.Finding)) {
	f.eachPort(func(in *Instruction, p port) {
		if p.first > 65535 || p.last > 65535 {
			report(f.findingAt(in, p.word.Start, p.word.End, p.number, checks.Msg("EXPOSE %s: ports end at 65535", p.text)))
		}
	})
})

// eachPort calls visit for every port of the file.
func (f *File) eachPort(visit func(*Instruction, port)) {
	for _, in := range f.Instructions {
		if in.Keyword == "EXPOSE" {
			for _, p := range f.portsOf(in) {
				visit(in, p)
			}
		}
	}
}

var exposeFormatInvalid = check(checks.Check{
	ID:       "expose-format-invalid",
	Title:    "EXPOSE with more than a port",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"BuildKit ExposeInvalidFormat"},
}, func(f *File, report func(checks.Finding)) {
	f.eachPort(func(in *Instruction, p port) {
		switch {
		case strings.HasPrefix(p.text, "#"):
			report(f.findingAt(in, p.word.Start, p.word.End, p.text, checks.Msg("a comment cannot follow EXPOSE on its line: %s is taken for a port", p.text)))
		case p.host != "":
			finding := f.findingAt(in, p.word.Start, p.word.End, p.text, checks.Msg("EXPOSE %s names a port of the host, which only docker run can choose", p.text))
			if p.written && p.first >= 0 && p.last >= p.first {
				finding.Fixes = []checks.Fix{{
					ID: "container-port", Title: checks.Msg("keep the port of the container"), Safe: true,
					Edit: fixed(checks.Edit{
						Start: p.word.Start, End: p.word.Start + len(p.host),
						Reason: checks.Msg("the image exposes this port, with or without the rest"),
					}),
				}}
			}
			report(finding)
		case strings.Contains(p.text, ","):
			finding := f.findingAt(in, p.word.Start, p.word.End, p.text, checks.Msg("EXPOSE %s: ports are separated by spaces", p.text))
			report(finding)
		case p.first >= 0 && p.last >= 0 && p.last < p.first:
			report(f.findingAt(in, p.word.Start, p.word.End, p.text, checks.Msg("EXPOSE %s: the range ends before it begins", p.text)))
		}
	})
})

var exposeProtocolCase = check(checks.Check{
	ID:       "expose-protocol-case",
	Title:    "Protocol in capitals",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit ExposeProtoCasing"},
}, func(f *File, report func(checks.Finding)) {
	f.eachPort(func(in *Instruction, p port) {
		lower := strings.ToLower(p.protocol)
		if p.protocol == lower || lower != "tcp" && lower != "udp" && lower != "sctp" {
			return
		}
		finding := f.findingAt(in, p.word.Start, p.word.End, p.text, checks.Msg("EXPOSE %s: the protocol is written %s", p.text, lower))
		if p.written {
			finding.Fixes = []checks.Fix{{
				ID: "lower-case", Title: checks.Msg("write the protocol in small letters"), Safe: true,
				Edit: fixed(checks.Edit{Start: p.word.End - len(lower), End: p.word.End, New: lower, Reason: checks.Msg("the same protocol, as everybody writes it")}),
			}}
		}
		report(finding)
	})
})

// managementPort returns what listens on a port for remote administration, ""
// for other ports.
func managementPort(p port) string {
	if !p.tcp() || p.last-p.first > 100 {
		return ""
	}
	for _, m := range managementPorts {
		for n := m.first; n <= m.last; n++ {
			if p.has(n) {
				return m.name
			}
		}
	}
	return ""
}

var managementPorts = []struct {
	first, last int
	name        string
}{
	{23, 23, "Telnet"},
	{512, 514, "rlogin, rsh"},
	{2375, 2376, "Docker"},
	{3389, 3389, "RDP"},
	{5900, 5909, "VNC"},
	{5985, 5986, "WinRM"},
	{10250, 10250, "kubelet"},
}

var exposeManagementPort = check(checks.Check{
	ID:       "expose-management-port",
	Title:    "Image serves remote administration",
	Severity: checks.High,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.7 (v1.6.0)", "cnspec no-management-ports"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil {
		return
	}
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword != "EXPOSE" {
				continue
			}
			for _, p := range f.portsOf(in) {
				name := managementPort(p)
				if name == "" {
					continue
				}
				finding := f.findingAt(in, p.word.Start, p.word.End, p.number, checks.Msg("EXPOSE %s offers %s, full control from afar, on the network", p.text, name))
				finding.Fixes = f.hidePorts(in, func(q port) bool { return q.word.Start == p.word.Start }, checks.Msg("what administers containers is reached in other ways"))
				report(finding)
			}
		}
	}
})

// administrative reports whether p is for administration: SSH or another.
func (p port) administrative() bool {
	return p.first == 22 && p.last == 22 && !strings.EqualFold(p.protocol, "udp") || managementPort(p) != ""
}

// hidePorts returns the fix that takes the ports of in that match out of it. If
// all its ports are administrative the instruction goes, so that fixes of
// different checks never leave an EXPOSE without a port.
func (f *File) hidePorts(in *Instruction, match func(port) bool, reason checks.Message) []checks.Fix {
	words := in.Words()
	matched := map[int]bool{}
	doomed := 0
	for _, p := range f.portsOf(in) {
		if p.administrative() {
			doomed++
		}
		if match(p) {
			matched[p.word.Start] = true
		}
	}
	var edits []checks.Edit
	if doomed == len(words) {
		edits = []checks.Edit{f.remove(in, reason)}
	} else {
		for i, w := range words {
			if matched[w.Start] {
				edits = append(edits, removeWord(words, i, reason))
			}
		}
	}
	return []checks.Fix{{ID: "remove-port", Title: checks.Msg("do not expose the port"), Safe: true, Edit: fixed(edits...)}}
}

var exposePrivilegedPort = check(checks.Check{
	ID:       "expose-privileged-port",
	Title:    "Port that may need root",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.8 (v1.6.0)"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	u := f.userOf(s)
	root := !u.known || u.isRoot()
	if severity, _ := f.leavesRoot(s); root && severity != 0 {
		return // opens its port before it leaves root
	}
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			for _, p := range f.portsOf(in) {
				if p.first <= 0 || p.first >= 1024 || p.host != "" || p.administrative() {
					continue
				}
				finding := f.findingAt(in, p.word.Start, p.word.End, p.number, checks.Msg("port %s is below 1024, which %s may not open on every engine", p.number, u.written()))
				if root {
					finding.Severity = checks.Info
					finding.Message = checks.Msg("port %s is below 1024, which not every engine lets a user other than root open", p.number)
				}
				finding.Fixes = f.higherPort(p)
				report(finding)
			}
		}
	}
})

// higherPort offers to expose a port that every user may open.
func (f *File) higherPort(p port) []checks.Fix {
	if !p.written || p.first != p.last || p.word.Start < 0 || string(f.Source[p.word.Start:p.word.End]) != p.text {
		return nil
	}
	higher := 8000 + p.first
	if p.first == 443 {
		higher = 8443
	}
	key := "port-" + p.number
	return []checks.Fix{{
		ID: "higher-port", Title: checks.Msg("use a port that every user may open"),
		Caution: checks.Msg("the program must listen on the new port as well: change its configuration, and what is published"),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("port instead of %s", p.number), Example: strconv.Itoa(higher), Valid: validHigherPort,
			Why: checks.Msg("on which the program can be told to listen"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validHigherPort(v[key]); err != nil {
				return nil, err
			}
			return []checks.Edit{{
				Start: p.word.Start, End: p.word.Start + len(p.number), New: v[key],
				Reason: checks.Msg("from 1024 on no right is needed"),
			}}, nil
		},
	}}
}

func validHigherPort(text string) error {
	if n, err := strconv.Atoi(text); err != nil || n < 1024 || n > 65535 {
		return &checks.Problem{What: checks.Msg("a port from 1024 to 65535")}
	}
	return nil
}
