package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// fixOptions are the flags of plimsoll fix.
type fixOptions struct {
	checks, set          []string
	dryRun, yes          bool
	beside, update, pull bool
	prove                bool
	quarantine           bool
	writeBack, deploy    bool
	observe              time.Duration
	onFailure            fixes.OnFailure
}

func (a *app) fixCommand() *cobra.Command {
	var o fixOptions
	c := &cobra.Command{
		Use:   "fix SUBJECT…",
		Short: a.T("Fix findings: plan, preview, confirm, apply, verify"),
		Long: a.T(`Fix the findings of subjects. Without --check everything that is mechanical and keeps its meaning is fixed; with it,
exactly the findings of these checks, also those that need a choice (--set key=value, as the preview names them).
What docker compose manages is changed in its file where the engine cannot do it without a restart.

A plan is shown and asked about before it is applied; --yes applies without asking, --dry-run never applies. Several
subjects get one plan: files and live changes first, each container replaced once, in the order of what needs what. With
--prove-by-building a plan for a Dockerfile that is not proved is never applied.`),
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := parseValues(o.set)
			if err != nil {
				return err
			}
			for _, id := range o.checks {
				if !slices.Contains(a.checkIDs(), id) {
					return errors.New(a.T("there is no check %s: plimsoll explain lists them all", id) + a.nearest(id))
				}
			}
			if o.onFailure != fixes.Keep && o.onFailure != fixes.TakeBack {
				return errors.New(a.T("--on-failure %s: use keep or undo", string(o.onFailure)))
			}
			a.profile = string(checks.All)
			s, err := a.open(cmd.Context(), nil)
			if err != nil {
				return err
			}
			defer s.end()
			return a.fix(cmd, s, args, o, values)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.checks, "check", nil, a.T("fix the findings of this `check` (repeatable)"))
	f.StringArrayVar(&o.set, "set", nil, a.T("decide a choice: `key=value` (repeatable)"))
	f.BoolVar(&o.dryRun, "dry-run", false, a.T("show the plan and stop"))
	f.BoolVarP(&o.yes, "yes", "y", false, a.T("apply without asking"))
	f.BoolVar(&o.beside, "beside", false, a.T("write NAME.hardened next to a file instead of changing it"))
	f.BoolVar(&o.update, "update", false, a.T("move containers, or all of an image, to the image that their tag names now"))
	f.BoolVar(&o.pull, "pull", false, a.T("with --update: pull the tag first"))
	f.BoolVar(&o.quarantine, "quarantine", false, a.T("isolate containers instead: pause, networks off, evidence kept; undo lets them go"))
	f.BoolVar(&o.prove, "prove-by-building", false, a.T("build a Dockerfile as it is and as it would be, run both images for a moment, and compare"))
	f.BoolVar(&o.writeBack, "write-back", false, a.T("write in the compose file what its containers were hardened with and it has not"))
	f.DurationVar(&o.observe, "observe", 0, a.T("watch what a container uses for this `time` first, such as 10m: limits and hardening are proposed by it"))
	f.BoolVar(&o.deploy, "up", false, a.T("put what was changed to use: docker compose up for a compose file, a reload or restart of the engine for its own"))
	f.StringVar((*string)(&o.onFailure), "on-failure", string(fixes.Keep), a.T("with several subjects, what becomes of those before one that fails: `keep` or undo"))
	c.MarkFlagsMutuallyExclusive("dry-run", "yes")
	for _, other := range []string{"check", "update", "pull", "beside", "prove-by-building"} {
		c.MarkFlagsMutuallyExclusive("quarantine", other)
	}
	return c
}

func parseValues(set []string) (checks.Values, error) {
	values := checks.Values{}
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--set %s: expected key=value", s)
		}
		values[key] = value
	}
	return values, nil
}

func (a *app) fix(cmd *cobra.Command, s *session, args []string, o fixOptions, values checks.Values) error {
	selected := selection(args)
	alone := len(selected.Paths) == 0
	if alone && (selected.AllImages || len(selected.Images) > 0) {
		selected.Paths = []string{"."} // what builds them
	}
	items, err := s.inventory.Gather(cmd.Context(), selected)
	if err != nil {
		return err
	}
	if alone {
		items = slices.DeleteFunc(items, func(i inventory.Item) bool { return i.Ref.Kind == checks.Dockerfile || i.Ref.Kind == checks.Compose })
	}
	order(items)
	var errs []error
	var undecided []string // checks whose fixes nobody chose
	var asks []fixes.Ask
	for _, item := range items {
		if item.Subject == nil {
			errs = append(errs, fmt.Errorf("%s: %s", terminal.Line(item.Ref.Name), a.explain(errors.Join(item.Report.Errors...))))
			continue
		}
		if o.observe > 0 && item.Ref.Kind == checks.Container {
			if item, err = a.observe(cmd.Context(), s, item, o.observe); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s", terminal.Line(item.Ref.Name), a.explain(err)))
				continue
			}
		}
		if request, ok := requested(item, o, values); ok {
			asks = append(asks, fixes.Ask{Subject: item.Subject, Request: request})
			continue
		}
		for _, f := range item.Report.Findings {
			if f.Fixable() && len(o.checks) == 0 && !slices.Contains(undecided, f.Check.ID) {
				undecided = append(undecided, f.Check.ID)
			}
		}
	}
	switch {
	case len(asks) == 1:
		if err := a.fixOne(cmd, s, asks[0], o); errdefs.IsNotModified(err) {
			cmd.Println(a.explain(err))
		} else if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s", terminal.Line(asks[0].Subject.Ref().Name), a.explain(err)))
		}
	case len(asks) > 1:
		errs = append(errs, a.fixMany(cmd, s, asks, o))
	case len(errs) == 0 && len(undecided) > 0:
		cmd.Println(a.T("Nothing was fixed: what can be fixed here changes how something behaves, so choose it, such as --check %s. To choose from:", undecided[0]))
		cmd.Println("  " + strings.Join(undecided, "\n  "))
	case len(errs) == 0:
		cmd.Println(a.T("Nothing to fix: no finding of this kind has a fix here. plimsoll check shows what was found."))
	}
	return errors.Join(errs...)
}

// requested returns what the options ask of a subject; ok is false for nothing.
func requested(item inventory.Item, o fixOptions, values checks.Values) (r fixes.Request, ok bool) {
	ofContainer, ofImage := item.Ref.Kind == checks.Container, item.Ref.Kind == checks.Image
	switch {
	case o.quarantine:
		return fixes.Request{Quarantine: true, Values: values}, ofContainer
	case ofContainer && o.writeBack:
		return fixes.Request{WriteBack: true}, true
	}
	r = fixes.Request{Findings: chosen(item.Report.Findings, o.checks), Values: values, Update: o.update, Pull: o.pull, Beside: o.beside}
	return r, len(r.Findings) > 0 || o.update && (ofContainer || ofImage)
}

// chosen returns the findings to cure: those of the named checks, or where
// none is named, those with a mechanical fix.
func chosen(findings []checks.Finding, ids []string) []checks.Finding {
	var out []checks.Finding
	for _, f := range findings {
		if !f.Fixable() {
			continue
		}
		if slices.Contains(ids, f.Check.ID) || len(ids) == 0 && f.Fixes[0].Safe {
			out = append(out, f)
		}
	}
	return out
}

func (a *app) fixOne(cmd *cobra.Command, s *session, ask fixes.Ask, o fixOptions) error {
	ctx, request := cmd.Context(), ask.Request
	plan, err := s.fixer.Plan(ctx, ask.Subject, request)
	if err != nil {
		return err
	}
	if plan.Fetch != "" && plan.Blocked.IsZero() && !a.readOnly {
		fetched, err := a.fetch(ctx, s, plan, o)
		if err != nil || fetched == "" && !o.dryRun {
			return err
		}
		if request.Fetched = fetched; fetched != "" {
			if plan, err = s.fixer.Plan(ctx, ask.Subject, request); err != nil {
				return err
			}
		}
	}
	if plan.Fetch == "" { // else more choices may come with what is fetched
		if err := unusedValues(plan, request.Values); err != nil {
			return err
		}
	}
	if err := a.writePlan(a.out, plan); err != nil {
		return err
	}
	if file, ok := ask.Subject.(*dockerfile.File); ok && o.prove && plan.Blocked.IsZero() {
		if err := a.prove(ctx, s, file, plan); err != nil {
			return err
		}
	}
	if o.dryRun {
		return nil
	}
	if !plan.Blocked.IsZero() {
		return errors.New(plan.Blocked.In(a.translate))
	}
	if !o.yes {
		agreed, err := a.ask(a.T("Apply?"))
		if err != nil || !agreed {
			return err
		}
	}
	if may, err := a.mayChange(s, plan.Subject.Kind, o.yes); err != nil || !may {
		return err
	}
	receipt, err := s.fixer.Apply(ctx, plan, a.progress(a.out))
	if err != nil {
		return err
	}
	if err := a.writeReceipt(a.out, receipt); err != nil || !o.deploy || len(plan.Deploy) == 0 {
		return err
	}
	if may, err := a.mayChange(s, checks.Container, o.yes); err != nil || !may {
		return err
	}
	return s.fixer.Deploy(ctx, receipt.Entry, a.progress(a.out))
}

// fetch gets the image that a plan needs before it can be said what that
// changes, and returns its id; "" when nobody agreed.
func (a *app) fetch(ctx context.Context, s *session, plan *fixes.Plan, o fixOptions) (string, error) {
	if o.dryRun && !a.isTerminal {
		return "", nil
	}
	if !o.yes {
		fmt.Fprintf(a.out, "%s\n", a.T("What %s changes is known once the engine has it. That leaves everything that runs, and the tag, as they are.", plan.Fetch))
		if agreed, err := a.ask(a.T("Fetch it?")); err != nil || !agreed {
			return "", err
		}
	}
	if may, err := a.mayChange(s, checks.Image, o.yes); err != nil || !may {
		return "", err
	}
	return s.fixer.Fetch(ctx, plan, a.progress(a.out))
}

// unusedValues refuses a --set that no choice of the plan knows, since a typing
// mistake would otherwise silently leave the default.
func unusedValues(plan *fixes.Plan, values checks.Values) error {
	var known []string
	for _, c := range plan.Choices {
		known = append(known, c.Key)
	}
	for key := range values {
		if !slices.Contains(known, key) {
			return fmt.Errorf("--set %s: this plan has no such choice (it has: %s)", key, strings.Join(known, ", "))
		}
	}
	return nil
}

// ask returns whether the user agrees. Without a terminal nobody can.
func (a *app) ask(question string) (bool, error) {
	if !a.isTerminal {
		return false, errors.New(a.T("nobody can be asked here: pass --yes to apply, or --dry-run to look only"))
	}
	fmt.Fprintf(a.out, "%s [y/N] ", question)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes" || answer == "j" || answer == "ja", nil
}

// observe watches what the container of item uses for a while, and says so in
// one line that is overwritten where somebody looks.
func (a *app) observe(ctx context.Context, s *session, item inventory.Item, d time.Duration) (inventory.Item, error) {
	began := time.Now()
	item, err := s.inventory.Watched(ctx, item, d, func(c *container.Container) {
		if a.isTerminal {
			fmt.Fprintf(a.err, "\r\x1b[K%s", a.T("watching %s: %s of %s, memory at most %s, %d threads", terminal.Line(item.Ref.Name),
				time.Since(began).Round(time.Second), d, units.BytesSize(float64(c.Observed.MemoryPeak)), int(c.Observed.PidsPeak)))
		}
	})
	a.clearProgress()
	return item, err
}
