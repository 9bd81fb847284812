package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
	"plimsoll/tui"
)

// resolve returns the engine that the flags mean, else the one that the docker
// command would use.
func (a *app) resolve() (engine.Target, error) {
	if a.context != "" {
		return engine.Context(a.context)
	}
	return engine.Resolve(a.host)
}

// engines are the engines that the screen may turn to.
type engines struct {
	a *app
	s *session
}

var _ tui.Engines = (*engines)(nil)

// atOnce is how many engines are surveyed at a time.
const atOnce = 4

func (e *engines) List() ([]engine.Known, error) { return engine.List() }

func (e *engines) Find(address string) (engine.Target, error) {
	if address == "" {
		return engine.Target{}, errors.New(e.a.T("an address is missing, such as ssh://me@box"))
	}
	return engine.Resolve(address)
}

// Survey implements [tui.Engines].
func (e *engines) Survey(ctx context.Context, t engine.Target) (tui.Survey, error) {
	return e.a.survey(ctx, t)
}

func (a *app) survey(ctx context.Context, t engine.Target) (tui.Survey, error) {
	policy, err := a.policy()
	if err != nil {
		return tui.Survey{}, err
	}
	t.Unattended = true
	v := inventory.New(inventory.Options{Target: &t, Suite: a.suite, Policy: policy})
	items, err := v.Gather(ctx, inventory.Selection{AllContainers: true, AllImages: true, Host: true})
	if err != nil {
		return tui.Survey{}, err
	}
	s := tui.Sum(items)
	for _, item := range items {
		if item.Ref.Kind == checks.Host {
			s.Name = item.Ref.Name
			if h, ok := item.Subject.(*host.Host); ok {
				s.Version, s.Podman = h.Version, h.Podman
			}
		}
	}
	return s, nil
}

// Open implements [tui.Engines].
func (e *engines) Open(ctx context.Context, t engine.Target) (tui.Tools, error) {
	policy, err := e.a.policy()
	if err != nil {
		return tui.Tools{}, err
	}
	t.Unattended = true // the screen has the terminal
	tools, err := e.a.newTools(e.s, &t, policy, "", "")
	if err != nil {
		return tui.Tools{}, err
	}
	e.s.lookout.turn(nil)
	e.s.inventory.Switch(ctx, t)
	e.s.lookout.turn(&t)
	_ = e.s.tools.close() // the one before; nothing is sent to it any more
	e.s.tools = tools
	out := tui.Tools{Fixer: tools.fixer}
	if tools.prover != nil && !e.a.readOnly {
		out.Prover = tools.prover
	}
	return out, nil
}

// mayChange returns whether the user means the engine that is about to be
// changed: one on another machine has to be named, on the command line or when
// asked.
func (a *app) mayChange(s *session, kind checks.Kind, yes bool) (bool, error) {
	t := s.inventory.Target()
	if t == nil || !t.Remote() || kind == checks.Dockerfile || kind == checks.Compose || a.host != "" || a.context != "" {
		return true, nil
	}
	title := terminal.Line(t.Title())
	if yes || !a.isTerminal {
		return false, errors.New(a.T("this would change %s, an engine on another machine: name it with --context or --host", title))
	}
	fmt.Fprint(a.out, a.T("This changes an engine on another machine. Type its name, %s, to go on: ", title))
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.TrimSpace(answer) == title, err
}

// An engineReport is one engine in the output of check --all-contexts.
type engineReport struct {
	Context  string         `json:"context"`
	Host     string         `json:"host"`
	Engine   string         `json:"engine,omitempty"`
	Version  string         `json:"version,omitempty"`
	Podman   bool           `json:"podman,omitempty"`
	Error    string         `json:"error,omitempty"`
	Score    *int           `json:"score,omitempty"`
	Counts   map[string]int `json:"counts,omitempty"`
	Subjects int            `json:"subjects"`
	Unread   int            `json:"unread"`
}

// checkAll surveys every engine that the docker command knows.
func (a *app) checkAll(cmd *cobra.Command, o checkOptions) error {
	if o.format != "table" && o.format != "json" {
		return errors.New(a.T("--all-contexts writes table or json"))
	}
	known, err := engine.List()
	if err != nil {
		return err
	}
	reports, surveys := make([]engineReport, len(known)), make([]*tui.Survey, len(known))
	group := new(errgroup.Group)
	group.SetLimit(atOnce)
	for i, k := range known {
		group.Go(func() error {
			s, err := tui.Survey{}, k.Err
			if err == nil {
				s, err = a.survey(cmd.Context(), k.Target)
			}
			if err == nil {
				surveys[i] = &s
			}
			reports[i] = a.engineReport(k.Name, k.Host, s, err)
			return nil
		})
	}
	_ = group.Wait() // failures are in the reports
	var answered []tui.Survey
	for _, s := range surveys {
		if s == nil {
			continue
		}
		answered = append(answered, *s)
		for severity, n := range s.Counts {
			a.found = a.found || n > 0 && severity >= o.threshold
		}
	}
	total := a.engineReport("", "", tui.Total(answered), nil)
	var b strings.Builder
	if o.format == "json" {
		encoder := json.NewEncoder(&b)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(struct {
			Engines []engineReport `json:"engines"`
			Total   engineReport   `json:"total"`
		}{reports, total})
	} else {
		for _, r := range reports {
			a.engineLine(&b, r)
		}
		total.Context = a.T("together")
		a.engineLine(&b, total)
	}
	if err != nil {
		return err
	}
	if err := a.put([]byte(b.String()), o.output); err != nil {
		return err
	}
	if len(answered) == 0 {
		return errors.New(a.T("no engine answers"))
	}
	return nil
}

func (a *app) engineReport(name, host string, s tui.Survey, err error) engineReport {
	r := engineReport{Context: terminal.Line(name), Host: terminal.Line(host), Engine: terminal.Line(s.Name), Version: terminal.Line(s.Version), Podman: s.Podman, Subjects: s.Subjects, Unread: s.Gaps}
	if err != nil {
		r.Error = terminal.Line(a.explain(err))
		return r
	}
	r.Score, r.Counts = &s.Score, map[string]int{}
	for _, severity := range checks.Severities {
		r.Counts[severity.String()] = s.Counts[severity]
	}
	return r
}

// engineLine writes how one engine stands.
func (a *app) engineLine(w io.Writer, r engineReport) {
	if r.Error != "" {
		fmt.Fprintf(w, "%s  %s\n", pad(r.Context, 24), "✗ "+r.Error)
		return
	}
	fmt.Fprintf(w, "%s  %3d/100", pad(r.Context, 24), *r.Score)
	for _, severity := range checks.Severities {
		fmt.Fprintf(w, "  %d %s", r.Counts[severity.String()], a.translate(severity.String()))
	}
	if r.Engine != "" {
		product := "Docker"
		if r.Podman {
			product = "Podman"
		}
		fmt.Fprintf(w, "  %s · %s %s", r.Engine, product, r.Version)
	}
	fmt.Fprintln(w)
}
