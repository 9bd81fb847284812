package dockertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// executions is what alerts about sessions in containers rest on: events, what
// an inspection tells of a session, and which sessions a container has.
func executions(e *engine) {
	e.images(dockertest.Probe("app:1"))
	ctx := e.Context()
	id := e.run("web", container.Config{Image: "app:1", User: "1000"}, container.HostConfig{})
	e.note("sessions", len(e.inspect(id).ExecIDs))
	e.eventsSoFar()
	made, err := e.cli.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{"/probe", "-x", "a b"}, User: "0", AttachStdin: true})
	e.fails("create", err)
	e.ids[made.ID] = "<session>"
	e.note("created", []any{len(e.inspect(id).ExecIDs), e.session(made.ID)})
	_, err = e.cli.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	e.fails("start", err)
	_, err = e.cli.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	e.fails("start again", err)
	e.note("running", []any{len(e.inspect(id).ExecIDs), e.session(made.ID)})
	e.eventsSoFar()
	short, err := e.cli.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{"/probe", "-code", "3"}, Privileged: true, TTY: true})
	e.fails("create", err)
	e.ids[short.ID] = "<short session>"
	e.note("privileged", e.session(short.ID))
	e.eventsSoFar()

	// One that ends by itself stays known, but not as one of its container's.
	plain, err := e.cli.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{"/probe", "-code", "3"}})
	e.fails("create", err)
	e.ids[plain.ID] = "<third session>"
	_, err = e.cli.ExecStart(ctx, plain.ID, client.ExecStartOptions{Detach: true})
	e.fails("start", err)
	if e.server != nil {
		if err := e.server.ExecEnds(plain.ID, 3); err != nil {
			e.Fatal(err)
		}
	}
	e.until(id, func(c container.InspectResponse) bool {
		return len(c.ExecIDs) == 2 && e.session(plain.ID)["running"] == false // one a moment after the other
	})
	e.note("ended", e.session(plain.ID))
	e.eventsSoFar()

	_, err = e.cli.ExecCreate(ctx, id, client.ExecCreateOptions{})
	e.fails("nothing", err)
	_, err = e.cli.ExecInspect(ctx, "0123456789abcdef", client.ExecInspectOptions{})
	e.fails("unknown", err)
	_, err = e.cli.ContainerPause(ctx, id, client.ContainerPauseOptions{})
	e.fails("pause", err)
	_, err = e.cli.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{"/probe"}})
	e.fails("in one that is paused", err)
	_, err = e.cli.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	e.fails("unpause", err)
	_, err = e.cli.ContainerStop(ctx, id, client.ContainerStopOptions{})
	e.fails("stop", err)
	_, err = e.cli.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{"/probe"}})
	e.fails("in one that does not run", err)
	e.note("sessions", len(e.inspect(id).ExecIDs))
}

// session returns what an inspection tells of a session, the command included,
// which the client library leaves out.
func (e *engine) session(id string) map[string]any {
	e.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return e.cli.Dialer()(ctx) }}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(e.Context(), http.MethodGet, "http://docker/v"+e.cli.ClientVersion()+"/exec/"+url.PathEscape(id)+"/json", nil)
	if err != nil {
		e.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		e.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		e.Fatalf("%s %v: %s", response.Status, err, data)
	}
	var i container.ExecInspectResponse
	if err := json.Unmarshal(data, &i); err != nil {
		e.Fatal(err)
	}
	out := map[string]any{"running": i.Running, "container": e.ids[i.ContainerID], "input": i.OpenStdin, "code": "none"}
	if i.ExitCode != nil {
		out["code"] = fmt.Sprint(*i.ExitCode)
	}
	if p := i.ProcessConfig; p != nil {
		out["command"], out["user"], out["terminal"], out["privileged"] = append([]string{p.Entrypoint}, p.Arguments...), p.User, p.Tty, p.Privileged != nil && *p.Privileged
	}
	return out
}
