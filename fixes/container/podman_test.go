package container

import (
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	subject "plimsoll/checks/container"
	"plimsoll/checks/dockertest/podman"
)

// What Podman says of a container is turned into what it takes.
//
//scenario:49
func TestPodmanTakesItsOwn(t *testing.T) {
	p := podman.Start(t)
	const image = "localhost/plimsoll-test-podman:1"
	p.Do(t, "import", "--change", "USER 1000", "--change", `CMD ["/hello"]`, p.Archive(t), image)
	p.Do(t, "create", "--name", "web", "--ulimit", "nofile=1024:2048", "--cpus", "0.5", "--memory", "64m", "--device", "/dev/null:/dev/zero9", "--cap-drop", "all",
		"--cap-add", "chown", "--tmpfs", "/tmp", "--env", "A=b", "--label", "own=yes", "--restart", "on-failure:3", "--security-opt", "no-new-privileges", image)
	c, err := client.New(client.WithHost(p.Address), client.WithAPIVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	inspect := func(name string) api.InspectResponse {
		t.Helper()
		got, err := c.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Container
	}
	old := inspect("web")
	found, err := c.ImageInspect(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	s := subject.New(old, &found.InspectResponse, "", time.Now())
	w := &world{container: s}
	b := w.body(s.Settings.Clone(), &found.InspectResponse, image, "tx")
	made, err := c.ContainerCreate(t.Context(), b.options)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	now := inspect(made.ID)
	for name, pair := range map[string][2]any{
		"memory":     {old.HostConfig.Memory, now.HostConfig.Memory},
		"cpus":       {old.HostConfig.NanoCPUs, now.HostConfig.NanoCPUs},
		"open files": {ulimit(old, "RLIMIT_NOFILE"), ulimit(now, "RLIMIT_NOFILE")},
		"user":       {old.Config.User, now.Config.User},
		"restart":    {old.HostConfig.RestartPolicy, now.HostConfig.RestartPolicy},
		"label":      {old.Config.Labels["own"], now.Config.Labels["own"]},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, was %v", name, pair[1], pair[0])
		}
	}
}

func ulimit(c api.InspectResponse, name string) (hard int64) {
	for _, l := range c.HostConfig.Ulimits {
		if l.Name == name {
			hard = l.Hard
		}
	}
	return hard
}
