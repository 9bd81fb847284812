// Package report writes what a check has found in the formats that other
// programs and people read: SARIF, Markdown, annotations of GitHub and HTML.
//
// Everything that comes from outside is escaped for where it stands. Values of
// secrets do not get here: findings mask them.
package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
)

// A Document is what a run has found.
type Document struct {
	Items    []inventory.Item // in the order in which they are shown
	Root     string           // absolute directory that paths are told from
	Version  string
	Language assets.Language
	Explain  func(error) string // why something could not be judged

	// Compared is set when Items hold only what a baseline does not know; Gone
	// is what it knows and nobody finds any more.
	Compared bool
	Gone     []Known
	Since    string // what a comparison with the history was asked for; "" with a baseline

	Attack *attack.Map // what an attacker could use of everything, whether or not Items hold it; nil: no paths

	byRef     map[checks.Ref]*checks.Report
	translate func(string) string
}

// Formats are the formats of this package by name.
var Formats = map[string]func(*Document, io.Writer) error{
	"sarif":    (*Document).WriteSARIF,
	"markdown": (*Document).WriteMarkdown,
	"github":   (*Document).WriteGitHub,
	"html":     (*Document).WriteHTML,
}

// T returns format in the language of the document with args filled in.
func (d *Document) T(format string, args ...any) string {
	return checks.Msg(format, args...).In(d.in())
}

func (d *Document) in() func(string) string {
	if d.translate == nil {
		d.translate = assets.Translate(d.Language)
	}
	return d.translate
}

func (d *Document) message(f *checks.Finding) string { return f.Message.In(d.in()) }

// kind names a kind of subject.
func (d *Document) kind(k checks.Kind) string {
	switch k {
	case checks.Dockerfile:
		return d.T("Dockerfile")
	case checks.Compose:
		return d.T("Compose file")
	case checks.Image:
		return d.T("Image")
	case checks.Container:
		return d.T("Container")
	}
	return d.T("Host")
}

// errors returns why an item, or a part of it, could not be judged.
func (d *Document) errors(item *inventory.Item) []string {
	var out []string
	for _, err := range item.Report.Errors {
		out = append(out, terminal.Line(d.Explain(err)))
	}
	return out
}

// counts returns how many findings of each severity there are.
func (d *Document) counts() map[checks.Severity]int {
	n := map[checks.Severity]int{}
	for i := range d.Items {
		for _, f := range d.Items[i].Report.Findings {
			n[f.Severity]++
		}
	}
	return n
}

// headline sums a document up in a few words.
func (d *Document) headline() string {
	counts := d.counts()
	var parts []string
	for _, s := range checks.Severities {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], d.T(s.String())))
		}
	}
	switch {
	case len(parts) == 0 && d.Compared:
		return d.T("%d subjects checked, nothing new found.", len(d.Items))
	case len(parts) == 0:
		return d.T("%d subjects checked, nothing found.", len(d.Items))
	}
	clean := 0
	for _, item := range d.Items {
		if len(item.Report.Findings) == 0 && len(item.Report.Errors) == 0 {
			clean++
		}
	}
	return d.T("%d subjects checked, %d clean: %s.", len(d.Items), clean, strings.Join(parts, ", "))
}

// goneHeading says how many findings are gone, and since when.
func (d *Document) goneHeading() string {
	if d.Since != "" {
		return d.T("Fixed since %s: %d", clean(d.Since), len(d.Gone))
	}
	return d.T("%d findings of the baseline are no longer found", len(d.Gone))
}

// isFile reports whether a subject is a file.
func isFile(ref checks.Ref) bool {
	return ref.Kind == checks.Dockerfile || ref.Kind == checks.Compose
}

// place returns what identifies a subject wherever and whenever it is checked:
// the path of a file below root, with slashes, or a name.
func place(root string, ref checks.Ref) string {
	if !isFile(ref) {
		return ref.Name
	}
	rel, err := filepath.Rel(root, ref.ID)
	if err != nil || !filepath.IsLocal(rel) {
		return filepath.ToSlash(ref.ID)
	}
	return filepath.ToSlash(rel)
}

// source returns the text of a subject, nil when it has none.
func source(s checks.Subject) []byte {
	switch s := s.(type) {
	case *dockerfile.File:
		return s.Source
	case *compose.File:
		return s.Source
	}
	return nil
}
