package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// home gives the program a home of its own, no engine and no language.
func home(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, value := range map[string]string{
		"HOME": dir, "XDG_CACHE_HOME": filepath.Join(dir, "cache"), "XDG_STATE_HOME": "", "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": filepath.Join(dir, "config"),
		"DOCKER_HOST": "unix://" + filepath.Join(dir, "no-engine.sock"), "DOCKER_CONTEXT": "", "DOCKER_CONFIG": filepath.Join(dir, "docker"),
		"LANG": "C", "LC_ALL": "", "LC_MESSAGES": "",
	} {
		t.Setenv(name, value)
	}
	project := filepath.Join(dir, "project")
	if err := os.Mkdir(project, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(project)
	return dir
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// plimsoll runs the program without a terminal.
func plimsoll(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, &stdout, &stderr, false, "test")
	return code, stdout.String(), stderr.String()
}

const weak = `FROM debian:12
RUN apt-get update
RUN apt-get install -y curl
ADD app /app
USER root
CMD ["/app"]
`

func TestCheckJSON(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	code, out, errs := plimsoll(t, "check", "--format", "json", "Dockerfile")
	if code != exitFindings || errs != "" {
		t.Errorf("exit %d and %q, want 1 and nothing", code, errs)
	}
	var report struct {
		Schema   int
		Subjects []map[string]any
		Findings []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if report.Schema != 1 || len(report.Subjects) != 1 || report.Subjects[0]["kind"] != "dockerfile" || report.Subjects[0]["name"] != "Dockerfile" {
		t.Errorf("subjects %v of schema %d", report.Subjects, report.Schema)
	}
	for _, f := range report.Findings {
		if f["check"] != "final-user-root" {
			continue
		}
		if f["severity"] != "high" || f["chapter"] != 2.0 || f["line"] != 5.0 || f["end_line"] != 5.0 || f["fixable"] != true {
			t.Errorf("final-user-root is %v", f)
		}
		for _, key := range []string{"message", "evidence", "subject"} {
			if f[key] == nil {
				t.Errorf("final-user-root has no %s", key)
			}
		}
		return
	}
	t.Errorf("final-user-root is not among %v", report.Findings)
}

func TestExitCodes(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	file(t, "broken.yaml", "services: [")
	file(t, ".plimsoll.yaml", "severity: {final-user-root: low}\n")
	file(t, "bad-config.yaml", "")
	for _, test := range []struct {
		args string
		want int
		says string // on either stream
	}{
		{"check Dockerfile --no-config", exitFindings, "final-user-root"},
		{"check Dockerfile --no-config --fail-on never", exitClean, "final-user-root"},
		{"check Dockerfile --no-config --fail-on critical", exitClean, ""},
		{"check Dockerfile", exitClean, "final-user-root"}, // the configuration made it low
		{"check Dockerfile --profile hygiene", exitClean, ""},
		{"check Dockerfile --profile everything", exitError, "security, hygiene or all"},
		{"check Dockerfile --fail-on terrible", exitError, "critical, high, medium, low or info"},
		{"check Dockerfile --format xml", exitError, "table, json, sarif"},
		{"check missing", exitError, "missing"},
		{"check broken.yaml", exitError, "broken.yaml"},
		{"check container:web", exitError, "no Docker Engine answers"},
		{"check --lang fr Dockerfile", exitError, "fr"},
		{"check --nonsense", exitError, "nonsense"},
		{"check", exitClean, "no Docker Engine answers"}, // the files are checked all the same
		{"explain final-user-root", exitClean, "# "},
		{"explain user-root", exitError, "final-user-root"},
		{"explain", exitClean, "container-privileged"},
		{"undo", exitError, "nothing to undo"},
		{"undo --list", exitClean, "Nothing was changed"},
		{"undo 123", exitError, "--list"},
		{"version", exitClean, "plimsoll test"},
		{"fix", exitError, "requires at least 1 arg"},
		{"fix Dockerfile --check no-such-check", exitError, "no-such-check"},
		{"fix Dockerfile", exitError, "--yes"},
		{"no-such-folder", exitError, "no-such-folder"},
	} {
		code, out, errs := plimsoll(t, strings.Fields(test.args)...)
		if code != test.want || !strings.Contains(out+errs, test.says) {
			t.Errorf("plimsoll %s: exit %d, want %d saying %q; it says\n%s%s", test.args, code, test.want, test.says, out, errs)
		}
	}
}

func TestConfigRefusesTypingMistakes(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	for content, says := range map[string]string{
		"disable: [final-user-rot]\n":          "final-user-rot",
		"languages: de\n":                      "languages",
		"severity: {final-user-root: awful}\n": "awful",
		"profile: paranoid\n":                  "paranoid",
		"scanners: [clair]\n":                  "clair",
	} {
		file(t, ".plimsoll.yaml", content)
		code, _, errs := plimsoll(t, "check", "Dockerfile")
		if code != exitError || !strings.Contains(errs, says) || !strings.Contains(errs, ".plimsoll.yaml") {
			t.Errorf("configuration %q: exit %d, %q; want an error that names the file and %q", content, code, errs, says)
		}
	}
}

func TestReadOnlyConfigurationCannotBeTurnedOff(t *testing.T) {
	dir := home(t)
	if err := os.MkdirAll(filepath.Join(dir, "config", "plimsoll"), 0o755); err != nil {
		t.Fatal(err)
	}
	file(t, filepath.Join(dir, "config", "plimsoll", "config.yaml"), "read-only: true\n")
	file(t, ".plimsoll.yaml", "read-only: false\n")
	file(t, "Dockerfile", weak)
	code, _, errs := plimsoll(t, "fix", "Dockerfile", "--yes")
	if code != exitError {
		t.Errorf("exit %d (%s), want a refusal", code, errs)
	}
	if got, _ := os.ReadFile("Dockerfile"); string(got) != weak {
		t.Error("a read-only run changed the file")
	}
}

func TestFixAndUndoFile(t *testing.T) {
	dir := home(t)
	file(t, "Dockerfile", weak)
	code, out, errs := plimsoll(t, "fix", "Dockerfile", "--dry-run")
	if code != exitClean || !strings.Contains(out, "-ADD app /app") || !strings.Contains(out, "+COPY app /app") {
		t.Fatalf("dry run: exit %d, %s\n%s", code, out, errs)
	}
	if got, _ := os.ReadFile("Dockerfile"); string(got) != weak {
		t.Error("a dry run changed the file")
	}
	if code, out, errs = plimsoll(t, "fix", "Dockerfile", "--yes"); code != exitClean {
		t.Fatalf("fix: exit %d, %s\n%s", code, out, errs)
	}
	fixed, _ := os.ReadFile("Dockerfile")
	if !bytes.Contains(fixed, []byte("COPY app /app")) || bytes.Contains(fixed, []byte("ADD")) {
		t.Errorf("fixed to\n%s", fixed)
	}
	if code, out, _ = plimsoll(t, "fix", "Dockerfile", "--yes"); code != exitClean || !strings.Contains(out, "Nothing was fixed") || !strings.Contains(out, "base-image-not-digest-pinned") {
		t.Errorf("a second fix: exit %d, %s", code, out)
	}
	if code, out, _ = plimsoll(t, "undo", "--list"); code != exitClean || !strings.Contains(out, "applied") {
		t.Errorf("ledger: exit %d, %s", code, out)
	}
	code, script, _ := plimsoll(t, "undo", "--script")
	if code != exitClean || !strings.HasPrefix(script, "#!/bin/sh\n") {
		t.Errorf("script: exit %d, %s", code, script)
	}
	if code, out, errs = plimsoll(t, "undo", "--yes"); code != exitClean {
		t.Fatalf("undo: exit %d, %s\n%s", code, out, errs)
	}
	if got, _ := os.ReadFile("Dockerfile"); string(got) != weak {
		t.Errorf("undone to\n%s", got)
	}
	// The script does the same to the file. To build is for an engine that pulls.
	again := exec.CommandContext(t.Context(), "sh")
	again.Stdin = strings.NewReader(strings.ReplaceAll(script, "\ndocker build ", "\n: docker build "))
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("the script: %v, %s", err, out)
	}
	if got, _ := os.ReadFile("Dockerfile"); string(got) != string(fixed) {
		t.Errorf("the script made\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(dir, ".local", "state", "plimsoll")); err != nil {
		t.Errorf("the ledger is not where it should be: %v", err)
	}
}

func TestFixRefusesUnknownChoices(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	code, _, errs := plimsoll(t, "fix", "Dockerfile", "--check", "final-user-root", "--set", "usr=1", "--yes")
	if code != exitError || !strings.Contains(errs, "usr") {
		t.Errorf("exit %d, %q; want a refusal that names the key", code, errs)
	}
}

func TestFixAndUndoLiveLimit(t *testing.T) {
	home(t)
	s := dockertest.Run(t)
	t.Setenv("DOCKER_HOST", s.Host())
	s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	id, err := s.AddContainer(dockertest.Container{Name: "web", Config: container.Config{Image: "app:1"}})
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := plimsoll(t, "fix", "container:web", "--check", "container-memory-unlimited", "--set", "memory=256m", "--yes")
	if code != exitClean {
		t.Fatalf("fix: exit %d, %s\n%s", code, out, errs)
	}
	got, err := s.Client(t).ContainerInspect(t.Context(), "web", client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Container.ID != id || got.Container.HostConfig.Memory != 256<<20 {
		t.Errorf("container %s with %d bytes, want the same container with 256 MiB", got.Container.ID, got.Container.HostConfig.Memory)
	}
}

func TestSpeaksGerman(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	_, out, _ := plimsoll(t, "check", "Dockerfile", "--lang", "de")
	if !strings.Contains(out, "hoch") {
		t.Errorf("no German severity in\n%s", out)
	}
	_, out, _ = plimsoll(t, "explain", "final-user-root", "--lang=de")
	if !strings.Contains(out, "Was passiert") {
		t.Errorf("no German explanation in\n%s", out)
	}
}

// Whatever a project contains, nothing that a terminal obeys is printed.
//
//scenario:65,66
func TestHostileNamesAndSecretsStayInside(t *testing.T) {
	home(t)
	const canary = "hunter2-canary-7f3a"
	name := "evil\x1b]0;owned\a.Dockerfile"
	file(t, name, "FROM debian:12\x1b[2J\nENV DB_PASSWORD="+canary+"\nRUN echo \u202e\u009b31m\n")
	for _, args := range [][]string{{"check", "."}, {"check", ".", "--format", "json", "--profile", "all"}, {"fix", name, "--dry-run"}, {"fix", name, "--check", "secret-in-env-or-arg", "--dry-run"}} {
		_, out, errs := plimsoll(t, args...)
		for _, bad := range []string{canary, "\x1b]", "\x1b[2J", "\a", "\u202e", "\u009b"} {
			if strings.Contains(out+errs, bad) {
				t.Errorf("plimsoll %q prints %q:\n%q", args, bad, out+errs)
			}
		}
	}
}

func TestWithoutTerminal(t *testing.T) {
	home(t)
	file(t, "Dockerfile", weak)
	code, out, _ := plimsoll(t)
	if code != exitClean || !strings.Contains(out, "final-user-root") || !strings.Contains(out, "plimsoll check") {
		t.Errorf("exit %d, %s; want the table and a hint", code, out)
	}
}

func TestDemo(t *testing.T) {
	dir := home(t)
	code, out, errs := plimsoll(t, "check", "--demo", "--fail-on", "never")
	if code != exitClean || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for _, want := range []string{"Dockerfile", "container-privileged", "container-docker-socket-mounted", "image-", "daemon-"} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo shows no %s", want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".local")); err == nil {
		t.Error("the demo wrote into the home directory")
	}
}

func TestProveByBuilding(t *testing.T) {
	host := os.Getenv("DOCKER_HOST")
	dockertest.Real(t)
	home(t)
	file(t, "app", "no program\n")
	file(t, "Dockerfile", "FROM scratch\nCOPY app /app\nCMD [\"/app\"]\n")
	args := []string{"fix", "Dockerfile", "--check", "user-missing", "--yes", "--prove-by-building"}
	code, out, errs := plimsoll(t, args...)
	if code != exitError || !strings.Contains(errs, "no Docker Engine answers") {
		t.Errorf("without an engine: %d %s %s", code, out, errs)
	}
	if now, err := os.ReadFile("Dockerfile"); err != nil || strings.Contains(string(now), "USER") {
		t.Errorf("what is not proved was applied: %s, %v", now, err)
	}
	t.Setenv("DOCKER_HOST", host)
	code, out, errs = plimsoll(t, args...)
	if code != exitClean {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	for _, want := range []string{"as it is", "does not start", "uid 0 (no USER)", "proved by building in", "findings cured"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q: %s", want, out)
		}
	}
	file(t, "Dockerfile", "FROM scratch\nCMD [\"/app\"]\n")
	code, out, _ = plimsoll(t, "fix", "Dockerfile", "--check", "user-missing", "--dry-run", "--prove-by-building", "--demo")
	if code != exitError || strings.Contains(out, "as it is") {
		t.Errorf("in the demo: %d %s", code, out)
	}
}

func TestQuickLookIsForTheCommandLine(t *testing.T) {
	home(t)
	code, _, errs := plimsoll(t, "check", "--read-only", "--layers", "quick", "images")
	if code != exitError || !strings.Contains(errs, "read-only: a quick look makes a container") {
		t.Errorf("exit %d, %s", code, errs)
	}
	code, _, errs = plimsoll(t, "check", "--all-contexts", "--layers", "quick")
	if code != exitError || !strings.Contains(errs, "one engine at a time") {
		t.Errorf("exit %d, %s", code, errs)
	}
	file(t, ".plimsoll.yaml", "layers: quick\n")
	if code, _, errs = plimsoll(t, "check"); code != exitError || !strings.Contains(errs, "command line only") {
		t.Errorf("exit %d, %s", code, errs)
	}
}
