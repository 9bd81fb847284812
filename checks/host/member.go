package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"plimsoll/checks"
)

// setMember returns the edit that gives a member of the object in src a value,
// both JSON; everything else keeps its bytes. Of a name that stands there twice
// the last is the one that counts, here as for the engine.
func setMember(src []byte, name, value string, reason checks.Message) (checks.Edit, error) {
	edit := checks.Edit{Reason: reason}
	quoted, err := json.Marshal(name)
	if err != nil {
		return edit, err
	}
	member := string(quoted) + ": " + value
	if len(bytes.TrimSpace(src)) == 0 {
		edit.End, edit.New = len(src), "{\n  "+member+"\n}\n"
		return edit, nil
	}
	o, err := readObject(src)
	if err != nil {
		return edit, err
	}
	if at, ok := o.values[name]; ok {
		edit.Start, edit.End, edit.New = at[0], at[1], value
		return edit, nil
	}
	if len(o.values) == 0 {
		edit.Start, edit.End, edit.New = o.open, o.close, "\n  "+member+"\n"
		return edit, nil
	}
	edit.Start, edit.End = o.last, o.last
	edit.New = "," + o.indent(src) + member
	return edit, nil
}

// An object is where things stand in the text of a JSON object, in bytes.
type object struct {
	open, close int // after its {, before its }
	first, last int // before its first member, after its last
	values      map[string][2]int
}

func readObject(src []byte) (object, error) {
	o := object{values: map[string][2]int{}}
	d := json.NewDecoder(bytes.NewReader(src))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return o, errors.Join(errors.New("it is no JSON object"), err)
	}
	o.open = int(d.InputOffset())
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return o, err
		}
		name, _ := t.(string) // what else could stand here is an error
		if len(o.values) == 0 {
			o.first = o.open + bytes.IndexByte(src[o.open:], '"')
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return o, err
		}
		o.last = int(d.InputOffset())
		o.values[name] = [2]int{o.last - len(value), o.last}
	}
	if _, err := d.Token(); err != nil {
		return o, err
	}
	o.close = int(d.InputOffset()) - 1
	if rest := bytes.TrimSpace(src[o.close+1:]); len(rest) > 0 {
		return o, fmt.Errorf("something follows the object: %.20q", rest)
	}
	return o, nil
}

// indent returns what stands before a member: a line end and blanks, where each
// has a line of its own.
func (o object) indent(src []byte) string {
	before := string(src[o.open:o.first])
	if !strings.Contains(before, "\n") {
		return " "
	}
	return before
}
