package falco

import (
	"bytes"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// A ruleset is a rules file as Falco loads it: with its schema, its way to put
// lists into conditions, its grammar of conditions and its fields.
type ruleset struct {
	lists  map[string][]string
	order  []string // of lists
	macros map[string]condition
	rules  map[string]condition
	output map[string]string
}

// A condition says whether an event, by field, fulfils it. A field that an event
// does not have fulfils no comparison.
type condition func(event map[string]string) bool

// knownFields are fields of Falco 0.45 and of its container plugin, with whether they
// are numbers.
var knownFields = map[string]bool{
	"evt.type": false, "evt.rawres": true, "proc.name": false, "proc.exe": false, "proc.exepath": false, "proc.aname": false, "proc.pname": false,
	"proc.cmdline": false, "proc.tty": true, "user.name": false, "user.uid": true, "fd.type": false, "fd.sport": true, "fd.sip": false, "fd.name": false,
	"container.id": false, "container.name": false, "container.duration": true, "container.image.repository": false, "container.image.tag": false,
}

var knownKeys = map[string][]string{
	"required_engine_version": {}, "required_plugin_versions": {}, "list": {"items"}, "macro": {"condition"},
	"rule": {"desc", "condition", "output", "priority", "tags"},
}

var (
	identifierPattern = regexp.MustCompile(`^[a-zA-Z]+[a-zA-Z0-9_]*`)
	fieldPattern      = regexp.MustCompile(`^[a-zA-Z]+[a-zA-Z0-9_]*(\.[a-zA-Z]+[a-zA-Z0-9_]*)+`)
	numberPattern     = regexp.MustCompile(`^[+-]?[0-9]+`)
	barePattern       = regexp.MustCompile(`^[^()"'\s=,]+`)
	outputPattern     = regexp.MustCompile(`%([a-z0-9._]+)`)
)

// load reads a rules file as strictly as Falco does.
func load(text []byte) (*ruleset, error) {
	var docs []map[string]any
	if err := yaml.Unmarshal(text, &docs); err != nil {
		return nil, err
	}
	r := &ruleset{lists: map[string][]string{}, macros: map[string]condition{}, rules: map[string]condition{}, output: map[string]string{}}
	conditions := map[string]string{}
	var rules []string
	for _, d := range docs {
		kind := ""
		for k := range knownKeys {
			if _, ok := d[k]; ok {
				kind = k
			}
		}
		if kind == "" || len(d) != 1+len(knownKeys[kind]) {
			return nil, fmt.Errorf("unknown object %v", d)
		}
		for k := range d {
			if k != kind && !slices.Contains(knownKeys[kind], k) {
				return nil, fmt.Errorf("unknown key %s of a %s", k, kind)
			}
		}
		name, _ := d[kind].(string)
		if kind == "list" || kind == "macro" {
			if identifierPattern.FindString(name) != name || name == "" {
				return nil, fmt.Errorf("%q is no name of a %s", name, kind)
			}
			if _, twice := r.lists[name]; twice || conditions[name] != "" {
				return nil, fmt.Errorf("%s is there twice", name)
			}
		}
		switch kind {
		case "list":
			items, ok := d["items"].([]any)
			if !ok {
				return nil, fmt.Errorf("%s has no items", name)
			}
			r.lists[name] = []string{}
			for _, item := range items {
				r.lists[name] = append(r.lists[name], fmt.Sprint(item))
			}
			r.order = append(r.order, name)
		case "macro", "rule":
			c, ok := d["condition"].(string)
			if !ok || conditions[name] != "" {
				return nil, fmt.Errorf("%s %s: condition %v", kind, name, d["condition"])
			}
			conditions[name] = c
			if kind == "macro" {
				parsed, err := r.parse(c)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				r.macros[name] = parsed
				continue
			}
			rules = append(rules, name)
			r.output[name], _ = d["output"].(string)
			for _, m := range outputPattern.FindAllStringSubmatch(r.output[name], -1) {
				if _, known := knownFields[m[1]]; !known {
					return nil, fmt.Errorf("%s prints the unknown field %s", name, m[1])
				}
			}
			if !slices.Contains([]string{"ERROR", "WARNING"}, fmt.Sprint(d["priority"])) || d["desc"] == "" {
				return nil, fmt.Errorf("%s: priority %v", name, d["priority"])
			}
		}
	}
	for _, name := range rules {
		parsed, err := r.parse(conditions[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.rules[name] = parsed
	}
	return r, nil
}

// resolve puts the text of a list wherever its name stands, as Falco does it.
func (r *ruleset) resolve(text, name string) string {
	const delimiters = " \t\n\r(),="
	at := func(i int) bool { return i < 0 || i >= len(text) || strings.IndexByte(delimiters, text[i]) >= 0 }
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return text
		}
		i += from
		if from = i + 1; !at(i-1) || !at(i+len(name)) {
			continue
		}
		var items []string
		for _, item := range r.lists[name] {
			if strings.Contains(item, " ") && item[0] != '"' && item[0] != '\'' {
				item = `"` + item + `"`
			}
			items = append(items, item)
		}
		put := " " + strings.Join(items, ", ") + " "
		text = text[:i] + put + text[i+len(name):]
		from = i + len(put)
	}
}

func (r *ruleset) parse(text string) (c condition, err error) {
	for _, name := range append(r.order, "shell_binaries", "a") { // there are other lists in other files
		text = r.resolve(text, name)
	}
	p := &parser{ruleset: r, rest: text}
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%v, before %.60q of %q", reason, p.rest, text)
		}
	}()
	c = p.or()
	if p.blank(); p.rest != "" {
		panic("something is left")
	}
	return c, nil
}

// A parser reads a condition; it panics where Falco would refuse it.
type parser struct {
	*ruleset
	rest string
}

func (p *parser) blank() bool {
	before := len(p.rest)
	p.rest = strings.TrimLeft(p.rest, " \t\r\n\b")
	return len(p.rest) < before
}

func (p *parser) take(pattern *regexp.Regexp) string {
	s := pattern.FindString(p.rest)
	p.rest = p.rest[len(s):]
	return s
}

func (p *parser) token(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	p.rest = rest
	return ok
}

// series reads one or more, separated by word.
func (p *parser) series(word string, one func() condition) []condition {
	p.blank()
	all := []condition{one()}
	for p.blank(); p.token(word); p.blank() {
		if !p.blank() {
			panic("a blank is missing after " + word)
		}
		all = append(all, one())
	}
	return all
}

func (p *parser) or() condition {
	all := p.series("or", p.and)
	return func(e map[string]string) bool {
		return slices.ContainsFunc(all, func(c condition) bool { return c(e) })
	}
}

func (p *parser) and() condition {
	all := p.series("and", p.not)
	return func(e map[string]string) bool {
		return !slices.ContainsFunc(all, func(c condition) bool { return !c(e) })
	}
}

var notPattern = regexp.MustCompile(`^not\s+`)

func (p *parser) not() condition {
	p.blank()
	negated := false
	for p.take(notPattern) != "" {
		negated = !negated
	}
	c := p.check()
	return func(e map[string]string) bool { return c(e) != negated }
}

func (p *parser) check() condition {
	p.blank()
	if p.token("(") {
		c := p.or()
		if p.blank(); !p.token(")") {
			panic("a bracket is not closed")
		}
		return c
	}
	value := func(s string) string { return s }
	transformed := p.token("basename(")
	name := p.take(fieldPattern)
	if transformed {
		if value = path.Base; !p.token(")") {
			panic("a bracket is not closed")
		}
	}
	numeric, known := knownFields[name]
	switch {
	case name != "" && !known:
		panic("unknown field " + name)
	case name != "":
		return p.comparison(name, numeric, value)
	}
	macro := p.take(identifierPattern)
	c, ok := p.macros[macro]
	if !ok {
		panic("unknown macro " + macro)
	}
	return c
}

func (p *parser) comparison(name string, numeric bool, value func(string) string) condition {
	p.blank()
	with := func(compare func(string) bool) condition {
		return func(e map[string]string) bool { v, ok := e[name]; return ok && compare(value(v)) }
	}
	for _, op := range []string{"<=", "<", ">=", ">"} {
		if !p.token(op) {
			continue
		}
		p.blank()
		want, err := strconv.ParseInt(p.take(numberPattern), 10, 64)
		if err != nil || !numeric {
			panic("no number")
		}
		return with(func(v string) bool {
			n, err := strconv.ParseInt(v, 10, 64)
			return err == nil && map[string]bool{"<=": n <= want, "<": n < want, ">=": n >= want, ">": n > want}[op]
		})
	}
	switch {
	case p.token("="):
		want := p.value(name, numeric)
		return with(func(v string) bool { return v == want })
	case p.token("glob "):
		want := p.value(name, numeric)
		return with(func(v string) bool { ok, err := path.Match(want, v); return ok && err == nil })
	case p.token("in"):
		p.blank()
		if !p.token("(") {
			panic("no list")
		}
		var all []string
		for p.blank(); !p.token(")"); p.blank() {
			if len(all) > 0 && !p.token(",") {
				panic("no comma")
			}
			all = append(all, p.value(name, numeric))
		}
		return with(func(v string) bool { return slices.Contains(all, v) })
	}
	panic("unknown operator")
}

// value reads a quoted or a bare word that fits the field.
func (p *parser) value(name string, numeric bool) string {
	p.blank()
	s := ""
	if p.rest != "" && (p.rest[0] == '"' || p.rest[0] == '\'') {
		end := strings.IndexByte(p.rest[1:], p.rest[0])
		if end < 0 || strings.Contains(p.rest[1:end+1], `\`) {
			panic("a quote that is not closed, or an escape")
		}
		s, p.rest = p.rest[1:end+1], p.rest[end+2:]
	} else if s = p.take(barePattern); s == "" {
		panic("no value")
	}
	_, badIP := netip.ParseAddr(s)
	if _, bad := strconv.Atoi(s); numeric && bad != nil || name == "fd.sip" && badIP != nil {
		panic("a value that does not fit " + name)
	}
	return s
}

// TestConditions holds that the reader of conditions refuses what Falco would.
func TestConditions(t *testing.T) {
	r := &ruleset{lists: map[string][]string{"l": {`"a b"`}}, order: []string{"l"}, macros: map[string]condition{"m": func(map[string]string) bool { return true }}}
	for _, bad := range []string{"", "proc.name", "proc.nam = a", "unknown", "proc.name in (a", "proc.name ~ a", `proc.name = "a`, "fd.sport = a", "m and", "m m", "(m", "proc.name = 1 or", "fd.sip = 300.1.1.1", "proc.name < 3"} {
		if _, err := r.parse(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	c, err := r.parse(`m and not (proc.name in (l) or basename(proc.exe) = x)`)
	if err != nil {
		t.Fatal(err)
	}
	if c(map[string]string{"proc.name": "a b"}) || c(map[string]string{"proc.exe": "/bin/x"}) || !c(map[string]string{"proc.name": "a"}) {
		t.Error("taken for something else")
	}
	if _, err := load([]byte("- rule: x\n  condition: evt.type = a\n")); err == nil {
		t.Error("half a rule is accepted")
	}
	if _, err := load(bytes.Repeat([]byte("- list: x\n  items: []\n"), 2)); err == nil {
		t.Error("a list that is there twice is accepted")
	}
}
