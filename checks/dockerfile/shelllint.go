package dockerfile

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"plimsoll/checks"
)

var shellScriptLint = check(checks.Check{
	ID:       "shell-script-lint",
	Title:    "Mistake in a shell script",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"ShellCheck SC2155", "ShellCheck SC2115", "ShellCheck SC2069", "ShellCheck SC3010", "ShellCheck SC2086"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		for _, m := range f.script(in).mistakes {
			message, wrong := m.message(f.plainSh(in))
			if !wrong || m.variable != "" && f.isSet(in, m.variable) {
				continue
			}
			finding := f.finding(in, in.Stage.label()+"/"+m.kind+"/"+m.what, message)
			if m.start >= 0 {
				finding = f.findingAt(in, m.start, m.end, in.Stage.label()+"/"+m.kind+"/"+m.what, message)
			}
			report(finding)
		}
	})
})

// isSet reports whether the variable name certainly has a plain value in in.
func (f *File) isSet(in *Instruction, name string) bool {
	for _, a := range f.script(in).assigns {
		if a.name == name {
			return true
		}
	}
	value := f.variablesAt(in)[name]
	return value != "" && !strings.ContainsAny(value, " \t*?")
}

// A mistake is something in a script that does not do what it looks like.
type mistake struct {
	kind, what string
	variable   string // only wrong if this is empty
	start, end int
}

// message says what is wrong. Some mistakes are wrong in dash only.
func (m mistake) message(dash bool) (checks.Message, bool) {
	switch m.kind {
	case "lost-export":
		return checks.Msg("export %s ends with this step: the next one and the container do not see it, ENV is what stays", m.what), true
	case "masked-status":
		return checks.Msg("export %s=$(…) succeeds when the command in it fails: assign first, export then", m.what), true
	case "remove-root":
		return checks.Msg("rm deletes from the root directory if %s is empty: write ${%s:?}", m.what, m.what), true
	case "redirect-order":
		return checks.Msg("2>&1 before %s still prints errors: the order has to be %s 2>&1", m.what, m.what), true
	case "unquoted-test":
		return checks.Msg("[ fails with a syntax error if %s is empty or has a space: write \"%s\"", m.what, m.what), true
	case "bashism":
		return checks.Msg("%s is bash, but this step is run by sh, which is dash here", m.what), dash
	}
	return checks.Message{}, false
}

// plainSh reports whether in is certainly run by dash: sh of Debian or Ubuntu.
func (f *File) plainSh(in *Instruction) bool {
	if in.IsExec || len(in.Heredocs) > 0 || f.shellAt(in) != "" || !in.Stage.Root().Certain || !debianFamily(in.Stage.Root().Image) {
		return false
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Line <= in.Line && other.Keyword == "RUN" && f.mentions(other, "/bin/sh", "dash") {
				return false
			}
		}
	}
	return true
}

// lint looks for mistakes in one node of a script.
func (w *walker) lint(n syntax.Node) {
	add := func(kind, what string, from, to syntax.Pos) {
		if kind == "bashism" && w.nested {
			return // perhaps inside of bash -c
		}
		m := mistake{kind: kind, what: what}
		if kind == "remove-root" || kind == "unquoted-test" {
			m.variable = strings.TrimPrefix(what, "$")
		}
		m.start, m.end = w.text.Range(int(from.Offset()), int(to.Offset()))
		w.script.mistakes = append(w.script.mistakes, m)
	}
	switch n := n.(type) {
	case *syntax.File:
		if w.nested || len(n.Stmts) == 0 {
			return
		}
		if d, name := lostExport(n.Stmts[len(n.Stmts)-1]); d != nil {
			add("lost-export", name, d.Pos(), d.End())
		}
	case *syntax.DeclClause:
		for _, a := range n.Args {
			if n.Variant.Value == "export" && a.Name != nil && !a.Naked && isSubstitution(a.Value) {
				add("masked-status", a.Name.Value, n.Pos(), a.Name.End())
			}
		}
	case *syntax.TestClause:
		add("bashism", "[[", n.Pos(), n.X.End())
	case *syntax.FuncDecl:
		if n.RsrvWord {
			add("bashism", "function "+n.Name.Value, n.Pos(), n.Name.End())
		}
	case *syntax.Stmt:
		w.lintRedirects(n, add)
		if c, ok := n.Cmd.(*syntax.CallExpr); ok && len(c.Args) > 0 {
			lintCall(c, add)
		}
	}
}

func (w *walker) lintRedirects(st *syntax.Stmt, add func(string, string, syntax.Pos, syntax.Pos)) {
	for i, r := range st.Redirs {
		if i+1 < len(st.Redirs) && r.Op == syntax.DplOut && r.N != nil && r.N.Value == "2" && r.Word.Lit() == "1" {
			next := st.Redirs[i+1]
			if next.Op == syntax.RdrOut && (next.N == nil || next.N.Value == "1") && next.Word.Lit() == "/dev/null" && !w.pipesOn() {
				add("redirect-order", ">/dev/null", r.Pos(), next.End())
			}
		}
	}
}

// pipesOn reports whether the statement being visited is a part of a pipe.
func (w *walker) pipesOn() bool {
	if len(w.stack) == 0 {
		return false
	}
	b, ok := w.stack[len(w.stack)-1].(*syntax.BinaryCmd)
	return ok && isPipe(b)
}

func lintCall(c *syntax.CallExpr, add func(string, string, syntax.Pos, syntax.Pos)) {
	switch c.Args[0].Lit() {
	case "source":
		add("bashism", "source", c.Args[0].Pos(), c.Args[0].End())
	case "rm":
		recursive := false
		for _, a := range c.Args[1:] {
			if lit := a.Lit(); strings.HasPrefix(lit, "-") {
				recursive = recursive || strings.ContainsAny(lit, "rR")
				continue
			}
			if name := rootIfEmpty(a); recursive && name != "" {
				add("remove-root", name, a.Pos(), a.End())
			}
		}
	case "[":
		for i := 2; i+1 < len(c.Args); i++ {
			switch c.Args[i].Lit() {
			case "=", "==", "!=":
				if c.Args[i].Lit() == "==" {
					add("bashism", "== in [", c.Args[i].Pos(), c.Args[i].End())
				}
				if name := bareVariable(c.Args[i-1]); name != "" {
					add("unquoted-test", "$"+name, c.Args[i-1].Pos(), c.Args[i-1].End())
				}
			}
		}
	}
}

// lostExport returns the export that ends a script, and what it sets.
func lostExport(st *syntax.Stmt) (*syntax.DeclClause, string) {
	for {
		b, ok := st.Cmd.(*syntax.BinaryCmd)
		if !ok || b.Op != syntax.AndStmt {
			break
		}
		st = b.Y
	}
	d, ok := st.Cmd.(*syntax.DeclClause)
	if !ok || d.Variant.Value != "export" {
		return nil, ""
	}
	for _, a := range d.Args {
		if a.Name != nil && !a.Naked {
			return d, a.Name.Value
		}
	}
	return nil, ""
}

// isSubstitution reports whether w is one $(…) that may fail, quoted or not.
func isSubstitution(w *syntax.Word) bool {
	if w == nil || len(w.Parts) != 1 {
		return false
	}
	parts := w.Parts
	if q, ok := parts[0].(*syntax.DblQuoted); ok {
		parts = q.Parts
	}
	if len(parts) != 1 {
		return false
	}
	c, ok := parts[0].(*syntax.CmdSubst)
	if !ok || len(c.Stmts) != 1 {
		return ok
	}
	call, ok := c.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return true
	}
	secret := len(call.Args) == 2 && strings.HasPrefix(call.Args[1].Lit(), "/run/secrets/")
	return !secret && !cannotFail(call.Args[0].Lit())
}

// cannotFail reports whether the program name fails only on a broken system.
func cannotFail(name string) bool {
	switch name {
	case "mktemp", "uname", "nproc", "pwd", "date", "arch", "dirname", "basename", "echo", "printf", "hostname", "whoami", "id":
		return true
	}
	return false
}

// rootIfEmpty returns the variable of $VAR/* and its like: what is left of the
// word without its value is / or /*.
func rootIfEmpty(w *syntax.Word) string {
	name, rest := "", ""
	for _, part := range flat(w.Parts) {
		switch part := part.(type) {
		case *syntax.ParamExp:
			if name != "" || !plainParam(part) {
				return ""
			}
			name = part.Param.Value
		case *syntax.Lit:
			if name == "" {
				return ""
			}
			rest += part.Value
		default:
			return ""
		}
	}
	if rest == "/" || rest == "/*" {
		return name
	}
	return ""
}

func flat(parts []syntax.WordPart) []syntax.WordPart {
	var out []syntax.WordPart
	for _, p := range parts {
		if q, ok := p.(*syntax.DblQuoted); ok {
			out = append(out, q.Parts...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// bareVariable returns the name of a word that is one unquoted variable.
func bareVariable(w *syntax.Word) string {
	if len(w.Parts) != 1 {
		return ""
	}
	if p, ok := w.Parts[0].(*syntax.ParamExp); ok && plainParam(p) && syntax.ValidName(p.Param.Value) {
		return p.Param.Value
	}
	return ""
}

func plainParam(p *syntax.ParamExp) bool {
	return !p.Excl && !p.Length && !p.Width && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Exp == nil
}
