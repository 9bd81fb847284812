package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
	"plimsoll/tui/cli/report"
)

// The JSON of a report, schema 1, is an object: schema, subjects, findings, and
// where there are any suppressed (accepted by the user; they do not count),
// no_longer_found and since, and paths, the worst of paths_total attack paths. Fields are added, never renamed or removed.
type (
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
		Error    string        `json:"error,omitempty"`
		Quick    bool          `json:"quick,omitempty"`    // of an image: only packages of its distribution were looked at
		Scanners []jsonScanner `json:"scanners,omitempty"` // of an image, where others than ours looked as well
	}
	jsonScanner struct {
		Scanner string `json:"scanner"`
		Version string `json:"version,omitempty"`
		Found   int    `json:"found"`           // vulnerabilities of packages
		Only    int    `json:"only"`            // of these, what no other found
		Error   string `json:"error,omitempty"` // why it did not look
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
	j := newJSONWriter(w)
	j.array("subjects", true, func(yield func(any) bool) {
		for i := range d.Items {
			if !yield(a.jsonSubject(&d.Items[i])) {
				return
			}
		}
	})
	j.array("findings", true, func(yield func(any) bool) {
		for i := range d.Items {
			ref, r := clean(d.Items[i].Ref), &d.Items[i].Report
			for k := range r.Findings {
				if !yield(a.jsonFinding(ref, &r.Findings[k])) {
					return
				}
			}
		}
	})
	j.array("suppressed", false, func(yield func(any) bool) {
		for i := range d.Items {
			ref, r := clean(d.Items[i].Ref), &d.Items[i].Report
			for k := range r.Suppressed {
				if !yield(a.jsonSuppressed(ref, &r.Suppressed[k])) {
					return
				}
			}
		}
	})
	j.array("no_longer_found", false, func(yield func(any) bool) {
		for _, known := range d.Gone {
			if !yield(known) {
				return
			}
		}
	})
	if d.Since != "" {
		fmt.Fprintf(j.w, ",\n  \"since\": %q", terminal.Line(d.Since))
	}
	paths, total := a.jsonPaths(d)
	j.array("paths", false, func(yield func(any) bool) {
		for _, p := range paths {
			if !yield(p) {
				return
			}
		}
	})
	if total > 0 {
		fmt.Fprintf(j.w, ",\n  \"paths_total\": %d", total)
	}
	return j.close()
}

// A jsonWriter writes the members of a report one element at a time: as a
// whole, a large one would be in memory three times over.
type jsonWriter struct {
	w       *bufio.Writer
	element bytes.Buffer
	encoder *json.Encoder
	err     error
}

func newJSONWriter(w io.Writer) *jsonWriter {
	j := &jsonWriter{w: bufio.NewWriter(w)}
	j.encoder = json.NewEncoder(&j.element)
	j.encoder.SetEscapeHTML(false)
	j.encoder.SetIndent("    ", "  ")
	fmt.Fprint(j.w, "{\n  \"schema\": 1")
	return j
}

// array writes a member of elements; without any it is left out unless always.
func (j *jsonWriter) array(name string, always bool, elements iter.Seq[any]) {
	begun := false
	begin := func() {
		fmt.Fprintf(j.w, ",\n  %q: [", name)
		begun = true
	}
	separator := "\n    "
	for e := range elements {
		if !begun {
			begin()
		}
		j.element.Reset()
		if j.err = j.encoder.Encode(e); j.err != nil {
			return
		}
		j.w.WriteString(separator)
		j.w.Write(bytes.TrimSuffix(j.element.Bytes(), []byte("\n")))
		separator = ",\n    "
	}
	switch {
	case begun:
		j.w.WriteString("\n  ]")
	case always:
		begin()
		j.w.WriteByte(']')
	}
}

func (j *jsonWriter) close() error {
	j.w.WriteString("\n}\n")
	return errors.Join(j.err, j.w.Flush())
}

func (a *app) jsonSubject(item *inventory.Item) jsonSubject {
	s := jsonSubject{Ref: clean(item.Ref)}
	for i, err := range item.Report.Errors {
		if i > 0 {
			s.Error += "; "
		}
		s.Error += terminal.Line(a.explain(err))
	}
	if i, ok := item.Subject.(*image.Image); ok {
		s.Quick = i.Quickly()
	}
	for _, c := range scannersOf(*item) {
		j := jsonScanner{Scanner: c.Scanner, Version: terminal.Line(c.Version), Found: c.Found, Only: c.Only}
		if c.Problem != nil {
			j.Error = terminal.Line(a.explain(c.Problem))
		}
		s.Scanners = append(s.Scanners, j)
	}
	return s
}

func (a *app) jsonSuppressed(ref checks.Ref, f *checks.Suppressed) jsonSuppressed {
	j := jsonSuppressed{jsonFinding: a.jsonFinding(ref, &f.Finding)}
	j.Suppressed.Reason, j.Suppressed.By = f.Suppression.Reason, f.Suppression.Source
	if !f.Suppression.Until.IsZero() {
		j.Suppressed.Until = f.Suppression.Until.Format(time.DateOnly)
	}
	return j
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
