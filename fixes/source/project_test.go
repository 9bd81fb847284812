package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/inventory"
	"plimsoll/fixes"
	"plimsoll/fixes/container"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
	"plimsoll/fixes/source"
)

const projectSecret = "c4nary-value-nobody-may-see"

// project is a shop as it is often found: everything open, nothing limited.
const project = `# The shop. Ann knows more.
services:
  web:            # in front
    image: web:1
    command: ["-serve", ":8080"]
    ports:
      - "8080:8080"   # for customers
    networks: [front]

  api:
    image: api:1
    cap_add: [NET_ADMIN]  # it did not work otherwise
    environment:
      API_TOKEN: ` + projectSecret + `  # from the payment service
    networks:
      - front
      - back

  db:             # the store
    image: postgres:17
    environment:
      - POSTGRES_USER=shop
      - POSTGRES_PASSWORD=` + projectSecret + `
    volumes:
      - data:/var/lib/postgresql/data # orders
    networks: [back]

networks:
  front: {}
  back: {}        # behind

volumes:
  data: {}
`

// TestProject takes a compose project on a real engine from its first posture
// to one without findings of medium or above, by the fixes that are offered.
// Comments and data stay, and one undo per step brings the file back.
func TestProject(t *testing.T) {
	t.Parallel()
	engineClient := dockertest.Private(t)
	if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Skip("no docker-compose")
	}
	dir := filepath.Join(t.TempDir(), "shop")
	must(t, os.Mkdir(dir, 0o755))
	path := filepath.Join(dir, "compose.yaml")
	must(t, os.WriteFile(path, []byte(project), 0o644))
	dockertest.Load(t, engineClient, "", dockertest.Probe("web:1"), dockertest.Probe("api:1"), dockertest.Probe("postgres:17"))
	host := engineClient.DaemonHost()
	up := exec.CommandContext(t.Context(), "docker-compose", "up", "--detach")
	up.Dir, up.Env = dir, append(os.Environ(), "DOCKER_HOST="+host)
	if out, err := up.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	target, err := engine.Resolve(host)
	must(t, err)
	inv := inventory.New(inventory.Options{Target: &target})
	fix := fixer.New(fixer.Options{
		Ledger: ledger.New(filepath.Join(filepath.Dir(dir), "state")),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Container: container.New(engineClient, container.Options{}),
			checks.Compose:   files.New(checks.Compose, files.Options{Checks: compose.Checks(), Policy: &checks.Policy{Profile: checks.All}, Secrets: filepath.Join(filepath.Dir(dir), "vault")}),
		},
		Reader: inv, Source: source.Of(inv, source.Options{}),
		Engine: func(ctx context.Context) (string, error) {
			info, err := engineClient.Info(ctx, client.InfoOptions{})
			return info.Info.ID, err
		},
		Environment: []string{"DOCKER_HOST=" + host},
	})
	orders(t, engineClient, "shop_db_1", "one order")

	values := checks.Values{"api.path-variable-of-api-token": "API_TOKEN_FILE"}
	var steps []*fixes.Plan
	var texts []string
	for {
		file, err := inv.Read(t.Context(), checks.Ref{Kind: checks.Compose, ID: path, Name: path})
		must(t, err)
		report := checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All})
		at := slices.IndexFunc(report.Findings, func(f checks.Finding) bool { return f.Severity >= checks.Medium && f.Fixable() })
		if at < 0 {
			break
		}
		id := report.Findings[at].Check.ID
		request := fixes.Request{Values: values}
		for _, f := range report.Findings {
			if f.Check.ID == id && f.Fixable() {
				request.Findings = append(request.Findings, f)
			}
		}
		plan, err := fix.Plan(t.Context(), file, request)
		must(t, err)
		data, err := os.ReadFile(path)
		must(t, err)
		if _, err := fix.Apply(t.Context(), plan, nil); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		steps, texts = append(steps, plan), append(texts, string(data))
	}
	must(t, fix.Deploy(t.Context(), steps[len(steps)-1].ID, nil))
	data, err := os.ReadFile(path)
	must(t, err)
	for line := range strings.Lines(project) {
		if _, comment, ok := strings.Cut(line, "#"); ok && !strings.Contains(line, "NET_ADMIN") && !strings.Contains(string(data), "#"+comment) {
			t.Errorf("the comment %q is gone", comment)
		}
	}
	if strings.Contains(string(data), projectSecret) {
		t.Errorf("the secret is still in\n%s", data)
	}
	file, err := inv.Read(t.Context(), checks.Ref{Kind: checks.Compose, ID: path, Name: path})
	must(t, err)
	left := checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings
	for _, c := range file.(*compose.File).Running {
		if !c.Inspect.State.Running || strings.Contains(strings.Join(c.Settings.Config.Env, " "), projectSecret) {
			t.Errorf("%s runs: %t, environment %q", c.Settings.Name, c.Inspect.State.Running, c.Settings.Config.Env)
		}
		left = append(left, checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings...)
	}
	if n := len(file.(*compose.File).Running); n != 3 || len(steps) < 8 {
		t.Errorf("%d containers after %d steps", n, len(steps))
	}
	for _, f := range left {
		if f.Severity >= checks.Medium {
			t.Errorf("left: %s %s", f.Check.ID, f.Message)
		}
	}
	if got := readFrom(t, engineClient, "shop_db_1", subject.SecretsDir+"db_postgres_password"); got != projectSecret {
		t.Errorf("the container reads %q", got)
	}
	if got := readFrom(t, engineClient, "shop_db_1", ordersFile); got != "one order" {
		t.Errorf("orders %q", got)
	}
	for i, plan := range slices.Backward(steps) {
		must(t, fix.Undo(t.Context(), plan.ID, nil))
		data, err := os.ReadFile(path)
		must(t, err)
		if string(data) != texts[i] {
			t.Errorf("undo of %s leaves\n%s", plan.Title, data)
		}
	}
	// What runs follows the file back when asked to.
	for _, plan := range steps {
		if entry := entryOf(t, fix, plan.ID); len(entry.Trailing()) > 0 {
			must(t, fix.Deploy(t.Context(), plan.ID, nil))
		}
	}
	file, err = inv.Read(t.Context(), checks.Ref{Kind: checks.Compose, ID: path, Name: path})
	must(t, err)
	if drifting := file.(*compose.File).Drifting(); len(drifting) > 0 || len(file.(*compose.File).Running) != 3 {
		t.Errorf("%v run otherwise than the file says", drifting)
	}
	if got := readFrom(t, engineClient, "shop_db_1", ordersFile); got != "one order" {
		t.Errorf("orders %q", got)
	}
}

func entryOf(t *testing.T, f fixer.Fixer, id string) ledger.Entry {
	t.Helper()
	entries, err := f.Entries()
	must(t, err)
	i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.ID == id })
	if i < 0 {
		t.Fatalf("%s is not in the ledger", id)
	}
	return entries[i]
}

const ordersFile = "/var/lib/postgresql/data/orders"

// orders puts data into the volume of the store.
func orders(t *testing.T, c *client.Client, name, text string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: filepath.Base(ordersFile), Mode: 0o644, Size: int64(len(text))}))
	_, err := w.Write([]byte(text))
	must(t, err)
	must(t, w.Close())
	_, err = c.CopyToContainer(t.Context(), name, client.CopyToContainerOptions{DestinationPath: filepath.Dir(ordersFile), Content: &b})
	must(t, err)
}

func readFrom(t *testing.T, c *client.Client, name, path string) string {
	t.Helper()
	r, err := c.CopyFromContainer(t.Context(), name, client.CopyFromContainerOptions{SourcePath: path})
	must(t, err)
	defer r.Content.Close()
	tr := tar.NewReader(r.Content)
	_, err = tr.Next()
	must(t, err)
	data, err := io.ReadAll(tr)
	must(t, err)
	return strings.TrimSpace(string(data))
}
