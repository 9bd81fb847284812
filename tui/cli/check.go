package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
)

func (a *app) checkCommand() *cobra.Command {
	var format, failOn string
	c := &cobra.Command{
		Use:   "check [SUBJECT…]",
		Short: a.T("Check files, images, containers and the host, and print what is wrong"),
		Long: a.T(`Check subjects and print the findings.

A SUBJECT is a path, container:NAME, image:REF, containers, images or host; none means all of them and the files below
the working directory. A file that is named is taken whatever its name: .yml and .yaml as a compose file, others as a
Dockerfile.

Exit status: 0 clean, 1 findings at or above --fail-on, 2 error.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := map[string]func(io.Writer, []inventory.Item) error{"table": a.writeTable, "json": a.writeJSON}[format]
			if !ok {
				return errors.New(a.T("unknown format %s: use table or json", format))
			}
			threshold, err := parseThreshold(failOn)
			if err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), nil)
			if err != nil {
				return err
			}
			defer s.close()
			return a.check(cmd, s, s.subjects(args), threshold, write)
		},
	}
	c.Flags().StringVar(&format, "format", "table", a.T("output `format`: table or json"))
	c.Flags().StringVar(&failOn, "fail-on", checks.High.String(), a.T("exit with 1 at findings of this `severity` or worse, or never"))
	c.Flags().StringVar(&a.profile, "profile", "", a.T("which checks: security, hygiene or all (default security)"))
	return c
}

// parseThreshold returns the severity from which findings fail a run; one
// above all of them for never.
func parseThreshold(name string) (checks.Severity, error) {
	if strings.EqualFold(name, "never") {
		return checks.Critical + 1, nil
	}
	s, err := checks.ParseSeverity(name)
	if err != nil {
		return 0, fmt.Errorf("--fail-on: %w, or never", err)
	}
	return s, nil
}

// check gathers what args name and writes it. Without arguments a missing
// engine is said and the files are checked all the same.
func (a *app) check(cmd *cobra.Command, s *session, args []string, threshold checks.Severity, write func(io.Writer, []inventory.Item) error) error {
	items, err := s.inventory.Gather(cmd.Context(), selection(args))
	if err != nil && len(args) > 0 {
		return err
	}
	if err != nil {
		fmt.Fprintf(a.err, "plimsoll: %s\n", a.explain(err))
	}
	order(items)
	if err := write(a.out, items); err != nil {
		return err
	}
	failed := 0
	for _, item := range items {
		if item.Subject == nil {
			failed++
		}
		for _, f := range item.Report.Findings {
			a.found = a.found || f.Severity >= threshold
		}
	}
	if failed > 0 {
		return errors.New(a.T("%d subjects could not be read", failed))
	}
	return nil
}

// order sorts items by kind, then by name, so that two runs compare.
func order(items []inventory.Item) {
	slices.SortFunc(items, func(x, y inventory.Item) int {
		if x.Ref.Kind != y.Ref.Kind {
			return slices.Index(checks.Kinds, x.Ref.Kind) - slices.Index(checks.Kinds, y.Ref.Kind)
		}
		if n := strings.Compare(x.Ref.Name, y.Ref.Name); n != 0 {
			return n
		}
		return strings.Compare(x.Ref.ID, y.Ref.ID)
	})
}
