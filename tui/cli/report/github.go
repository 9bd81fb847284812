package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"plimsoll/checks"
)

// WriteGitHub writes workflow commands, which GitHub shows beside the lines of
// a change.
func (d *Document) WriteGitHub(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i := range d.Items {
		item := &d.Items[i]
		for _, err := range d.errors(item) {
			annotate(out, "error", d.properties(item.Ref, 0, 0, d.T("not judged")), d.subject(item.Ref)+err)
		}
		for j := range item.Report.Findings {
			f := &item.Report.Findings[j]
			title := fmt.Sprintf("%s (%s)", f.Check.ID, d.T(f.Severity.String()))
			annotate(out, command(f.Severity), d.properties(f.Subject, f.Line, f.EndLine, title), d.subject(f.Subject)+d.message(f))
		}
	}
	return out.Flush()
}

// subject names what an annotation is about where no file does.
func (d *Document) subject(ref checks.Ref) string {
	if isFile(ref) {
		return ""
	}
	return fmt.Sprintf("%s %s: ", d.kind(ref.Kind), clean(ref.Name))
}

func command(s checks.Severity) string {
	switch s {
	case checks.Critical, checks.High:
		return "error"
	case checks.Medium:
		return "warning"
	}
	return "notice"
}

type property struct{ name, value string }

func (d *Document) properties(ref checks.Ref, line, endLine int, title string) []property {
	var out []property
	if isFile(ref) {
		out = append(out, property{"file", clean(place(d.Root, ref))})
		if line > 0 {
			out = append(out, property{"line", fmt.Sprint(line)}, property{"endLine", fmt.Sprint(max(line, endLine))})
		}
	}
	return append(out, property{"title", title})
}

var (
	escapeData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// annotate writes one workflow command. Errors stay in the writer.
func annotate(w *bufio.Writer, command string, properties []property, message string) {
	w.WriteString("::" + command)
	for i, p := range properties {
		separator := ","
		if i == 0 {
			separator = " "
		}
		w.WriteString(separator + p.name + "=" + escapeProperty.Replace(p.value))
	}
	w.WriteString("::" + escapeData.Replace(message) + "\n")
}
