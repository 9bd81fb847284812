// Package cli is plimsoll without a screen, and the door to the screen: the
// command line, its output and its exit codes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/charmbracelet/x/term"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/suite"
	"plimsoll/fixes"
)

// Exit codes are promises.
const (
	exitClean    = 0
	exitFindings = 1 // findings at or above --fail-on
	exitError    = 2
)

// An app is one run of the program.
type app struct {
	out, err io.Writer

	host, lang     string
	context        string // of the docker CLI
	demo, readOnly bool
	noConfig       bool
	offline        bool // no registry is asked
	config         Config
	layers         string // of which images the layers are read; "" as the configuration says
	language       assets.Language
	translate      func(string) string
	profile        string
	suite          []*checks.Check
	found          bool // findings at or above --fail-on were reported
	isTerminal     bool
	version        string
}

// Main runs the program with the arguments of the process and returns its exit
// code.
func Main(version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	terminal := term.IsTerminal(os.Stdout.Fd()) && term.IsTerminal(os.Stdin.Fd())
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr, terminal, version)
}

func run(ctx context.Context, args []string, out, errs io.Writer, terminal bool, version string) int {
	a := &app{out: out, err: errs, isTerminal: terminal, version: version, suite: suite.All()}
	a.speak(assets.Detect(flagValue(args, "--lang"), "", os.Getenv))
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err != nil:
		fmt.Fprintf(errs, "plimsoll: %s\n", a.explain(err))
		return exitError
	case a.found:
		return exitFindings
	}
	return exitClean
}

// explain returns err in the user's language as far as it has one. What could not
// be put back is told whole, not only the first reason.
func (a *app) explain(err error) string {
	var p *checks.Problem
	if errors.As(err, &p) && !errors.Is(err, fixes.ErrBroken) {
		return p.In(a.translate)
	}
	return err.Error()
}

func (a *app) speak(l assets.Language) {
	a.language, a.translate = l, assets.Translate(l)
}

// T returns format in the user's language with args filled in.
func (a *app) T(format string, args ...any) string {
	return checks.Msg(format, args...).In(a.translate)
}

// prepare reads the configuration before any command runs.
func (a *app) prepare(dir string) error {
	if !a.noConfig {
		c, err := readConfig(dir, a.suite)
		if err != nil {
			return err
		}
		a.config = c
	}
	if a.lang != "" || a.config.Language != "" {
		for _, name := range []string{a.lang, a.config.Language} {
			if name == "" {
				continue
			}
			if _, err := assets.ParseLanguage(name); err != nil {
				return err
			}
		}
	}
	a.speak(assets.Detect(a.lang, a.config.Language, os.Getenv))
	a.readOnly = a.readOnly || a.config.ReadOnly
	return nil
}

func (a *app) policy() (*checks.Policy, error) {
	var p checks.Profile
	if a.profile != "" {
		var err error
		if p, err = checks.ParseProfile(a.profile); err != nil {
			return nil, err
		}
	}
	return a.config.policy(p), nil
}

// flagValue finds the value of a flag before the flags are parsed, so that
// even the help and the errors of parsing are in the right language.
func flagValue(args []string, name string) string {
	for i, arg := range args {
		if arg == name && i+1 < len(args) {
			return args[i+1]
		}
		if len(arg) > len(name)+1 && arg[:len(name)+1] == name+"=" {
			return arg[len(name)+1:]
		}
	}
	return ""
}
