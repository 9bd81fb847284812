package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suite"
	"plimsoll/checks/terminal"
)

var update = flag.Bool("update", false, "write the golden files")

// canary is a secret that no output may hold.
const canary = "c4nary-value-that-nobody-may-see"

// hostile is a name that means something in every format.
const hostile = "a|b`c`<script>alert(1)</script>[x](https://evil.example)@octocat#1::error::\u202e%0A,d"

const sample = "FROM debian:12\nENV DB_PASSWORD=" + canary + "\nRUN apt-get update\nRUN apt-get install -y curl\nADD app /app\nUSER root\nCMD [\"/app\"]\n"

func judged(s checks.Subject) inventory.Item {
	return inventory.Item{Ref: s.Ref(), Subject: s, Report: checks.Run(s, suite.All(), &checks.Policy{Profile: checks.All})}
}

// document returns what a run over a small project would find; source is that
// of its Dockerfile.
func document(t *testing.T, source string) *Document {
	t.Helper()
	file := judged(dockerfile.Parse("/project/app/Dockerfile", "app/Dockerfile", []byte(source)))
	last := len(file.Report.Findings) - 1
	file.Report.Suppressed = []checks.Suppressed{{
		Finding:     file.Report.Findings[last],
		Suppression: checks.Suppression{Reason: "ours <b>|</b>", Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), Source: "plimsoll", Line: 1},
	}}
	file.Report.Findings = file.Report.Findings[:last]
	services, err := compose.Parse("/project/compose.yaml", "compose.yaml", []byte("services:\n  web:\n    image: nginx:1\n    privileged: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	named := &checks.Check{ID: "container-privileged", Title: "Container is privileged", Severity: checks.Critical, Chapter: checks.LeastPrivilege, Kind: checks.Container}
	ref := checks.Ref{Kind: checks.Container, ID: "c0ffee", Name: hostile}
	web := inventory.Item{Ref: ref, Report: checks.Report{Subject: ref, Findings: []checks.Finding{{
		Check: named, Subject: ref, Severity: checks.Critical, Message: checks.Msg("%s is privileged", hostile).Clean(),
		Evidence: []checks.Evidence{{Source: "HostConfig.Privileged", Detail: terminal.Line(hostile)}},
	}}}}
	gone := checks.Ref{Kind: checks.Dockerfile, ID: "/project/b c,d:e/Dockerfile", Name: hostile}
	unread := inventory.Item{Ref: gone, Report: checks.Report{Subject: gone, Errors: []error{errors.New("cannot be read:\nPASSWORD")}}}
	return &Document{Items: []inventory.Item{file, judged(services), web, unread}, Root: "/project", Version: "1.2.3", Language: assets.English, Explain: error.Error}
}

func written(t *testing.T, d *Document, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Formats[format](d, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, format := range []string{"markdown", "github"} {
		t.Run(format, func(t *testing.T) {
			// Made-up findings: the goldens do not change with the checks.
			d := document(t, sample)
			d.Items = d.Items[2:]
			check := &checks.Check{ID: "made-up", Title: "Made up", Severity: checks.Low, Refs: []string{"x"}}
			ref := checks.Ref{Kind: checks.Dockerfile, ID: "/project/app/Dockerfile", Name: "app/Dockerfile"}
			f := checks.Finding{Check: check, Subject: ref, Severity: checks.Low, Line: 3, EndLine: 5, Message: checks.Msg("line %d, 100%% of it", 3)}
			d.Items = append(d.Items, inventory.Item{Ref: ref, Report: checks.Report{Subject: ref, Findings: []checks.Finding{f}, Suppressed: []checks.Suppressed{{Finding: f, Suppression: checks.Suppression{Reason: "a|b", Source: "plimsoll"}}}}})
			d.Compared, d.Gone = true, []Known{{Check: "made-up", Subject: hostile}}
			golden(t, filepath.Join("testdata", format+".golden"), written(t, d, format))
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s\nwant\n%s", path, got, want)
	}
}

func TestNoSecretAndNoControlCharacterInAnyFormat(t *testing.T) {
	for format := range Formats {
		for _, language := range assets.Languages {
			d := document(t, sample)
			d.Language = language
			out := written(t, d, format)
			if strings.Contains(out, canary) {
				t.Errorf("%s in %s tells the secret", format, language)
			}
			for _, r := range out {
				if r < ' ' && r != '\n' && r != '\t' || r == '\u202e' || r == '\u007f' {
					t.Errorf("%s has the character %U", format, r)
				}
			}
			if !strings.Contains(out, "secret-in-env-or-arg") {
				t.Errorf("%s does not tell the finding", format)
			}
		}
	}
	data, err := MarshalBaseline("/project", document(t, sample).Items)
	if err != nil || bytes.Contains(data, []byte(canary)) {
		t.Errorf("baseline: %v, %s", err, data)
	}
}

func TestHostileNames(t *testing.T) {
	d := document(t, sample)
	if out := written(t, d, "markdown"); strings.Contains(out, "<script") || strings.Contains(out, "@octocat") || strings.Contains(out, "://evil") || strings.Contains(out, "](") || strings.Contains(out, "a|b") || strings.Contains(out, "`c`") {
		t.Errorf("Markdown:\n%s", out)
	}
	if out := written(t, d, "html"); strings.Contains(out, "<script") || strings.Contains(out, "<b>|") {
		t.Errorf("HTML:\n%s", out)
	}
	for _, line := range strings.Split(strings.TrimSuffix(written(t, d, "github"), "\n"), "\n") {
		if !regexp.MustCompile(`^::(error|warning|notice) (file=[^,:]+,(line=\d+,endLine=\d+,)?)?title=[^,:]+::`).MatchString(line) {
			t.Errorf("not one annotation: %s", line)
		}
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	out := written(t, document(t, sample), "html")
	if !strings.Contains(out, `content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"`) {
		t.Error("there is no policy against resources from elsewhere")
	}
	for _, tag := range []string{"<script", "<link", "<img", "<iframe", "@import", "url(", " src=", " onclick="} {
		if strings.Contains(out, tag) {
			t.Errorf("there is %s in it", tag)
		}
	}
	if n := strings.Count(out, `<div id="final-user-root">`); n != 1 {
		t.Errorf("final-user-root is explained %d times", n)
	}
}

func sarif(t *testing.T, d *Document) sarifLog {
	t.Helper()
	text := written(t, d, "sarif")
	data, err := os.ReadFile("testdata/sarif-2.1.0.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schemaDoc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("file:///sarif.json", schemaDoc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("file:///sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(instance); err != nil {
		t.Errorf("not valid: %v", err)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestSARIF(t *testing.T) {
	d := document(t, sample)
	d.Compared = true
	log := sarif(t, d)
	run := log.Runs[0]
	seen := map[string]bool{}
	suppressed, fixed := 0, 0
	for _, r := range run.Results {
		rule := run.Tool.Driver.Rules[r.Index]
		if rule.ID != r.Rule {
			t.Errorf("%s has the rule %s", r.Rule, rule.ID)
		}
		if e, ok := assets.Explain(assets.English, r.Rule); ok && (rule.Help == nil || rule.Help.Markdown != e.Markdown) {
			t.Errorf("%s is not explained", r.Rule)
		}
		if f := r.Fingerprints["plimsoll/v1"]; f == "" || seen[f] {
			t.Errorf("%s: fingerprint %q is missing or not its own", r.Rule, f)
		} else {
			seen[f] = true
		}
		if len(r.Suppressions) > 0 {
			suppressed++
			if s := r.Suppressions[0]; s.Kind != "inSource" || s.Justification != "ours <b>|</b>" || s.Properties.Until != "2027-01-31" {
				t.Errorf("suppressed by %+v", s)
			}
		}
		fixed += len(r.Fixes)
		switch r.Rule {
		case "final-user-root":
			p := r.Locations[0].Physical
			if r.Level != "error" || p.Artifact.URI != "app/Dockerfile" || p.Artifact.BaseID != sourceRoot || p.Region.StartLine != 6 || r.Fingerprints["plimsollLine/v1"] == "" {
				t.Errorf("final-user-root is %+v at %+v", r, p)
			}
		case "container-privileged":
			if r.Locations[0].Physical == nil && !strings.HasPrefix(r.Locations[0].Logical[0].FullName, "container/a|b") {
				t.Errorf("container-privileged is at %+v", r.Locations[0].Logical)
			}
		}
	}
	if suppressed != 1 || fixed == 0 {
		t.Errorf("%d suppressed, %d fixes", suppressed, fixed)
	}
	if run.Invocations[0].Successful || run.Invocations[0].Notifications[0].Locations[0].Physical.Artifact.URI != "./b%20c,d:e/Dockerfile" {
		t.Errorf("the file that could not be read: %+v", run.Invocations[0])
	}
	d.Items = nil
	sarif(t, d)
}

// TestSARIFFixes applies the replacements of a log as a consumer would, by line
// and column, and compares with the edits themselves.
func TestSARIFFixes(t *testing.T) {
	for name, source := range map[string]string{
		"LF": sample, "CRLF": strings.ReplaceAll(sample, "\n", "\r\n"), "BOM": "\ufeff" + sample,
		"letters": "# Größe 😀\nFROM debian:12\nLABEL ä=ö\nADD app /über\nRUN apt-get update && apt-get install -y curl\nCMD [\"x\"]", "no end of line": strings.TrimSuffix(sample, "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			d := document(t, source)
			d.Items = d.Items[:1]
			results := sarif(t, d).Runs[0].Results
			findings := d.Items[0].Report.Findings
			applied := 0
			for i, f := range findings {
				for _, fix := range f.Fixes {
					if !fix.Safe {
						continue
					}
					edits, err := fix.Edit(checks.Values{})
					if err != nil || len(results[i].Fixes) == 0 {
						continue
					}
					for j, e := range edits {
						r := results[i].Fixes[0].Changes[0].Replacements[j]
						if got := offset(source, r.Deleted.StartLine, r.Deleted.StartColumn); got != e.Start {
							t.Errorf("%s starts at %d, want %d", f.Check.ID, got, e.Start)
						}
						if got := offset(source, r.Deleted.EndLine, r.Deleted.EndColumn); got != e.End {
							t.Errorf("%s ends at %d, want %d", f.Check.ID, got, e.End)
						}
						if r.Inserted.Text != e.New {
							t.Errorf("%s inserts %q, want %q", f.Check.ID, r.Inserted.Text, e.New)
						}
						applied++
					}
					break
				}
			}
			if applied == 0 {
				t.Error("there is no fix to look at")
			}
		})
	}
}

// offset returns the byte at a line and a column in characters.
func offset(source string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		at += strings.IndexByte(source[at:], '\n') + 1
	}
	if at == 0 && strings.HasPrefix(source, "\ufeff") {
		at = 3
	}
	for i := range source[at:] {
		if column--; column == 0 {
			return at + i
		}
	}
	return len(source)
}

// fingerprints returns those of every finding of a Dockerfile, in a set.
func fingerprints(source, root string) map[string]bool {
	item := judged(dockerfile.Parse(root+"/Dockerfile", "Dockerfile", []byte(source)))
	out := map[string]bool{}
	for i := range item.Report.Findings {
		out[Fingerprint(root, &item.Report.Findings[i])] = true
	}
	return out
}

func TestFingerprintsAreStable(t *testing.T) {
	want := fmt.Sprint(fingerprints(sample, "/project"))
	for name, got := range map[string]map[string]bool{
		"moved lines":      fingerprints("# a comment\n\n"+strings.ReplaceAll(sample, "RUN", "\n\nRUN"), "/project"),
		"CRLF":             fingerprints(strings.ReplaceAll(sample, "\n", "\r\n"), "/project"),
		"another checkout": fingerprints(sample, "/elsewhere/project"),
	} {
		if fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if fmt.Sprint(fingerprints(strings.Replace(sample, "DB_PASSWORD", "OTHER_PASSWORD", 1), "/project")) == want {
		t.Error("another variable has the same fingerprint")
	}
	a, b := newText([]byte("FROM a\nUSER  root\n")), newText([]byte("\ufeffUSER root\r\n"))
	if a.hash(2) == "" || a.hash(2) != b.hash(1) || a.hash(1) == a.hash(2) || a.hash(3) != "" || newText(nil).hash(1) != "" {
		t.Error("lines are not told apart by what is in them alone")
	}
	secret := newText([]byte("ENV DB_PASSWORD=" + canary + "\nENV DB_PASSWORD=other-" + canary + "\n"))
	if secret.hash(1) != secret.hash(2) {
		t.Error("the hash of a line depends on the secret in it")
	}
}

func TestBaseline(t *testing.T) {
	before := document(t, sample)
	data, err := MarshalBaseline(before.Root, before.Items)
	if err != nil {
		t.Fatal(err)
	}
	again := document(t, sample)
	again.Items[0], again.Items[1] = again.Items[1], again.Items[0]
	if other, err := MarshalBaseline(again.Root, again.Items); err != nil || !bytes.Equal(data, other) {
		t.Errorf("the order of subjects shows: %v", err)
	}
	old, err := ParseBaseline(data)
	if err != nil {
		t.Fatal(err)
	}
	same, gone := Compare(before.Root, before.Items, old)
	for _, item := range same {
		if len(item.Report.Findings) > 0 {
			t.Errorf("new: %v", item.Report.Findings)
		}
	}
	if len(gone) > 0 {
		t.Errorf("gone: %v", gone)
	}
	changed := strings.ReplaceAll(strings.ReplaceAll(sample, "USER root", "USER 1000"), "CMD", "ENV API_TOKEN="+canary+"\nCMD")
	fresh, gone := Compare(before.Root, document(t, changed).Items, old)
	var ids []string
	for _, item := range fresh {
		for _, f := range item.Report.Findings {
			ids = append(ids, f.Check.ID+" "+f.Key)
		}
	}
	if fmt.Sprint(ids) != "[secret-in-env-or-arg API_TOKEN]" {
		t.Errorf("new: %v", ids)
	}
	if len(gone) != 1 || gone[0].Check != "final-user-root" || gone[0].Subject != "app/Dockerfile" {
		t.Errorf("gone: %v", gone)
	}
	if _, gone := Compare(before.Root, nil, old); len(gone) > 0 {
		t.Errorf("what was not looked at is gone: %v", gone)
	}
	for _, bad := range []string{"", "[]", `{"schema":2}`, `{"schema":1,"findings":3}`} {
		if _, err := ParseBaseline([]byte(bad)); err == nil {
			t.Errorf("%q is a baseline", bad)
		}
	}
}

// TestThousandsOfFindings holds that no format is slower than linear.
func TestThousandsOfFindings(t *testing.T) {
	d := document(t, sample)
	one := d.Items[0]
	d.Items = nil
	times := 2000
	if testing.Short() { // the race detector
		times = 200
	}
	for range times {
		d.Items = append(d.Items, one)
	}
	for format := range Formats {
		begin := time.Now()
		written(t, d, format)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%s took %v for %d findings", format, took, times*len(one.Report.Findings))
		}
	}
}

// FuzzMarkdown holds that no text can leave its cell, mention or link.
func FuzzMarkdown(f *testing.F) {
	f.Add(hostile)
	f.Add("\\|\n\n# x @a www.x HTTPS://y")
	f.Fuzz(func(t *testing.T, s string) {
		out := escapeMarkdown(s)
		if strings.ContainsAny(out, "\n\r<>") || regexp.MustCompile(`(^|[^\\])(\\\\)*[|`+"`"+`\[\]*_]`).MatchString(out) || strings.Contains(out, "://") {
			t.Errorf("%q becomes %q", s, out)
		}
		if regexp.MustCompile(`@[A-Za-z0-9]`).MatchString(out) {
			t.Errorf("%q mentions: %q", s, out)
		}
	})
}

// FuzzPosition holds that lines and columns lead back to the byte.
func FuzzPosition(f *testing.F) {
	f.Add("\ufeffFROM ä\r\nUSER 😀\n", 9)
	f.Add("\n\n", 2)
	f.Fuzz(func(t *testing.T, source string, at int) {
		if at < 0 || at > len(source) || !utf8.ValidString(source) || at < len(source) && !utf8.RuneStart(source[at]) || at < 3 && strings.HasPrefix(source, "\ufeff") {
			t.Skip()
		}
		line, column := newText([]byte(source)).position(at)
		if got := offset(source, line, column); got != at {
			t.Errorf("byte %d of %q is line %d, column %d, which is byte %d", at, source, line, column, got)
		}
	})
}
