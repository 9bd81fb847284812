package fixer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// Deploy implements [Fixer]. The command is the one that the plan showed; it is
// run without a shell, and told which engine is meant.
func (d *Dispatcher) Deploy(ctx context.Context, id string, progress func(fixes.Progress)) error {
	switch {
	case d.o.ReadOnly:
		return errReadOnly
	case d.o.Engine == nil:
		return errdefs.ErrUnavailable.WithMessage("no Docker Engine is connected")
	}
	_, entry, release, err := d.reopen(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	argv := entry.Deploy
	if entry.State == ledger.Undone {
		argv = entry.Redeploy
	}
	switch {
	case len(argv) == 0:
		return errdefs.ErrFailedPrecondition.WithMessage("nothing that runs is made from this")
	case entry.State != ledger.Applied && entry.State != ledger.Undone:
		return errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s is %s: what runs is left as it is", entry.ID, entry.State))
	}
	together, err := d.deployedWith(entry)
	if err != nil {
		return err
	}
	// Written before, since a command that fails may have done a part.
	applied := entry.State == ledger.Applied
	if applied {
		if err := d.markDeployed(together, true); err != nil {
			return err
		}
	}
	if err := d.run(ctx, argv, quiet(progress)); err != nil || applied {
		return err
	}
	return d.markDeployed(together, false)
}

// deployedWith returns entry and those like it of the same file that its command
// covers: what runs then has all of a file, whichever change asked for it.
func (d *Dispatcher) deployedWith(entry ledger.Entry) ([]ledger.Entry, error) {
	entries, err := d.Entries()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(entries, func(e ledger.Entry) bool {
		covered := !slices.ContainsFunc(e.Deploy, func(arg string) bool { return !slices.Contains(entry.Deploy, arg) })
		return e.Subject != entry.Subject || e.State != entry.State || len(e.Deploy) == 0 || !covered
	}), nil
}

func (d *Dispatcher) markDeployed(entries []ledger.Entry, deployed bool) error {
	for _, e := range entries {
		if e.Deployed != deployed {
			e.Deployed = deployed
			if err := d.o.Ledger.Put(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// run runs argv and passes on what it says, line by line.
func (d *Dispatcher) run(ctx context.Context, argv []string, progress func(fixes.Progress)) error {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
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
				progress(fixes.Progress{Message: checks.Msg("%s", line), Ratio: -1})
			}
		}
		_, _ = io.Copy(io.Discard, out) // a line too long: the rest is not shown
	})
	err := command.Run()
	in.Close()
	reading.Wait()
	if err != nil {
		return fmt.Errorf("%w: %s: %w: %s", fixes.ErrDeploy, plain(strings.Join(argv, " ")), err, last)
	}
	return nil
}
