package dockerfile

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var secretLiteral = check(checks.Check{
	ID:       "secret-literal-in-dockerfile",
	Title:    "Secret written into the Dockerfile",
	Severity: checks.Critical,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "OWASP Docker rule 12", "CWE-798"},
}, func(f *File, report func(checks.Finding)) {
	f.eachLiteral(func(l literal) {
		if l.inURL() {
			return // said by another check
		}
		finding := f.literalFinding(l, checks.Msg("line %d holds a secret (%s): change it where it was issued, it is in the history of the file", l.line, l.match.Rule))
		report(finding)
	})
})

// A literal is a secret that stands in the file.
type literal struct {
	match secret.Match
	line  int
	in    *Instruction // that it stands in; nil in comments
	id    string       // of the build secret it could become; "" when there are too many
}

// inURL reports whether l is a password in the address of something that a
// build step fetches.
func (l literal) inURL() bool {
	return l.match.Rule == "password-in-url" && l.in != nil && (l.in.Keyword == "RUN" || l.in.Keyword == "ADD")
}

// eachLiteral calls visit for every secret in the file.
func (f *File) eachLiteral(visit func(literal)) {
	source := string(f.Source)
	ids := map[string]string{} // by value
	line, at := 1, 0
	for _, m := range secret.Tokens(source) {
		line += strings.Count(source[at:m.Start], "\n")
		at = m.Start
		if m.Rule == "password-in-url" && defaultPassword(source, m) {
			continue
		}
		l := literal{match: m, line: line, in: f.instructionAt(m.Start)}
		if l.in != nil && len(ids) < 100 {
			l.id = ids[source[m.Start:m.End]]
			if l.id == "" {
				l.id = f.literalID(m.Rule, len(ids))
				ids[source[m.Start:m.End]] = l.id
			}
		}
		visit(l)
	}
}

// defaultPassword reports whether the password m of an address is the name of
// its user: a default or a filler, which nobody keeps secret.
func defaultPassword(source string, m secret.Match) bool {
	user := source[:m.Start-len(":")]
	user = user[strings.LastIndexByte(user, '/')+1:]
	return user == source[m.Start:m.End]
}

func (f *File) literalFinding(l literal, message checks.Message) checks.Finding {
	source := string(f.Source)
	finding := checks.Finding{
		Line: l.line, EndLine: l.line + strings.Count(source[l.match.Start:l.match.End], "\n"), Key: l.match.Rule,
		Message:  message,
		Evidence: []checks.Evidence{{Source: "line " + strconv.Itoa(l.line), Detail: maskedLine(source, l.match)}},
	}
	if l.id != "" {
		finding.Fixes = f.literalFix(l.in, l.match, l.id)
	}
	return finding
}

// maskedLine returns the line of m without any part of it.
func maskedLine(source string, m secret.Match) string {
	start := strings.LastIndexByte(source[:m.Start], '\n') + 1
	rest, _, _ := strings.Cut(source[m.End:], "\n")
	return strings.TrimSpace(secret.Redact(source[start:m.Start]) + secret.Mask + secret.Redact(rest))
}

func (f *File) instructionAt(offset int) *Instruction {
	i, found := slices.BinarySearchFunc(f.Instructions, offset, func(in *Instruction, offset int) int {
		switch {
		case in.End <= offset:
			return -1
		case in.Start > offset:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return f.Instructions[i]
}

// literalID returns the id of the build secret for the n-th different literal,
// which no variable of the file would get.
func (f *File) literalID(rule string, n int) string {
	id := strings.ReplaceAll(rule, "-", "_")
	if n > 0 {
		id += "_" + strconv.Itoa(n+1)
	}
	for _, in := range f.Instructions {
		if (in.Keyword == "ENV" || in.Keyword == "ARG") && f.declares(in, strings.ToUpper(id)) {
			return "literal_" + id
		}
	}
	return id
}

func (f *File) literalFix(in *Instruction, m secret.Match, id string) []checks.Fix {
	switch in.Keyword {
	case "ENV", "ARG":
		for _, p := range f.Pairs(in) {
			if p.ValueStart <= m.Start && m.End <= p.ValueEnd {
				return f.hideFix(p.Name)
			}
		}
	case "RUN":
		if in.Stage == nil || in.IsExec || in.open || len(in.Heredocs) > 0 || in.Stage.windows || !in.posix {
			return nil
		}
		quoted, ok := f.expandable(in, m)
		if !ok {
			return nil
		}
		text := "$(cat /run/secrets/" + id + ")"
		if !quoted {
			text = `"` + text + `"`
		}
		edits := f.mountSecret(in, id, "", true)
		if start, ok := f.userinfo(m.Start); ok {
			switch c := f.commandAt(in, m.Start); {
			case c == nil:
				return nil
			case c.program() == "git":
				more, ok := f.gitHelper(c, m, start, id)
				if !ok {
					return nil
				}
				return []checks.Fix{{
					ID: "build-secret", Title: checks.Msg("give the secret to this step as a build secret"),
					Caution: checks.Msg("the build needs --secret id=%s,src=FILE; and change the secret, it has been seen", id),
					Edit:    fixed(append(edits, more...)...),
				}}
			case !forgetsURLs(c.program()):
				return nil // it would write the address down, secret included
			}
		}
		edits = append(edits, checks.Edit{
			Start: m.Start, End: m.End, New: text, Reason: checks.Msg("read by this step only, and stored nowhere"),
			Moved: []checks.MovedSecret{{ID: id, Value: checks.Sensitive(f.Source[m.Start:m.End])}},
		})
		return []checks.Fix{{
			ID: "build-secret", Title: checks.Msg("give the secret to this step as a build secret"),
			Caution: checks.Msg("the build needs --secret id=%s,src=FILE; and change the secret, it has been seen", id),
			Edit:    fixed(edits...),
		}}
	}
	return nil
}

// expandable reports whether a substitution in place of m would be expanded by
// the shell of in, and whether it stands between double quotes.
func (f *File) expandable(in *Instruction, m secret.Match) (quoted, ok bool) {
	if tooDeep(in.Args.String) {
		return false, false
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(in.Args.String), "")
	if err != nil {
		return false, false
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case nil:
			return true
		case *syntax.SglQuoted:
			return false
		case *syntax.DblQuoted:
			for _, part := range n.Parts {
				if lit, isLit := part.(*syntax.Lit); isLit && f.covers(in, lit, m) {
					quoted, ok = true, true
				}
			}
		case *syntax.Lit:
			ok = ok || f.covers(in, n, m)
		}
		return true
	})
	return quoted, ok
}

func (f *File) covers(in *Instruction, lit *syntax.Lit, m secret.Match) bool {
	start, end := in.Args.Range(int(lit.Pos().Offset()), int(lit.End().Offset()))
	return start <= m.Start && m.End <= end
}
