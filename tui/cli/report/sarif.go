package report

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/secret"
)

// The part of SARIF 2.1.0 that is used, in the names of the standard.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool                `json:"tool"`
		Language    string                   `json:"language"`
		ColumnKind  string                   `json:"columnKind"`
		BaseIDs     map[string]sarifArtifact `json:"originalUriBaseIds"`
		Invocations []sarifInvocation        `json:"invocations"`
		Results     []sarifResult            `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string        `json:"id"`
		Short      sarifMessage  `json:"shortDescription"`
		Full       sarifMessage  `json:"fullDescription"`
		Help       *sarifMessage `json:"help,omitempty"`
		Default    sarifDefault  `json:"defaultConfiguration"`
		Properties sarifTraits   `json:"properties"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifTraits struct {
		Tags     []string `json:"tags"`
		Severity string   `json:"security-severity,omitempty"`
		Refs     []string `json:"references,omitempty"`
	}
	sarifMessage struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifMessage    `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifResult struct {
		Rule         string             `json:"ruleId"`
		Index        int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Baseline     string             `json:"baselineState,omitempty"`
		Flows        []sarifFlow        `json:"codeFlows,omitempty"`
		Fixes        []sarifFix         `json:"fixes,omitempty"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   sarifEvidence      `json:"properties"`
	}
	sarifEvidence struct {
		Severity checks.Severity `json:"severity"`
		Chapter  checks.Chapter  `json:"chapter"`
		Evidence []string        `json:"evidence"`
	}
	sarifFlow struct {
		Threads []sarifThread `json:"threadFlows"`
	}
	sarifThread struct {
		Locations []sarifFlowLocation `json:"locations"`
	}
	sarifFlowLocation struct {
		Location sarifLocation `json:"location"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
		Message  *sarifMessage  `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI         string        `json:"uri,omitempty"`
		BaseID      string        `json:"uriBaseId,omitempty"`
		Description *sarifMessage `json:"description,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
	sarifLogical struct {
		Name     string `json:"name"`
		FullName string `json:"fullyQualifiedName"`
		Kind     string `json:"kind"`
	}
	sarifFix struct {
		Description sarifMessage  `json:"description"`
		Changes     []sarifChange `json:"artifactChanges"`
	}
	sarifChange struct {
		Artifact     sarifArtifact      `json:"artifactLocation"`
		Replacements []sarifReplacement `json:"replacements"`
	}
	sarifReplacement struct {
		Deleted  sarifRegion `json:"deletedRegion"`
		Inserted sarifText   `json:"insertedContent"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifSuppression struct {
		Kind          string             `json:"kind"`
		Status        string             `json:"status"`
		Justification string             `json:"justification,omitempty"`
		Properties    *sarifSuppressedBy `json:"properties,omitempty"`
	}
	sarifSuppressedBy struct {
		By    string `json:"by"`
		Until string `json:"until,omitempty"`
	}
)

// sourceRoot is what paths are relative to. Where that is on the machine that
// wrote a log is nobody's business.
const sourceRoot = "%SRCROOT%"

// WriteSARIF writes a SARIF 2.1.0 log of one run.
func (d *Document) WriteSARIF(w io.Writer) error {
	run := sarifRun{
		Language: string(d.Language), ColumnKind: "unicodeCodePoints",
		BaseIDs:     map[string]sarifArtifact{sourceRoot: {Description: &sarifMessage{Text: d.T("The root of the project")}}},
		Invocations: []sarifInvocation{{Successful: true}},
		Results:     []sarifResult{},
	}
	rules := sarifRules{d: d, index: map[string]int{}, list: []sarifRule{}}
	for i := range d.Items {
		item := &d.Items[i]
		for _, err := range d.errors(item) {
			run.Invocations[0].Successful = run.Invocations[0].Successful && item.Subject != nil
			run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{
				Level: "error", Message: sarifMessage{Text: err}, Locations: d.sarifLocations(item.Ref, 0, 0),
			})
		}
		t := newText(source(item.Subject))
		for j := range item.Report.Findings {
			run.Results = append(run.Results, d.sarifResult(item, &item.Report.Findings[j], t, &rules))
		}
		for j := range item.Report.Suppressed {
			s := &item.Report.Suppressed[j]
			result := d.sarifResult(item, &s.Finding, t, &rules)
			result.Suppressions = []sarifSuppression{suppression(s.Suppression)}
			run.Results = append(run.Results, result)
		}
	}
	run.Results = append(run.Results, d.sarifPaths(&rules)...)
	run.Tool.Driver = sarifDriver{Name: "plimsoll", Version: d.Version, Rules: rules.list}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

// sarifRules are the rules that results name, each once.
type sarifRules struct {
	d     *Document
	index map[string]int
	list  []sarifRule
}

func (r *sarifRules) of(c *checks.Check) int {
	if i, ok := r.index[c.ID]; ok {
		return i
	}
	rule := sarifRule{
		ID: c.ID, Short: sarifMessage{Text: r.d.T(c.Title)}, Full: sarifMessage{Text: r.d.T(c.Title)},
		Default:    sarifDefault{level(c.Severity)},
		Properties: sarifTraits{Tags: []string{r.d.T(c.Chapter.Title())}, Refs: c.Refs},
	}
	if c.Chapter != checks.Hygiene {
		rule.Properties.Tags = append(rule.Properties.Tags, "security")
		rule.Properties.Severity = securitySeverity[c.Severity]
	}
	if e, ok := assets.Explain(r.d.Language, c.ID); ok {
		first, _, _ := strings.Cut(e.Sections[assets.WhatHappens].Text, "\n\n")
		rule.Full.Text = strings.Join(strings.Fields(strings.NewReplacer("`", "", "*", "").Replace(first)), " ")
		rule.Help = &sarifMessage{Text: e.Markdown, Markdown: e.Markdown}
	}
	r.index[c.ID] = len(r.list)
	r.list = append(r.list, rule)
	return r.index[c.ID]
}

func level(s checks.Severity) string {
	switch s {
	case checks.Critical, checks.High:
		return "error"
	case checks.Medium:
		return "warning"
	}
	return "note"
}

// securitySeverity is a number from 0 to 10 that code hosts sort by: from 9
// critical, from 7 high, from 4 medium.
var securitySeverity = map[checks.Severity]string{checks.Critical: "9.5", checks.High: "8.0", checks.Medium: "5.5", checks.Low: "3.0"}

func (d *Document) sarifResult(item *inventory.Item, f *checks.Finding, t *text, rules *sarifRules) sarifResult {
	result := sarifResult{
		Rule: f.Check.ID, Index: rules.of(f.Check), Level: level(f.Severity),
		Message:      sarifMessage{Text: d.message(f)},
		Locations:    d.sarifLocations(f.Subject, f.Line, f.EndLine),
		Fingerprints: map[string]string{"plimsoll/v1": Fingerprint(d.Root, f)},
		Properties:   sarifEvidence{Severity: f.Severity, Chapter: f.Check.Chapter, Evidence: []string{}},
	}
	if h := t.hash(f.Line); h != "" {
		result.Fingerprints["plimsollLine/v1"] = h
	}
	if d.Compared {
		result.Baseline = "new"
	}
	for _, e := range f.Evidence {
		result.Properties.Evidence = append(result.Properties.Evidence, e.String())
	}
	if item.Ref.Kind == checks.Dockerfile {
		result.Fixes = d.sarifFixes(f, t)
	}
	return result
}

func (d *Document) sarifLocations(ref checks.Ref, line, endLine int) []sarifLocation {
	if !isFile(ref) {
		name := clean(ref.Name)
		return []sarifLocation{{Logical: []sarifLogical{{Name: name, FullName: string(ref.Kind) + "/" + name, Kind: "resource"}}}}
	}
	p := &sarifPhysical{Artifact: d.sarifArtifact(ref)}
	if line > 0 {
		p.Region = &sarifRegion{StartLine: line, EndLine: max(line, endLine)}
	}
	return []sarifLocation{{Physical: p}}
}

// sarifArtifact names a file below the root relative to it, others absolutely.
func (d *Document) sarifArtifact(ref checks.Ref) sarifArtifact {
	p := place(d.Root, ref)
	if !filepath.IsLocal(filepath.FromSlash(p)) {
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(p, "/")}).String()}
	}
	return sarifArtifact{URI: (&url.URL{Path: p}).String(), BaseID: sourceRoot}
}

// sarifFixes returns the mechanical fixes of f that change its own file only.
// None tells a secret.
func (d *Document) sarifFixes(f *checks.Finding, t *text) []sarifFix {
	var out []sarifFix
	for _, fix := range f.Fixes {
		if !fix.Safe || fix.Edit == nil {
			continue
		}
		values := checks.Values{}
		for _, c := range fix.Choices {
			values[c.Key] = c.Default
		}
		edits, err := fix.Edit(values)
		if err != nil || len(edits) == 0 {
			continue
		}
		change := sarifChange{Artifact: d.sarifArtifact(f.Subject)}
		for _, e := range edits {
			if e.Path != "" || len(e.Moved) > 0 || e.Start < 0 || e.End < e.Start || e.End > len(t.source) || secret.Redact(e.New) != e.New {
				change.Replacements = nil
				break
			}
			var region sarifRegion
			region.StartLine, region.StartColumn = t.position(e.Start)
			region.EndLine, region.EndColumn = t.position(e.End)
			change.Replacements = append(change.Replacements, sarifReplacement{region, sarifText{e.New}})
		}
		if change.Replacements != nil {
			out = append(out, sarifFix{sarifMessage{Text: fix.Title.Clean().In(d.in())}, []sarifChange{change}})
		}
	}
	return out
}

func suppression(s checks.Suppression) sarifSuppression {
	out := sarifSuppression{Kind: "external", Status: "accepted", Justification: s.Reason, Properties: &sarifSuppressedBy{By: s.Source}}
	if s.InSubject() {
		out.Kind = "inSource"
	}
	if !s.Until.IsZero() {
		out.Properties.Until = s.Until.Format("2006-01-02")
	}
	return out
}
