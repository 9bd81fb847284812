package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/moby/sys/atomicwriter"
	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suppress"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/ignore"
)

// ignoreOptions are the flags of plimsoll ignore.
type ignoreOptions struct {
	check, reason, until string
	line                 int
	dryRun, yes          bool
}

func (a *app) ignoreCommand() *cobra.Command {
	var o ignoreOptions
	c := &cobra.Command{
		Use:   "ignore SUBJECT",
		Short: a.T("Accept a finding: write down why, and for how long"),
		Long: a.T(`Accept a finding, so that it no longer counts. In a Dockerfile or a compose file a comment is written above the line
of the finding; for a container, an image or the host an entry is added to .plimsoll.yaml.

A reason is needed. After --until the finding counts again. What no longer matches anything is reported.`),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			accept, err := a.acceptance(o)
			if err != nil {
				return err
			}
			return a.ignore(cmd, args[0], accept, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.check, "check", "", a.T("the `check` whose finding is accepted"))
	f.StringVar(&o.reason, "reason", "", a.T("why it is accepted"))
	f.StringVar(&o.until, "until", "", a.T("last `day` on which it is accepted, YYYY-MM-DD"))
	f.IntVar(&o.line, "line", 0, a.T("the line of the finding, where there are several"))
	f.BoolVar(&o.dryRun, "dry-run", false, a.T("show the plan and stop"))
	f.BoolVarP(&o.yes, "yes", "y", false, a.T("apply without asking"))
	c.MarkFlagsMutuallyExclusive("dry-run", "yes")
	return c
}

func (a *app) acceptance(o ignoreOptions) (ignore.Acceptance, error) {
	accept := ignore.Acceptance{Check: o.check, Reason: o.reason}
	if !slices.Contains(a.checkIDs(), o.check) {
		return accept, errors.New(a.T("there is no check %s: plimsoll explain lists them all", o.check) + a.nearest(o.check))
	}
	if suppress.Reason(o.reason) == "" {
		return accept, errors.New(a.T("a finding is ignored for a reason: pass --reason \"…\""))
	}
	if o.until == "" {
		return accept, nil
	}
	day, err := time.Parse(time.DateOnly, o.until)
	if err != nil {
		return accept, errors.New(a.T("--until %s is not a day: write YYYY-MM-DD", o.until))
	}
	if (checks.Suppression{Until: day}).Expired(time.Now()) {
		return accept, errors.New(a.T("--until %s is over already", o.until))
	}
	accept.Until = day
	return accept, nil
}

func (a *app) ignore(cmd *cobra.Command, arg string, accept ignore.Acceptance, o ignoreOptions) error {
	a.profile = string(checks.All)
	item, err := a.finding(cmd.Context(), arg, &accept, o.line)
	if err != nil {
		return err
	}
	switch item.Ref.Kind {
	case checks.Dockerfile:
		return a.ignoreInDockerfile(cmd, arg, accept, o)
	case checks.Compose:
		change, err := a.composeComment(item.Subject.(*compose.File), accept)
		if err != nil {
			return err
		}
		return a.change(change, o)
	}
	change, err := a.configurationEntry(".", item.Ref, accept)
	if err != nil {
		return err
	}
	return a.change(change, o)
}

// composeComment returns the change of f that accepts a finding in it.
func (a *app) composeComment(f *compose.File, accept ignore.Acceptance) (fixes.FileChange, error) {
	edit, err := accept.YAML(f.Source, a.suite)
	if err != nil {
		return fixes.FileChange{}, err
	}
	after := patched(f.Source, edit)
	if _, err := compose.Parse(f.Ref().ID, f.Ref().Name, after); err != nil {
		return fixes.FileChange{}, err
	}
	return fixes.FileChange{Path: f.Ref().ID, Name: f.Ref().Name, Before: f.Source, After: after, Edits: []checks.Edit{edit}}, nil
}

// finding returns the subject that arg names and completes accept by the line
// of its finding. There has to be exactly one place.
func (a *app) finding(ctx context.Context, arg string, accept *ignore.Acceptance, line int) (inventory.Item, error) {
	s, err := a.open(ctx, nil)
	if err != nil {
		return inventory.Item{}, err
	}
	defer s.end()
	items, err := s.inventory.Gather(ctx, selection([]string{arg}))
	if err != nil {
		return inventory.Item{}, err
	}
	if len(items) != 1 {
		return inventory.Item{}, errors.New(a.T("%s is %d subjects: name one", terminal.Line(arg), len(items)))
	}
	item := items[0]
	if item.Subject == nil {
		return item, errors.Join(item.Report.Errors...)
	}
	var lines []int
	for _, f := range item.Report.Findings {
		if f.Check.ID == accept.Check && (line == 0 || f.Line <= line && line <= f.EndLine) && !slices.Contains(lines, f.Line) {
			lines = append(lines, f.Line)
		}
	}
	switch len(lines) {
	case 0:
		return item, errors.New(a.T("%s is not found there: there is nothing to ignore", accept.Check))
	case 1:
		accept.Line = lines[0]
		return item, nil
	}
	slices.Sort(lines)
	return item, errors.New(a.T("%s is found on the lines %s: choose one with --line", accept.Check, strings.Trim(fmt.Sprint(lines), "[]")))
}

// ignoreInDockerfile fixes the finding that the comment is missing. That a
// comment hides something is no objection here.
func (a *app) ignoreInDockerfile(cmd *cobra.Command, arg string, accept ignore.Acceptance, o ignoreOptions) error {
	known := a.suite
	a.suite = append(slices.DeleteFunc(slices.Clone(known), func(c *checks.Check) bool { return c.ID == "suppression-used" }), accept.Comment(known))
	defer func() { a.suite = known }()
	s, err := a.open(cmd.Context(), nil)
	if err != nil {
		return err
	}
	defer s.end()
	return a.fix(cmd, s, []string{arg}, fixOptions{checks: []string{ignore.ID}, dryRun: o.dryRun, yes: o.yes}, checks.Values{})
}

// configurationEntry returns the change of the configuration of the project at
// dir that accepts a finding of subject, which is no file.
func (a *app) configurationEntry(dir string, subject checks.Ref, accept ignore.Acceptance) (fixes.FileChange, error) {
	none := fixes.FileChange{}
	if a.demo {
		return none, errors.New(a.T("the demo has no project to write this to: nothing is changed"))
	}
	path := projectConfig(dir)
	if path == "" {
		var err error
		if path, err = filepath.Abs(filepath.Join(dir, configName)); err != nil {
			return none, err
		}
	}
	source, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return none, err
	}
	created := err != nil
	edit, err := accept.Entry(source, subject)
	if err != nil {
		return none, err
	}
	after := patched(source, edit)
	if err := a.oneMore(source, after, path); err != nil {
		return none, err
	}
	return fixes.FileChange{Path: path, Name: filepath.Base(path), Created: created, Before: source, After: after, Edits: []checks.Edit{edit}}, nil
}

// oneMore proves that after says what before says, and one exception more.
func (a *app) oneMore(before, after []byte, path string) error {
	old, err := parseConfig(before, path, Config{}, a.suite)
	if err != nil {
		return err
	}
	now, err := parseConfig(after, path, Config{}, a.suite)
	if err != nil {
		return err
	}
	if len(now.Ignore) != len(old.Ignore)+1 {
		return errors.New(a.T("%s cannot be added to safely: add the entry by hand", configName))
	}
	return nil
}

func patched(source []byte, e checks.Edit) []byte {
	return slices.Concat(source[:e.Start], []byte(e.New), source[e.End:])
}

// change shows c, asks, and writes the file in one step, if it is still what
// the change was made from.
func (a *app) change(c fixes.FileChange, o ignoreOptions) error {
	var b strings.Builder
	a.writeHunks(&b, &c)
	if _, err := lipgloss.Fprint(a.out, b.String()); err != nil {
		return err
	}
	if o.dryRun {
		return nil
	}
	if a.readOnly {
		return errors.New(a.T("read-only: nothing is changed"))
	}
	if !o.yes {
		agreed, err := a.ask(a.T("Apply?"))
		if err != nil || !agreed {
			return err
		}
	}
	mode := fs.FileMode(0o644)
	now, err := os.ReadFile(c.Path)
	switch {
	case c.Created && errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !bytes.Equal(now, c.Before):
		return fmt.Errorf("%s: %w", terminal.Line(c.Name), fixes.ErrChanged)
	default:
		info, err := os.Lstat(c.Path)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()
	}
	return atomicwriter.WriteFile(c.Path, c.After, mode)
}
