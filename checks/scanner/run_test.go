//go:build unix

package scanner

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll/checks"
)

// world is an environment in which fake scanners are installed.
func world(t *testing.T, programs map[string]string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	plugins := filepath.Join(dir, ".docker", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range programs {
		place := dir
		if name == "docker-scout" {
			place = plugins
		}
		// A process that another test begins meanwhile would hold the file open
		// for a moment, and what is open for writing cannot be run.
		syscall.ForkLock.RLock()
		err := os.WriteFile(filepath.Join(place, name), []byte("#!/bin/sh\n"+text), 0o700)
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"PATH": "relative:" + dir + ":/usr/bin:/bin", "HOME": dir, "DOCKER_HOST": "unix:///canary.sock", "TRIVY_TOKEN": "canary", "AWS_SECRET_ACCESS_KEY": "canary"}
	return func(name string) string { return env[name] }
}

var target = Target{ID: "sha256:1", Size: 1 << 20, DiffIDs: fewLayers, Open: func(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("an archive")), nil
}}

const trivyVersion = `if [ "$1" = version ]; then echo '{"Version":"0.74.0","VulnerabilityDB":{"UpdatedAt":"2026-11-20T00:00:00Z"}}'; exit; fi
`

func TestScan(t *testing.T) {
	report, err := filepath.Abs("testdata/trivy-0.19-no-purl.json")
	if err != nil {
		t.Fatal(err)
	}
	sarif, _ := filepath.Abs("testdata/scout-1.20.sarif.json")
	seen := filepath.Join(t.TempDir(), "seen")
	getenv := world(t, map[string]string{
		"trivy": trivyVersion + `env >` + seen + `; pwd >>` + seen + `; cat "$3" >>` + seen + `; cat ` + report,
		"grype": `if [ "$1" = version ]; then echo 'Version: 0.121.2'; exit; fi
echo '{"matches":[]}'`,
		"docker-scout": `if [ "$2" = version ]; then echo 'version: v1.20.4 (go1.25.8 - linux/amd64)'; exit; fi
echo "What's next"; cp ` + sarif + ` "$6"`,
	})
	installed := Find(t.Context(), getenv)
	if len(installed) != 3 || installed[0].Version != "0.74.0" || installed[1].Version != "0.121.2" || installed[2].Version != "1.20.4" {
		t.Fatalf("%+v", installed)
	}
	scans := Scan(t.Context(), installed, target, getenv)
	for i, want := range []int{2, 0, 3} {
		if s := scans[i]; s.Problem != nil || len(s.Vulnerabilities) != want || s.Taken.IsZero() {
			t.Errorf("%s: %v, %d found", s.Scanner, s.Problem, len(s.Vulnerabilities))
		}
	}
	if scans[0].Data.Format(time.DateOnly) != "2026-11-20" {
		t.Errorf("advisories of %v", scans[0].Data)
	}
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "canary") || !strings.Contains(s, "an archive") || !strings.Contains(s, "TRIVY_SKIP_DB_UPDATE=true") || !strings.Contains(s, "no-engine") {
		t.Errorf("it saw %s", s)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if dir, ok := strings.CutPrefix(line, "TMPDIR="); ok {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s is left behind", dir)
			}
		}
	}
}

func TestTrouble(t *testing.T) {
	for name, c := range map[string]struct{ tool, does, says string }{
		"first run":   {"trivy", `echo "FATAL	Fatal error	init error: DB error: --skip-db-update cannot be specified on the first run" >&2; exit 1`, "trivy has no advisories on this machine: download them with trivy image --download-db-only"},
		"download":    {"trivy", `echo "failed to download vulnerability DB: OCI artifact error" >&2; exit 1`, "trivy has no advisories"},
		"old schema":  {"trivy", `echo "The local DB has an old schema version which is not supported" >&2; exit 1`, "too old for it"},
		"no database": {"grype", `echo "ERROR failed to load vulnerability db: database does not exist" >&2; exit 1`, "download them with grype db update"},
		"age":         {"grype", `echo "the vulnerability database was built 3 weeks ago (max allowed age is 5 days)" >&2; exit 1`, "advisories of grype are too old"},
		"login":       {"docker-scout", `echo "Log in with your Docker ID or email address to use docker scout." >&2; exit 1`, "logged in to Docker: log in with docker login"},
		"network":     {"docker-scout", `echo "dial tcp: lookup api.scout.docker.com: no such host" >&2; exit 1`, "scout could not reach its server"},
		"no report":   {"docker-scout", `exit 0`, "wrote no report"},
		"memory":      {"trivy", `echo "fatal error: runtime: out of memory" >&2; exit 2`, "needs more than the 4GiB of memory"},
		"other":       {"grype", `echo "first" >&2; printf 'odd \033[2J thing\n\n' >&2; exit 9`, "grype failed with exit code 9: odd"},
		"crash":       {"grype", `kill -SEGV $$`, "grype crashed"},
		"nonsense":    {"trivy", `echo hello`, "not in a form that is known here"},
		"silence":     {"trivy", `exit 1`, "exit code 1: …"},
		"compromised": {"trivy", ``, "a release that attackers tampered with"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			version := "0.74.0"
			if name == "compromised" {
				version = "v0.69.5"
			}
			text := "if [ \"$1\" = version ] || [ \"$2\" = version ]; then echo 'Version: " + version + "'; exit; fi\n" + c.does
			getenv := world(t, map[string]string{c.tool: text})
			scans := Scan(t.Context(), Find(t.Context(), getenv), target, getenv)
			if len(scans) != 1 || scans[0].Problem == nil {
				t.Fatalf("%+v", scans)
			}
			if got := scans[0].Problem.Error(); !strings.Contains(got, c.says) || strings.ContainsAny(got, "\x1b\n") {
				t.Errorf("%q, want %q", got, c.says)
			}
		})
	}
}

func TestFloodAndHang(t *testing.T) {
	getenv := world(t, map[string]string{"trivy": trivyVersion + "yes", "grype": `echo 'version: 1.2.3'; sleep 600`})
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	flood := Scan(ctx, []Installed{{Name: Trivy, Path: filepath.Join(getenv("HOME"), "trivy"), Version: "0.74.0"}}, target, getenv)
	if p := flood[0].Problem; p == nil || !strings.Contains(p.Error(), "wrote more than 64MiB") {
		t.Errorf("%v", p)
	}
	soon, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	hang := Scan(soon, []Installed{{Name: Grype, Path: filepath.Join(getenv("HOME"), "grype"), Version: "1.2.3"}}, target, getenv)
	if hang[0].Problem == nil {
		t.Error("it hung and was taken for done")
	}
}

func TestArchive(t *testing.T) {
	getenv := world(t, map[string]string{"trivy": trivyVersion})
	tool := []Installed{{Name: Trivy, Path: filepath.Join(getenv("HOME"), "trivy"), Version: "0.74.0"}}
	endless := Target{Size: 1, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(zeros{}), nil }}
	if s := Scan(t.Context(), tool, endless, getenv); s[0].Problem == nil || !strings.Contains(s[0].Problem.Error(), "larger than the image says") {
		t.Errorf("%v", s[0].Problem)
	}
	huge := Target{Size: 1 << 60, Open: target.Open}
	if s := Scan(t.Context(), tool, huge, getenv); s[0].Problem == nil || !strings.Contains(s[0].Problem.Error(), "there is no room") {
		t.Errorf("%v", s[0].Problem)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "plimsoll-scan-*", "image.tar")); len(left) > 0 {
		for _, path := range left {
			if data, err := os.ReadFile(path); err == nil && bytes.Equal(data, make([]byte, len(data))) {
				t.Errorf("%s is left behind", path)
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestVersionWithoutRunning reads the version of a program in Go from its file:
// what was tampered with is not started even to ask.
func TestVersionWithoutRunning(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	for name, text := range map[string]string{
		"go.mod":  "module github.com/aquasecurity/trivy\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"os\"\n\nvar Version string\n\nfunc main() { os.WriteFile(" + `"` + ran + `"` + ", []byte(Version), 0o600) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-ldflags", "-s -w -X=main.Version=0.69.4", "-o", "trivy", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := Find(t.Context(), func(name string) string { return map[string]string{"PATH": dir}[name] })
	if len(found) != 1 || found[0].Version != "0.69.4" || found[0].Problem == nil {
		t.Fatalf("%+v", found)
	}
	Scan(t.Context(), found, target, func(string) string { return "" })
	if _, err := os.Stat(ran); err == nil {
		t.Error("it was run")
	}
}

func TestNames(t *testing.T) {
	names, err := Parse([]string{"Trivy", "scout", "trivy"})
	if err != nil || len(names) != 2 {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := Parse([]string{"clair"}); err == nil {
		t.Error("clair is known")
	}
	for version, want := range map[string]bool{"0.69.3": false, "0.69.4": true, "v0.69.6": true, "0.69.5-rc1": true, "0.69.7": false, "0.74.0": false, "": false} {
		if Compromised(Trivy, version) != want {
			t.Errorf("trivy %q: %v", version, !want)
		}
	}
	if Compromised(Grype, "0.69.4") {
		t.Error("grype is not trivy")
	}
	if p := Missing(Scout).Problem; !strings.Contains((&checks.Problem{What: p.What}).Error(), "docker-scout") {
		t.Error(p)
	}
}
