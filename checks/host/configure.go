package host

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"plimsoll/checks"
)

// An option is what a fix writes into daemon.json.
type option struct {
	key, flag string // flag: "" for one called like the key
	title     checks.Message
	caution   checks.Message
	choices   []checks.Choice
	value     func(checks.Values) string // JSON
}

// configure returns the fix that writes o into daemon.json. There is none for
// an engine elsewhere, for a file that is not understood, and for what the
// command line says, which the engine would not start with.
func (h *Host) configure(o option) []checks.Fix {
	d := h.Daemon
	if d == nil || d.Unread != "" || d.File == "" {
		return nil
	}
	if _, set := d.Flags[o.key]; set || o.flag != "" && len(d.Flags[o.flag]) > 0 {
		return nil
	}
	if o.caution.IsZero() && !reloadable[o.key] {
		o.caution = checks.Msg("the engine takes it in when it is restarted, which stops every container unless live-restore is on")
	}
	return []checks.Fix{{
		ID: "daemon-option", Title: o.title, Caution: o.caution, Choices: o.choices,
		Edit: func(values checks.Values) ([]checks.Edit, error) {
			edit, err := setMember(d.Source, o.key, o.value(values), o.title)
			return []checks.Edit{edit}, err
		},
	}}
}

// fixed is the value of an option that leaves nothing to choose.
func fixed(value string) func(checks.Values) string {
	return func(checks.Values) string { return value }
}

// reloadable are options that an engine takes in while it runs, of those that
// a fix writes: see "Configuration reload behavior" in the reference of dockerd.
var reloadable = map[string]bool{"debug": true, "live-restore": true}

// With returns h as it will be once its engine has taken in source, a new
// daemon.json.
func (h *Host) With(source []byte) (*Host, error) {
	config, err := ParseDaemonConfig(source)
	if err != nil {
		return nil, err
	}
	next, daemon := *h, *h.Daemon
	daemon.Source, daemon.Config = append([]byte{}, source...), config
	next.Daemon = &daemon
	// What an engine says of itself follows its configuration.
	for key, take := range map[string]func(json.RawMessage){
		"live-restore": func(v json.RawMessage) { next.Info.LiveRestoreEnabled = string(v) == "true" },
		"debug":        func(v json.RawMessage) { next.Info.Debug = string(v) == "true" },
		"experimental": func(v json.RawMessage) { next.Info.ExperimentalBuild = string(v) == "true" },
		"icc":          func(v json.RawMessage) { next.bridgeOption(enableICC, string(v)) },
		"ip":           func(v json.RawMessage) { next.bridgeOption(hostBinding, strings.Join(texts(v), "")) },
	} {
		if v, set := config[key]; set && string(v) != string(h.Daemon.Config[key]) {
			take(v)
		}
	}
	return &next, nil
}

func (h *Host) bridgeOption(name, value string) {
	if h.Bridge == nil {
		return
	}
	bridge := *h.Bridge
	bridge.Options = maps.Clone(bridge.Options)
	if bridge.Options == nil {
		bridge.Options = map[string]string{}
	}
	bridge.Options[name] = value
	h.Bridge = &bridge
}

// Differing returns the options in which next has been configured otherwise.
func (d *Daemon) Differing(next *Daemon) []string {
	keys := map[string]json.RawMessage{}
	maps.Copy(keys, d.Config) // nil without a file
	maps.Copy(keys, next.Config)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(keys)), func(key string) bool {
		return string(d.Config[key]) == string(next.Config[key])
	})
}

// Obey returns the command that makes the engine take in what next says in
// other words than d; nil when they say the same. A reload leaves an option as it
// is that is no longer in the file.
func (d *Daemon) Obey(next *Daemon) []string {
	changed := d.Differing(next)
	switch {
	case len(changed) == 0:
		return nil
	case !slices.ContainsFunc(changed, func(key string) bool { return !reloadable[key] || next.Config[key] == nil }):
		return d.Reload
	}
	return d.Restart
}

// merged returns the object that key holds with members added, as JSON.
func (d *Daemon) merged(key string, members map[string]any) string {
	object := map[string]any{}
	_ = json.Unmarshal(d.Config[key], &object) // what is no object is replaced
	maps.Copy(object, members)
	text, err := json.Marshal(object)
	if err != nil {
		return "{}" // what was read from JSON is JSON
	}
	return string(text)
}

// openFiles is the option for the limit of open files of every container.
func (h *Host) openFiles() option {
	return option{
		key: "default-ulimits", flag: "default-ulimit", title: checks.Msg("limit open files of every container"),
		choices: []checks.Choice{{
			Key: "files", Label: checks.Msg("open files and connections of each process"), Default: "65536",
			Why: checks.Msg("more than most services open, far below what a kernel hands out"), Valid: positive,
		}},
		value: func(v checks.Values) string {
			n, _ := strconv.Atoi(v["files"]) // it is valid
			return h.Daemon.merged("default-ulimits", map[string]any{"nofile": map[string]any{"Name": "nofile", "Hard": n, "Soft": n}})
		},
	}
}

// rotation is the option that bounds the logs of every container.
func (h *Host) rotation() option {
	return option{
		key: "log-opts", flag: "log-opt", title: checks.Msg("rotate the logs of containers"),
		caution: checks.Msg("for containers that are created after the engine was restarted, which stops every container unless live-restore is on"),
		choices: []checks.Choice{
			{Key: "log-size", Label: checks.Msg("size of a log file, such as 10m"), Default: "10m", Valid: logSize},
			{Key: "log-files", Label: checks.Msg("log files of each container"), Default: "3", Valid: positive},
		},
		value: func(v checks.Values) string {
			return h.Daemon.merged("log-opts", map[string]any{"max-size": v["log-size"], "max-file": v["log-files"]})
		},
	}
}

func positive(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 {
		return &checks.Problem{What: checks.Msg("this is no whole number above 0")}
	}
	return nil
}

func logSize(value string) error {
	digits := strings.TrimRight(value, "kmg")
	if len(value)-len(digits) > 1 || positive(digits) != nil {
		return &checks.Problem{What: checks.Msg("a size is a whole number with k, m or g behind it")}
	}
	return nil
}

// cures are the options that cure findings, by the id of their check.
var cures = map[string]func(*Host) option{
	"daemon-inter-container-traffic-open": func(*Host) option {
		return option{
			key: "icc", title: checks.Msg("keep containers on the default bridge apart"), value: fixed("false"),
			caution: checks.Msg("containers on the default bridge no longer reach each other once the engine was restarted, which stops every container unless live-restore is on; those in networks of their own do"),
		}
	},
	"daemon-live-restore-off": func(*Host) option {
		return option{key: "live-restore", title: checks.Msg("let containers run on while the engine is restarted"), value: fixed("true")}
	},
	"daemon-new-privileges-allowed": func(*Host) option {
		return option{
			key: "no-new-privileges", title: checks.Msg("deny new privileges to every container"), value: fixed("true"),
			caution: checks.Msg("setuid programs such as sudo stop working in containers that are created after the engine was restarted, which stops every container unless live-restore is on"),
		}
	},
	"daemon-default-bind-all-interfaces": func(*Host) option {
		return option{
			key: "ip", title: checks.Msg("publish on 127.0.0.1 where nothing else is said"), value: fixed(`"127.0.0.1"`),
			caution: checks.Msg("other machines no longer reach ports that are published without an address, once the engine was restarted, which stops every container unless live-restore is on"),
		}
	},
	"daemon-userland-proxy-on": func(*Host) option {
		return option{key: "userland-proxy", title: checks.Msg("publish ports without a process for each"), value: fixed("false")}
	},
	"daemon-ulimits-default":      (*Host).openFiles,
	"daemon-log-rotation-missing": (*Host).rotation,
	"daemon-debug-on": func(*Host) option {
		return option{key: "debug", title: checks.Msg("turn debug mode off"), value: fixed("false")}
	},
	"daemon-log-level-not-info": func(*Host) option {
		return option{key: "log-level", title: checks.Msg("log at level info"), value: fixed(`"info"`)}
	},
	"daemon-experimental-on": func(*Host) option {
		return option{key: "experimental", title: checks.Msg("turn experimental features off"), value: fixed("false")}
	},
}
