package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"plimsoll/checks"
)

// A Daemon is how a local engine was configured: by its file, and by the
// command line of its process, which is what really runs.
type Daemon struct {
	File   string                     // path of daemon.json
	Source []byte                     // its content; nil when there is no such file
	Config map[string]json.RawMessage // what stands there; empty when there is no such file
	Flags  map[string][]string        // options of the command line without dashes; "true" for a switch

	// Unread says why File or the command line could not be read, such as
	// "needs root"; "" when both are known. What is not set is then unknown.
	Unread string

	// Reload and Restart are commands that make the engine read File again, as
	// it was started on this machine. A reload takes in some options only.
	Reload, Restart []string
}

// ParseDaemonConfig reads a daemon.json.
func ParseDaemonConfig(src []byte) (map[string]json.RawMessage, error) {
	config := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(src)) == 0 {
		return config, nil
	}
	if err := json.Unmarshal(src, &config); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	return config, nil
}

// short names of options that matter here.
var shortFlags = map[string]string{"H": "host", "D": "debug", "l": "log-level", "b": "bridge", "G": "group", "p": "pidfile"}

// ParseFlags reads the arguments of dockerd, without its own name.
func ParseFlags(args []string) map[string][]string {
	flags := map[string][]string{}
	for i := 0; i < len(args); i++ {
		name, dashed := strings.CutPrefix(args[i], "-")
		if !dashed {
			continue
		}
		name, long := strings.CutPrefix(name, "-")
		name, value, given := strings.Cut(name, "=")
		if !long && len(name) > 0 {
			if !given && len(name) > 1 {
				value, given = name[1:], true // -Hfd://
			}
			name = shortFlags[name[:1]]
		}
		if !given {
			value = "true"
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				value = args[i]
			}
		}
		flags[name] = append(flags[name], value)
	}
	return flags
}

// A setting is what a daemon was told about one thing.
type setting struct {
	values   []string // none: it was told nothing
	evidence checks.Evidence
}

func (s setting) value() string {
	if len(s.values) == 0 {
		return ""
	}
	return s.values[len(s.values)-1]
}

// isTrue and isFalse read a switch; both are false of one that is not set.
func (s setting) isTrue() bool  { return s.value() == "true" }
func (s setting) isFalse() bool { return s.value() == "false" }

// setting returns what d was told: by key in its file, or by flag on its
// command line; "" is for a flag called like the key. ok is false when that
// is not known. dockerd refuses to start when both say something.
func (d *Daemon) setting(key, flag string) (s setting, ok bool) {
	if d == nil {
		return s, false
	}
	if flag == "" {
		flag = key
	}
	if values := d.Flags[flag]; len(values) > 0 {
		return setting{values, checks.Evidence{Source: "command line of dockerd", Detail: "--" + flag + "=" + strings.Join(values, " ")}}, true
	}
	if raw, set := d.Config[key]; set {
		return setting{texts(raw), checks.Evidence{Source: d.File + ", " + key, Detail: string(raw)}}, true
	}
	if d.Unread != "" {
		return s, false
	}
	return setting{nil, checks.Evidence{Source: d.File + " and command line of dockerd", Detail: key + " is not set"}}, true
}

// Value returns what d was told by the key of its file, or by the flag called
// like it; "" when nothing.
func (d *Daemon) Value(key string) string {
	s, _ := d.setting(key, "")
	return s.value()
}

// settingRule declares a rule about one setting of the daemon, where it is
// known: wrong says what is wrong with it, nothing when it is right.
func settingRule(c checks.Check, key, flag string, wrong func(*Host, setting) checks.Message) *checks.Check {
	return check(c, func(h *Host, report func(checks.Finding)) {
		set, known := h.Daemon.setting(key, flag)
		if !known {
			return
		}
		if message := wrong(h, set); !message.IsZero() {
			report(checks.Finding{Message: message, Evidence: []checks.Evidence{set.evidence}})
		}
	})
}

// texts flattens a JSON value: a list gives its elements, an object
// "key=value" for each of its members, anything else itself.
func texts(raw json.RawMessage) []string {
	var list []any
	var object map[string]any
	var one any
	switch {
	case json.Unmarshal(raw, &list) == nil:
		out := make([]string, 0, len(list))
		for _, v := range list {
			out = append(out, fmt.Sprint(v))
		}
		return out
	case json.Unmarshal(raw, &object) == nil:
		out := make([]string, 0, len(object))
		for k, v := range object {
			out = append(out, k+"="+fmt.Sprint(v))
		}
		return out
	case json.Unmarshal(raw, &one) == nil:
		return []string{fmt.Sprint(one)}
	}
	return nil
}
