package dockertest_test

import (
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/dockertest"
)

func images(e *engine) {
	one := dockertest.Probe("app:1", "-x", "one")
	one.History = nil
	e.images(one, dockertest.Probe("app:2", "-x", "two"))
	ctx := e.Context()
	i, err := e.cli.ImageInspect(ctx, e.prefix+"app:1")
	e.fails("inspect", err)
	e.note("image", []any{i.ID, i.RepoTags, i.RepoDigests, i.Os, i.Config.Entrypoint, i.Config.Cmd, i.Config.Env})
	h, err := e.cli.ImageHistory(ctx, e.prefix+"app:1")
	e.fails("history", err)
	e.note("newest layer", []any{h.Items[0].ID, h.Items[0].Tags})
	_, err = e.cli.ImageInspect(ctx, e.prefix+"none:1")
	e.fails("inspect missing", err)
	_, err = e.cli.ImageHistory(ctx, e.prefix+"none:1")
	e.fails("history of missing", err)
	_, err = e.cli.ImageTag(ctx, client.ImageTagOptions{Source: e.prefix + "app:1", Target: e.prefix + "again:1"})
	e.fails("tag", err)
	_, err = e.cli.ImageTag(ctx, client.ImageTagOptions{Source: e.prefix + "none:1", Target: e.prefix + "again:1"})
	e.fails("tag missing", err)
	i, _ = e.cli.ImageInspect(ctx, e.prefix+"app:1")
	e.note("tags", i.RepoTags)
	id := e.run("web", container.Config{Image: "app:1"}, container.HostConfig{})
	_, err = e.cli.ImageTag(ctx, client.ImageTagOptions{Source: e.prefix + "app:2", Target: e.prefix + "app:1"})
	e.fails("move the tag", err)
	c := e.inspect(id)
	e.note("container", []any{c.Image, c.Config.Image})
	list, err := e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("name", e.prefix+"web")})
	e.fails("list", err)
	e.note("listed", []any{list.Items[0].Image, list.Items[0].ImageID})
	e.eventsSoFar()
	remove := func(what, ref string, force bool) {
		gone, err := e.cli.ImageRemove(ctx, ref, client.ImageRemoveOptions{Force: force})
		e.fails("remove "+what, err)
		for _, g := range gone.Items {
			if !sixtyFour.MatchString(g.Deleted) || strings.Contains(e.plain(g.Deleted), "<") {
				e.note("gone", g)
			}
		}
	}
	remove("a tag of a used image", e.prefix+"again:1", false)
	remove("used image by id", c.Image, true)
	remove("image with two tags by id", i2(e), false)
	remove("one of two tags", e.prefix+"app:2", false)
	remove("last tag", e.prefix+"app:1", false)
	remove("missing", e.prefix+"app:1", false)
	if _, err := e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true}); err != nil {
		e.Fatal(err)
	}
	remove("image without containers", c.Image, false)
	e.eventsSoFar()
	_, err = e.cli.ImagePull(ctx, e.prefix+"never-published:1", client.ImagePullOptions{})
	if err == nil {
		e.Error("pulling what nobody published succeeded")
	}
}

func i2(e *engine) string {
	i, err := e.cli.ImageInspect(e.Context(), e.prefix+"app:2")
	if err != nil {
		e.Fatal(err)
	}
	return i.ID
}

func platforms(e *engine) {
	e.images(dockertest.Probe("app:1"))
	for _, p := range []ocispec.Platform{{OS: "linux"}, {OS: "linux", Architecture: "s390x"}, {OS: "windows", Architecture: "amd64"}} {
		made, err := e.cli.ContainerCreate(e.Context(), client.ContainerCreateOptions{Name: e.prefix + "on-" + p.OS + p.Architecture, Image: e.prefix + "app:1", Platform: &p})
		e.fails("create on "+p.OS+"/"+p.Architecture, err)
		if err == nil {
			e.note("platform", e.inspect(made.ID).Platform)
		}
	}
}
