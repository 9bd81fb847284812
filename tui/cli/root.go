package cli

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/ignore"
	"plimsoll/tui"
)

// root returns the command line.
func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "plimsoll [PATH…]",
		Short: a.T("⦵ Find, understand and fix Docker security problems"),
		Long: a.T(`⦵ plimsoll shows what is unsafe about your Dockerfiles, images, containers and engine, explains why, and fixes it:
planned, previewed, proved and reversible.

Without a command it opens the screen on the files below PATH (default: the working directory) and on the engine that
the docker command would use.`),
		Args:          cobra.ArbitraryArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(_ *cobra.Command, args []string) error {
			return a.prepare(projectOf(args))
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.screen(cmd, args) },
	}
	f := c.PersistentFlags()
	f.StringVarP(&a.host, "host", "H", "", a.T("engine `address`, such as ssh://me@box (default: DOCKER_HOST, then the docker context)"))
	f.StringVar(&a.context, "context", "", a.T("`name` of the docker context whose engine is meant"))
	f.StringVar(&a.lang, "lang", "", a.T("`language`: en or de (default: the configuration, then LANG)"))
	f.BoolVar(&a.demo, "demo", false, a.T("use a made-up engine and project; nothing outside a temporary folder is written"))
	f.BoolVar(&a.readOnly, "read-only", false, a.T("show, never change"))
	f.BoolVar(&a.offline, "offline", false, a.T("ask no registry, here or through the engine"))
	f.BoolVar(&a.noConfig, "no-config", false, a.T("ignore .plimsoll.yaml and the user's configuration"))
	c.MarkFlagsMutuallyExclusive("host", "context")
	c.AddCommand(a.checkCommand(), a.fixCommand(), a.ignoreCommand(), a.explainCommand(), a.undoCommand(), a.databaseCommand(), a.watchCommand(), a.versionCommand())
	return c
}

// projectOf returns the directory whose configuration counts.
func projectOf(args []string) string {
	for _, arg := range args {
		if info, err := os.Stat(arg); err == nil && info.IsDir() {
			return arg
		}
	}
	return "."
}

// screen opens the screen, or prints the table where there is no terminal.
func (a *app) screen(cmd *cobra.Command, args []string) error {
	roots := args
	if len(roots) == 0 {
		roots = []string{"."}
	}
	for _, root := range roots {
		if _, err := os.Stat(root); err != nil {
			return err
		}
	}
	s, err := a.open(cmd.Context(), roots)
	if err != nil {
		return err
	}
	defer s.end()
	if !a.isTerminal {
		if err := a.check(cmd, s, s.subjects(args), checkOptions{format: "table", threshold: checks.Critical + 1}); err != nil {
			return err
		}
		cmd.Println(a.T("This is not a terminal; plimsoll check has more formats, plimsoll fix repairs."))
		return nil
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	return tui.Run(ctx, a.screenOptions(ctx, s))
}

// screenOptions wires the screen to the world of s.
func (a *app) screenOptions(ctx context.Context, s *session) tui.Options {
	s.lookout.begin(ctx)
	j := &judge{a: a, s: s, ctx: ctx, config: a.config}
	o := tui.Options{
		Updates:  s.inventory.Watch(ctx),
		Fixer:    s.fixer,
		Language: a.language,
		Profile:  a.config.policy("").Profile,
		Repolicy: j.under,
		Changed:  j.again,
		Rescan: func() {
			s.inventory.Refresh()
			s.inventory.LookUp(ctx)
		},
		Layers:     s.inventory,
		Advisories: a.advisories(s),
		Scanners:   a.scanners(s),
		QuickLook:  s.inventory.QuickLook,
		Observe:    s.inventory.Observe,
		ReadOnly:   a.readOnly,
		History:    a.screenHistory(s),
		Demo:       a.demo,
		DemoHint:   "plimsoll --demo",
		Lookout:    s.lookout,
	}
	if s.prover != nil && !a.demo && !a.readOnly {
		o.Prover = s.prover
	}
	if s.root != "" {
		o.Accept = func(ctx context.Context, subject checks.Subject, accept ignore.Acceptance) (*fixes.Plan, error) {
			return a.accept(ctx, s, subject, accept)
		}
	}
	if !a.demo {
		o.Engines = &engines{a, s}
	}
	return o
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: a.T("Print the version"),
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			revision := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = " " + s.Value[:min(12, len(s.Value))]
					}
				}
			}
			cmd.Printf("plimsoll %s%s %s %s/%s\n", a.version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
