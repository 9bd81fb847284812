package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/runtime"
	"plimsoll/checks/terminal"
)

// watchOptions are the flags of plimsoll watch.
type watchOptions struct {
	format, failOn string
	duration       time.Duration
	threshold      checks.Severity
	rules          string // file for rules for Falco, "" for none
	force          bool   // also when that file is not ours
	sysdig         string // what sysdig is asked, "" for nothing
}

func (a *app) watchCommand() *cobra.Command {
	var o watchOptions
	c := &cobra.Command{
		Use:   "watch [CONTAINER…]",
		Short: a.T("Watch what containers do, and print what does not belong"),
		Long: a.T(`Watch running containers and print an alert for what does not belong: shells that are opened, package managers,
privileged and root sessions, new programs, unexpected processes and listeners, crash loops, miners. What is normal is learned in
the first hour, or declared in the configuration. Without CONTAINER (a name or a pattern such as "shop-*") all are watched.

Alerts of Falco are printed as well: of a container that runs it, and where the configuration says that they are.
With --falco-rules FILE what is normal is written as rules for Falco, at once or after watching --for a time.

Exit status: 0 no alerts at or above --fail-on, 1 some, 2 error.`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"text", "json"}, o.format) {
				return errors.New(a.T("unknown format %s: use %s", o.format, "text, json"))
			}
			var err error
			if o.threshold, err = parseThreshold(o.failOn); err != nil {
				return err
			}
			for _, pattern := range args {
				if _, err := filepath.Match(pattern, ""); err != nil {
					return fmt.Errorf("%s: %w", pattern, err)
				}
			}
			if o.rules != "" && o.rules != toOutput {
				if err := mayPutRules(o.rules, o.force); err != nil { // not after an hour of watching
					return err
				}
			}
			s, err := a.open(cmd.Context(), nil)
			if err != nil {
				return err
			}
			defer s.end()
			if o.sysdig != "" {
				return a.askSysdig(cmd.Context(), s, args, o)
			}
			return a.watch(cmd.Context(), s, args, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", "text", a.T("output `format`: %s", "text, json"))
	f.DurationVar(&o.duration, "for", 0, a.T("end after this `time`, such as 10m (default: when interrupted)"))
	f.StringVar(&o.failOn, "fail-on", checks.High.String(), a.T("exit with 1 at alerts of this `severity` or worse, or never"))
	f.StringVar(&o.rules, "falco-rules", "", a.T("write what is normal as rules for Falco to this `file` (- for the standard output), and end"))
	f.BoolVar(&o.force, "force", false, a.T("with --falco-rules: replace also a file that plimsoll did not write"))
	f.StringVar(&o.sysdig, "sysdig", "", a.T("have sysdig answer a `question` about CONTAINER, for 10s or --for, and end: %s", questionNames()))
	c.MarkFlagsMutuallyExclusive("falco-rules", "sysdig")
	return c
}

func (a *app) watch(ctx context.Context, s *session, names []string, o watchOptions) error {
	target, c, err := a.clientOf(s)
	if err != nil {
		return err
	}
	_, err = c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	c.Close()
	if err != nil {
		return target.Explain(err)
	}
	write := a.alertText
	if o.format == "json" {
		write = a.alertJSON
	}
	if o.rules == toOutput {
		write = func(runtime.Alert) error { return nil }
	}
	var mu sync.Mutex // trouble comes from several sources
	var failed error
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if o.duration > 0 && o.rules == "" {
		ctx, stop = context.WithTimeout(ctx, o.duration)
		defer stop()
	}
	watcher, err := a.oversee(s, target, overseeing{
		looking: true,
		only: func(name string) bool {
			return len(names) == 0 || slices.ContainsFunc(names, func(pattern string) bool { ok, _ := filepath.Match(pattern, name); return ok })
		},
		emit: func(alert runtime.Alert) {
			alert, wanted := a.weigh(alert)
			if !wanted {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			a.found = a.found || alert.Severity >= o.threshold
			if err := write(alert); err != nil && failed == nil { // nobody reads any more
				failed = err
				stop()
			}
		},
		trouble: func(source string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil && ctx.Err() == nil {
				fmt.Fprintf(a.err, "plimsoll: %s: %s\n", source, terminal.Line(a.explain(err)))
			}
		},
	})
	if err != nil {
		return err
	}
	if a.isTerminal {
		a.announce(ctx)
	}
	if o.rules != "" {
		return cmp.Or(a.learnRules(ctx, watcher, o), failed)
	}
	watcher.run(ctx)
	return failed
}

// clientOf returns the engine of a session and a client of it, to be closed.
func (a *app) clientOf(s *session) (*engine.Target, *client.Client, error) {
	target := s.inventory.Target()
	if target == nil {
		return nil, nil, cmp.Or(a.noEngine(), errors.New(a.T("there is no connection to the engine")))
	}
	c, err := target.Client()
	return target, c, err
}

// noEngine returns why there is none.
func (a *app) noEngine() error { _, err := a.resolve(); return err }

// announce says what is watched through.
func (a *app) announce(ctx context.Context) {
	for _, source := range a.sources(ctx, nil, "") {
		switch {
		case source.Present && source.Name == "sysdig":
			fmt.Fprintln(a.err, a.T("sysdig %s is installed; what it can tell of a container: %s", source.Detail, "plimsoll watch --sysdig list NAME"))
		case source.Present:
			fmt.Fprintln(a.err, a.T("watching: %s", strings.TrimSpace(source.Name+" "+terminal.Line(source.Detail))))
		}
	}
}

// weigh gives an alert the severity that the user wants, and says whether the
// user wants it at all.
func (a *app) weigh(alert runtime.Alert) (runtime.Alert, bool) {
	i := slices.IndexFunc(a.suite, func(c *checks.Check) bool { return c.ID == alert.Check })
	if i < 0 {
		return alert, true
	}
	policy := a.config.policy(checks.All)
	alert.Severity = policy.SeverityOf(a.suite[i], alert.Severity)
	return alert, policy.Wants(a.suite[i])
}

// alertText prints an alert as a line, and what it rests on below.
func (a *app) alertText(alert runtime.Alert) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-8s  %s  %s\n", alert.At.Local().Format(time.DateTime), a.T(alert.Severity.String()), alert.Check, alert.Message.In(a.translate))
	for _, e := range alert.Evidence {
		fmt.Fprintf(&b, "    %s\n", e)
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// An alertLine is an alert as JSON. Its fields are promises.
type alertLine struct {
	Time      time.Time      `json:"time"`
	Check     string         `json:"check"`
	Severity  string         `json:"severity"`
	Container containerLine  `json:"container"`
	Message   string         `json:"message"` // in English, whatever the language
	Source    string         `json:"source"`
	Evidence  []evidenceLine `json:"evidence"`
}

type containerLine struct {
	ID   string `json:"id,omitempty"` // empty where it is not on this engine
	Name string `json:"name"`
}

type evidenceLine struct {
	Source string `json:"source"`
	Detail string `json:"detail"`
}

func (a *app) alertJSON(alert runtime.Alert) error {
	line := alertLine{
		Time: alert.At.UTC(), Check: alert.Check, Severity: alert.Severity.String(), Container: containerLine{alert.Container, alert.Name},
		Message: alert.Message.String(), Source: string(alert.Source), Evidence: []evidenceLine{},
	}
	for _, e := range alert.Evidence {
		line.Evidence = append(line.Evidence, evidenceLine(e))
	}
	data, err := json.Marshal(line)
	if err == nil {
		_, err = fmt.Fprintf(a.out, "%s\n", data)
	}
	return err
}
