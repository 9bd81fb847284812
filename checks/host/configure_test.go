package host

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"plimsoll/checks"
)

func TestSetMember(t *testing.T) {
	for _, test := range []struct{ name, before, after string }{
		{"nothing", "", "{\n  \"icc\": false\n}\n"},
		{"blank", " \n", "{\n  \"icc\": false\n}\n"},
		{"empty", "{}", "{\n  \"icc\": false\n}"},
		{"one line", `{"a": 1, "b": [1, 2]}`, `{"a": 1, "b": [1, 2], "icc": false}`},
		{"lines", "{\n\t\"a\": 1,\n\t\"b\": {\"icc\": 7}\n}\n", "{\n\t\"a\": 1,\n\t\"b\": {\"icc\": 7},\n\t\"icc\": false\n}\n"},
		{"CRLF", "{\r\n    \"a\": 1\r\n}\r\n", "{\r\n    \"a\": 1,\r\n    \"icc\": false\r\n}\r\n"},
		{"there", "{ \"icc\" :  true , \"a\": 1 }", "{ \"icc\" :  false , \"a\": 1 }"},
		{"there twice", `{"icc": 1, "icc": 2}`, `{"icc": 1, "icc": false}`},
		{"a list", `["icc"]`, ""},
		{"more than an object", `{"a": 1} x`, ""},
		{"cut off", `{"a": 1`, ""},
		{"a comment", "{\n  // no\n  \"a\": 1\n}", ""},
	} {
		edit, err := setMember([]byte(test.before), "icc", "false", checks.Message{})
		if err != nil {
			if test.after != "" {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if got := test.before[:edit.Start] + edit.New + test.before[edit.End:]; got != test.after {
			t.Errorf("%s: %q, want %q", test.name, got, test.after)
		}
	}
}

// Every option that is written cures what it is written for, brings in nothing
// and takes nothing away.
func TestOptionsCure(t *testing.T) {
	tried := map[string]bool{}
	for _, c := range cases {
		h := sound()
		h.Info.LoggingDriver = "json-file"
		c.change(h)
		if h.Daemon == nil {
			continue
		}
		source, err := json.Marshal(h.Daemon.Config)
		if err != nil {
			t.Fatal(err)
		}
		h.Daemon.Source, h.Daemon.Config = source, config(string(source))
		before := each(h)
		for _, f := range before {
			for _, fix := range f.Fixes {
				tried[f.Check.ID] = true
				values := checks.Values{}
				for _, choice := range fix.Choices {
					values[choice.Key] = choice.Default
					if err := choice.Valid(choice.Default); err != nil {
						t.Errorf("%s: %s=%s: %v", f.Check.ID, choice.Key, choice.Default, err)
					}
				}
				edits, err := fix.Edit(values)
				if err != nil || len(edits) != 1 {
					t.Fatalf("%s: %d edits, %v", f.Check.ID, len(edits), err)
				}
				e := edits[0]
				next, err := h.With([]byte(string(source[:e.Start]) + e.New + string(source[e.End:])))
				if err != nil {
					t.Fatalf("%s: %v", f.Check.ID, err)
				}
				after := each(next)
				if has(after, f) {
					t.Errorf("%s, %s: still there with %s", c.name, f.Check.ID, next.Daemon.Source)
				}
				for _, g := range after {
					if !has(before, g) {
						t.Errorf("%s, %s: brought %s", c.name, f.Check.ID, g.Check.ID)
					}
				}
				if !has(each(h), f) {
					t.Errorf("%s, %s: the host as it is has changed", c.name, f.Check.ID)
				}
				if changed := h.Daemon.Differing(next.Daemon); len(changed) != 1 {
					t.Errorf("%s: changes %v", f.Check.ID, changed)
				}
			}
		}
	}
	for id := range cures {
		if !tried[id] {
			t.Errorf("%s: no case tries its option", id)
		}
	}
}

// each runs every check by itself, so that none hides another.
func each(h *Host) (all []checks.Finding) {
	for _, c := range Checks() {
		all = append(all, checks.Run(h, []*checks.Check{c}, &checks.Policy{Profile: checks.All}).Findings...)
	}
	return all
}

func has(all []checks.Finding, f checks.Finding) bool {
	return slices.ContainsFunc(all, func(g checks.Finding) bool { return g.ID() == f.ID() })
}

// Nothing is offered where it would not work: for an engine elsewhere, for what
// its command line says, and for a file that nobody could read.
func TestOptionsNotOffered(t *testing.T) {
	for name, change := range map[string]func(*Host){
		"elsewhere":       func(h *Host) { h.Daemon = nil },
		"unread":          func(h *Host) { h.Daemon.Unread = "needs root" },
		"on command line": func(h *Host) { h.Daemon.Flags = map[string][]string{"live-restore": {"false"}} },
	} {
		h := sound()
		h.Info.LiveRestoreEnabled = false
		change(h)
		for _, f := range checks.Run(h, Checks(), &checks.Policy{Profile: checks.All}).Findings {
			if f.Check.ID == "daemon-live-restore-off" && len(f.Fixes) > 0 {
				t.Errorf("%s: a fix is offered", name)
			}
		}
	}
}

// What else stands in an object that gets a member stays.
func TestMerged(t *testing.T) {
	d := &Daemon{Config: config(`{"log-opts": {"tag": "x", "max-size": "-1"}, "default-ulimits": "odd"}`)}
	var got map[string]string
	if err := json.Unmarshal([]byte(d.merged("log-opts", map[string]any{"max-size": "10m"})), &got); err != nil || !maps.Equal(got, map[string]string{"tag": "x", "max-size": "10m"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got := d.merged("default-ulimits", map[string]any{"a": 1}); got != `{"a":1}` {
		t.Errorf("over what is no object: %s", got)
	}
}

func TestObey(t *testing.T) {
	d := &Daemon{Config: config(`{"icc": true}`), Reload: []string{"reload"}, Restart: []string{"restart"}}
	for next, want := range map[string]string{
		`{"icc": true}`:                        "",
		`{"icc": true, "live-restore": true}`:  "reload",
		`{"icc": true, "debug": false}`:        "reload",
		`{"icc": false, "live-restore": true}`: "restart",
		`{}`:                                   "restart",
	} {
		if got := d.Obey(&Daemon{Config: config(next)}); !reflect.DeepEqual(strings.Join(got, " "), want) {
			t.Errorf("%s: %v, want %s", next, got, want)
		}
	}
	d.Config = config(`{"live-restore": true}`)
	if got := d.Obey(&Daemon{}); strings.Join(got, " ") != "restart" {
		t.Errorf("an option that is no longer there: %v", got)
	}
}
