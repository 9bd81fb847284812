package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"
	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suppress"
	"plimsoll/tui/cli/report"
)

// checkOptions are the flags of plimsoll check.
type checkOptions struct {
	format, output, failOn  string
	baseline, writeBaseline string
	since                   string
	threshold               checks.Severity
	allContexts             bool
}

// outputFormats are the formats of plimsoll check in the order of its help.
const outputFormats = "table, json, sarif, markdown, github, html"

func (a *app) checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check [SUBJECT…]",
		Short: a.T("Check files, images, containers and the host, and print what is wrong"),
		Long: a.T(`Check subjects and print the findings.

A SUBJECT is a path, container:NAME, image:REF, containers, images or host; none means all of them and the files below
the working directory. A file that is named is taken whatever its name: .yml and .yaml as a compose file, others as a
Dockerfile.

With --baseline only findings that are not in FILE are reported and count; --write-baseline writes FILE. With --since only
findings that appeared since then are, and what was fixed is named: a duration (36h, 2d), today, yesterday, a day
(2026-11-24), or last for the run before.

Exit status: 0 clean, 1 findings at or above --fail-on, 2 error.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.writer(o.format) == nil {
				return errors.New(a.T("unknown format %s: use %s", o.format, outputFormats))
			}
			var err error
			if o.threshold, err = parseThreshold(o.failOn); err != nil {
				return err
			}
			if o.allContexts {
				if len(args) > 0 {
					return errors.New(a.T("--all-contexts is about whole engines: leave the subjects out"))
				}
				if a.layers == string(layers.Quick) {
					return errors.New(a.T("--layers quick makes containers: it is for one engine at a time"))
				}
				return a.checkAll(cmd, o)
			}
			thrifty()
			s, err := a.open(cmd.Context(), nil)
			if err != nil {
				return err
			}
			defer s.end()
			if a.layers == string(layers.Quick) {
				if err := a.mayLook(s); err != nil {
					return err
				}
			}
			return a.check(cmd, s, s.subjects(args), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", "table", a.T("output `format`: %s", outputFormats))
	f.StringVarP(&o.output, "output", "o", "", a.T("write to this `file` instead of the terminal"))
	f.StringVar(&o.failOn, "fail-on", checks.High.String(), a.T("exit with 1 at findings of this `severity` or worse, or never"))
	f.StringVar(&o.baseline, "baseline", "", a.T("report only what is not in this `file`"))
	f.StringVar(&o.writeBaseline, "write-baseline", "", a.T("write what is found now to this `file`, so that only new findings are reported with --baseline"))
	f.StringVar(&o.since, "since", "", a.T("report only what is new since this `time`: a duration, a day, or last for the run before"))
	f.StringVar(&a.layers, "layers", "", a.T("whose layers are read: off, used (images of containers), all, or quick: only packages of the distribution, without reading layers; image:REF always (default used)"))
	f.StringVar(&a.profile, "profile", "", a.T("which checks: security, hygiene or all (default security)"))
	f.BoolVar(&o.allContexts, "all-contexts", false, a.T("how every engine stands that the docker command knows, and all of them together"))
	c.MarkFlagsMutuallyExclusive("baseline", "write-baseline", "since", "all-contexts")
	return c
}

// mayLook returns why no quick look may be taken at images of the engine; nil
// when one may.
func (a *app) mayLook(s *session) error {
	if err := s.inventory.MayLook(); err != nil {
		return err
	}
	ok, err := a.mayChange(s, checks.Image, false)
	if err == nil && !ok {
		err = errors.New(a.T("that is not its name; nothing was changed"))
	}
	return err
}

// thrifty keeps a run over a thousand files, all kept until they are printed, or
// over tens of thousands of advisories small. Collecting twice as often costs
// hardly any time.
func thrifty() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
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

// writer returns what writes a format, nil when there is no such format.
func (a *app) writer(format string) func(*report.Document, io.Writer) error {
	switch format {
	case "table":
		return a.writeTable
	case "json":
		return a.writeJSON
	}
	return report.Formats[format]
}

// check gathers what args name and writes it. Without arguments a missing
// engine is said and the files are checked all the same.
func (a *app) check(cmd *cobra.Command, s *session, args []string, o checkOptions) error {
	var old []report.Known
	if o.baseline != "" {
		data, err := os.ReadFile(o.baseline)
		if err == nil {
			old, err = report.ParseBaseline(data)
		}
		if err != nil {
			return fmt.Errorf("--baseline %s: %w", o.baseline, err)
		}
	}
	now := time.Now()
	after, err := parseSince(o.since, now)
	if err != nil {
		return err
	}
	items, err := s.inventory.Gather(cmd.Context(), selection(args))
	if err != nil && len(args) > 0 {
		return err
	}
	if err != nil {
		fmt.Fprintf(a.err, "plimsoll: %s\n", a.explain(err))
	}
	order(items)
	if err := a.sayUnused(items); err != nil {
		return err
	}
	d := &report.Document{Items: items, Root: root(s), Version: a.version, Language: a.language, Explain: a.explain, Attack: report.Map(items)}
	if o.baseline != "" {
		d.Compared = true
		d.Items, d.Gone = report.Compare(d.Root, items, old)
	}
	memory, forgot := a.remember(cmd.Context(), s, selection(args), items, err == nil, now)
	if o.since != "" {
		if forgot != nil {
			return forgot
		}
		if err := a.sinceThen(d, memory, o.since, after); err != nil {
			return err
		}
	} else if forgot != nil && a.isTerminal {
		fmt.Fprintf(a.err, "plimsoll: %s\n", a.explain(forgot))
	}
	if o.writeBaseline != "" {
		data, err := report.MarshalBaseline(d.Root, items)
		if err == nil {
			err = atomicwriter.WriteFile(o.writeBaseline, data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("--write-baseline %s: %w", o.writeBaseline, err)
		}
	}
	if err := a.write(d, o); err != nil {
		return err
	}
	failed := 0
	for _, item := range d.Items {
		if item.Subject == nil {
			failed++
		}
		for _, f := range item.Report.Findings {
			a.found = a.found || f.Severity >= o.threshold && o.writeBaseline == ""
		}
	}
	if failed > 0 {
		return errors.New(a.T("%d subjects could not be read", failed))
	}
	return nil
}

// write writes d to where o says: a file is there entirely or not at all.
func (a *app) write(d *report.Document, o checkOptions) error {
	if o.output == "" {
		return a.writer(o.format)(d, a.out)
	}
	var b bytes.Buffer
	if err := a.writer(o.format)(d, &b); err != nil {
		return err
	}
	return a.put(b.Bytes(), o.output)
}

// put writes a text to the file called path, or to the terminal when that is "".
func (a *app) put(text []byte, path string) error {
	if path == "" {
		_, err := a.out.Write(text)
		return err
	}
	if err := atomicwriter.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("--output %s: %w", path, err)
	}
	return nil
}

// root returns the directory that paths in reports are told from: that of the
// repository, else the working directory.
func root(s *session) string {
	dir := s.demo
	if dir == "" {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return ""
		}
	}
	for up := dir; ; up = filepath.Dir(up) {
		if _, err := os.Lstat(filepath.Join(up, ".git")); err == nil {
			return up
		}
		if up == filepath.Dir(up) {
			return dir
		}
	}
}

// sayUnused says which entries of the configuration are of no use any more.
func (a *app) sayUnused(items []inventory.Item) error {
	policy, err := a.policy()
	if err != nil || len(policy.Exceptions) == 0 {
		return err
	}
	unused := a.unusedExceptions(policy, func(e checks.Exception) (concerned, used bool) {
		for _, item := range items {
			if item.Subject == nil || !suppress.Concerns(e, item.Ref) || !a.judges(e, item.Ref.Kind, policy) {
				continue
			}
			concerned = true
			for _, s := range item.Report.Suppressed {
				used = used || slices.Contains(e.Checks, s.Check.ID)
			}
		}
		return concerned, used
	}, time.Now())
	if unused != nil {
		fmt.Fprintf(a.err, "plimsoll: %s\n", strings.ReplaceAll(unused.Error(), "\n", "\nplimsoll: "))
	}
	return nil
}

// judges reports whether the checks of e are run on subjects of a kind.
func (a *app) judges(e checks.Exception, kind checks.Kind, policy *checks.Policy) bool {
	return slices.ContainsFunc(a.suite, func(c *checks.Check) bool {
		return c.Kind == kind && slices.Contains(e.Checks, c.ID) && policy.Wants(c)
	})
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
