package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/suite"
	"plimsoll/fixes/ignore"
)

// found runs check on a Dockerfile and returns what its JSON says.
func found(t *testing.T, args ...string) (code int, findings, suppressed map[string]string, errs string) {
	t.Helper()
	code, out, errs := plimsoll(t, append([]string{"check", "--format", "json"}, args...)...)
	type finding struct {
		Check, Message string
		Suppressed     struct{ Reason, Until, By string }
	}
	var report struct{ Findings, Suppressed []finding }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s%s", err, out, errs)
	}
	findings, suppressed = map[string]string{}, map[string]string{}
	for _, f := range report.Findings {
		findings[f.Check] = f.Message
	}
	for _, f := range report.Suppressed {
		suppressed[f.Check] = fmt.Sprintf("%s %s %s", f.Suppressed.By, f.Suppressed.Reason, f.Suppressed.Until)
	}
	return code, findings, suppressed, errs
}

func TestSuppressedFindingsDoNotCount(t *testing.T) {
	home(t)
	const rooted = "FROM debian:12-slim\n%sUSER root\nCMD [\"/app\"]\n"
	for _, test := range []struct {
		name, comment, config string
		code                  int
		by, says              string
	}{
		{"nothing", "", "", exitFindings, "", ""},
		{"comment", "# plimsoll: ignore=final-user-root reason=ours until=2999-01-31\n", "", exitClean, "plimsoll ours 2999-01-31", ""},
		{"comment without a reason", "# plimsoll: ignore=final-user-root\n", "", exitFindings, "", "reason"},
		{"comment that expired", "# plimsoll: ignore=final-user-root reason=x until=2020-01-31\n", "", exitFindings, "", "2020-01-31"},
		{"hadolint", "# hadolint ignore=DL3002\n", "", exitClean, "hadolint  ", ""},
		{"entry", "", "ignore:\n- {check: final-user-root, path: '*ockerfile', reason: legacy, until: 2999-01-31}\n", exitClean, ".plimsoll.yaml legacy 2999-01-31", ""},
		{"entry without a reason", "", "ignore: [{check: final-user-root, path: Dockerfile}]\n", exitFindings, "", "line 1"},
		{"entry elsewhere", "", "ignore: [{check: final-user-root, path: sub/Dockerfile, reason: x}]\n", exitFindings, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			file(t, "Dockerfile", fmt.Sprintf(rooted, test.comment))
			file(t, ".plimsoll.yaml", test.config)
			code, findings, suppressed, errs := found(t, "Dockerfile")
			if code != test.code || suppressed["final-user-root"] != test.by {
				t.Errorf("exit %d, suppressed %v; want %d, %q; %s", code, suppressed, test.code, test.by, errs)
			}
			if says := findings["suppression-without-reason"]; !strings.Contains(says, test.says) || (says == "") != (test.says == "") {
				t.Errorf("it is said %q, want %q", says, test.says)
			}
		})
	}
}

func TestUnusedEntryIsSaid(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	file(t, ".plimsoll.yaml", "# ours\nignore:\n- {check: expose-ssh, path: Dockerfile, reason: x}\n- {check: final-user-root, path: Dockerfile, reason: x}\n- {check: final-user-root, container: web, reason: not looked at}\n")
	_, _, errs := plimsoll(t, "check", "Dockerfile")
	if strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "line 3") {
		t.Errorf("it is said %q", errs)
	}
}

func TestConfigRefusesUnclearEntries(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	for content, says := range map[string]string{
		"ignore: [final-user-root]\n":                                               "line 1",
		"ignore: [{path: a, reason: x}]\n":                                          "check is missing",
		"ignore: [{check: final-user-root, reason: x}]\n":                           "exactly one",
		"ignore: [{check: final-user-root, path: a, host: true, reason: x}]\n":      "exactly one",
		"ignore: [{check: final-user-root, host: maybe, reason: x}]\n":              "host is true",
		"ignore: [{check: final-user-root, path: a, because: x}]\n":                 "because",
		"ignore: [{check: final-user-root, path: a, until: tomorrow}]\n":            "tomorrow",
		"ignore: [{check: final-user-rot, path: a, reason: x}]\n":                   "final-user-rot",
		"ignore: [{check: [final-user-root, no-such-check], path: a, reason: x}]\n": "no-such-check",
		"ignore: [{check: final-user-root, path: [a], reason: x}]\n":                "path is not a text",
		"registries: ghcr.io\n":                                                     "ghcr.io",
		"labels: {a: {type: number}}\n":                                             "number",
		"labels: {maintainer: {requird: true}}\n":                                   "requird",
		"ignore: [{check: final-user-root, path: '', reason: x}]\n":                 "path is empty",
	} {
		file(t, ".plimsoll.yaml", content)
		code, _, errs := plimsoll(t, "check", "Dockerfile")
		if code != exitError || !strings.Contains(errs, says) {
			t.Errorf("%s: exit %d saying %q, want %q", content, code, errs, says)
		}
	}
}

func TestConfigReachesThePolicy(t *testing.T) {
	home(t)
	path := file(t, ".plimsoll.yaml", "registries: [ghcr.io]\nlabels: {maintainer: {required: true, type: email}}\nignore: [{check: final-user-root, host: true, reason: x}]\n")
	c, err := decodeConfig(path, Config{Ignore: []exception{{Root: "/user"}}}, suite.All())
	if err != nil {
		t.Fatal(err)
	}
	p := c.policy("")
	if fmt.Sprint(p.Registries) != "[ghcr.io]" || p.Labels["maintainer"] != (checks.Label{Required: true, Type: "email"}) {
		t.Errorf("policy %+v", p)
	}
	if len(p.Exceptions) != 2 || p.Exceptions[0].Root != "/user" || !p.Exceptions[1].Host || p.Exceptions[1].Line != 3 {
		t.Errorf("exceptions %+v", p.Exceptions)
	}
}

func TestRulesOfTheProjectReachDockerfiles(t *testing.T) {
	home(t)
	file(t, "Dockerfile", "FROM ghcr.io/acme/base:1\nLABEL color=red mail=nobody\nFROM debian:12\nLABEL color=red mail=nobody\nUSER 1000\n")
	file(t, ".plimsoll.yaml", "profile: all\nregistries: [ghcr.io/acme]\nonly-labels: true\nlabels: {owner: {required: true}, mail: {type: email}}\n")
	_, findings, _, errs := found(t, "Dockerfile")
	for id, about := range map[string]string{"base-image-untrusted-registry": "debian:12", "label-required-missing": "owner", "label-superfluous": "color"} {
		if !strings.Contains(findings[id], about) {
			t.Errorf("%s says %q, want something about %s; %s", id, findings[id], about, errs)
		}
	}
}

func TestBaselineOfARun(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	if code, _, errs := plimsoll(t, "check", "Dockerfile", "--write-baseline", "base.json"); code != exitClean || errs != "" {
		t.Fatalf("writing: exit %d, %s", code, errs)
	}
	code, out, _ := plimsoll(t, "check", "Dockerfile", "--baseline", "base.json")
	if code != exitClean || strings.Contains(out, "final-user-root") {
		t.Errorf("the same file: exit %d\n%s", code, out)
	}
	file(t, "Dockerfile", "# moved\r\n"+strings.ReplaceAll(weak, "\n", "\r\n"))
	if code, out, _ := plimsoll(t, "check", "Dockerfile", "--baseline", "base.json"); code != exitClean || strings.Contains(out, "final-user-root") {
		t.Errorf("moved lines and CRLF: exit %d\n%s", code, out)
	}
	file(t, "Dockerfile", strings.ReplaceAll(weak, "USER root", "ENV API_TOKEN=c4nary-value\nUSER 1000"))
	code, out, _ = plimsoll(t, "check", "Dockerfile", "--baseline", "base.json")
	if code != exitFindings || !strings.Contains(out, "secret-in-env-or-arg") || !strings.Contains(out, "no longer found: final-user-root on Dockerfile") || strings.Contains(out, "add-instead") {
		t.Errorf("a new finding: exit %d\n%s", code, out)
	}
	for _, args := range []string{"--baseline missing.json", "--baseline Dockerfile", "--baseline base.json --write-baseline base.json"} {
		if code, _, errs := plimsoll(t, append([]string{"check", "Dockerfile"}, strings.Fields(args)...)...); code != exitError || errs == "" {
			t.Errorf("%s: exit %d, %s", args, code, errs)
		}
	}
}

func TestOutputIsWrittenWhole(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	for _, format := range strings.Split(outputFormats, ", ") {
		code, out, errs := plimsoll(t, "check", "Dockerfile", "--format", format, "--output", "report.txt")
		data, err := os.ReadFile("report.txt")
		if code != exitFindings || out != "" || errs != "" || err != nil || !strings.Contains(string(data), "final-user-root") {
			t.Errorf("%s: exit %d, %q, %q, %v, %d bytes", format, code, out, errs, err, len(data))
		}
		if strings.Contains(string(data), "\x1b") {
			t.Errorf("%s in a file has colours", format)
		}
		if _, direct, _ := plimsoll(t, "check", "Dockerfile", "--format", format); direct != string(data) {
			t.Errorf("%s is not the same without a file", format)
		}
	}
	if code, _, errs := plimsoll(t, "check", "Dockerfile", "--output", "no/such/folder"); code != exitError || !strings.Contains(errs, "no/such/folder") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if entries, _ := filepath.Glob("*"); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestIgnore(t *testing.T) {
	home(t)
	source := "\ufeffFROM debian:12-slim\r\nRUN true\r\nUSER root\r\nCMD [\"/app\"]\r\n"
	file(t, "Dockerfile", source)
	args := []string{"ignore", "Dockerfile", "--check", "final-user-root", "--reason", `it's "ours"`, "--until", "2999-01-31"}
	if code, out, errs := plimsoll(t, append(args, "--dry-run")...); code != exitClean || !strings.Contains(out, "+# plimsoll: ignore=final-user-root") {
		t.Errorf("dry run: exit %d, %s%s", code, out, errs)
	}
	if data, _ := os.ReadFile("Dockerfile"); string(data) != source {
		t.Errorf("a dry run wrote %q", data)
	}
	if code, out, errs := plimsoll(t, append(args, "--yes")...); code != exitClean {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	want := strings.Replace(source, "USER", "# plimsoll: ignore=final-user-root reason=\"it's \\\"ours\\\"\" until=2999-01-31\r\nUSER", 1)
	if data, _ := os.ReadFile("Dockerfile"); string(data) != want {
		t.Errorf("got %q, want %q", data, want)
	}
	if code, _, suppressed, _ := found(t, "Dockerfile"); code != exitClean || suppressed["final-user-root"] == "" {
		t.Errorf("exit %d, suppressed %v", code, suppressed)
	}
	if code, _, errs := plimsoll(t, append(args, "--yes")...); code != exitError || !strings.Contains(errs, "nothing to ignore") {
		t.Errorf("twice: exit %d, %s", code, errs)
	}
	if code, out, errs := plimsoll(t, "undo", "--yes"); code != exitClean {
		t.Errorf("undo: exit %d, %s%s", code, out, errs)
	}
	if data, _ := os.ReadFile("Dockerfile"); string(data) != source {
		t.Errorf("undone: %q", data)
	}
}

func TestIgnoreInCompose(t *testing.T) {
	home(t)
	const source = "services:\n  web: &x\n    image: nginx:1\n    privileged: true # why?\n  db:\n    image: db:1\n"
	file(t, "compose.yaml", source)
	if code, _, errs := plimsoll(t, "ignore", "compose.yaml", "--check", "container-memory-unlimited", "--reason", "x", "--yes"); code != exitError || !strings.Contains(errs, "2 5") {
		t.Errorf("two lines: exit %d, %s", code, errs)
	}
	for _, args := range []string{"--check container-privileged", "--check container-memory-unlimited --line 2"} {
		if code, out, errs := plimsoll(t, append([]string{"ignore", "compose.yaml", "--reason", "lab", "--yes"}, strings.Fields(args)...)...); code != exitClean {
			t.Errorf("%s: exit %d, %s%s", args, code, out, errs)
		}
	}
	want := "services:\n  # plimsoll: ignore=container-memory-unlimited reason=\"lab\"\n  web: &x\n    image: nginx:1\n    # plimsoll: ignore=container-privileged reason=\"lab\"\n    privileged: true # why?\n  db:\n    image: db:1\n"
	if data, _ := os.ReadFile("compose.yaml"); string(data) != want {
		t.Errorf("got\n%s\nwant\n%s", data, want)
	}
	_, findings, suppressed, _ := found(t, "compose.yaml")
	if suppressed["container-privileged"] == "" || suppressed["container-memory-unlimited"] == "" || findings["container-memory-unlimited"] == "" {
		t.Errorf("found %v, suppressed %v", findings, suppressed)
	}
}

func TestIgnoreInConfiguration(t *testing.T) {
	server := dockertest.Demo()
	if err := server.Start(home(t)); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	t.Setenv("DOCKER_HOST", server.Host())
	const entry = "- check: daemon-live-restore-off\n%[1]s  host: true\n%[1]s  reason: \"lab\"\n"
	for _, test := range []struct{ before, want string }{
		{"", "ignore:\n  " + fmt.Sprintf(entry, "  ")},
		{"language: en # mine", "language: en # mine\nignore:\n  " + fmt.Sprintf(entry, "  ")},
		{"ignore: [] # none\nlanguage: en\n", "ignore: \n  " + strings.TrimSuffix(fmt.Sprintf(entry, "  "), "\n") + " # none\nlanguage: en\n"},
		{"ignore:\n# ours\n- check: final-user-root # yes\n  path: a\nlanguage: en\n", "ignore:\n# ours\n" + fmt.Sprintf(entry, "") + "- check: final-user-root # yes\n  path: a\nlanguage: en\n"},
		{"ignore:\n    - {check: final-user-root, path: a}\n", "ignore:\n    " + fmt.Sprintf(entry, "    ") + "    - {check: final-user-root, path: a}\n"},
	} {
		file(t, ".plimsoll.yaml", test.before)
		if code, out, errs := plimsoll(t, "ignore", "host", "--check", "daemon-live-restore-off", "--reason", "lab", "--yes"); code != exitClean {
			t.Errorf("%q: exit %d, %s%s", test.before, code, out, errs)
			continue
		}
		if data, _ := os.ReadFile(".plimsoll.yaml"); string(data) != test.want {
			t.Errorf("%q becomes\n%s\nwant\n%s", test.before, data, test.want)
		}
		if _, _, suppressed, _ := found(t, "host"); suppressed["daemon-live-restore-off"] == "" {
			t.Errorf("%q: nothing is suppressed", test.before)
		}
	}
	file(t, ".plimsoll.yaml", "ignore: [{check: final-user-root, path: a}]\n")
	if code, _, errs := plimsoll(t, "ignore", "host", "--check", "daemon-live-restore-off", "--reason", "lab", "--yes"); code != exitError || !strings.Contains(errs, "by hand") {
		t.Errorf("a list in one line: exit %d, %s", code, errs)
	}
	if code, _, errs := plimsoll(t, "ignore", "host", "--demo", "--check", "daemon-live-restore-off", "--reason", "lab", "--yes"); code != exitError || !strings.Contains(errs, "demo") {
		t.Errorf("in the demo: exit %d, %s", code, errs)
	}
}

func TestIgnoreRefuses(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	for args, says := range map[string]string{
		"Dockerfile --check final-user-root":                               "--reason",
		"Dockerfile --check final-user-rot --reason x":                     "final-user-rot",
		"Dockerfile --check expose-ssh --reason x":                         "nothing to ignore",
		"Dockerfile --check final-user-root --reason x --until soon":       "YYYY-MM-DD",
		"Dockerfile --check final-user-root --reason x --until 2020-01-01": "over already",
		"Dockerfile --check final-user-root --reason x --line 1":           "nothing to ignore",
		"Dockerfile --check final-user-root --reason x":                    "--yes",
		"Dockerfile --check final-user-root --reason x --yes --read-only":  "read-only",
		"missing --check final-user-root --reason x":                       "missing",
	} {
		code, _, errs := plimsoll(t, append([]string{"ignore"}, strings.Fields(args)...)...)
		if code != exitError || !strings.Contains(errs, says) {
			t.Errorf("%s: exit %d saying %q, want %q", args, code, errs, says)
		}
	}
	if data, _ := os.ReadFile("Dockerfile"); string(data) != weak {
		t.Errorf("the file became %q", data)
	}
}

// FuzzIgnoreYAML holds that the edit of a compose file adds one line and
// nothing else, or is refused.
func FuzzIgnoreYAML(f *testing.F) {
	f.Add("services:\n  web:\n    image: a\n", 2)
	f.Add("a: |\r\n  b\r\n", 2)
	known := suite.All()
	f.Fuzz(func(t *testing.T, source string, line int) {
		e, err := ignore.Acceptance{Check: "final-user-root", Reason: "x", Line: line}.YAML([]byte(source), known)
		if err != nil {
			return
		}
		if e.Start != e.End || e.Start < 0 || e.End > len(source) || strings.Count(e.New, "\n") != 1 {
			t.Fatalf("%q at %d of %d bytes", e.New, e.Start, len(source))
		}
	})
}
