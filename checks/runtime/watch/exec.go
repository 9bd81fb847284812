package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks/runtime"
)

// entered judges an exec_create event. That of a health check, which may come
// every second, costs no question.
func (w *Watcher) entered(ctx context.Context, id, action string, attributes map[string]string, at time.Time) {
	if !strings.HasPrefix(action, "exec_create") {
		return
	}
	f := w.factsOf(ctx, id)
	if f == nil {
		f = w.known(ctx, id, attributes)
	}
	if f.HealthCheck(action) {
		return
	}
	e, _, err := w.inspectExec(ctx, attributes["execID"])
	if err != nil {
		e = runtime.ExecEvent(attributes["execID"], action)
	}
	alerts := w.o.Monitor.Exec(f, e, at)
	if len(alerts) > 0 && w.o.Local {
		if by := whoEntered(w.o.Proc, f, e.Command); by != "" {
			e.By = by
			alerts = runtime.Attributed(alerts, f, e, at)
		}
	}
	w.emit(alerts)
	w.look.soon(id, w.o.Clock.Now())
}

const (
	mostExec     = 1 << 20 // bytes of an answer
	execPatience = 5 * time.Second
)

// inspectExec asks for all that an engine knows of an exec. The client library
// leaves out its command, user and privileges.
func (w *Watcher) inspectExec(ctx context.Context, id string) (e runtime.Exec, running bool, err error) {
	ctx, stop := context.WithTimeout(ctx, execPatience)
	defer stop()
	dial := w.o.Engine.Dialer()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	defer transport.CloseIdleConnections()
	// The connection is made by dial, encrypted where it has to be.
	address := "http://docker/v" + w.o.Engine.ClientVersion() + "/exec/" + url.PathEscape(id) + "/json"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return e, false, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return e, false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return e, false, fmt.Errorf("exec inspect: %s", response.Status)
	}
	var i api.ExecInspectResponse
	if err := json.NewDecoder(io.LimitReader(response.Body, mostExec)).Decode(&i); err != nil {
		return e, false, fmt.Errorf("exec inspect: %w", err)
	}
	return runtime.ExecOf(i), i.Running, nil
}
