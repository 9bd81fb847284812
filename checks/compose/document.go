package compose

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
)

// Bounds of what is read. Real files are far below; what is above is made to
// exhaust a reader.
const (
	maxSize  = 1 << 20
	maxDepth = 100
	maxNodes = 200_000 // with every alias expanded

	maxServices = 2000 // the loader takes 0.15 ms for each
)

// A document is what the text of a compose file tells about positions.
type document struct {
	services []*service // in the order of the file
	byName   map[string]*service
	lines    map[string]int // by path: "services.web.ports"
}

// A service is where a service of the file stands.
type service struct {
	name          string
	line, endLine int
	keys          map[string]int    // as in [container.Position]
	environment   map[string]string // as written, before variables are replaced
	passed        map[string]bool   // of these, those that are named without a value
}

// parseDocument refuses what would exhaust a reader of the file called name and
// finds the services.
func parseDocument(name string, source []byte) (*document, error) {
	doc := &document{byName: map[string]*service{}, lines: map[string]int{}}
	if len(source) > maxSize {
		return doc, &checks.Problem{What: checks.Msg("%s is larger than 1 MiB", name)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			return doc, nil
		}
		if err != nil {
			return doc, err
		}
		b := budget{name: name, sizes: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}}
		if _, err := b.size(&root, 0); err != nil {
			return doc, err
		}
		for _, top := range root.Content {
			doc.read(top)
		}
		if len(doc.services) > maxServices {
			return doc, &checks.Problem{What: checks.Msg("%s has more than %d services", name, maxServices)}
		}
	}
}

// A budget measures nodes as often as they are used, visiting each once.
type budget struct {
	name  string // of the file
	sizes map[*yaml.Node]int
	open  map[*yaml.Node]bool
}

func (b *budget) size(n *yaml.Node, depth int) (int, error) {
	if size, ok := b.sizes[n]; ok {
		return size, nil
	}
	if depth > maxDepth {
		return 0, &checks.Problem{What: checks.Msg("%s, line %d: nested more than %d levels deep", b.name, n.Line, maxDepth)}
	}
	if b.open[n] {
		return 0, &checks.Problem{What: checks.Msg("%s, line %d: contains itself", b.name, n.Line)}
	}
	b.open[n] = true
	defer delete(b.open, n)
	total := 1
	children := n.Content
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		children = []*yaml.Node{n.Alias}
	}
	for _, child := range children {
		size, err := b.size(child, depth+1)
		if err != nil {
			return 0, err
		}
		if total += size; total > maxNodes {
			return 0, &checks.Problem{What: checks.Msg("%s expands to more than %d values", b.name, maxNodes)}
		}
	}
	b.sizes[n] = total
	return total, nil
}

// read adds the services below top. A later document of the same file adds to
// those of an earlier one.
func (d *document) read(top *yaml.Node) {
	for _, section := range pairs(top) {
		if section.key.Value != "services" {
			continue
		}
		for _, p := range pairs(section.value) {
			s := d.service(p.key.Value)
			s.line, s.endLine = p.key.Line, max(s.endLine, lastLine(p.value))
			s.read("", p.value)
			for key, line := range s.keys {
				d.lines["services."+s.name+"."+key] = line
			}
			d.lines["services."+s.name] = s.line
		}
	}
}

func (d *document) service(name string) *service {
	if s, ok := d.byName[name]; ok {
		return s
	}
	s := &service{name: name, keys: map[string]int{}, environment: map[string]string{}, passed: map[string]bool{}}
	d.services = append(d.services, s)
	d.byName[name] = s
	return s
}

// read notes the lines of node, which stands at path, and of what it holds.
func (s *service) read(path string, node *yaml.Node) {
	for _, p := range pairs(node) {
		key := path + p.key.Value
		if _, ok := s.keys[key]; !ok {
			s.keys[key] = p.key.Line
		}
		value := resolve(p.value)
		switch {
		case value.Kind == yaml.SequenceNode:
			for _, item := range value.Content {
				s.item(key, resolve(item))
			}
		case key == "environment":
			for _, v := range pairs(value) {
				s.variable(v.key.Value, resolve(v.value), v.key.Line)
			}
		default:
			s.read(key+".", value)
		}
	}
}

// item notes the line of an entry of a list by what the entry is about.
func (s *service) item(key string, item *yaml.Node) {
	note := func(about string) {
		if _, ok := s.keys[key+"."+about]; !ok {
			s.keys[key+"."+about] = item.Line
		}
	}
	long := map[string]string{}
	for _, p := range pairs(item) {
		long[p.key.Value] = resolve(p.value).Value
	}
	switch {
	case key == "environment":
		name, value, ok := strings.Cut(item.Value, "=")
		if !ok {
			value = "${" + name + "}"
			s.passed[name] = true
		}
		s.variable(name, &yaml.Node{Kind: yaml.ScalarNode, Value: value}, item.Line)
	case key == "ports" && item.Kind == yaml.MappingNode:
		note(long["published"])
	case key == "ports":
		ports, err := types.ParsePortConfig(withoutVariables(item.Value))
		if err != nil {
			return
		}
		for _, p := range ports {
			if p.Published == "" {
				note(item.Value)
			}
			note(p.Published)
		}
	case key == "volumes" && item.Kind == yaml.MappingNode:
		note(long["target"])
	case key == "volumes":
		if v, err := format.ParseVolume(withoutVariables(item.Value)); err == nil {
			note(v.Target)
		}
	case key == "devices" && item.Kind == yaml.MappingNode:
		note(long["source"])
	case key == "devices":
		source, _, _ := strings.Cut(item.Value, ":")
		note(source)
	default:
		note(item.Value)
	}
}

func (s *service) variable(name string, value *yaml.Node, line int) {
	if _, ok := s.environment[name]; ok {
		return
	}
	s.keys["environment."+name] = line
	if value.Tag == "!!null" {
		s.environment[name], s.passed[name] = "${"+name+"}", true
		return
	}
	s.environment[name] = value.Value
}

// A pair is an entry of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs returns the entries of a mapping, the own ones before those that are
// merged into it, which they take precedence over.
func pairs(n *yaml.Node) []pair {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var own, merged []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Tag == "!!merge" && resolve(value).Kind == yaml.SequenceNode:
			for _, source := range resolve(value).Content {
				merged = append(merged, pairs(source)...)
			}
		case key.Tag == "!!merge":
			merged = append(merged, pairs(value)...)
		default:
			own = append(own, pair{resolve(key), value})
		}
	}
	return append(own, merged...)
}

// resolve follows an alias. Cycles were refused before.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// lastLine returns the last line of what is written at n; aliases end where
// they stand.
func lastLine(n *yaml.Node) int {
	last := n.Line + strings.Count(strings.TrimSuffix(n.Value, "\n"), "\n")
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		last++ // the text starts on the line after its indicator
	}
	for _, child := range n.Content {
		last = max(last, lastLine(child))
	}
	return last
}
