package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"sync"

	"github.com/yuin/goldmark"

	"plimsoll/assets"
	"plimsoll/checks"
)

//go:embed report.html
var page string

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Parse(page))
})

// What the template shows. Its text is escaped there, but for explanations,
// which are plimsoll's own.
type (
	htmlPage struct {
		Language     string
		Version      string
		Title        string
		Headline     string
		Counts       []htmlCount
		Subjects     []htmlSubject
		Clean        []htmlName
		Explanations []htmlExplanation
		Gone         []Known
		Paths        []htmlPath
		MorePaths    string

		Words struct{ Paths, Or, NotJudged, Fixable, Gone, Clean, CleanCount, Meaning string }
	}
	htmlCount struct {
		Severity, Word string
		N              int
	}
	htmlName    struct{ Kind, Name string }
	htmlSubject struct {
		Kind, Name string
		Errors     []string
		Findings   []htmlFinding
		Suppressed []htmlFinding
		Accepted   string // heading of Suppressed
	}
	htmlFinding struct {
		Severity, Word       string
		Check, Lines         string
		Message, Why         string
		Evidence             []string
		Fixable, Explainable bool
	}
	htmlExplanation struct {
		ID, Title string
		Body      template.HTML
	}
)

// WriteHTML writes one page that needs nothing else.
func (d *Document) WriteHTML(w io.Writer) error {
	p := htmlPage{Language: string(d.Language), Version: d.Version, Title: d.T("plimsoll report"), Headline: d.headline(), Gone: d.Gone}
	p.Paths, p.MorePaths = d.htmlPaths()
	p.Words.Paths, p.Words.Or = d.T("Attack paths"), d.T("or")
	counts := d.counts()
	for _, s := range checks.Severities {
		p.Counts = append(p.Counts, htmlCount{s.String(), d.T(s.String()), counts[s]})
	}
	var explained []string
	seen := map[string]bool{}
	for i := range d.Items {
		item := &d.Items[i]
		subject := htmlSubject{Kind: d.kind(item.Ref.Kind), Name: clean(item.Ref.Name), Errors: d.errors(item)}
		show := func(f *checks.Finding) htmlFinding {
			h := htmlFinding{
				Severity: f.Severity.String(), Word: d.T(f.Severity.String()), Check: f.Check.ID, Lines: lineRange(f),
				Message: d.message(f), Fixable: f.Fixable(),
			}
			for _, e := range f.Evidence {
				h.Evidence = append(h.Evidence, e.String())
			}
			if _, h.Explainable = assets.Explain(d.Language, f.Check.ID); h.Explainable && !seen[f.Check.ID] {
				seen[f.Check.ID] = true
				explained = append(explained, f.Check.ID)
			}
			return h
		}
		for j := range item.Report.Findings {
			subject.Findings = append(subject.Findings, show(&item.Report.Findings[j]))
		}
		for j := range item.Report.Suppressed {
			s := &item.Report.Suppressed[j]
			h := show(&s.Finding)
			h.Why = d.why(s.Suppression)
			subject.Suppressed = append(subject.Suppressed, h)
		}
		subject.Accepted = d.T("Suppressed: %d", len(subject.Suppressed))
		if len(subject.Errors)+len(subject.Findings)+len(subject.Suppressed) == 0 {
			p.Clean = append(p.Clean, htmlName{subject.Kind, subject.Name})
			continue
		}
		p.Subjects = append(p.Subjects, subject)
	}
	p.Words.NotJudged, p.Words.Fixable, p.Words.Gone = d.T("not judged"), d.T("fixable"), d.T("No longer found")
	p.Words.Clean, p.Words.CleanCount, p.Words.Meaning = d.T("Clean"), d.T("%d subjects without findings", len(p.Clean)), d.T("What the checks mean")
	for _, id := range explained {
		e, err := d.explanation(id)
		if err != nil {
			return err
		}
		p.Explanations = append(p.Explanations, e)
	}
	return pageTemplate().Execute(w, p)
}

// explanation renders what the assets say about a check. Raw HTML in it is
// left out by the renderer.
func (d *Document) explanation(id string) (htmlExplanation, error) {
	e, _ := assets.Explain(d.Language, id)
	var b bytes.Buffer
	for _, s := range e.Sections {
		if s.Text == "" {
			continue
		}
		if err := goldmark.Convert([]byte("### "+s.Heading+"\n\n"+s.Text+"\n"), &b); err != nil {
			return htmlExplanation{}, err
		}
	}
	return htmlExplanation{id, e.Title, template.HTML(b.String())}, nil
}
