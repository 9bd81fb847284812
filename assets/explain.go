package assets

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// An Explanation tells a reader everything about one check. Its text is
// Markdown: paragraphs, lists, emphasis, code and fenced blocks.
type Explanation struct {
	ID       string   // of the check
	Language Language // that it is written in
	Title    string
	Sections [6]Section // indexed by WhatHappens to References
	Markdown string     // all of it, as it stands in its file
}

// A Section is one chapter of an explanation.
type Section struct {
	Heading string // in the language of the explanation
	Text    string // Markdown, without surrounding blank lines
}

// The sections of an explanation, in order.
const (
	WhatHappens = iota
	WhyItMatters
	FixByHand
	WhatPlimsollDoes
	WhenItIsFine
	References
)

var headings = map[Language][6]string{
	English: {"What happens", "Why it matters", "Fix it by hand", "What plimsoll does", "When it is fine", "References"},
	German:  {"Was passiert", "Warum es zählt", "Von Hand beheben", "Was plimsoll tut", "Wann es in Ordnung ist", "Quellen"},
}

// Explain returns the explanation of a check in lang, else in English, and
// false when there is none.
func Explain(lang Language, checkID string) (Explanation, bool) {
	for _, l := range []Language{lang, English} {
		if data, err := files.ReadFile(path.Join("explain", string(l), checkID+".md")); err == nil {
			return parseExplanation(checkID, l, string(data)), true
		}
	}
	return Explanation{}, false
}

// Explained returns the ids of all checks that have an explanation, sorted.
func Explained() []string {
	names, err := fs.Glob(files, "explain/en/*.md")
	if err != nil {
		panic(err)
	}
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i] = strings.TrimSuffix(path.Base(name), ".md")
	}
	slices.Sort(ids) // "a-b.md" comes before "a.md"
	return ids
}

// parseExplanation splits text at its headings. Lines of fenced blocks are no
// headings, whatever they look like. Headings that do not belong to the form
// are text of the section they stand in; a test keeps them out.
func parseExplanation(id string, lang Language, text string) Explanation {
	e := Explanation{ID: id, Language: lang, Markdown: text}
	for i, h := range headings[lang] {
		e.Sections[i].Heading = h
	}
	current, fenced := -1, false
	var body [len(e.Sections)]strings.Builder
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			fenced = !fenced
		}
		if !fenced {
			if title, ok := strings.CutPrefix(trimmed, "# "); ok && e.Title == "" {
				e.Title = title
				continue
			}
			if next := e.section(trimmed); next >= 0 {
				current = next
				continue
			}
		}
		if current >= 0 {
			body[current].WriteString(line)
		}
	}
	for i := range body {
		e.Sections[i].Text = strings.Trim(body[i].String(), "\r\n")
	}
	return e
}

// section returns the index of the section that line is the heading of, or -1.
func (e *Explanation) section(line string) int {
	heading, ok := strings.CutPrefix(line, "## ")
	if !ok {
		return -1
	}
	for i, s := range e.Sections {
		if s.Heading == heading {
			return i
		}
	}
	return -1
}
