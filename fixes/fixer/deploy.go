package fixer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// Deploy implements [Fixer]. The command is the one that the plan shows; it is
// run without a shell, and told which engine is meant.
func (d *Dispatcher) Deploy(ctx context.Context, plan *fixes.Plan, progress func(fixes.Progress)) error {
	switch {
	case d.o.ReadOnly:
		return errReadOnly
	case len(plan.Deploy) == 0:
		return errdefs.ErrFailedPrecondition.WithMessage("nothing that runs is made from this")
	case d.o.Engine == nil:
		return errdefs.ErrUnavailable.WithMessage("no Docker Engine is connected")
	}
	command := exec.CommandContext(ctx, plan.Deploy[0], plan.Deploy[1:]...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // it puts down what it holds
	command.WaitDelay = 10 * time.Second
	command.Env = append(append(os.Environ(), "COMPOSE_ANSI=never", "COMPOSE_PROGRESS=plain"), d.o.Environment...)
	out, in := io.Pipe()
	command.Stdout, command.Stderr = in, in
	var last string
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if line := plain(strings.TrimSpace(lines.Text())); line != "" {
				last = line
				quiet(progress)(fixes.Progress{Message: checks.Msg("%s", line), Ratio: -1})
			}
		}
		_, _ = io.Copy(io.Discard, out) // a line too long: the rest is not shown
	})
	err := command.Run()
	in.Close()
	reading.Wait()
	if err != nil {
		return fmt.Errorf("%w: %s: %w: %s", fixes.ErrDeploy, plain(strings.Join(plan.Deploy, " ")), err, last)
	}
	return nil
}
