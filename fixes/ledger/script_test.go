package ledger

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
)

func TestScript(t *testing.T) {
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	container := func(name string) checks.Ref { return checks.Ref{Kind: checks.Container, ID: name, Name: name} }
	script := Script([]Entry{ // the newest first, as the ledger lists them
		{ID: "4", Time: at, Title: "Undone", State: Undone, Engine: "e", Subject: container("web"), Commands: []string{"echo undone"}},
		{ID: "3", Time: at, Title: "Second", State: Final, Engine: "e", Subject: container("api"), Commands: []string{"echo 'two words' \"$HOME\"x", "cat <<'EOF'\n+\ta \x1b[31m\nEOF"}},
		{ID: "2", Time: at, Title: "Harden\necho injected", State: Applied, Subject: checks.Ref{Kind: checks.Dockerfile, ID: "/srv/\x1b[31mDockerfile\necho injected", Name: "Dockerfile"}},
		{ID: "1", Time: at, Title: "First", State: Applied, Engine: "e", Subject: container("web"), Commands: []string{"echo first"}},
	})
	command := exec.CommandContext(t.Context(), "sh")
	command.Stdin, command.Env = strings.NewReader(script), []string{"HOME=/h"}
	out, err := command.CombinedOutput()
	if err != nil || string(out) != "first\ntwo words /hx\n+\ta ␛[31m\n" {
		t.Errorf("%v, printed %q of\n%s", err, out, script)
	}
	if !strings.Contains(script, "# 2026-11-26T08:00:00Z  First (container web)\n") || strings.Contains(script, "\x1b") || strings.Contains(script, "undone") {
		t.Errorf("in\n%s", script)
	}
}
