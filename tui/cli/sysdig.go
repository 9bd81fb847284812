package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/runtime/sysdig"
)

// allQuestions prints what can be asked instead of asking.
const allQuestions = "list"

// tool returns the sysdig of this machine, for the containers of target.
func (a *app) tool(ctx context.Context, target *engine.Target) sysdig.Tool {
	t := sysdig.Look(ctx)
	t.Away = a.demo || target == nil || target.Remote()
	return t
}

// askSysdig has sysdig answer a question about a container, or prints the
// commands for all of them.
func (a *app) askSysdig(ctx context.Context, s *session, names []string, o watchOptions) error {
	if len(names) != 1 {
		return errors.New(a.T("name one container to ask sysdig about"))
	}
	target, c, err := a.clientOf(s)
	if err != nil {
		return err
	}
	defer c.Close()
	inspected, err := c.ContainerInspect(ctx, strings.TrimPrefix(names[0], "container:"), client.ContainerInspectOptions{})
	if err != nil {
		return target.Explain(err)
	}
	id, tool := inspected.Container.ID, a.tool(ctx, target)
	if o.sysdig == allQuestions {
		for _, q := range sysdig.Questions() {
			fmt.Fprintf(a.out, "%-12s %s\n    %s\n    %s\n", q.ID, q.Asks.In(a.translate), q.Says.In(a.translate), tool.Command(&q, id))
		}
		return nil
	}
	if inspected.Container.State == nil || !inspected.Container.State.Running {
		return &checks.Problem{What: checks.Msg("only a running container can be watched")}
	}
	answer, err := tool.Ask(ctx, o.sysdig, id, cmp.Or(o.duration, sysdig.Lasting))
	if err != nil {
		return err
	}
	for _, line := range answer.Lines {
		fmt.Fprintln(a.out, line)
	}
	switch {
	case answer.Cut:
		fmt.Fprintln(a.err, a.T("there was more than is shown"))
	case len(answer.Lines) == 0:
		fmt.Fprintln(a.err, a.T("nothing of the kind happened in that time"))
	}
	return nil
}

// questionNames returns what --sysdig takes.
func questionNames() string {
	names := []string{allQuestions}
	for _, q := range sysdig.Questions() {
		names = append(names, q.ID)
	}
	return strings.Join(names, ", ")
}

// Sysdig implements [tui.Lookout].
func (l *lookout) Sysdig(ctx context.Context) sysdig.Tool {
	return l.a.tool(ctx, l.s.inventory.Target())
}
