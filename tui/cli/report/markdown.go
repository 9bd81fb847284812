package report

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// clean makes a name from outside fit to be shown.
func clean(s string) string { return terminal.Line(secret.Redact(s)) }

// emoji tell severities apart where there are no colours.
var emoji = map[checks.Severity]string{
	checks.Critical: "🟣", checks.High: "🔴", checks.Medium: "🟠", checks.Low: "🔵", checks.Info: "⚪",
}

// WriteMarkdown writes a comment for a change: a summary, then each subject.
func (d *Document) WriteMarkdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "## ⦵ plimsoll\n\n%s\n", escapeMarkdown(d.headline()))
	counts, fixable := d.counts(), map[checks.Severity]int{}
	for _, item := range d.Items {
		for _, f := range item.Report.Findings {
			if f.Fixable() {
				fixable[f.Severity]++
			}
		}
	}
	if len(counts) > 0 {
		fmt.Fprintf(out, "\n| %s | %s | %s |\n|---|---:|---:|\n", d.T("Severity"), d.T("Findings"), d.T("Fixable"))
		for _, s := range checks.Severities {
			if counts[s] > 0 {
				fmt.Fprintf(out, "| %s %s | %d | %d |\n", emoji[s], d.T(s.String()), counts[s], fixable[s])
			}
		}
	}
	d.markdownPaths(out)
	for i := range d.Items {
		d.markdownSubject(out, &d.Items[i])
	}
	d.markdownSuppressed(out)
	if len(d.Gone) > 0 {
		fmt.Fprintf(out, "\n<details>\n<summary>%s</summary>\n\n", d.goneHeading())
		for _, k := range d.Gone {
			fmt.Fprintf(out, "- %s: %s\n", escapeMarkdown(clean(k.Subject)), escapeMarkdown(clean(k.Check)))
		}
		out.WriteString("\n</details>\n")
	}
	return out.Flush()
}

func (d *Document) markdownSubject(out *bufio.Writer, item *inventory.Item) {
	r := &item.Report
	if len(r.Findings) == 0 && len(r.Errors) == 0 {
		return
	}
	fmt.Fprintf(out, "\n### %s %s\n\n", d.kind(item.Ref.Kind), escapeMarkdown(clean(item.Ref.Name)))
	for _, err := range d.errors(item) {
		fmt.Fprintf(out, "> ⚠️ %s: %s\n\n", d.T("not judged"), escapeMarkdown(err))
	}
	if len(r.Findings) == 0 {
		return
	}
	lines := isFile(item.Ref)
	if lines {
		fmt.Fprintf(out, "| | %s | %s | %s |\n|---|---:|---|---|\n", d.T("Line"), d.T("Finding"), d.T("Check"))
	} else {
		fmt.Fprintf(out, "| | %s | %s |\n|---|---|---|\n", d.T("Finding"), d.T("Check"))
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintf(out, "| %s %s | ", emoji[f.Severity], d.T(f.Severity.String()))
		if lines {
			fmt.Fprintf(out, "%s | ", lineRange(f))
		}
		fmt.Fprintf(out, "%s | `%s` |\n", escapeMarkdown(d.message(f)), f.Check.ID)
	}
}

func lineRange(f *checks.Finding) string {
	switch {
	case f.Line == 0:
		return ""
	case f.EndLine > f.Line:
		return fmt.Sprintf("%d–%d", f.Line, f.EndLine)
	}
	return fmt.Sprint(f.Line)
}

func (d *Document) markdownSuppressed(out *bufio.Writer) {
	n := 0
	for _, item := range d.Items {
		n += len(item.Report.Suppressed)
	}
	if n == 0 {
		return
	}
	fmt.Fprintf(out, "\n<details>\n<summary>%s</summary>\n\n| %s | %s | %s |\n|---|---|---|\n", d.T("%d findings are suppressed", n), d.T("Subject"), d.T("Finding"), d.T("Reason"))
	for _, item := range d.Items {
		for i := range item.Report.Suppressed {
			s := &item.Report.Suppressed[i]
			subject := clean(item.Ref.Name)
			if s.Line > 0 {
				subject += fmt.Sprintf(":%d", s.Line)
			}
			fmt.Fprintf(out, "| %s | %s | %s |\n", escapeMarkdown(subject), escapeMarkdown(d.message(&s.Finding)), escapeMarkdown(d.why(s.Suppression)))
		}
	}
	out.WriteString("\n</details>\n")
}

// why says whose word a suppression is, its reason, and how long it holds.
func (d *Document) why(s checks.Suppression) string {
	why := s.Source
	if s.Reason != "" {
		why += ": " + s.Reason
	}
	if !s.Until.IsZero() {
		why += " (" + d.T("until %s", s.Until.Format("2006-01-02")) + ")"
	}
	return why
}

var (
	punctuation = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("[\\\\`*_{}\\[\\]()#+\\-.!|~=^$:]") })
	reference   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)(@|#|\bGH-|://|\bwww)`) })
)

// joiner is invisible and keeps what stands around it apart for programs: a
// mention mentions nobody, an address is no link.
const joiner = "\u2060"

// escapeMarkdown makes s plain text wherever Markdown is read.
func escapeMarkdown(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = reference().ReplaceAllStringFunc(s, func(m string) string {
		if m == "://" {
			return ":" + joiner + "//"
		}
		return m + joiner
	})
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
	return punctuation().ReplaceAllString(s, `\$0`)
}
