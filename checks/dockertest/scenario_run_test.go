package dockertest_test

import (
	"net/netip"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

func exits(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	wait := func(id string) {
		select {
		case r := <-waitFor(e, id, container.WaitConditionNotRunning).Result:
			e.note("exit code", r.StatusCode)
		case <-time.After(20 * time.Second):
			e.Fatal("it never ended")
		}
	}
	id := e.run("three", container.Config{Image: "app:1", Cmd: []string{"-code", "3"}}, container.HostConfig{})
	wait(id)
	e.note("state", []any{e.inspect(id).State.Status, e.inspect(id).State.ExitCode, e.inspect(id).RestartCount})
	id = e.run("retry", container.Config{Image: "app:1", Cmd: []string{"-code", "4"}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 2}})
	e.until(id, func(c container.InspectResponse) bool {
		return c.State.Status == container.StateExited && c.RestartCount == 2
	})
	e.note("state", []any{e.inspect(id).State.ExitCode, e.inspect(id).RestartCount})
	id = e.run("fine", container.Config{Image: "app:1", Cmd: []string{"-code", "0"}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "on-failure"}})
	wait(id)
	e.note("restarts", e.inspect(id).RestartCount)
	id = e.run("stubborn", container.Config{Image: "app:1", Cmd: []string{"-ignore-term"}}, container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always"}})
	_, err := e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: new(1)})
	e.fails("stop", err)
	e.note("stubborn", []any{e.inspect(id).State.Status, e.inspect(id).State.ExitCode, e.inspect(id).State.Running})
	e.eventsSoFar()
}

func waitFor(e *engine, id string, condition container.WaitCondition) client.ContainerWaitResult {
	return e.cli.ContainerWait(e.Context(), id, client.ContainerWaitOptions{Condition: condition})
}

func health(e *engine) {
	good := dockertest.Probe("good:1")
	good.Config.Healthcheck = dockertest.ProbeCheck()
	bad := dockertest.Probe("bad:1", "-unhealthy")
	bad.Config.Healthcheck = dockertest.ProbeCheck()
	e.images(good, bad)
	ctx := e.Context()
	for _, name := range []string{"good", "bad"} {
		id := e.run(name, container.Config{Image: name + ":1"}, container.HostConfig{})
		e.until(id, func(c container.InspectResponse) bool { return c.State.Health.Status != container.Starting })
		e.note("health", e.inspect(id).State.Health.Status)
		_, err := e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
		e.fails("stop", err)
		e.note("stopped", e.inspect(id).State.Health.Status)
	}
	id := e.run("unchecked", container.Config{Image: "good:1", Healthcheck: &v1.HealthcheckConfig{Test: []string{"NONE"}}}, container.HostConfig{})
	e.note("unchecked", []any{e.inspect(id).State.Health, e.inspect(id).Config.Healthcheck})
	e.eventsSoFar()
}

func refusedStart(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	start := func(what, id string) {
		_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
		e.fails(what, err)
		c := e.inspect(id)
		e.note("then", []any{c.State.Status, c.State.ExitCode, c.State.Error != ""})
	}
	start("no such program", e.mustCreate("odd", container.Config{Image: "app:1", Entrypoint: []string{"/nothing"}}, container.HostConfig{}))
	donor := e.mustCreate("donor", container.Config{Image: "app:1"}, container.HostConfig{})
	start("donor does not run", e.mustCreate("guest", container.Config{Image: "app:1"}, container.HostConfig{NetworkMode: container.NetworkMode("container:" + donor)}))
	start("donor", donor)
	start("guest", e.prefix+"guest")
	port := network.PortMap{network.MustParsePort("80/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: ""}}}
	hidden := e.run("hidden", container.Config{Image: "app:1"}, container.HostConfig{PortBindings: port})
	e.note("bindings of what is not exposed", e.inspect(hidden).NetworkSettings.Ports)
	exposed := container.Config{Image: "app:1", ExposedPorts: network.PortSet{network.MustParsePort("80/tcp"): {}}}
	first := e.run("first", exposed, container.HostConfig{PortBindings: port})
	got := e.inspect(first).NetworkSettings.Ports[network.MustParsePort("80/tcp")]
	e.note("bindings", len(got))
	taken := network.PortMap{network.MustParsePort("80/tcp"): got}
	start("port is taken", e.mustCreate("second", exposed, container.HostConfig{PortBindings: taken}))
	e.eventsSoFar()
}

func pauseAndKill(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.run("web", container.Config{Image: "app:1"}, container.HostConfig{})
	pause := func() {
		_, err := e.cli.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		e.fails("pause", err)
	}
	unpause := func() {
		_, err := e.cli.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
		e.fails("unpause", err)
	}
	kill := func(signal string) {
		_, err := e.cli.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
		e.fails("kill "+signal, err)
	}
	pause()
	pause()
	e.note("state", []any{e.inspect(id).State.Status, e.inspect(id).State.Running, e.inspect(id).State.Paused})
	_, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	e.fails("start paused", err)
	_, err = e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	e.fails("remove paused", err)
	unpause()
	unpause()
	kill("SIGNOTHING")
	kill("SIGKILL")
	e.until(id, func(c container.InspectResponse) bool { return !c.State.Running })
	e.note("state", []any{e.inspect(id).State.Status, e.inspect(id).State.ExitCode})
	kill("SIGKILL")
	pause()
	e.eventsSoFar()
}

func autoRemove(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.run("brief", container.Config{Image: "app:1", Volumes: map[string]struct{}{"/v": {}}}, container.HostConfig{AutoRemove: true})
	c := e.inspect(id)
	removed := waitFor(e, id, container.WaitConditionRemoved)
	_, err := e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	select {
	case r := <-removed.Result:
		e.note("exit code", r.StatusCode)
	case err := <-removed.Error:
		e.Fatal(err)
	}
	_, err = e.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	e.fails("inspect", err)
	_, err = e.cli.VolumeInspect(ctx, c.Mounts[0].Name, client.VolumeInspectOptions{})
	e.fails("its volume", err)
}
