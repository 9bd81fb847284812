package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// An exception is an entry of ignore: in a configuration.
type exception checks.Exception

// UnmarshalYAML implements [yaml.Unmarshaler]. What does not say clearly what
// it is about is an error; a missing reason is not, but is reported wherever
// the entry would have counted.
func (e *exception) UnmarshalYAML(node *yaml.Node) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("line %d: ignore: %s", node.Line, fmt.Sprintf(format, args...))
	}
	if node.Kind != yaml.MappingNode {
		return wrong("expected entries such as {check: ID, path: Dockerfile, reason: …, until: YYYY-MM-DD}")
	}
	e.Source, e.Line = checks.ConfigurationName, node.Line
	scopes := 0
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i].Value, node.Content[i+1]
		if key == "check" && value.Kind == yaml.SequenceNode {
			if err := value.Decode(&e.Checks); err != nil {
				return wrong("check: %v", err)
			}
			continue
		}
		if value.Kind != yaml.ScalarNode {
			return wrong("%s is not a text", key)
		}
		text := strings.TrimSpace(value.Value)
		switch key {
		case "check":
			e.Checks = []string{text}
		case "path", "container", "image":
			*map[string]*string{"path": &e.Path, "container": &e.Container, "image": &e.Image}[key] = text
			scopes++
			if text == "" {
				return wrong("%s is empty", key)
			}
		case "host":
			if text != "true" {
				return wrong("host is true or is left out")
			}
			e.Host = true
			scopes++
		case "reason":
			e.Reason = terminal.Line(secret.Redact(text))
		case "until":
			day, err := time.Parse(time.DateOnly, text)
			if err != nil {
				return wrong("until %q is not a date: write YYYY-MM-DD", text)
			}
			e.Until = day
		default:
			return wrong("there is no key %q: use check, path, container, image, host, reason and until", key)
		}
	}
	switch {
	case len(e.Checks) == 0:
		return wrong("check is missing")
	case scopes != 1:
		return wrong("name exactly one of path, container, image and host; to switch a check off everywhere use disable")
	}
	return nil
}

// unusedExceptions says which entries of the configuration concerned something
// that was judged, and matched nothing.
func (a *app) unusedExceptions(policy *checks.Policy, matched func(checks.Exception) (concerned, used bool), now time.Time) error {
	var out []error
	for _, e := range policy.Exceptions {
		if e.Reason == "" || e.Expired(now) {
			continue // said beside the findings
		}
		if concerned, used := matched(e); concerned && !used {
			out = append(out, errors.New(a.T("%s, line %d: the entry for %s matches nothing any more: it can go", checks.ConfigurationName, e.Line, strings.Join(e.Checks, ", "))))
		}
	}
	return errors.Join(out...)
}
