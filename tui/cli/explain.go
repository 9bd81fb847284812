package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"plimsoll/assets"
	"plimsoll/checks/attack"
	"plimsoll/tui"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CHECK]",
		Short: a.T("Explain a check: what happens, why it matters, how to fix it"),
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.explainedIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listChecks()
			}
			e, ok := assets.Explain(a.language, args[0])
			if !ok {
				return errors.New(a.T("there is no check %s: plimsoll explain lists them all", args[0]) + a.nearest(args[0]))
			}
			return a.writeMarkdown(e.Markdown)
		},
	}
}

// writeMarkdown prints text as it is, or rendered where somebody looks at it.
func (a *app) writeMarkdown(text string) error {
	if !a.isTerminal {
		_, err := fmt.Fprintln(a.out, strings.TrimSpace(text))
		return err
	}
	width, _, err := term.GetSize(os.Stdout.Fd())
	if err != nil || width > maxWidth {
		width = maxWidth
	}
	dark := lipgloss.HasDarkBackground(os.Stdin, os.Stdout)
	_, err = lipgloss.Fprintln(a.out, tui.Markdown(a.language, text, width, dark))
	return err
}

// maxWidth of running text: longer lines are hard to read.
const maxWidth = 100

func (a *app) checkIDs() []string {
	var ids []string
	for _, c := range a.suite {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// explainedIDs are those of checks and of the rules of attack paths.
func (a *app) explainedIDs() []string {
	ids := a.checkIDs()
	for _, r := range attack.Rules() {
		ids = append(ids, r.ID)
	}
	return ids
}

func (a *app) listChecks() error {
	widest := 0
	for _, id := range a.explainedIDs() {
		widest = max(widest, len(id))
	}
	seen := map[string]bool{}
	for _, c := range a.suite {
		if seen[c.ID] {
			continue
		}
		seen[c.ID] = true
		fmt.Fprintf(a.out, "%s  %s  %d  %s\n", pad(c.ID, widest), pad(a.severityWord(c.Severity), 8), c.Chapter, a.translate(c.Title))
	}
	for _, r := range attack.Rules() {
		fmt.Fprintf(a.out, "%s  %s  -  %s\n", pad(r.ID, widest), pad("-", 8), a.translate(r.Title))
	}
	return nil
}

// nearest suggests checks that id may have meant: those that share a word.
func (a *app) nearest(id string) string {
	var near []string
	for _, known := range a.explainedIDs() {
		if strings.Contains(known, id) || id != "" && strings.Contains(id, known) {
			near = append(near, known)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "\n" + a.T("did you mean %s?", strings.Join(near[:min(3, len(near))], ", "))
}
