package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes"
)

func (a *app) databaseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "db",
		Short: a.T("Known vulnerabilities: download, import and list advisories"),
		Long: a.T(`Advisories are downloaded once per distribution or language, kept on this machine and looked up there: what is
installed in an image is never sent anywhere. Without a network, import what was downloaded elsewhere.`),
	}
	c.AddCommand(a.databaseUpdate(), a.databaseStatus(), a.databaseImport())
	return c
}

func (a *app) databaseUpdate() *cobra.Command {
	from := vulnerability.Public
	c := &cobra.Command{
		Use:   "update [NAME…]",
		Short: a.T("Download advisories: those that are here and those that were missed, or Debian, Alpine, npm …"),
		RunE: func(cmd *cobra.Command, names []string) error {
			thrifty()
			store, err := vulnerability.UserStore()
			if err != nil {
				return err
			}
			if len(names) == 0 {
				if names, err = store.Wanted(); err != nil {
					return err
				}
			}
			if len(names) == 0 {
				return errors.New(a.T("no image has asked for advisories yet: name them, such as plimsoll db update Debian Alpine npm"))
			}
			failed := 0
			for _, u := range store.Update(cmd.Context(), from, names, a.databaseProgress()) {
				a.clearProgress()
				switch {
				case u.Err != nil:
					failed++
					fmt.Fprintf(a.err, "✗ %s\n", terminal.Line(u.Err.Error()))
				case u.Unchanged:
					fmt.Fprintln(a.out, "= "+a.T("%s is up to date", u.Name))
				default:
					a.listInfos(u.Infos)
				}
			}
			if failed > 0 {
				return errors.New(a.T("%d of %d could not be updated; what was there before is still used", failed, len(names)))
			}
			return nil
		},
	}
	c.Flags().StringVar(&from.OSV, "from", from.OSV, a.T("`address` of a mirror of the OSV archives"))
	return c
}

// databaseProgress draws one line that is overwritten, where somebody looks.
func (a *app) databaseProgress() func(vulnerability.Step) {
	if !a.isTerminal {
		return nil
	}
	return func(s vulnerability.Step) {
		switch {
		case s.Indexing:
			fmt.Fprintf(a.err, "\r\x1b[K%s %d %%", a.T("indexing %s", s.Name), 100*s.Done/max(1, s.Total))
		case s.Total > 0:
			fmt.Fprintf(a.err, "\r\x1b[K%s %s / %s", a.T("downloading %s", s.Name), units.HumanSize(float64(s.Done)), units.HumanSize(float64(s.Total)))
		default:
			fmt.Fprintf(a.err, "\r\x1b[K%s %s", a.T("downloading %s", s.Name), units.HumanSize(float64(s.Done)))
		}
	}
}

func (a *app) clearProgress() {
	if a.isTerminal {
		fmt.Fprint(a.err, "\r\x1b[K")
	}
}

func (a *app) databaseStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: a.T("List the advisories on this machine, and how old they are"),
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			store, err := vulnerability.UserStore()
			if err != nil {
				return err
			}
			infos, err := store.Status()
			if len(infos) == 0 && err == nil {
				fmt.Fprintln(a.out, a.T("No advisories are on this machine: plimsoll db update downloads them, plimsoll db import takes files."))
				return nil
			}
			a.listInfos(infos)
			fmt.Fprintln(a.out, a.T("kept in %s", store.Path()))
			return err
		},
	}
}

func (a *app) databaseImport() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE…",
		Short: a.T("Index files that were downloaded elsewhere: all.zip of OSV, the KEV catalogue, EPSS scores"),
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			thrifty()
			store, err := vulnerability.UserStore()
			if err != nil {
				return err
			}
			for _, path := range paths {
				infos, err := store.Import(cmd.Context(), path, "", nil)
				if err != nil {
					return err
				}
				a.listInfos(infos)
			}
			return nil
		},
	}
}

// advisories returns what the screen downloads advisories by.
func (a *app) advisories(s *session) func(context.Context, func(fixes.Progress)) error {
	store := s.advisories
	if store == nil {
		return nil
	}
	return func(ctx context.Context, progress func(fixes.Progress)) error {
		names, err := store.Wanted()
		if err == nil && len(names) == 0 {
			err = errors.New(a.T("no image has asked for advisories yet: read the layers of one first"))
		}
		if err != nil {
			return err
		}
		var failed []error
		for _, u := range store.Update(ctx, vulnerability.Public, names, func(step vulnerability.Step) {
			msg := checks.Msg("downloading %s", step.Name)
			if step.Indexing {
				msg = checks.Msg("indexing %s", step.Name)
			}
			ratio := -1.0
			if step.Total > 0 {
				ratio = float64(step.Done) / float64(step.Total)
			}
			progress(fixes.Progress{Message: msg.Clean(), Ratio: ratio})
		}) {
			failed = append(failed, u.Err)
		}
		s.inventory.LookUp(ctx)
		return errors.Join(failed...)
	}
}

// scanners returns what the screen lets other scanners look by.
func (a *app) scanners(s *session) func(context.Context, checks.Ref, func(fixes.Progress)) error {
	if a.demo {
		return nil
	}
	return func(ctx context.Context, ref checks.Ref, progress func(fixes.Progress)) error {
		return s.inventory.Consult(ctx, ref, func(percent int) {
			progress(fixes.Progress{Message: checks.Msg("saving the image for them").Clean(), Ratio: float64(percent) / 100})
		})
	}
}

// listInfos prints a line for each index, aligned.
func (a *app) listInfos(infos []vulnerability.Info) {
	widest := 0
	for _, i := range infos {
		widest = max(widest, len(i.Name))
	}
	slices.SortFunc(infos, func(x, y vulnerability.Info) int { return strings.Compare(x.Name, y.Name) })
	for _, i := range infos {
		fmt.Fprintf(a.out, "%s  %8d  %s\n", pad(terminal.Line(i.Name), widest), i.Advisories, a.T("as of %s", i.Published.Local().Format(time.DateOnly)))
	}
}
