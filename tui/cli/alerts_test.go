package cli

import (
	"encoding/json"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// toldBy returns the findings of a container, by check.
func toldBy(t *testing.T, s *dockertest.Server, name string) map[string]string {
	t.Helper()
	_, out, errs := plimsoll(t, "check", "--host", s.Host(), "--format", "json", "container:"+name)
	var report struct {
		Findings []struct{ Check, Message string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s%s", err, out, errs)
	}
	told := map[string]string{}
	for _, f := range report.Findings {
		told[f.Check] = f.Message
	}
	return told
}

// TestCheckTellsWhatContainersDo: one look shows sessions that are open and
// processes that do not belong, and what was seen not long ago.
func TestCheckTellsWhatContainersDo(t *testing.T) {
	const canary = "not-a-real-canary-3f3f"
	s, out, _, end := watching(t, "runtime: {normal: {other: {programs: [serve]}}}\n")
	c := s.Client(t)
	if told := toldBy(t, s, "web"); told["runtime-shell-in-container"] != "" {
		t.Errorf("before anything happened: %v", told)
	}
	id, err := s.Exec("web", api.ExecCreateRequest{Cmd: []string{"bash", "--token=" + canary}, Tty: true})
	if err != nil {
		t.Fatal(err)
	}
	out.until(t, "runtime-shell-in-container")
	if told := toldBy(t, s, "web"); told["runtime-shell-in-container"] == "" {
		t.Errorf("a session that is open: %v", told)
	}
	// The session and its watcher end; the next start remembers.
	if err := s.ExecEnds(id, 0); err != nil {
		t.Fatal(err)
	}
	end()
	if told := toldBy(t, s, "web"); told["runtime-shell-in-container"] == "" {
		t.Errorf("what was seen before: %v", told)
	}
	made, err := c.ContainerInspect(t.Context(), "other", client.ContainerInspectOptions{})
	if err != nil || made.Container.State.Pid == 0 {
		t.Fatal(err)
	}
	if err := s.Behave("other", dockertest.Behaviour{Processes: [][]string{
		{"1000", "100", "1", "0", "12:00", "?", "00:00:00", "serve"}, {"1000", "101", "100", "0", "12:00", "?", "00:00:00", "xmrig -o stratum+tcp://u:" + canary + "@pool:3333"},
	}}); err != nil {
		t.Fatal(err)
	}
	if told := toldBy(t, s, "other"); told["container-unexpected-process"] == "" {
		t.Errorf("a miner: %v", told)
	}
	for _, text := range []string{out.String()} {
		if strings.Contains(text, canary) {
			t.Errorf("the canary is in\n%s", text)
		}
	}
}
