package tui

import (
	"context"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suppress"
	"plimsoll/fixes"
	"plimsoll/fixes/ignore"
)

// ignoring is the fixture with findings that do not count: one by a comment,
// one by the configuration, one by the comment of another tool.
func ignoring() inventory.Update {
	u := fixture()
	for i := range u.Items {
		report := &u.Items[i].Report
		put := func(f checks.Finding, s checks.Suppression) {
			f.Subject = report.Subject
			report.Suppressed = append(report.Suppressed, checks.Suppressed{Finding: f, Suppression: s})
		}
		switch u.Items[i].Ref.Name {
		case "Dockerfile":
			put(found(rulePiped, checks.Ref{}, 5, "", "what %s serves is run as root during the build", "example.com"),
				checks.Suppression{Reason: "the mirror is our own, and pinned", Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), Source: "plimsoll", Line: 4})
			put(found(ruleBase, checks.Ref{}, 1, "debian:12", "%s may be another image tomorrow", "debian:12"), checks.Suppression{Source: "hadolint", Line: 1})
		case "db":
			put(found(rulePids, checks.Ref{}, 0, "", "%s may start any number of processes", "db"),
				checks.Suppression{Reason: "forks per client", Source: checks.ConfigurationName, Line: 12})
		}
	}
	return u
}

// accepting writes the comment as the program does, without proof.
func accepting(_ context.Context, s checks.Subject, a ignore.Acceptance) (*fixes.Plan, error) {
	f, ok := s.(*dockerfile.File)
	if !ok {
		return nil, &checks.Problem{What: checks.Msg("no file")}
	}
	at := 0
	for range a.Line - 1 {
		at += strings.IndexByte(string(f.Source[at:]), '\n') + 1
	}
	text := suppress.Write([]string{a.Check}, a.Reason, a.Until) + "\n"
	after := string(f.Source[:at]) + text + string(f.Source[at:])
	return &fixes.Plan{ID: "i1", Subject: s.Ref(), Mechanism: fixes.Patch, Title: checks.Message{Format: "Ignore %s", Args: []any{a.Check}},
		Files: []fixes.FileChange{{Path: f.Path, Name: f.Name, Before: f.Source, After: []byte(after), Edits: []checks.Edit{{Start: at, End: at, New: text}}}},
		Steps: []fixes.Step{{Op: "write", Target: f.Name}}}, nil
}

func TestIgnoredIsShownInsteadOfWhatCounts(t *testing.T) {
	m := newModel(t, Options{Fixer: &fakeFixer{}, Accept: accepting}, 160, 45)
	drive(m, updateMsg(fixture()))
	press(m, "I")
	shows(t, m, "nothing is ignored here")
	drive(m, updateMsg(ignoring()))
	press(m, "I")
	shows(t, m, "ignored")
	if n := len(m.findings.rows); n != 3 {
		t.Errorf("%d findings are ignored, want 3", n)
	}
	chooseFinding(t, m, "Dockerfile", "remote-script-piped-to-shell")
	shows(t, m, "until 2027-01-31", "the mirror is our own, and pinned", "a comment for plimsoll, line 4")
	press(m, "i")
	shows(t, m, "this finding is ignored already")
	chooseFinding(t, m, "Dockerfile", "base-image-not-digest-pinned")
	shows(t, m, "no reason is given", "for ever")
	chooseFinding(t, m, "db", "container-pids-unlimited")
	shows(t, m, "forks per client", ".plimsoll.yaml, line 12")
	press(m, "I")
	for _, r := range m.findings.rows {
		if r.ignored != nil {
			t.Errorf("%s is still shown", r.finding.Check.ID)
		}
	}
}

func TestIgnoreFromTheScreen(t *testing.T) {
	f := &fakeFixer{}
	changed := 0
	m := newModel(t, Options{Fixer: f, Accept: accepting, Changed: func() { changed++ }}, 120, 40)
	drive(m, updateMsg(fixture()))
	chooseFinding(t, m, "Dockerfile", "user-missing")
	press(m, "i", "enter")
	shows(t, m, "a finding is ignored for a reason")
	press(m, "b", "y", "space", "u", "s", "tab", "s", "o", "o", "n", "enter")
	shows(t, m, "write YYYY-MM-DD")
	press(m, "ctrl+u", "2", "0", "2", "6", "-", "0", "1", "-", "0", "1", "enter")
	shows(t, m, "this day is over already")
	press(m, "ctrl+u", "2", "0", "2", "7", "-", "0", "1", "-", "3", "1", "enter")
	shows(t, m, `# plimsoll: ignore=user-missing reason="by us" until=2027-01-31`)
	if len(f.entries) > 0 {
		t.Fatal("written without being confirmed")
	}
	press(m, "enter")
	shows(t, m, "Done")
	if len(f.entries) != 1 || changed != 1 {
		t.Errorf("%d entries, told %d times", len(f.entries), changed)
	}
	press(m, "u", "enter")
	if len(f.undone) != 1 || changed != 2 {
		t.Errorf("undone %v, told %d times", f.undone, changed)
	}
}

func TestIgnoreSaysWhyNot(t *testing.T) {
	for want, o := range map[string]Options{
		"read-only":                            {Fixer: &fakeFixer{}, Accept: accepting, ReadOnly: true},
		"there is no project to write this to": {Fixer: &fakeFixer{}},
	} {
		m := newModel(t, o, 120, 40)
		drive(m, updateMsg(fixture()))
		chooseFinding(t, m, "Dockerfile", "user-missing")
		press(m, "i")
		shows(t, m, want)
	}
}
