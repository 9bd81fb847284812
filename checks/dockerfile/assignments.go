package dockerfile

import "mvdan.cc/sh/v3/syntax"

// assign adds the assignments of one statement, of which program gets them; it
// is the first word when keyword is empty.
func (w *walker) assign(st *syntax.Stmt, assigns []*syntax.Assign, words []*syntax.Word, keyword string) {
	start, end := w.text.Range(int(st.Pos().Offset()), endOf(st.Cmd, w.text))
	for i, a := range assigns {
		if a.Name == nil || a.Naked || a.Index != nil || a.Array != nil {
			continue
		}
		out := assignment{name: a.Name.Value, command: keyword, next: -1, stmtStart: start, stmtEnd: end, nested: w.nested}
		out.start, out.end = w.text.Range(int(a.Pos().Offset()), endOf(a, w.text))
		if a.Value != nil {
			out.value = shellWordOf(a.Value, w.text)
		} else {
			out.value = shellWord{literal: true, start: out.end, end: out.end}
		}
		switch {
		case i+1 < len(assigns):
			out.next = w.text.Offset(int(assigns[i+1].Pos().Offset()))
		case len(words) > 0:
			out.next = w.text.Offset(int(words[0].Pos().Offset()))
		}
		if keyword == "" && len(words) > 0 {
			out.command = words[0].Lit()
			if out.command == "" {
				out.command = "?"
			}
		}
		out.alone = len(assigns) == 1 && len(words) == 0
		w.script.assigns = append(w.script.assigns, out)
	}
}

// isChain reports whether file is commands and pipes joined by && and nothing
// else.
func isChain(file *syntax.File) bool {
	if len(file.Stmts) != 1 || len(file.Last) > 0 {
		return false
	}
	var plain func(*syntax.Stmt) bool
	plain = func(st *syntax.Stmt) bool {
		if st.Negated || st.Background || st.Coprocess || st.Disown || len(st.Comments) > 0 || st.Semicolon.IsValid() {
			return false
		}
		switch c := st.Cmd.(type) {
		case *syntax.BinaryCmd:
			return (c.Op == syntax.AndStmt || isPipe(c)) && plain(c.X) && plain(c.Y)
		case *syntax.CallExpr:
			for _, r := range st.Redirs {
				if r.Hdoc != nil {
					return false
				}
			}
			return len(c.Args) > 0
		}
		return false
	}
	return plain(file.Stmts[0])
}

// tested reports whether b stands in a condition: of if or while, or before a
// || that takes care of its failure.
func (w *walker) tested(b *syntax.BinaryCmd) bool {
	at := b.Pos()
	for _, n := range w.stack {
		switch n := n.(type) {
		case *syntax.IfClause:
			if n.ThenPos.IsValid() && n.ThenPos.After(at) {
				return true
			}
		case *syntax.WhileClause:
			if n.DoPos.After(at) {
				return true
			}
		case *syntax.BinaryCmd:
			if n.Op == syntax.OrStmt && n.OpPos.After(at) {
				return true
			}
		case *syntax.Stmt:
			if n.Negated {
				return true
			}
		}
	}
	return false
}
