package dockertest_test

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

func TestCreateStartInspectRemove(t *testing.T) {
	s := dockertest.Run(t)
	cli := s.Client(t)
	ctx := t.Context()
	id := s.AddImage(dockertest.Image{Tags: []string{"app:1"}})
	made, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: "web", Config: &container.Config{Image: "app:1", Labels: map[string]string{"a": "b"}},
		HostConfig: &container.HostConfig{Resources: container.Resources{Memory: 64 << 20}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cli.ContainerStart(ctx, "web", client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := cli.ContainerInspect(ctx, made.ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Container; c.Image != id || !c.State.Running || c.HostConfig.MemorySwap != 128<<20 || !c.NetworkSettings.Networks["bridge"].IPAddress.IsValid() {
		t.Errorf("inspect: %s", got.Raw)
	}
	list, err := cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("label", "a=b")})
	if err != nil || len(list.Items) != 1 || list.Items[0].Names[0] != "/web" {
		t.Errorf("list: %+v, %v", list, err)
	}
	if _, err := cli.ContainerRemove(ctx, "web", client.ContainerRemoveOptions{}); !errdefs.IsConflict(err) {
		t.Errorf("removing a running container: %v", err)
	}
	if _, err := cli.ContainerRemove(ctx, "web", client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if n := s.Count("GET /containers/{id}/json"); n != 1 {
		t.Errorf("%d inspects were counted", n)
	}
}
