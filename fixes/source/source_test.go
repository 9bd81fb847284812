package source_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
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

const shop = `# the shop
services:
  web:
    image: shop:1 # ours
    ports: ["127.0.0.1:8080:80"]
`

// A bench is an engine with a container that docker compose would have made.
type bench struct {
	*fixer.Dispatcher
	server    *dockertest.Server
	inventory *inventory.Inventory
	path, id  string
}

func newBench(t *testing.T, change func(*client.ContainerCreateOptions, *dockertest.Image), text string) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{server: dockertest.Run(t), path: filepath.Join(dir, "shop", "compose.yaml")}
	must(t, os.Mkdir(filepath.Dir(b.path), 0o755))
	must(t, os.WriteFile(b.path, []byte(text), 0o644))
	image := dockertest.Image{Tags: []string{"shop:1"}}
	options := client.ContainerCreateOptions{Name: "shop-web-1", Config: &api.Config{Image: "shop:1", Labels: map[string]string{
		"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "com.docker.compose.project.config_files": b.path,
	}}, HostConfig: &api.HostConfig{}}
	if change != nil {
		change(&options, &image)
	}
	b.server.AddImage(image)
	cli := b.server.Client(t)
	made, err := cli.ContainerCreate(t.Context(), options)
	must(t, err)
	b.id = made.ID
	_, err = cli.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})
	must(t, err)
	target, err := engine.Resolve(b.server.Host())
	must(t, err)
	b.inventory = inventory.New(inventory.Options{Target: &target})
	b.Dispatcher = fixer.New(fixer.Options{
		Ledger: ledger.New(filepath.Join(dir, "state")),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Container: container.New(cli, container.Options{}),
			checks.Compose:   files.New(checks.Compose, files.Options{Checks: compose.Checks(), Policy: &checks.Policy{Profile: checks.All}, Secrets: filepath.Join(dir, "secrets")}),
		},
		Reader: b.inventory,
		Source: source.Of(b.inventory, source.Options{}),
		Engine: func(ctx context.Context) (string, error) {
			info, err := cli.Info(ctx, client.InfoOptions{})
			return info.Info.ID, err
		},
		Environment: []string{"DOCKER_HOST=" + b.server.Host()},
	})
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) text(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(b.path)
	must(t, err)
	return string(data)
}

// plan asks the container to be cured of a check.
func (b *bench) plan(t *testing.T, id string) *fixes.Plan {
	t.Helper()
	c, err := b.inventory.Read(t.Context(), checks.Ref{Kind: checks.Container, ID: b.id, Name: "shop-web-1"})
	must(t, err)
	request := fixes.Request{WriteBack: id == ""}
	for _, check := range subject.Checks() {
		if check.ID == id {
			request.Findings = checks.Run(c, []*checks.Check{check}, &checks.Policy{Profile: checks.All}).Findings
		}
	}
	if id != "" && len(request.Findings) != 1 {
		t.Fatalf("%s found %d times", id, len(request.Findings))
	}
	plan, err := b.Plan(t.Context(), c, request)
	must(t, err)
	return plan
}

// docker puts a docker command with the plugin compose into the path, and
// returns where.
func docker(t *testing.T, script string) (bin string) {
	t.Helper()
	bin = t.TempDir()
	plugins := filepath.Join(bin, "config", "cli-plugins")
	must(t, os.MkdirAll(plugins, 0o755))
	must(t, os.WriteFile(filepath.Join(plugins, "docker-compose"), nil, 0o755))
	must(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("DOCKER_CONFIG", filepath.Join(bin, "config"))
	return bin
}

// What has to be recreated is changed in its file, and brought to what runs
// when asked; what can be changed live is, and written back when asked.
//
//scenario:59
func TestChangeWhereItIsMade(t *testing.T) {
	b := newBench(t, nil, shop)
	bin := docker(t, "")
	must(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho \"$DOCKER_HOST $*\" > "+bin+"/said\necho ' Container shop-web-1  Started'\n"), 0o755))

	plan := b.plan(t, "container-rootfs-writable")
	if plan.Mechanism != fixes.Patch || plan.Subject.ID != b.path || !plan.Blocked.IsZero() {
		t.Fatalf("%s of %s: %s", plan.Mechanism, plan.Subject.Name, plan.Blocked)
	}
	if notes := fmt.Sprint(plan.Notes); !strings.Contains(notes, "outside of volumes is lost") {
		t.Errorf("what is lost is not said: %s", notes)
	}
	receipt, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	if text := b.text(t); !strings.Contains(text, "    read_only: true\n") || !strings.Contains(text, "image: shop:1 # ours\n") {
		t.Errorf("the file is\n%s", text)
	}
	if _, err := os.Stat(filepath.Join(bin, "said")); err == nil {
		t.Error("docker compose was run without being asked for")
	}
	var lines []string
	must(t, b.Deploy(t.Context(), receipt.Entry, func(p fixes.Progress) { lines = append(lines, p.Message.String()) }))
	said, err := os.ReadFile(filepath.Join(bin, "said"))
	must(t, err)
	want := b.server.Host() + " compose --project-directory " + filepath.Dir(b.path) + " --project-name shop --file " + b.path + " up --detach web\n"
	if string(said) != want || strings.Join(lines, "\n") != "Container shop-web-1  Started" {
		t.Errorf("ran %q, said %q", said, lines)
	}
	must(t, b.Undo(t.Context(), receipt.Entry, nil))
	if b.text(t) != shop {
		t.Errorf("undone\n%s", b.text(t))
	}
	trails := func() bool {
		entries, err := b.Entries()
		must(t, err)
		return len(entries[0].Trailing()) > 0
	}
	if !trails() {
		t.Error("what runs is as it was changed, and nothing says so")
	}
	must(t, os.Remove(filepath.Join(bin, "said")))
	must(t, b.Deploy(t.Context(), receipt.Entry, nil))
	if said, err := os.ReadFile(filepath.Join(bin, "said")); err != nil || string(said) != want || trails() {
		t.Errorf("undone, it ran %q (%v); still trailing: %t", said, err, trails())
	}

	live := b.plan(t, "container-memory-unlimited")
	if live.Mechanism != fixes.Update {
		t.Fatalf("a limit is not set live but by %s", live.Mechanism)
	}
	_, err = b.Apply(t.Context(), live, nil)
	must(t, err)
	back := b.plan(t, "")
	_, err = b.Apply(t.Context(), back, nil)
	must(t, err)
	if text := b.text(t); !strings.HasPrefix(text, shop+"    mem_limit: ") {
		t.Errorf("written back\n%s", text)
	}
}

func TestDeployFails(t *testing.T) {
	b := newBench(t, nil, shop)
	docker(t, "echo 'no such \033[31mplugin' >&2\nexit 3\n")
	plan := b.plan(t, "container-rootfs-writable")
	if err := b.Deploy(t.Context(), plan.ID, nil); !errdefs.IsNotFound(err) {
		t.Errorf("a plan that was not applied: %v", err)
	}
	_, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	err = b.Deploy(t.Context(), plan.ID, nil)
	if entries, _ := b.Entries(); !entries[0].Deployed {
		t.Error("a part may have been done, and nothing says so")
	}
	if !errors.Is(err, fixes.ErrDeploy) || !strings.Contains(err.Error(), "plugin") || strings.Contains(err.Error(), "\033") {
		t.Errorf("error %q", err)
	}
}

// The path of the file is a claim of whoever made the container or its image.
//
//scenario:70
func TestClaimsAreNotBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*client.ContainerCreateOptions, *dockertest.Image)
		text   string
	}{
		"no compose file": {func(o *client.ContainerCreateOptions, _ *dockertest.Image) {
			o.Config.Labels["com.docker.compose.project.config_files"] = "/etc/shadow"
		}, shop},
		"a relative path": {func(o *client.ContainerCreateOptions, _ *dockertest.Image) {
			o.Config.Labels["com.docker.compose.project.config_files"] = "../compose.yaml"
		}, shop},
		"another service": {nil, strings.Replace(shop, "web:", "api:", 1)},
		"several files": {func(o *client.ContainerCreateOptions, _ *dockertest.Image) {
			o.Config.Labels["com.docker.compose.project.config_files"] += ",/tmp/other.yaml"
		}, shop},
		"the image says so": {func(o *client.ContainerCreateOptions, i *dockertest.Image) {
			i.Config.Labels = o.Config.Labels
		}, shop},
		"a single run": {func(o *client.ContainerCreateOptions, _ *dockertest.Image) {
			o.Config.Labels["com.docker.compose.oneoff"] = "True"
		}, shop},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.change, c.text)
			if plan := b.plan(t, "container-rootfs-writable"); plan.Mechanism == fixes.Patch {
				t.Errorf("changes %s", plan.Subject.ID)
			}
			if b.text(t) != c.text {
				t.Error("the file has changed")
			}
		})
	}
}

// A link would lead the change to another file.
func TestLinkedFileIsLeftAlone(t *testing.T) {
	b := newBench(t, nil, shop)
	real := filepath.Join(filepath.Dir(filepath.Dir(b.path)), "elsewhere.yaml")
	must(t, os.Rename(b.path, real))
	must(t, os.Symlink(real, b.path))
	if plan := b.plan(t, "container-rootfs-writable"); plan.Blocked.IsZero() {
		t.Errorf("%s is not blocked", plan.Title)
	}
}

// A secret of a container that compose manages leaves its file.
func TestSecretLeavesTheFile(t *testing.T) {
	const secret = "c4nary-of-a-service"
	b := newBench(t, func(o *client.ContainerCreateOptions, _ *dockertest.Image) {
		o.Config.Env = []string{"API_TOKEN=" + secret}
	}, shop+"    environment:\n      API_TOKEN: "+secret+"\n")
	c, err := b.inventory.Read(t.Context(), checks.Ref{Kind: checks.Container, ID: b.id, Name: "shop-web-1"})
	must(t, err)
	request := fixes.Request{}
	for _, f := range checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "container-secret-in-env" {
			request.Findings = append(request.Findings, f)
		}
	}
	plan, err := b.Plan(t.Context(), c, request)
	must(t, err)
	if !strings.Contains(plan.Blocked.String(), "path-variable-of-api-token") {
		t.Errorf("without an answer: %s", plan.Blocked)
	}
	request.Values = checks.Values{"path-variable-of-api-token": "TOKEN_FILE"}
	plan, err = b.Plan(t.Context(), c, request)
	must(t, err)
	if plan.Mechanism != fixes.Patch || !plan.Blocked.IsZero() {
		t.Fatalf("%s, blocked: %s", plan.Mechanism, plan.Blocked)
	}
	_, err = b.Apply(t.Context(), plan, nil)
	must(t, err)
	held, err := os.ReadFile(filepath.Join(filepath.Dir(b.path), "secrets", "web_api_token"))
	if err != nil || string(held) != secret || !strings.Contains(b.text(t), "TOKEN_FILE: /run/secrets/web_api_token") {
		t.Errorf("%v, holds %q, file\n%s", err, held, b.text(t))
	}
}
