package cli

import (
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
	"plimsoll/checks/vulnerability"
	"plimsoll/tui/cli/report"
)

// kindTitle names a kind of subject as a heading.
func (a *app) kindTitle(k checks.Kind) string {
	switch k {
	case checks.Dockerfile:
		return a.T("Dockerfile")
	case checks.Compose:
		return a.T("Compose file")
	case checks.Image:
		return a.T("Image")
	case checks.Container:
		return a.T("Container")
	}
	return a.T("Host")
}

// severityColours are ANSI colours, so that the terminal's own palette decides
// how they look on its background.
var severityColours = map[checks.Severity]string{
	checks.Critical: "5", checks.High: "1", checks.Medium: "3", checks.Low: "4", checks.Info: "8",
}

func (a *app) severityWord(s checks.Severity) string {
	switch s {
	case checks.Critical:
		return a.T("critical")
	case checks.High:
		return a.T("high")
	case checks.Medium:
		return a.T("medium")
	case checks.Low:
		return a.T("low")
	}
	return a.T("info")
}

// writeTable prints every subject with findings or errors, then a summary.
func (a *app) writeTable(d *report.Document, w io.Writer) error {
	items, suppressed := d.Items, 0
	counts := map[checks.Severity]int{}
	clean := 0
	widest := 0
	for _, item := range items {
		for _, f := range item.Report.Findings {
			widest = max(widest, len(f.Check.ID))
		}
	}
	bold, faint := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	var b strings.Builder
	for _, item := range items {
		r := item.Report
		suppressed += len(r.Suppressed)
		if len(r.Findings) == 0 && len(r.Errors) == 0 {
			clean++
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", faint.Render(a.kindTitle(item.Ref.Kind)), bold.Render(terminal.Line(item.Ref.Name)))
		for _, err := range r.Errors {
			fmt.Fprintf(&b, "  %s %s\n", bold.Render(a.T("not judged:")), terminal.Line(a.explain(err)))
		}
		for _, f := range r.Findings {
			counts[f.Severity]++
			word := lipgloss.NewStyle().Foreground(lipgloss.Color(severityColours[f.Severity])).Bold(f.Severity >= checks.High)
			line := "    "
			if f.Line > 0 {
				line = fmt.Sprintf("%4d", f.Line)
			}
			fmt.Fprintf(&b, "  %s %s  %s  %s%s\n", word.Render(pad(a.severityWord(f.Severity), 8)), faint.Render(line),
				pad(f.Check.ID, widest), f.Message.In(a.translate), a.fixMark(f))
		}
		a.tableScanners(&b, item)
		b.WriteByte('\n')
	}
	a.tablePaths(&b, d)
	b.WriteString(a.summary(len(items), clean, counts))
	if suppressed > 0 {
		b.WriteString(faint.Render(a.T("%d findings are suppressed.", suppressed)) + "\n")
	}
	for _, k := range d.Gone {
		check, subject := terminal.Line(k.Check), terminal.Line(k.Subject)
		line := a.T("no longer found: %s on %s", check, subject)
		if d.Since != "" {
			line = a.T("fixed: %s on %s", check, subject)
		}
		b.WriteString(faint.Render(line) + "\n")
	}
	_, err := lipgloss.Fprint(w, b.String())
	return err
}

// tableScanners sets side by side how much each scanner found in an image, where
// several looked. Why one did not is among the errors already.
func (a *app) tableScanners(b *strings.Builder, item inventory.Item) {
	for _, c := range scannersOf(item) {
		if c.Problem == nil {
			fmt.Fprintf(b, "  %s %s  %s\n", pad(terminal.Line(c.Scanner), 9), pad(terminal.Line(c.Version), 12), a.T("vulnerabilities: %d, found by nobody else: %d", c.Found, c.Only))
		}
	}
}

// scannersOf compares the scanners of an image; nil where only ours looked.
func scannersOf(item inventory.Item) []vulnerability.Count {
	i, ok := item.Subject.(*image.Image)
	if !ok {
		return nil
	}
	return vulnerability.Tally(i.Together, i.Known, i.Scans)
}

func (a *app) fixMark(f checks.Finding) string {
	if !f.Fixable() {
		return ""
	}
	return " " + lipgloss.NewStyle().Foreground(lipgloss.Color("2")).Render(a.T("[fixable]"))
}

func (a *app) summary(subjects, clean int, counts map[checks.Severity]int) string {
	var parts []string
	for _, s := range checks.Severities {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], a.severityWord(s)))
		}
	}
	if len(parts) == 0 {
		return a.T("%d subjects checked, nothing found.", subjects) + "\n"
	}
	return a.T("%d subjects checked, %d clean: %s.", subjects, clean, strings.Join(parts, ", ")) + "\n"
}

// pad fills s with spaces up to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}
