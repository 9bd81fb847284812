package dockerfile

import (
	"bytes"
	"encoding/json"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"plimsoll/checks"
)

var cmdShellForm = check(checks.Check{
	ID:       "cmd-shell-form",
	Title:    "Started through a shell",
	Severity: checks.Low,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3025", "BuildKit JSONArgsRecommended"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	for _, keyword := range []string{"CMD", "ENTRYPOINT"} {
		in := lastOf(s, keyword)
		if in == nil || in.IsExec || in.Args.String == "" || hasShell(in.Stage) {
			continue
		}
		args, plain := simpleCommand(in.Args.String)
		if plain && len(args) > 1 && args[0] == "exec" {
			continue // the shell is replaced, so signals arrive
		}
		finding := f.finding(in, keyword, checks.Msg("%s is run by a shell, which keeps stop signals to itself", keyword))
		// With both, CMD is the arguments of ENTRYPOINT, or nothing: another
		// form of one changes what the other means.
		alone := lastOf(s, "CMD") == nil || lastOf(s, "ENTRYPOINT") == nil
		if plain && alone && !in.open && !builtins[args[0]] {
			start, end := in.Args.Range(0, len(in.Args.String))
			finding.Fixes = []checks.Fix{{
				ID: "exec-form", Title: checks.Msg("use the exec form"), Safe: true,
				Edit: fixed(checks.Edit{
					Start: start, End: end, New: execForm(args),
					Reason: checks.Msg("the program itself gets the stop signal"),
				}),
			}}
		}
		report(finding)
	}
})

// lastOf returns the keyword instruction that counts for s, or nil.
func lastOf(s *Stage, keyword string) *Instruction {
	for _, stage := range s.Chain() {
		for i := len(stage.Instructions) - 1; i >= 0; i-- {
			if in := stage.Instructions[i]; in.Keyword == keyword {
				return in
			}
		}
	}
	return nil
}

// hasShell reports whether s chooses its shell, so that the shell form is meant.
func hasShell(s *Stage) bool { return lastOf(s, "SHELL") != nil }

// builtins cannot be started without a shell.
var builtins = map[string]bool{
	"exec": true, "cd": true, "source": true, ".": true, ":": true, "export": true, "ulimit": true,
	"umask": true, "set": true, "eval": true, "trap": true, "wait": true, "command": true, "type": true,
	"alias": true, "read": true, "exit": true, "unset": true, "shift": true, "return": true, "builtin": true,
}

// simpleCommand returns the words of a command in which no shell is needed.
func simpleCommand(s string) ([]string, bool) {
	if tooDeep(s) {
		return nil, false
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(strings.NewReader(s), "")
	if err != nil || len(file.Stmts) != 1 || len(file.Last) > 0 {
		return nil, false
	}
	st := file.Stmts[0]
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || len(call.Assigns) > 0 || len(st.Redirs) > 0 || len(st.Comments) > 0 ||
		st.Negated || st.Background || st.Coprocess || st.Semicolon.IsValid() {
		return nil, false
	}
	t := Text{String: s, pieces: []piece{{0, 0}}}
	var out []string
	for _, w := range call.Args {
		word := shellWordOf(w, t)
		if !word.literal || special(w) {
			return nil, false
		}
		out = append(out, word.text)
	}
	return out, true
}

// special reports whether an unquoted part of w is more than itself: a
// pattern, a tilde, braces.
func special(w *syntax.Word) bool {
	for i, part := range w.Parts {
		if lit, ok := part.(*syntax.Lit); ok {
			if strings.ContainsAny(lit.Value, "*?[{}\\") || i == 0 && strings.HasPrefix(lit.Value, "~") {
				return true
			}
		}
	}
	return false
}

// execForm returns args as a JSON array in the usual spelling.
func execForm(args []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, a := range args {
		if i > 0 {
			b.WriteString(", ")
		}
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(a); err != nil {
			panic("dockerfile: a string does not marshal: " + err.Error())
		}
		b.Write(bytes.TrimRight(text.Bytes(), "\n"))
	}
	b.WriteByte(']')
	return b.String()
}
