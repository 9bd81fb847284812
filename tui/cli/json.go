package cli

import (
	"encoding/json"
	"io"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/tui/cli/report"
)

// The JSON of a report, schema 1. Fields are added, never renamed or removed.
type (
	jsonReport struct {
		Schema   int           `json:"schema"`
		Subjects []jsonSubject `json:"subjects"`
		Findings []jsonFinding `json:"findings"`

		Suppressed []jsonSuppressed `json:"suppressed,omitempty"` // accepted by the user; they do not count
		Gone       []report.Known   `json:"no_longer_found,omitempty"`
	}
	jsonSuppressed struct {
		jsonFinding
		Suppressed struct {
			Reason string `json:"reason"`
			Until  string `json:"until,omitempty"`
			By     string `json:"by"`
		} `json:"suppressed"`
	}
	jsonSubject struct {
		checks.Ref
		Error string `json:"error,omitempty"`
	}
	jsonFinding struct {
		Check    string          `json:"check"`
		Severity checks.Severity `json:"severity"`
		Chapter  checks.Chapter  `json:"chapter"` // 0 is hygiene
		Subject  checks.Ref      `json:"subject"`
		Line     int             `json:"line,omitempty"`
		EndLine  int             `json:"end_line,omitempty"`
		Key      string          `json:"key,omitempty"`
		Message  string          `json:"message"`
		Evidence []string        `json:"evidence"`
		Fixable  bool            `json:"fixable"`
	}
)

func (a *app) writeJSON(d *report.Document, w io.Writer) error {
	out := jsonReport{Schema: 1, Subjects: []jsonSubject{}, Findings: []jsonFinding{}, Gone: d.Gone}
	for _, item := range d.Items {
		ref := clean(item.Ref)
		s := jsonSubject{Ref: ref}
		for i, err := range item.Report.Errors {
			if i > 0 {
				s.Error += "; "
			}
			s.Error += terminal.Line(a.explain(err))
		}
		out.Subjects = append(out.Subjects, s)
		for i := range item.Report.Findings {
			out.Findings = append(out.Findings, a.jsonFinding(ref, &item.Report.Findings[i]))
		}
		for i := range item.Report.Suppressed {
			f := &item.Report.Suppressed[i]
			j := jsonSuppressed{jsonFinding: a.jsonFinding(ref, &f.Finding)}
			j.Suppressed.Reason, j.Suppressed.By = f.Suppression.Reason, f.Suppression.Source
			if !f.Suppression.Until.IsZero() {
				j.Suppressed.Until = f.Suppression.Until.Format(time.DateOnly)
			}
			out.Suppressed = append(out.Suppressed, j)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (a *app) jsonFinding(ref checks.Ref, f *checks.Finding) jsonFinding {
	j := jsonFinding{
		Check: f.Check.ID, Severity: f.Severity, Chapter: f.Check.Chapter, Subject: ref,
		Line: f.Line, EndLine: f.EndLine, Key: terminal.Line(f.Key), Message: f.Message.In(a.translate),
		Evidence: []string{}, Fixable: f.Fixable(),
	}
	for _, e := range f.Evidence {
		j.Evidence = append(j.Evidence, e.String())
	}
	return j
}

func clean(ref checks.Ref) checks.Ref {
	return checks.Ref{Kind: ref.Kind, ID: terminal.Line(ref.ID), Name: terminal.Line(ref.Name)}
}
