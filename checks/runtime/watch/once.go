package watch

import (
	"context"
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks/runtime"
)

// mostSessions is how many of those in one container are looked at.
const mostSessions = 32

// Once judges what is going on in a running container at this moment: sessions
// that somebody has opened, processes, and where local says that the engine runs
// on this machine, listeners. Top are the processes as somebody has seen them,
// for where /proc does not tell.
func Once(ctx context.Context, e Engine, m *runtime.Monitor, local bool, i api.InspectResponse, top []runtime.Process) []runtime.Alert {
	w := New(Options{Engine: e, Monitor: m, Local: local})
	f, now := runtime.FactsOf(i), time.Now()
	var alerts []runtime.Alert
	for _, id := range i.ExecIDs[:min(len(i.ExecIDs), mostSessions)] {
		session, running, err := w.inspectExec(ctx, id)
		if err != nil || !running {
			continue
		}
		if local {
			session.By = whoEntered(w.o.Proc, &f, session.Command)
		}
		alerts = append(alerts, m.Exec(&f, session, now)...)
	}
	l := runtime.Look{At: now, Source: runtime.Top, Processes: top, CPU: -1}
	if inside := (runtime.Look{At: now, Source: runtime.Proc, CPU: -1}); local {
		if _, ok := lookInside(w.o.Proc, &f, &inside); ok {
			l = inside
		}
	}
	alerts = append(alerts, m.Seen(&f, l)...)
	for n := range alerts {
		alerts[n] = alerts[n].Clean()
	}
	return alerts
}
