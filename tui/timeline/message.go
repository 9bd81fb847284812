package timeline

import (
	"encoding/json"
	"fmt"

	"plimsoll/checks"
)

// A message is stored with the types of its arguments, so that it is translated
// like a new one.
type message checks.Message

type (
	storedMessage struct {
		Format string     `json:"format"`
		Args   []argument `json:"args,omitempty"`
	}
	argument struct {
		Text    *string  `json:"text,omitempty"`
		Int     *int64   `json:"int,omitempty"`
		Float   *float64 `json:"float,omitempty"`
		Message *message `json:"message,omitempty"`
	}
)

// MarshalJSON implements [json.Marshaler].
func (m message) MarshalJSON() ([]byte, error) {
	out := storedMessage{Format: m.Format}
	for _, a := range m.Args {
		var to argument
		switch a := a.(type) {
		case int:
			n := int64(a)
			to.Int = &n
		case int64:
			to.Int = &a
		case float64:
			to.Float = &a
		case checks.Message:
			inner := message(a)
			to.Message = &inner
		default: // what is sensitive prints its mask
			text := fmt.Sprint(a)
			to.Text = &text
		}
		out.Args = append(out.Args, to)
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (m *message) UnmarshalJSON(data []byte) error {
	var in storedMessage
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*m = message{Format: in.Format}
	for _, a := range in.Args {
		switch {
		case a.Int != nil:
			m.Args = append(m.Args, int(*a.Int))
		case a.Float != nil:
			m.Args = append(m.Args, *a.Float)
		case a.Message != nil:
			m.Args = append(m.Args, checks.Message(*a.Message))
		case a.Text != nil:
			m.Args = append(m.Args, *a.Text)
		default:
			m.Args = append(m.Args, "")
		}
	}
	return nil
}
