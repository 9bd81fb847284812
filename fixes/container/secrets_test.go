package container

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes"
)

const envCanary = "c4nary-value-nobody-may-see"

// secretLab is a container with a secret in its environment, and a place for it.
func secretLab(l *lab) (id, dir string) {
	l.Helper()
	dir = filepath.Join(l.TempDir(), "secrets")
	o := quickly
	o.Secrets = dir
	l.m = New(l.cli, o)
	l.fixer = l.dispatcher(l.m)
	l.load(dockertest.Probe("app:1"))
	id = l.run("app", client.ContainerCreateOptions{Config: &api.Config{Image: "app:1", Env: []string{"A=b", "API_TOKEN=" + envCanary}}, HostConfig: &api.HostConfig{}})
	return id, dir
}

func (l *lab) secretPlan(id string, values checks.Values) *fixes.Plan {
	l.Helper()
	c := l.subject(id)
	request := fixes.Request{Values: values}
	for _, f := range checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "container-secret-in-env" {
			request.Findings = append(request.Findings, f)
		}
	}
	plan, err := l.fixer.Plan(l.Context(), c, request)
	if err != nil {
		l.Fatal(err)
	}
	return plan
}

// holding returns the files below dir with text in them.
func holding(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), text) {
				found = append(found, path)
			}
		}
		return nil
	})
	return found
}

// A secret leaves the environment of a container for a private file, and is
// back with the original. Its value is neither shown nor recorded.
func TestSecretLeavesTheEnvironment(t *testing.T) {
	onEngines(t, func(t *testing.T, l *lab) {
		id, dir := secretLab(l)
		if plan := l.secretPlan(id, nil); !strings.Contains(plan.Blocked.String(), "path-variable-of-api-token") || len(plan.Choices) != 2 {
			t.Fatalf("without an answer: %s", plan.Blocked)
		}
		plan := l.secretPlan(id, checks.Values{"path-variable-of-api-token": "TOKEN_FILE"})
		if !plan.Blocked.IsZero() {
			t.Fatal(plan.Blocked)
		}
		var seen strings.Builder
		for _, c := range plan.Changes {
			seen.WriteString(c.Before + c.After)
		}
		for _, s := range plan.Steps {
			seen.WriteString(s.Target + s.Command + s.Why.String())
		}
		receipt, err := l.fixer.Apply(l.Context(), plan, func(p fixes.Progress) { seen.WriteString(p.Message.String()) })
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range slices.Concat(receipt.Proof, receipt.Reminders) {
			seen.WriteString(m.String() + "\n")
		}
		if strings.Contains(seen.String(), envCanary) || len(holding(t, l.ledger.Path(), envCanary)) > 0 {
			t.Errorf("the value is shown or recorded: %s", seen.String())
		}
		if len(receipt.Reminders) != 1 || !strings.Contains(seen.String(), "no longer shows the value of API_TOKEN") {
			t.Errorf("said %s", seen.String())
		}
		now := l.inspect(l.prefix + "app")
		if slices.ContainsFunc(now.Config.Env, func(e string) bool { return strings.Contains(e, envCanary) }) || !slices.Contains(now.Config.Env, "TOKEN_FILE=/run/secrets/api_token") {
			t.Errorf("environment %q", now.Config.Env)
		}
		kept := holding(t, dir, envCanary)
		if len(kept) != 1 || len(now.Mounts) != 1 || now.Mounts[0].Source != kept[0] || now.Mounts[0].RW {
			t.Fatalf("kept in %q, mounted %+v", kept, now.Mounts)
		}
		if info, err := os.Stat(kept[0]); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if err := l.fixer.Undo(l.Context(), plan.ID, nil); err != nil {
			t.Fatal(err)
		}
		if now := l.inspect(l.prefix + "app"); now.ID != id || !slices.Contains(now.Config.Env, "API_TOKEN="+envCanary) {
			t.Errorf("after undo %q", now.Config.Env)
		}
		if left := holding(t, dir, ""); len(left) != 0 {
			t.Errorf("after undo %q is left", left)
		}
	})
}

// What fails, or dies, at any step leaves the secret where it was, and only there.
func TestSecretIsTakenBack(t *testing.T) {
	for step := 1; step < 20; step++ {
		l := memoryLab(t)
		id, dir := secretLab(l)
		plan := l.secretPlan(id, checks.Values{"path-variable-of-api-token": "TOKEN_FILE"})
		if step > len(plan.Steps) {
			return
		}
		begun := 0
		func() {
			defer func() { _ = recover() }()
			_, _ = l.fixer.Apply(l.Context(), plan, func(fixes.Progress) {
				if begun++; begun == step {
					panic("killed")
				}
			})
		}()
		must(t, l.fixer.Recover(l.Context(), plan.ID, false, nil))
		if now := l.inspect(l.prefix + "app"); now.ID != id || !now.State.Running {
			t.Errorf("step %d: another container, or it does not run", step)
		}
		if left := holding(t, dir, ""); len(left) != 0 {
			t.Errorf("step %d: %q is left", step, left)
		}
	}
}

// Nothing that is there is overwritten, and no file is written that the engine
// could not see.
func TestSecretFileCannotBe(t *testing.T) {
	l := memoryLab(t)
	id, dir := secretLab(l)
	answer := checks.Values{"path-variable-of-api-token": "TOKEN_FILE"}
	must(t, os.MkdirAll(dir, 0o700))
	file := filepath.Join(dir, short(id)+"-api_token")
	must(t, os.WriteFile(file, []byte("another"), 0o600))
	_, err := l.fixer.Apply(l.Context(), l.secretPlan(id, answer), nil)
	if err == nil || !strings.Contains(err.Error(), "exists already") || len(holding(t, dir, "another")) != 1 {
		t.Errorf("a file of that name: %v", err)
	}
	w, err := l.m.look(l.Context(), l.subject(id))
	must(t, err)
	w.host = "tcp://far:2376"
	plan, err := w.plan(fixes.Request{Findings: l.secretPlan(id, answer).Cures, Values: answer})
	must(t, err)
	if !strings.Contains(plan.Blocked.String(), "does not see the files") {
		t.Errorf("on a distant engine: %s", plan.Blocked)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
