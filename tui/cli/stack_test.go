package cli

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"plimsoll/checks/container"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/suite"
)

// keyedStack runs a stack of three services on a swarm in memory.
func keyedStack(t *testing.T) *client.Client {
	t.Helper()
	s := dockertest.Run(t, dockertest.API("1.44"), dockertest.Monitor(50*time.Millisecond), dockertest.RestartDelay(20*time.Millisecond))
	t.Setenv("DOCKER_HOST", s.Host())
	c := s.Client(t)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1"}))
	for _, tag := range []string{"web:1", "api:1", "postgres:17"} {
		s.AddImage(dockertest.Probe(tag))
	}
	for _, name := range []string{"shop_front", "shop_back"} {
		must(c.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "overlay"}))
	}
	two := uint64(2)
	for _, one := range []struct {
		name, network string
		spec          swarm.ContainerSpec
	}{
		{"shop_web", "shop_front", swarm.ContainerSpec{Image: "web:1", Args: []string{"-serve", ":80"}}},
		{"shop_api", "shop_back", swarm.ContainerSpec{Image: "api:1", Env: []string{"API_TOKEN=" + projectCanary}, CapabilityAdd: []string{"CAP_NET_ADMIN"}}},
		{"shop_db", "shop_back", swarm.ContainerSpec{Image: "postgres:17", Env: []string{"POSTGRES_PASSWORD=" + projectCanary},
			Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "shop_data", Target: "/var/lib/postgresql/data"}}}},
	} {
		spec := swarm.ServiceSpec{
			Annotations:  swarm.Annotations{Name: one.name, Labels: map[string]string{"com.docker.stack.namespace": "shop"}},
			TaskTemplate: swarm.TaskSpec{ContainerSpec: &one.spec, Networks: []swarm.NetworkAttachmentConfig{{Target: one.network}}},
		}
		if one.name == "shop_web" {
			spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &two}
		}
		must(c.ServiceCreate(ctx, client.ServiceCreateOptions{Spec: spec}))
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if list, err := c.ContainerList(ctx, client.ContainerListOptions{}); err == nil && len(list.Items) == 4 {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal("not all tasks run")
		}
	}
}

// services returns the specifications of all services by name.
func services(t *testing.T, c *client.Client) map[string]string {
	t.Helper()
	list, err := c.ServiceList(t.Context(), client.ServiceListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	specs := map[string]string{}
	for _, s := range list.Items {
		data, err := json.Marshal(s.Spec)
		if err != nil {
			t.Fatal(err)
		}
		specs[s.Spec.Name] = string(data)
	}
	return specs
}

// severe returns what plimsoll check finds about containers that is medium or worse.
func severe(t *testing.T) (found []string) {
	t.Helper()
	_, out, errs := plimsoll(t, "check", "containers", "--profile", "all", "--fail-on", "never", "--format", "json")
	var report struct {
		Findings []struct{ Check, Severity, Message string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s%s", err, out, errs)
	}
	for _, f := range report.Findings {
		if f.Severity == "medium" || f.Severity == "high" || f.Severity == "critical" {
			found = append(found, f.Check+": "+f.Message)
		}
	}
	return found
}

// TestStackByKeys takes a stack by keys alone to no finding of medium or above on
// its containers, and back. No frame shows a secret.
func TestStackByKeys(t *testing.T) {
	home(t)
	c := keyedStack(t)
	before := services(t, c)
	ctx, quit := context.WithCancel(t.Context())
	defer quit()
	a := &app{out: io.Discard, err: io.Discard, suite: suite.All(), isTerminal: true}
	a.speak("en")
	if err := a.prepare("."); err != nil {
		t.Fatal(err)
	}
	s, err := a.open(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	x := open(t, a.screenOptions(ctx, s), ctx)
	for _, service := range []string{"shop_api", "shop_db", "shop_web"} {
		x.see(t, service+".1.")
		x.press("/", service, "\r", "\x1b[H", "\x1b[B", "\x1b[B", "F")
		x.see(t, "drop all capabilities", "enter plan")
		x.press("\r")
		x.see(t, "Updates the Swarm service")
		if service == "shop_api" {
			x.seek(t, "▸ variable that takes its path")
			x.press("TOKEN_PATH")
			x.see(t, "TOKEN_PATH=/run/secrets/api_token")
		}
		x.see(t, "enter apply")
		if strings.Contains(ansi.Strip(x.Render()), projectCanary) {
			t.Errorf("the preview of %s shows a secret", service)
		}
		x.press("\r", "\r")
		x.see(t, "Verified")
		x.press("\r", "\x1b", "\x1b")
	}
	if found := severe(t); len(found) > 0 {
		t.Errorf("left:\n%s", strings.Join(found, "\n"))
	}
	list, err := c.ServiceList(ctx, client.ServiceListOptions{})
	if shown, _ := json.Marshal(list.Items); err != nil || strings.Contains(string(shown), projectCanary) {
		t.Errorf("%v: the swarm shows a secret: %s", err, shown)
	}
	for range before {
		x.press("u")
		x.see(t, "Take this change back?")
		x.press("\r")
		x.see(t, "Done")
		x.press("\r")
	}
	for name, spec := range services(t, c) {
		if spec != before[name] {
			t.Errorf("after undo %s is\n%s\nwant\n%s", name, spec, before[name])
		}
	}
	if secrets, err := c.SecretList(ctx, client.SecretListOptions{}); err != nil || len(secrets.Items) > 0 {
		t.Errorf("%v: %d secrets are left", err, len(secrets.Items))
	}
	quit()
	if err := <-x.done; err != nil {
		t.Error(err)
	}
}

// TestFixChangesAServiceOnce: however many tasks of it are found wanting.
func TestFixChangesAServiceOnce(t *testing.T) {
	home(t)
	c := keyedStack(t)
	list, err := c.ContainerList(t.Context(), client.ContainerListOptions{Filters: client.Filters{}.Add("label", container.LabelServiceName+"=shop_web")})
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("%d tasks, %v", len(list.Items), err)
	}
	args := []string{"fix", "--check", "container-memory-unlimited", "--yes"}
	for _, task := range list.Items {
		args = append(args, "container:"+strings.TrimPrefix(task.Names[0], "/"))
	}
	code, out, errs := plimsoll(t, args...)
	if code != exitClean || strings.Count(out, "docker service update --limit-memory") != 1 {
		t.Fatalf("exit %d, %s\n%s", code, out, errs)
	}
	if spec := services(t, c)["shop_web"]; !strings.Contains(spec, `"MemoryBytes"`) {
		t.Errorf("it has no limit: %s", spec)
	}
}
