package suppress

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
)

var suite = []*checks.Check{
	{ID: "untagged", Kind: checks.Dockerfile, Severity: checks.Medium, Chapter: checks.Updates, Refs: []string{"hadolint DL3006", "BuildKit TagMissing"}},
	{ID: "latest", Kind: checks.Dockerfile, Severity: checks.Medium, Chapter: checks.Updates, Refs: []string{"hadolint DL3007"}},
	{ID: "shell-form", Kind: checks.Dockerfile, Severity: checks.Low, Chapter: checks.Hygiene, Refs: []string{"hadolint DL3025", "BuildKit JSONArgsRecommended"}},
	{ID: "also-untagged", Kind: checks.Dockerfile, Severity: checks.Low, Chapter: checks.Updates, Refs: []string{"hadolint DL3006"}},
}

var names = NewNames(suite)

// spansOf finds instructions the simple way: a line each, continued by \.
func spansOf(source string) []Span {
	var out []Span
	open := false
	for i, line := range strings.Split(strings.TrimPrefix(source, "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if open {
			out[len(out)-1].Last = i + 1
		} else {
			out = append(out, Span{First: i + 1, Last: i + 1})
		}
		open = strings.HasSuffix(line, `\`)
	}
	return out
}

// show prints a rule as "line: checks @first-last [source] reason until", or
// what is wrong with it.
func show(rules []Rule) string {
	var out []string
	for _, r := range rules {
		s := fmt.Sprintf("%d: %s @%d-%d %s", r.Line, strings.Join(r.Checks, ","), r.First, r.Last, r.Source)
		if r.Reason != "" {
			s += " (" + r.Reason + ")"
		}
		if !r.Until.IsZero() {
			s += " until " + r.Until.Format(time.DateOnly)
		}
		if !r.Wrong.IsZero() {
			s = fmt.Sprintf("%d: wrong: %s", r.Line, r.Wrong)
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestDockerfileComments(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"above an instruction", "FROM a\n# plimsoll: ignore=latest reason=\"it is ours\"\nRUN x\n", "2: latest @3-3 plimsoll (it is ours)"},
		{"several, with a date", "FROM a\n#plimsoll:ignore=latest,untagged until=2027-01-31 reason='why not'\nRUN x\n", "2: latest,untagged @3-3 plimsoll (why not) until 2027-01-31"},
		{"a list with blanks", "FROM a\n# plimsoll: ignore=latest, untagged reason=x\nRUN x\n", "2: latest,untagged @3-3 plimsoll (x)"},
		{"escapes", "FROM a\n# plimsoll: ignore=latest reason=\"a \\\"b\\\" \\\\ c\"\nRUN x\n", `2: latest @3-3 plimsoll (a "b" \ c)`},
		{"whole file", "# plimsoll: ignore=latest reason=x\nFROM a\nRUN x\n", "1: latest @0-0 plimsoll (x)"},
		{"whole file below a directive", "# syntax=docker/dockerfile:1\n\n# plimsoll: ignore=latest reason=x\nFROM a\n", "3: latest @0-0 plimsoll (x)"},
		{"whole file with BOM and CRLF", "\ufeff# plimsoll: ignore=latest reason=x\r\nFROM a\r\n", "1: latest @0-0 plimsoll (x)"},
		{"several comments above", "FROM a\n# plimsoll: ignore=latest reason=x\n\n# more\nRUN a \\\n  b\n", "2: latest @5-6 plimsoll (x)"},
		{"inside of an instruction", "FROM a\nRUN a \\\n# plimsoll: ignore=latest reason=x\n  b\nRUN c\n", "3: latest @2-4 plimsoll (x)"},
		{"at the end", "FROM a\n# plimsoll: ignore=latest reason=x", "2: latest @2-2 plimsoll (x)"},
		{"not a comment", "FROM a\nRUN echo '# plimsoll: ignore=latest reason=x'\n", ""},
		{"talk", "FROM a\n# plimsoll found that we ignore=everything\n# check the cache\nRUN x\n", ""},
		{"no reason", "FROM a\n# plimsoll: ignore=latest\nRUN x\n", `2: wrong: the ignore comment for latest does not count, because it gives no reason: add reason="…"`},
		{"blank reason", "FROM a\n# plimsoll: ignore=latest reason=\"  \"\nRUN x\n", `2: wrong: the ignore comment for latest does not count, because it gives no reason: add reason="…"`},
		{"no check", "FROM a\n# plimsoll: ignore= reason=x\nRUN x\n", "2: wrong: the ignore comment names no check: write ignore=ID"},
		{"unknown check", "FROM a\n# plimsoll: ignore=lates reason=x\nRUN x\n", "2: wrong: the ignore comment names “lates”, which is no check"},
		{"no date", "FROM a\n# plimsoll: ignore=latest reason=x until=31.1.2027\nRUN x\n", "2: wrong: the ignore comment has no date in until=“31.1.2027”: write YYYY-MM-DD"},
		{"no such date", "FROM a\n# plimsoll: ignore=latest reason=x until=2027-02-30\nRUN x\n", "2: wrong: the ignore comment has no date in until=“2027-02-30”: write YYYY-MM-DD"},
		{"unknown field", "FROM a\n# plimsoll: ignore=latest because=x\nRUN x\n", "2: wrong: the ignore comment says “because”, which means nothing: it knows ignore, reason and until"},
		{"twice", "FROM a\n# plimsoll: ignore=latest reason=x reason=y\nRUN x\n", "2: wrong: the ignore comment says “reason” twice"},
		{"open quote", "FROM a\n# plimsoll: ignore=latest reason=\"x\nRUN x\n", "2: wrong: the ignore comment has a quote that does not end"},
		{"reason without quotes", "FROM a\n# plimsoll: ignore=latest reason=it is ours\nRUN x\n", `2: wrong: the ignore comment cannot be read from “is ours” on: write ignore=ID reason="…" until=YYYY-MM-DD`},
		{"hadolint", "FROM a\n# hadolint ignore=DL3006,DL3007\nRUN x\n", "2: also-untagged,latest,untagged @3-3 hadolint"},
		{"hadolint above the first", "# hadolint ignore=DL3007, SC2086\nFROM a\nRUN x\n", "1: latest @2-2 hadolint"},
		{"hadolint global", "FROM a\n# hadolint global ignore=DL3007\nRUN x\n", "2: latest @0-0 hadolint"},
		{"hadolint of its own", "FROM a\n# hadolint shell=bash\nRUN x\n", ""},
		{"BuildKit", "# check=skip=JSONArgsRecommended,TagMissing;error=true\nFROM a\n", "1: shell-form,untagged @0-0 BuildKit"},
		{"BuildKit with blanks, after another directive", "# escape=`\n# check = error=true; skip=tagmissing\nFROM a\n", "2: untagged @0-0 BuildKit"},
		{"BuildKit all", "# check=skip=all\nFROM a\n", "1: shell-form,untagged @0-0 BuildKit"},
		{"BuildKit above an instruction", "FROM a\n# check=skip=JSONArgsRecommended\nCMD x\n", "2: shell-form @3-3 BuildKit"},
		{"BuildKit, no longer a directive", "# hello\n# check=skip=TagMissing\nFROM a\nFROM b\n", "2: untagged @3-3 BuildKit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := show(Dockerfile([]byte(test.source), spansOf(test.source), names)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestHeredocsHoldNoComments(t *testing.T) {
	source := "FROM a\nRUN <<EOF\n# plimsoll: ignore=latest reason=x\nEOF\n"
	spans := []Span{{First: 1, Last: 1}, {First: 2, Last: 4, Heredocs: [][2]int{{3, 4}}}}
	if got := Dockerfile([]byte(source), spans, names); got != nil {
		t.Errorf("got %v", show(got))
	}
}

func TestYAMLComments(t *testing.T) {
	const file = `%s
services:
  web: # the shop
    image: web:latest %s
    %s
    ports:
    - "80:80"
    %s
    - "81:81"
    command: |
      # plimsoll: ignore=latest reason=text
      serve

    privileged: true
  %s
  db:
    image: db
volumes: {}
`
	const comment = "# plimsoll: ignore=latest reason=x"
	for i, test := range []struct{ name, want string }{
		{"top", "1: latest @0-0 plimsoll (x)"},
		{"end of a line", "4: latest @4-4 plimsoll (x)"},
		{"above a list", "5: latest @6-9 plimsoll (x)"},
		{"above an entry", "8: latest @9-9 plimsoll (x)"},
		{"above a service", "15: latest @16-17 plimsoll (x)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := []any{"#", "#", "#", "#", "#"}
			args[i] = comment
			source := fmt.Sprintf(file, args...)
			for _, source := range []string{source, strings.ReplaceAll(source, "\n", "\r\n")} {
				if got := show(YAML([]byte(source), names)); got != test.want {
					t.Errorf("got\n%s\nwant\n%s", got, test.want)
				}
			}
		})
	}
	for name, source := range map[string]string{
		"in a string":       "a: \"x # plimsoll: ignore=latest reason=x\"\n",
		"in a single quote": "a: 'x # plimsoll: ignore=latest reason=x'\n",
		"hadolint":          "a: b\n# hadolint ignore=DL3007\nc: d\n",
		"in a folded text":  "a: >-\n  # plimsoll: ignore=latest reason=x\nc: d\n",
	} {
		if got := YAML([]byte(source), names); got != nil {
			t.Errorf("%s: %s", name, show(got))
		}
	}
	if got, want := show(YAML([]byte("a:\n  b: |\n    x\n\n    y\n  # plimsoll: ignore=latest reason=x\n  c: |\n    z\n\n    z\n")[:], names)), "6: latest @7-10 plimsoll (x)"; got != want {
		t.Errorf("a text of several lines: got %s, want %s", got, want)
	}
}

var now = time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC)

func finding(id string, line int) checks.Finding {
	for _, c := range suite {
		if c.ID == id {
			return checks.Finding{Check: c, Severity: c.Severity, Line: line, EndLine: line, Message: checks.Msg("found")}
		}
	}
	panic(id)
}

// outcome prints findings as "id:line message", then the suppressed ones.
func outcome(r checks.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s:%d %s\n", f.Check.ID, f.Line, f.Message)
	}
	for _, s := range r.Suppressed {
		fmt.Fprintf(&b, "- %s:%d %s %s\n", s.Check.ID, s.Line, s.Suppression.Source, s.Suppression.Reason)
	}
	return b.String()
}

func TestApply(t *testing.T) {
	const source = "FROM a\n%s\nFROM b\n"
	exception := func(reason, until string, change func(*checks.Exception)) *checks.Policy {
		e := checks.Exception{Checks: []string{"latest"}, Root: "/p", Path: "**/Dockerfile", Suppression: checks.Suppression{Reason: reason, Source: checks.ConfigurationName, Line: 4}}
		if until != "" {
			e.Until, _ = time.Parse(time.DateOnly, until)
		}
		if change != nil {
			change(&e)
		}
		return &checks.Policy{Profile: checks.All, Exceptions: []checks.Exception{e}}
	}
	all := &checks.Policy{Profile: checks.All}
	for _, test := range []struct {
		name, comment string
		policy        *checks.Policy
		want          string
	}{
		{"no rule", "#", all, "latest:1 found\nlatest:3 found\n"},
		{"one line only", "# plimsoll: ignore=latest reason=x", all, "latest:1 found\n- latest:3 plimsoll x\n"},
		{"last day", "# plimsoll: ignore=latest reason=x until=2027-01-31", all, "latest:1 found\n- latest:3 plimsoll x\n"},
		{"expired", "# plimsoll: ignore=latest reason=x until=2027-01-30", all, "latest:1 found\nlatest:3 found\nsuppression-without-reason:2 the ignore comment for latest expired on 2027-01-30\n"},
		{"no reason", "# plimsoll: ignore=latest", all, "latest:1 found\nlatest:3 found\nsuppression-without-reason:2 the ignore comment for latest does not count, because it gives no reason: add reason=\"…\"\n"},
		{"no reason, reported in every profile", "# plimsoll: ignore=latest", nil, "latest:1 found\nlatest:3 found\nsuppression-without-reason:2 the ignore comment for latest does not count, because it gives no reason: add reason=\"…\"\n"},
		{"no reason, but nobody wants to know", "# plimsoll: ignore=latest", &checks.Policy{Disabled: map[string]bool{"suppression-without-reason": true}}, "latest:1 found\nlatest:3 found\n"},
		{"unused", "# plimsoll: ignore=untagged reason=x", all, "latest:1 found\nlatest:3 found\nsuppression-without-reason:2 the ignore comment for untagged matches nothing any more: it can go\n"},
		{"half used", "# plimsoll: ignore=untagged,latest reason=x", all, "latest:1 found\nsuppression-without-reason:2 the ignore comment for untagged matches nothing any more: it can go\n- latest:3 plimsoll x\n"},
		{"not run, so perhaps used", "# plimsoll: ignore=shell-form reason=x", nil, "latest:1 found\nlatest:3 found\n"},
		{"hadolint needs no reason", "# hadolint ignore=DL3007", all, "latest:1 found\n- latest:3 hadolint \n"},
		{"hadolint may be unused", "# hadolint ignore=DL3006", all, "latest:1 found\nlatest:3 found\n"},
		{"exception", "#", exception("ours", "", nil), "- latest:1 .plimsoll.yaml ours\n- latest:3 .plimsoll.yaml ours\n"},
		{"the nearest word wins", "# plimsoll: ignore=latest reason=x", exception("ours", "", nil), "- latest:1 .plimsoll.yaml ours\n- latest:3 plimsoll x\n"},
		{"exception on its last day", "#", exception("ours", "2027-01-31", nil), "- latest:1 .plimsoll.yaml ours\n- latest:3 .plimsoll.yaml ours\n"},
		{"exception expired", "#", exception("ours", "2027-01-30", nil), "latest:1 found\nlatest:3 found\nsuppression-without-reason:0 the entry for latest in .plimsoll.yaml, line 4, expired on 2027-01-30\n"},
		{"exception without a reason", "#", exception("", "", nil), "latest:1 found\nlatest:3 found\nsuppression-without-reason:0 the entry for latest in .plimsoll.yaml, line 4, does not count, because it gives no reason\n"},
		{"exception elsewhere", "#", exception("", "", func(e *checks.Exception) { e.Path = "other/*" }), "latest:1 found\nlatest:3 found\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := fmt.Sprintf(source, test.comment)
			report := checks.Report{Subject: checks.Ref{Kind: checks.Dockerfile, ID: "/p/Dockerfile", Name: "Dockerfile"}, Findings: []checks.Finding{finding("latest", 1), finding("latest", 3)}}
			before := append([]checks.Finding(nil), report.Findings...)
			got := Apply(report, Dockerfile([]byte(text), spansOf(text), names), suite, test.policy, now)
			if s := outcome(got); s != test.want {
				t.Errorf("got\n%s\nwant\n%s", s, test.want)
			}
			if fmt.Sprint(before) != fmt.Sprint(report.Findings) {
				t.Error("the report that was handed in has changed")
			}
		})
	}
}

func TestUnusedIsNotSaidWhereNobodyKnows(t *testing.T) {
	rule := Rule{Checks: []string{"latest"}, Suppression: checks.Suppression{Reason: "x", Source: "plimsoll", Line: 1}}
	unread := checks.Report{Subject: checks.Ref{Kind: checks.Dockerfile}, Errors: []error{fmt.Errorf("half read")}}
	if got := Apply(unread, []Rule{rule}, suite, nil, now); len(got.Findings) > 0 {
		t.Errorf("of a file that was half read: %s", outcome(got))
	}
	covering := *suite[0]
	covering.Covers = []string{"latest"}
	covered := checks.Report{Subject: checks.Ref{Kind: checks.Dockerfile}, Findings: []checks.Finding{{Check: &covering}}}
	if got := Apply(covered, []Rule{rule}, suite, nil, now); len(got.Findings) != 1 {
		t.Errorf("of what another finding stands for: %s", outcome(got))
	}
}

func TestConcerns(t *testing.T) {
	for _, test := range []struct {
		exception checks.Exception
		subject   checks.Ref
		want      bool
	}{
		{checks.Exception{Path: "Dockerfile"}, checks.Ref{Kind: checks.Dockerfile, ID: "/p/Dockerfile"}, true},
		{checks.Exception{Path: "./Dockerfile"}, checks.Ref{Kind: checks.Dockerfile, ID: "/p/Dockerfile"}, true},
		{checks.Exception{Path: "Dockerfile"}, checks.Ref{Kind: checks.Dockerfile, ID: "/p/a/Dockerfile"}, false},
		{checks.Exception{Path: "**/Dockerfile"}, checks.Ref{Kind: checks.Dockerfile, ID: "/p/Dockerfile"}, true},
		{checks.Exception{Path: "**/b/*.yaml"}, checks.Ref{Kind: checks.Compose, ID: "/p/a/b/b/c.yaml"}, true},
		{checks.Exception{Path: "a/**"}, checks.Ref{Kind: checks.Compose, ID: "/p/a/b/c.yaml"}, true},
		{checks.Exception{Path: "a/*"}, checks.Ref{Kind: checks.Compose, ID: "/p/a/b/c.yaml"}, false},
		{checks.Exception{Path: "**"}, checks.Ref{Kind: checks.Dockerfile, ID: "/other/Dockerfile"}, false},
		{checks.Exception{Container: "web*"}, checks.Ref{Kind: checks.Container, Name: "web-1"}, true},
		{checks.Exception{Container: "web"}, checks.Ref{Kind: checks.Container, Name: "web-1"}, false},
		{checks.Exception{Container: "web"}, checks.Ref{Kind: checks.Image, Name: "web"}, false},
		{checks.Exception{Image: "registry.example/*:1.?"}, checks.Ref{Kind: checks.Image, Name: "registry.example/a/b:1.2"}, true},
		{checks.Exception{Host: true}, checks.Ref{Kind: checks.Host}, true},
		{checks.Exception{Path: "**"}, checks.Ref{Kind: checks.Host}, false},
	} {
		test.exception.Root = "/p"
		if got := Concerns(test.exception, test.subject); got != test.want {
			t.Errorf("%+v of %+v: %v", test.exception, test.subject, got)
		}
	}
}

func TestMatchIsNotExponential(t *testing.T) {
	begin := time.Now()
	Match(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 5000), false)
	Match(strings.Repeat("**/a/", 500)+"b", strings.Repeat("a/", 5000), true)
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

// FuzzComments holds that no file upsets the readers of comments, that what
// they say is safe to show, and that lines lie within the file.
func FuzzComments(f *testing.F) {
	f.Add("FROM a\n# plimsoll: ignore=latest reason=\"x\\\"\" until=2027-01-31\nRUN x \\\n# hadolint global ignore=DL3006\n y\n")
	f.Add("# check=skip=all;error=true\nFROM a\n# plimsoll: ignore=a, b reason='\x1b[2J' x\n")
	f.Add("a: |\n  b\n# plimsoll: ignore=latest reason=x\n- c # plimsoll: ignore=")
	f.Fuzz(func(t *testing.T, source string) {
		lines := 1 + strings.Count(source, "\n")
		for _, rules := range [][]Rule{Dockerfile([]byte(source), spansOf(source), names), YAML([]byte(source), names)} {
			for _, r := range rules {
				if r.Line < 1 || r.Line > lines || r.First < 0 || r.Last < r.First || r.Last > lines {
					t.Fatalf("line %d, %d to %d, of %d", r.Line, r.First, r.Last, lines)
				}
				for _, s := range []string{r.Reason, r.Wrong.String()} {
					if terminal.Line(s) != s {
						t.Fatalf("not safe to show: %q", s)
					}
				}
				if r.Wrong.IsZero() && !r.Foreign && (r.Reason == "" || len(r.Checks) == 0) {
					t.Fatalf("counts without a reason or a check: %+v", r)
				}
			}
		}
	})
}

// FuzzWrite holds that a comment that was written says what it should.
func FuzzWrite(f *testing.F) {
	f.Add(`it is "ours" \ theirs`)
	f.Add("a\nRUN rm -rf /")
	f.Fuzz(func(t *testing.T, reason string) {
		until := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
		text := Write([]string{"latest", "untagged"}, reason, until)
		if strings.ContainsAny(text, "\r\n") {
			t.Fatalf("more than a line: %q", text)
		}
		rule, _, ok := names.comment(strings.TrimPrefix(text, "#"))
		if !ok || !reflect.DeepEqual(rule.Checks, []string{"latest", "untagged"}) || !rule.Until.Equal(until) {
			t.Fatalf("%q says %+v", text, rule)
		}
		if rule.Wrong.IsZero() == (rule.Reason == "") {
			t.Fatalf("%q: reason %q, wrong %q", text, rule.Reason, rule.Wrong)
		}
	})
}
