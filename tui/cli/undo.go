package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

func (a *app) undoCommand() *cobra.Command {
	var list, yes, discard, script, deploy bool
	c := &cobra.Command{
		Use:   "undo [ID]",
		Short: a.T("Take back what was fixed: the newest change, or the one with this id"),
		Long: a.T(`Take back what was fixed: the newest change, or the one with this id. What was planned together for several subjects
is taken back together, the last part first; the id of one part takes back that part alone.`),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd.Context(), nil)
			if err != nil {
				return err
			}
			defer s.end()
			entries, err := s.fixer.Entries()
			if err != nil {
				return err
			}
			if list {
				return a.listEntries(entries)
			}
			if script {
				return a.script(entries, args)
			}
			if id, ok := batchToUndo(entries, args); ok && (!discard || len(args) == 1) {
				if discard {
					return errors.New(a.T("%s is several changes: name the one whose original is to be removed", id))
				}
				return a.undoBatch(cmd, s, id, yes, deploy)
			}
			entry, err := a.entryToUndo(entries, args)
			if err != nil {
				return err
			}
			if discard {
				return a.discard(cmd, s, entry, yes)
			}
			return a.undo(cmd, s, entry, yes, deploy)
		},
	}
	c.Flags().BoolVar(&list, "list", false, a.T("list everything that was ever changed"))
	c.Flags().BoolVar(&discard, "discard", false, a.T("remove the original that the change keeps: it is final then"))
	c.Flags().BoolVar(&script, "script", false, a.T("print what was changed as a shell script of docker commands, secrets left out"))
	c.Flags().BoolVar(&deploy, "up", false, a.T("bring what was undone in a file to what runs, where the change had been: docker compose up, or a reload or restart of the engine"))
	c.Flags().BoolVarP(&yes, "yes", "y", false, a.T("undo without asking"))
	c.MarkFlagsMutuallyExclusive("list", "script", "discard", "up")
	return c
}

// script prints what the named entry did, else all of them.
func (a *app) script(entries []ledger.Entry, args []string) error {
	if id, ok := batchToUndo(entries, args); ok && len(args) > 0 {
		entries = ledger.BatchOf(entries, id)
		slices.Reverse(entries) // the newest first, as the ledger lists them
	} else if len(args) > 0 {
		entry, err := a.entryToUndo(entries, args)
		if err != nil {
			return err
		}
		entries = []ledger.Entry{entry}
	}
	_, err := fmt.Fprint(a.out, ledger.Script(entries))
	return err
}

// entryToUndo returns the entry named by args, else the newest applied one.
func (a *app) entryToUndo(entries []ledger.Entry, args []string) (ledger.Entry, error) {
	for _, e := range entries {
		if len(args) == 0 && e.State == ledger.Applied || len(args) == 1 && e.ID == args[0] {
			return e, nil
		}
	}
	if len(args) == 0 {
		return ledger.Entry{}, errors.New(a.T("there is nothing to undo"))
	}
	return ledger.Entry{}, errors.New(a.T("no change has the id %s: plimsoll undo --list shows them", args[0]))
}

func (a *app) undo(cmd *cobra.Command, s *session, e ledger.Entry, yes, deploy bool) error {
	ctx := cmd.Context()
	if e.State.Unfinished() {
		return a.recover(cmd, s, e, yes)
	}
	if err := s.fixer.CanUndo(ctx, e.ID); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s\n", a.entryLine(e))
	if !yes {
		agreed, err := a.ask(a.T("Undo this?"))
		if err != nil || !agreed {
			return err
		}
	}
	if may, err := a.mayChange(s, e.Subject.Kind, yes); err != nil || !may {
		return err
	}
	if err := s.fixer.Undo(ctx, e.ID, a.progress(a.out)); err != nil {
		return err
	}
	fmt.Fprintln(a.out, a.T("undone"))
	a.listFiles(e)
	e.State = ledger.Undone
	return a.trailing(cmd, s, e, yes, deploy)
}

// trailing brings to what runs what was undone in a file, where deploy asks for
// it, and says else how to.
func (a *app) trailing(cmd *cobra.Command, s *session, e ledger.Entry, yes, deploy bool) error {
	switch argv := e.Trailing(); {
	case len(argv) == 0 && e.Deployed && e.Subject.Kind == checks.Host:
		fmt.Fprintln(a.out, a.T("the engine takes it in when it is started the next time"))
		return nil
	case len(argv) == 0:
		return nil
	case !deploy:
		fmt.Fprintln(a.out, a.T("what runs stays as it is until: %s", terminal.Line(fixes.Command(argv))))
		return nil
	}
	if may, err := a.mayChange(s, checks.Container, yes); err != nil || !may {
		return err
	}
	return s.fixer.Deploy(cmd.Context(), e.ID, a.progress(a.out))
}

// discard removes the original that a change keeps as its way back.
func (a *app) discard(cmd *cobra.Command, s *session, e ledger.Entry, yes bool) error {
	o, err := s.fixer.Kept(cmd.Context(), e.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s\n%s\n", a.entryLine(e), a.T("%s, kept since %s, takes %s besides its image; volumes stay", terminal.Line(o.Name), o.Kept.Local().Format(time.DateTime), units.BytesSize(float64(o.Size))))
	if !yes {
		agreed, err := a.ask(a.T("Remove it for good? This change cannot be undone any more."))
		if err != nil || !agreed {
			return err
		}
	}
	if may, err := a.mayChange(s, e.Subject.Kind, yes); err != nil || !may {
		return err
	}
	if err := s.fixer.Discard(cmd.Context(), e.ID); err != nil {
		return err
	}
	fmt.Fprintln(a.out, a.T("removed"))
	return nil
}

// recover takes back a change that a crash left unfinished.
func (a *app) recover(cmd *cobra.Command, s *session, e ledger.Entry, yes bool) error {
	fmt.Fprintf(a.out, "%s\n", a.entryLine(e))
	if !yes {
		agreed, err := a.ask(a.T("This change was interrupted. Take it back?"))
		if err != nil || !agreed {
			return err
		}
	}
	if may, err := a.mayChange(s, e.Subject.Kind, yes); err != nil || !may {
		return err
	}
	if err := s.fixer.Recover(cmd.Context(), e.ID, false, a.progress(a.out)); err != nil {
		return err
	}
	fmt.Fprintln(a.out, a.T("undone"))
	return a.tellRest(s, e)
}

// tellRest says what else of the batch of e was done, and how to take it back.
func (a *app) tellRest(s *session, e ledger.Entry) error {
	if e.Batch == nil {
		return nil
	}
	entries, err := s.fixer.Entries()
	if err != nil {
		return err
	}
	done := applied(ledger.BatchOf(entries, e.Batch.ID))
	if len(done) == 0 {
		return nil
	}
	fmt.Fprintln(a.out, a.T("It was one of %d parts. Done before it, and still so:", e.Batch.Of))
	for _, one := range done {
		fmt.Fprintln(a.out, a.entryLine(one))
	}
	fmt.Fprintln(a.out, a.T("undo all with: plimsoll undo %s", e.Batch.ID))
	return nil
}

func applied(entries []ledger.Entry) []ledger.Entry {
	return slices.DeleteFunc(entries, func(e ledger.Entry) bool { return e.State != ledger.Applied })
}

// batchToUndo returns the batch named by args, else that of the newest applied
// change where more of it is left than this.
func batchToUndo(entries []ledger.Entry, args []string) (id string, ok bool) {
	for _, e := range entries {
		if e.Batch == nil {
			if len(args) == 0 && e.State == ledger.Applied {
				return "", false
			}
			continue
		}
		if len(args) == 1 && e.Batch.ID == args[0] {
			return e.Batch.ID, true
		}
		if len(args) == 0 && e.State == ledger.Applied {
			return e.Batch.ID, len(applied(ledger.BatchOf(entries, e.Batch.ID))) > 1
		}
	}
	return "", false
}

// undoBatch takes back what is left of a batch.
func (a *app) undoBatch(cmd *cobra.Command, s *session, id string, yes, deploy bool) error {
	if err := s.fixer.CanUndoBatch(cmd.Context(), id); err != nil {
		return err
	}
	entries, err := s.fixer.Entries()
	if err != nil {
		return err
	}
	kind, done := checks.Dockerfile, applied(ledger.BatchOf(entries, id))
	slices.Reverse(done)
	for _, e := range done {
		fmt.Fprintln(a.out, a.entryLine(e))
		if e.Engine != "" || e.Subject.Kind == checks.Host {
			kind = checks.Container
		}
	}
	if !yes {
		agreed, err := a.ask(a.T("Undo all of this?"))
		if err != nil || !agreed {
			return err
		}
	}
	if may, err := a.mayChange(s, kind, yes); err != nil || !may {
		return err
	}
	if err := s.fixer.UndoBatch(cmd.Context(), id, a.progress(a.out)); err != nil {
		return err
	}
	fmt.Fprintln(a.out, a.T("undone"))
	var failed []error
	for _, e := range done {
		a.listFiles(e)
		e.State = ledger.Undone
		failed = append(failed, a.trailing(cmd, s, e, yes, deploy))
	}
	return errors.Join(failed...)
}

func (a *app) listEntries(entries []ledger.Entry) error {
	if len(entries) == 0 {
		fmt.Fprintln(a.out, a.T("Nothing was changed yet."))
	}
	for _, e := range entries {
		fmt.Fprintln(a.out, a.entryLine(e))
		a.listFiles(e)
	}
	return nil
}

// listFiles names the files that a change wrote for the user, as far as they are
// still there.
func (a *app) listFiles(e ledger.Entry) {
	for _, file := range e.Files {
		if info, err := os.Lstat(file); err == nil {
			fmt.Fprintf(a.out, "    %s\n", a.T("keeps %s, %s: remove it when you do not need it", terminal.Line(file), units.BytesSize(float64(info.Size()))))
		}
	}
}

func (a *app) entryLine(e ledger.Entry) string {
	line := fmt.Sprintf("%s  %s  %s  %s", e.ID, e.Time.Local().Format(time.DateTime), pad(a.stateWord(e.State), 11), terminal.Line(e.Title))
	if e.Batch != nil {
		line += "  " + a.T("(%d of %d in %s)", e.Batch.N, e.Batch.Of, terminal.Line(e.Batch.ID))
	}
	return line
}

func (a *app) stateWord(s ledger.State) string {
	switch s {
	case ledger.Running, ledger.Undoing:
		return a.T("interrupted")
	case ledger.Applied:
		return a.T("applied")
	case ledger.RolledBack:
		return a.T("rolled back")
	case ledger.Undone:
		return a.T("undone")
	case ledger.Final:
		return a.T("final")
	}
	return a.T("broken")
}
