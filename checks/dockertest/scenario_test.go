package dockertest_test

import (
	"archive/tar"
	"bytes"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

var scenarios = []scenario{
	{"life of a container", false, life},
	{"inspect after create", true, inspectAfterCreate},
	{"create is refused", true, refusedCreate},
	{"entrypoint and command", false, commandMerge},
	{"update of limits", true, update},
	{"names", false, names},
	{"volumes", false, volumes},
	{"networks", true, networks},
	{"one endpoint at create", true, oneEndpoint},
	{"images", true, images},
	{"exit codes and restarts", false, exits},
	{"what is started in a container", false, executions},
	{"health", false, health},
	{"removal", false, removal},
	{"reading", false, reading},
	{"writable layer", true, writable},
	{"start is refused", true, refusedStart},
	{"pause and kill", false, pauseAndKill},
	{"automatic removal", false, autoRemove},
	{"links", true, links},
	{"shared namespaces", false, shared},
	{"platforms", true, platforms},
}

func life(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.mustCreate("web", container.Config{Image: "app:1", Labels: map[string]string{"tier": "front"}}, container.HostConfig{})
	e.note("state", e.inspect(id).State.Status)
	e.eventsSoFar()
	_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start", err)
	e.ready(id)
	_, err = e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start again", err)
	c := e.inspect(id)
	e.note("running", []any{c.State.Status, c.State.Running, c.State.Pid > 0, c.RestartCount, c.State.ExitCode})
	e.eventsSoFar()
	_, err = e.cli.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: e.prefix + "shop"})
	e.fails("rename", err)
	e.note("name", e.inspect(id).Name)
	e.eventsSoFar()
	_, err = e.cli.ContainerRestart(ctx, id, client.ContainerRestartOptions{})
	e.fails("restart", err)
	e.ready(id)
	e.eventsSoFar()
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop again", err)
	c = e.inspect(id)
	e.note("stopped", []any{c.State.Status, c.State.Running, c.State.Pid, c.State.ExitCode})
	e.eventsSoFar()
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove", err)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove again", err)
	_, err = e.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	e.fails("inspect removed", err)
	e.eventsSoFar()
}

func update(e *engine) {
	e.images(dockertest.Probe("app:1"))
	type change = client.ContainerUpdateOptions
	limits := func(r container.Resources) change { return change{Resources: &r} }
	pids := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name  string
		host  container.HostConfig
		steps []change
	}{
		{"free", container.HostConfig{}, []change{
			limits(container.Resources{Memory: 64 << 20}),
			limits(container.Resources{Memory: 64 << 20, MemorySwap: 64 << 20}),
			limits(container.Resources{Memory: 128 << 20}),
			limits(container.Resources{Memory: 5 << 20}),
			limits(container.Resources{Memory: -1}),
			limits(container.Resources{MemorySwap: 32 << 20}),
			limits(container.Resources{MemoryReservation: 96 << 20}),
			limits(container.Resources{Memory: 48 << 20, MemorySwap: 48 << 20}),
			limits(container.Resources{NanoCPUs: 5e8}),
			limits(container.Resources{NanoCPUs: 5000e9}),
			limits(container.Resources{CPUQuota: 50000}),
			limits(container.Resources{CPUPeriod: 50000}),
			limits(container.Resources{PidsLimit: pids(50)}),
			limits(container.Resources{PidsLimit: pids(0)}),
			limits(container.Resources{PidsLimit: pids(60)}),
			limits(container.Resources{PidsLimit: pids(-1)}),
			limits(container.Resources{OomKillDisable: new(true)}),
			limits(container.Resources{CPUShares: 512}),
			{RestartPolicy: &container.RestartPolicy{Name: "unless-stopped"}},
			{RestartPolicy: &container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 5}},
			{RestartPolicy: &container.RestartPolicy{Name: "no", MaximumRetryCount: 5}},
			{RestartPolicy: &container.RestartPolicy{Name: "sometimes"}},
			{RestartPolicy: &container.RestartPolicy{Name: "no"}},
		}},
		{"quota", container.HostConfig{Resources: container.Resources{CPUQuota: 50000, CPUPeriod: 100000}}, []change{
			limits(container.Resources{NanoCPUs: 5e8}),
			limits(container.Resources{CPUQuota: 60000}),
		}},
		{"swapless", container.HostConfig{Resources: container.Resources{Memory: 64 << 20, MemorySwap: -1}}, []change{
			limits(container.Resources{Memory: 32 << 20}),
			limits(container.Resources{Memory: 96 << 20}),
			limits(container.Resources{Memory: 96 << 20, MemorySwap: -1}),
		}},
		{"brief", container.HostConfig{AutoRemove: true}, []change{
			{RestartPolicy: &container.RestartPolicy{Name: "always"}},
			{RestartPolicy: &container.RestartPolicy{Name: "no"}},
			limits(container.Resources{Memory: 64 << 20, MemorySwap: 64 << 20}),
		}},
	} {
		for _, running := range []bool{true, false} {
			name := c.name
			if !running {
				name += "-stopped"
			}
			host := c.host
			id := e.mustCreate(name, container.Config{Image: "app:1"}, host)
			if running {
				if _, err := e.cli.ContainerStart(e.Context(), id, client.ContainerStartOptions{}); err != nil {
					e.Fatal(err)
				}
				e.ready(id)
			}
			for i, step := range c.steps {
				_, err := e.cli.ContainerUpdate(e.Context(), id, step)
				e.fails(name+" "+string(rune('a'+i)), err)
				h := e.inspect(id).HostConfig
				e.note("then", []any{h.Memory, h.MemorySwap, h.MemoryReservation, h.NanoCPUs, h.CPUQuota, h.CPUPeriod, h.PidsLimit, h.CPUShares, h.RestartPolicy})
			}
			if c.name == "free" && running {
				_, err := e.cli.ContainerStop(e.Context(), id, client.ContainerStopOptions{})
				e.fails("stop", err)
				_, err = e.cli.ContainerStart(e.Context(), id, client.ContainerStartOptions{})
				e.fails("start with reservation above memory", err)
			}
		}
	}
	e.eventsSoFar()
}

func names(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	a := e.mustCreate("a", container.Config{Image: "app:1"}, container.HostConfig{})
	e.mustCreate("b", container.Config{Image: "app:1"}, container.HostConfig{})
	rename := func(to string) {
		_, err := e.cli.ContainerRename(ctx, a, client.ContainerRenameOptions{NewName: to})
		e.fails("rename to "+e.plain(to), err)
	}
	rename(e.prefix + "b")
	rename(e.prefix + "a")
	rename(e.prefix + "x y")
	rename("/" + e.prefix + "slash")
	rename(e.prefix + "c")
	_, err := e.cli.ContainerRename(ctx, "nobody-at-all", client.ContainerRenameOptions{NewName: "x"})
	e.fails("rename nobody", err)
	_, err = e.create("a", container.Config{Image: "app:1"}, container.HostConfig{})
	e.fails("name is free again", err)
	byName, err := e.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", e.prefix+"c")})
	e.fails("list", err)
	for _, one := range byName.Items {
		e.note("listed", []any{one.Names, one.Image, one.ImageID, one.State, one.Command, one.Labels, one.Status, one.Ports, one.Mounts, one.HostConfig})
	}
	byID, err := e.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("id", a[:20])})
	e.fails("list by id", err)
	e.note("found", len(byID.Items))
	created, err := e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("status", "created").Add("name", e.prefix)})
	e.fails("list by status", err)
	e.note("found", len(created.Items))
	_, err = e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("status", "dancing")})
	e.fails("list by unknown status", err)
	_, err = e.cli.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("colour", "red")})
	e.fails("list by unknown key", err)
	short, err := e.cli.ContainerInspect(ctx, a[:12], client.ContainerInspectOptions{})
	e.fails("inspect short id", err)
	e.note("name", short.Container.Name)
	e.eventsSoFar()
}

func volumes(e *engine) {
	image := dockertest.Probe("db:1", "-write", "/data/log=started")
	image.Config.Volumes = map[string]struct{}{"/data": {}}
	e.images(image)
	ctx := e.Context()
	id := e.mustCreate("db", container.Config{Image: "db:1", Volumes: map[string]struct{}{"/extra": {}}}, container.HostConfig{
		Binds:  []string{e.prefix + "named:/named:ro"},
		Mounts: []mount.Mount{{Type: mount.TypeVolume, Target: "/mounted"}, {Type: mount.TypeTmpfs, Target: "/cache"}, {Type: mount.TypeVolume, Source: e.prefix + "second", Target: "/second"}},
	})
	c := e.inspect(id)
	slices.SortFunc(c.Mounts, func(a, b container.MountPoint) int { return strings.Compare(a.Destination, b.Destination) })
	for _, m := range c.Mounts {
		e.note("mount", []any{m.Type, m.Name, m.Destination, m.Driver, m.Mode, m.RW, m.Propagation})
	}
	e.note("volumes of configuration", c.Config.Volumes)
	var data string
	for _, m := range c.Mounts {
		if m.Destination == "/data" {
			data = m.Name
		}
	}
	for range 2 {
		_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
		e.fails("start", err)
		e.ready(id)
		_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
		e.fails("stop", err)
	}
	e.note("file", e.file(id, "/data/log"))
	_, err := e.cli.VolumeRemove(ctx, data, client.VolumeRemoveOptions{})
	e.fails("remove a used volume", err)
	heir := e.mustCreate("heir", container.Config{Image: "db:1"}, container.HostConfig{Binds: []string{data + ":/data"}})
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{RemoveVolumes: true})
	e.fails("remove with volumes", err)
	e.note("file in heir", e.file(heir, "/data/log"))
	_, err = e.cli.VolumeInspect(ctx, e.prefix+"named", client.VolumeInspectOptions{})
	e.fails("named volume", err)
	for _, m := range c.Mounts {
		if m.Name != "" {
			_, err = e.cli.VolumeInspect(ctx, m.Name, client.VolumeInspectOptions{})
			e.fails("volume at "+m.Destination, err)
		}
	}
	_, err = e.cli.ContainerRemove(ctx, heir, client.ContainerRemoveOptions{RemoveVolumes: true})
	e.fails("remove heir with volumes", err)
	_, err = e.cli.VolumeInspect(ctx, data, client.VolumeInspectOptions{})
	e.fails("its volume, which it named", err)
	_, err = e.cli.VolumeRemove(ctx, data, client.VolumeRemoveOptions{})
	e.fails("remove volume", err)
	_, err = e.cli.VolumeRemove(ctx, data, client.VolumeRemoveOptions{})
	e.fails("remove volume again", err)
	made, err := e.cli.VolumeCreate(ctx, client.VolumeCreateOptions{Name: e.prefix + "own", Labels: map[string]string{"a": "b"}})
	e.fails("create volume", err)
	e.note("volume", []any{made.Volume.Name, made.Volume.Driver, made.Volume.Labels, made.Volume.Scope})
	list, err := e.cli.VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters{}.Add("label", "a=b").Add("name", e.prefix)})
	e.fails("list volumes", err)
	e.note("found", len(list.Items))
	e.eventsSoFar()
}

// file returns the text of a file in a container.
func (e *engine) file(id, path string) string {
	e.Helper()
	got, err := e.cli.CopyFromContainer(e.Context(), id, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		return kind(err)
	}
	defer got.Content.Close()
	t := tar.NewReader(got.Content)
	if _, err := t.Next(); err != nil {
		e.Fatal(err)
	}
	text, err := io.ReadAll(t)
	if err != nil {
		e.Fatal(err)
	}
	return got.Stat.Name + "=" + string(text)
}

func removal(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.run("web", container.Config{Image: "app:1", Volumes: map[string]struct{}{"/v": {}}}, container.HostConfig{})
	c := e.inspect(id)
	_, err := e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove running", err)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
	e.fails("remove by force", err)
	_, err = e.cli.VolumeInspect(ctx, c.Mounts[0].Name, client.VolumeInspectOptions{})
	e.fails("its volume", err)
	_, err = e.cli.VolumeRemove(ctx, c.Mounts[0].Name, client.VolumeRemoveOptions{})
	e.fails("remove it", err)
	id = e.run("again", container.Config{Image: "app:1", Volumes: map[string]struct{}{"/v": {}}}, container.HostConfig{})
	c = e.inspect(id)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	e.fails("remove with volumes", err)
	_, err = e.cli.VolumeInspect(ctx, c.Mounts[0].Name, client.VolumeInspectOptions{})
	e.fails("its volume", err)
	e.eventsSoFar()
}

func reading(e *engine) {
	image := dockertest.Probe("app:1", "-stderr", "to stderr", "-write", "/work/file=hello")
	image.Files = map[string]string{"/etc/passwd": "root:x:0:0::/:\n"}
	e.images(image)
	ctx := e.Context()
	id := e.run("web", container.Config{Image: "app:1"}, container.HostConfig{})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		diff, err := e.cli.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
		if err != nil || len(diff.Changes) > 0 {
			break // the program runs and has written
		}
	}
	top, err := e.cli.ContainerTop(ctx, id, client.ContainerTopOptions{})
	e.fails("top", err)
	e.note("top", []any{top.Titles, len(top.Processes), top.Processes[0][0], top.Processes[0][7]})
	top, err = e.cli.ContainerTop(ctx, id, client.ContainerTopOptions{Arguments: []string{"-eo", "pid,uid,args"}})
	e.fails("top with columns", err)
	e.note("top", []any{top.Titles, top.Processes[0][1:]})
	diff, err := e.cli.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
	e.fails("diff", err)
	e.note("diff", diff.Changes)
	e.note("passwd", e.file(id, "/etc/passwd"))
	e.note("missing", e.file(id, "/etc/nothing"))
	logs, err := e.cli.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	e.fails("logs", err)
	if err == nil {
		var out, errs bytes.Buffer
		if _, err := stdcopy.StdCopy(&out, &errs, logs); err != nil {
			e.Error(err)
		}
		logs.Close()
		e.note("log", []string{out.String(), errs.String()})
	}
	_, err = e.cli.ContainerLogs(ctx, id, client.ContainerLogsOptions{})
	e.fails("logs of no stream", err)
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	_, err = e.cli.ContainerTop(ctx, id, client.ContainerTopOptions{})
	e.fails("top of a stopped one", err)
	for _, call := range []func() error{
		func() error {
			_, err := e.cli.ContainerTop(ctx, "nobody-at-all", client.ContainerTopOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerDiff(ctx, "nobody-at-all", client.ContainerDiffOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerStats(ctx, "nobody-at-all", client.ContainerStatsOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerUpdate(ctx, "nobody-at-all", client.ContainerUpdateOptions{})
			return err
		},
		func() error {
			_, err := e.cli.ContainerStop(ctx, "nobody-at-all", client.ContainerStopOptions{})
			return err
		},
	} {
		e.fails("nobody", call())
	}
	e.eventsSoFar()
}
