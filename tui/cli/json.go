package cli

import (
	"encoding/json"
	"io"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
)

// The JSON of a report, schema 1. Fields are added, never renamed or removed.
type (
	jsonReport struct {
		Schema   int           `json:"schema"`
		Subjects []jsonSubject `json:"subjects"`
		Findings []jsonFinding `json:"findings"`
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

func (a *app) writeJSON(w io.Writer, items []inventory.Item) error {
	report := jsonReport{Schema: 1, Subjects: []jsonSubject{}, Findings: []jsonFinding{}}
	for _, item := range items {
		ref := clean(item.Ref)
		s := jsonSubject{Ref: ref}
		for i, err := range item.Report.Errors {
			if i > 0 {
				s.Error += "; "
			}
			s.Error += terminal.Line(a.explain(err))
		}
		report.Subjects = append(report.Subjects, s)
		for _, f := range item.Report.Findings {
			j := jsonFinding{
				Check: f.Check.ID, Severity: f.Severity, Chapter: f.Check.Chapter, Subject: ref,
				Line: f.Line, EndLine: f.EndLine, Key: terminal.Line(f.Key), Message: f.Message.In(a.translate),
				Evidence: []string{}, Fixable: f.Fixable(),
			}
			for _, e := range f.Evidence {
				j.Evidence = append(j.Evidence, e.String())
			}
			report.Findings = append(report.Findings, j)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}

func clean(ref checks.Ref) checks.Ref {
	return checks.Ref{Kind: ref.Kind, ID: terminal.Line(ref.ID), Name: terminal.Line(ref.Name)}
}
