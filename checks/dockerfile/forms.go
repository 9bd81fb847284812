package dockerfile

import (
	"bytes"
	"strings"

	"plimsoll/checks"
)

var keywordCaseMixed = check(checks.Check{
	ID:       "keyword-case-mixed",
	Title:    "Keywords in mixed case",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit FromAsCasing", "BuildKit ConsistentInstructionCasing"},
}, func(f *File, report func(checks.Finding)) {
	lower := f.lower
	reason := checks.Msg("as the other keywords of the file")
	for _, in := range f.Instructions {
		written := f.written(in)
		if written == "" || !isKeyword(in.Keyword) || in.trigger {
			continue
		}
		right := spelled(in.Keyword, lower)
		wrong := ""
		var edits []checks.Edit
		if written != right {
			wrong = written
			edits = append(edits, checks.Edit{Start: in.Start, End: in.Start + len(right), New: right, Reason: reason})
		}
		if as, ok := asOf(in); ok && as.Text != spelled("AS", lower) {
			if wrong == "" {
				wrong = as.Text
			}
			edits = append(edits, checks.Edit{Start: as.Start, End: as.End, New: spelled("AS", lower), Reason: reason})
		}
		if wrong == "" {
			continue
		}
		// What becomes another instruction anyway is spelled right there.
		switch {
		case in.Keyword == "ADD" && in.couldBeCopy():
			edits = []checks.Edit{f.copyEdit(in)}
		case in.Keyword == "MAINTAINER":
			edits = f.authorEdits(in)
		}
		finding := f.finding(in, in.Keyword, checks.Msg("%s is written in capitals, most keywords of the file are not", wrong))
		if !lower {
			finding.Message = checks.Msg("%s is not written in capitals, most keywords of the file are", wrong)
		}
		if len(edits) > 0 {
			finding.Fixes = []checks.Fix{{ID: "keyword-case", Title: checks.Msg("write all keywords alike"), Safe: true, Edit: fixed(edits...)}}
		}
		report(finding)
	}
})

// written returns the keyword of in as it stands in the source, "" where it is
// broken over lines.
func (f *File) written(in *Instruction) string {
	end := in.Start + len(in.Keyword)
	if end > len(f.Source) || !strings.EqualFold(string(f.Source[in.Start:end]), in.Keyword) {
		return ""
	}
	return string(f.Source[in.Start:end])
}

// lowerKeywords reports whether most keywords of the file are in lower case.
func (f *File) lowerKeywords() bool {
	lower, upper := 0, 0
	for _, in := range f.Instructions {
		switch f.written(in) {
		case "":
		case in.Keyword:
			upper++
		case strings.ToLower(in.Keyword):
			lower++
		}
	}
	return lower > upper
}

// keyword returns word, which is in capitals, as the file spells keywords.
func (f *File) keyword(word string) string { return spelled(word, f.lower) }

func spelled(word string, lower bool) string {
	if lower {
		return strings.ToLower(word)
	}
	return word
}

// asOf returns the AS of a FROM.
func asOf(in *Instruction) (Word, bool) {
	if in.Keyword != "FROM" {
		return Word{}, false
	}
	words := in.Words()
	if len(words) != 3 || !strings.EqualFold(words[1].Text, "as") {
		return Word{}, false
	}
	return words[1], true
}

// isKeyword reports whether word, in capitals, begins an instruction.
func isKeyword(word string) bool {
	switch word {
	case "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
		"MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR":
		return true
	}
	return false
}

var continuationLineEmpty = check(checks.Check{
	ID:       "continuation-line-empty",
	Title:    "Blank line inside an instruction",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit NoEmptyContinuation"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.EndLine == in.Line {
			continue
		}
		end := in.End
		if len(in.Heredocs) > 0 {
			end = in.Heredocs[0].Start
		}
		edits := f.blankLines(in.Start, end)
		if len(edits) == 0 {
			continue
		}
		line := f.lineOf(in, edits[0].Start)
		finding := f.finding(in, in.Keyword, checks.Msg("%s goes on after a blank line, which will be an error one day", in.Keyword))
		finding.Line, finding.EndLine = line, line
		if !in.open {
			finding.Fixes = []checks.Fix{{ID: "blank-lines", Title: checks.Msg("delete the blank lines"), Safe: true, Edit: fixed(edits...)}}
		}
		report(finding)
	}
})

// blankLines returns the edits that delete the blank lines between two bytes
// of the source.
func (f *File) blankLines(start, end int) []checks.Edit {
	var edits []checks.Edit
	for at := start; at < end; {
		i := bytes.IndexByte(f.Source[at:end], '\n')
		if i < 0 {
			break
		}
		next := at + i + 1
		if at > start && len(bytes.TrimSpace(f.Source[at:next])) == 0 {
			if n := len(edits); n > 0 && edits[n-1].End == at {
				edits[n-1].End = next
			} else {
				edits = append(edits, checks.Edit{Start: at, End: next, Reason: checks.Msg("a blank line looks like the end of the instruction")})
			}
		}
		at = next
	}
	return edits
}

var maintainerDeprecated = check(checks.Check{
	ID:       "maintainer-deprecated",
	Title:    "MAINTAINER instead of a label",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL4000", "BuildKit MaintainerDeprecated", "trivy DS-0022", "checkov CKV_DOCKER_6"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "MAINTAINER" {
			continue
		}
		finding := f.finding(in, in.Args.String, checks.Msg("MAINTAINER has been replaced by the label %s", authors))
		if in.Stage != nil && !in.open {
			finding.Fixes = []checks.Fix{{ID: "authors-label", Title: checks.Msg("write it as a label"), Safe: true, Edit: fixed(f.authorEdits(in)...)}}
		}
		report(finding)
	}
})

// authors is the label that names who is responsible for an image.
const authors = "org.opencontainers.image.authors"

// authorEdits turns a MAINTAINER into a label. One that a later MAINTAINER or a
// label of the stage overrides goes.
func (f *File) authorEdits(in *Instruction) []checks.Edit {
	if in.Stage == nil || in.open {
		return nil
	}
	reason := checks.Msg("the label is what tools read")
	later := false
	for _, other := range in.Stage.Instructions {
		later = later || other == in
		if other.Keyword == "MAINTAINER" && later && other != in || other.Keyword == "LABEL" && f.declares(other, authors) {
			return []checks.Edit{f.remove(in, checks.Msg("overridden by another line"))}
		}
	}
	name := in.Args.String
	if n := len(name); n > 1 && (name[0] == '"' || name[0] == '\'') && name[n-1] == name[0] {
		name = name[1 : n-1]
	}
	_, end := in.Args.Range(0, len(in.Args.String))
	escape := string(f.Escape)
	quoted := strings.NewReplacer(escape, escape+escape, `"`, escape+`"`, "$", escape+"$").Replace(name)
	return []checks.Edit{{Start: in.Start, End: end, New: f.keyword("LABEL") + " " + authors + `="` + quoted + `"`, Reason: reason}}
}

var legacyKeyValue = check(checks.Check{
	ID:       "legacy-key-value",
	Title:    "Name and value without =",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"BuildKit LegacyKeyValueFormat"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		switch in.Keyword {
		case "ENV", "LABEL":
			pairs := f.Pairs(in)
			if len(pairs) != 1 || !legacy(in) {
				continue
			}
			p := pairs[0]
			finding := f.finding(in, p.Name, checks.Msg("%s %s stands before its value without =, a form kept for old files", in.Keyword, p.Name))
			if edits := f.assignment(in); len(edits) > 0 {
				finding.Fixes = []checks.Fix{{ID: "equals-sign", Title: checks.Msg("write it with ="), Safe: true, Edit: fixed(edits...)}}
			}
			report(finding)
		case "ARG":
			words := in.Words()
			if !f.valueAsName(in) {
				continue
			}
			finding := f.finding(in, words[0].Text, checks.Msg("ARG %s gets no value this way: %s is declared as a second variable", words[0].Text, words[1].Text))
			finding.Fixes = []checks.Fix{{
				ID: "equals-sign", Title: checks.Msg("write it with ="), Caution: checks.Msg("%s gets a default, which it has not had so far", words[0].Text),
				Edit: fixed(checks.Edit{Start: words[0].End, End: words[1].Start, New: "=", Reason: checks.Msg("the second word is meant as the value")}),
			}}
			report(finding)
		}
	}
})

// valueAsName reports whether in is an ARG whose second word is meant as the
// value of the first, and declared as a variable instead.
func (f *File) valueAsName(in *Instruction) bool {
	words := in.Words()
	return in.Keyword == "ARG" && len(words) == 2 && !strings.ContainsAny(in.Args.String, "=\"'") && !f.knows(in, words[1].Text)
}

// knows reports whether name could be a variable that somebody means: it is
// mentioned again outside of in, or is one that BuildKit sets.
func (f *File) knows(in *Instruction, name string) bool {
	if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == "" && (name[0] < '0' || name[0] > '9') {
		return true
	}
	return bytes.Contains(f.Source[:in.Start], []byte(name)) || bytes.Contains(f.Source[in.End:], []byte(name))
}

// legacy reports whether an ENV or LABEL is written in the old form.
func legacy(in *Instruction) bool {
	words := quotedWords(in.Args.String, 0)
	return len(words) > 1 && !strings.Contains(in.Args.String[words[0][0]:words[0][1]], "=")
}

// assignment returns the edits that put a pair of the old form into the new
// one, with exactly the same value.
func (f *File) assignment(in *Instruction) []checks.Edit {
	s := in.Args.String
	name := strings.IndexAny(s, "\t\v\f\r ")
	value := name + len(s[name:]) - len(strings.TrimLeft(s[name:], "\t\v\f\r "))
	if in.open || name < 0 || value >= len(s) {
		return nil
	}
	start, end := in.Args.Offset(name), in.Args.Offset(value)
	if between := f.Source[start:end]; bytes.ContainsRune(between, '#') {
		return nil // a comment would be lost
	}
	reason := checks.Msg("the form that takes several variables and needs no guessing")
	written := s[value:]
	if len(quotedWords(written, f.Escape)) == 1 {
		return []checks.Edit{{Start: start, End: end, New: "=", Reason: reason}}
	}
	if strings.ContainsAny(written, `"'`) || strings.IndexByte(written, f.Escape) >= 0 {
		return nil // quotes mean something else between quotes
	}
	_, last := in.Args.Range(0, len(s))
	return []checks.Edit{
		{Start: start, End: end, New: `="`, Reason: reason},
		{Start: last, End: last, New: `"`, Reason: reason},
	}
}
