package ignore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
)

// Entry returns the edit of a configuration that adds an entry of ignore: for
// subject, which is no file. All other bytes stay as they are, comments too.
func (a Acceptance) Entry(source []byte, subject checks.Ref) (checks.Edit, error) {
	var root yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(source)).Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return checks.Edit{}, err
	}
	eol := lineEnd(source)
	edit := checks.Edit{Start: len(source), End: len(source), Reason: checks.Msg("accepted, with the reason for whoever reads it next")}
	missing := ""
	if len(source) > 0 && source[len(source)-1] != '\n' {
		missing = eol
	}
	list, key := find(&root, "ignore")
	switch {
	case key == nil:
		edit.New = missing + "ignore:" + eol + a.entry(subject, "  ", eol)
	case list.Kind == yaml.SequenceNode && list.Style&yaml.FlowStyle == 0 && len(list.Content) > 0:
		// The new entry stands first: where the last one ends is not certain.
		first := list.Content[0]
		at := offset(source, first.Line, 1)
		indent := strings.Repeat(" ", list.Column-1)
		if string(bytes.TrimLeft(source[at:min(len(source), at+len(indent)+1)], " ")) != "-" {
			return edit, unclear(key.Line)
		}
		edit.Start, edit.End = at, at
		edit.New = a.entry(subject, indent, eol)
	case list.Kind == yaml.SequenceNode && len(list.Content) == 0 && list.Line == key.Line:
		at := offset(source, list.Line, list.Column)
		if !bytes.HasPrefix(source[at:], []byte("[]")) {
			return edit, unclear(key.Line)
		}
		edit.Start, edit.End = at, at+len("[]")
		edit.New = strings.TrimSuffix(eol+a.entry(subject, "  ", eol), eol)
	default:
		return edit, unclear(key.Line)
	}
	return edit, nil
}

func unclear(line int) error {
	return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s, line %d: the list is written in a way that cannot be added to safely: add the entry by hand", checks.ConfigurationName, line))
}

// find returns the value of a key at the top of a document, and the key.
func find(root *yaml.Node, name string) (value, key *yaml.Node) {
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return nil, nil
	}
	top := root.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		if top[i].Value == name {
			return top[i+1], top[i]
		}
	}
	return nil, nil
}

// entry returns the lines of an entry.
func (a Acceptance) entry(subject checks.Ref, indent, eol string) string {
	scope := "host: true"
	switch subject.Kind {
	case checks.Container:
		scope = "container: " + quoted(subject.Name)
	case checks.Image:
		scope = "image: " + quoted(subject.Name)
	}
	lines := []string{"- check: " + a.Check, "  " + scope, "  reason: " + quoted(a.reason())}
	if !a.Until.IsZero() {
		lines = append(lines, "  until: "+a.Until.Format(time.DateOnly))
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(indent + l + eol)
	}
	return b.String()
}

// quoted returns s as YAML in double quotes, of which JSON is a part.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("ignore: text does not marshal: " + err.Error())
	}
	return strings.TrimSpace(b.String())
}

// offset returns the byte at a line and column, as YAML counts them.
func offset(source []byte, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(source[at:], '\n')
		if i < 0 {
			return len(source)
		}
		at += i + 1
	}
	for i := range string(source[at:]) {
		if column--; column == 0 {
			return at + i
		}
	}
	return len(source)
}
