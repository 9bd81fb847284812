package dockerfile

import (
	"bytes"
	"path"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// A script is what a RUN executes, understood as far as it is shell.
type script struct {
	once     sync.Once
	indexing sync.Once
	commands []*command
	pipes    []*pipe
	indexes  map[string]index // see indexOf
	tail     int              // byte of the source where "&& more" can be added; -1 when nowhere
	lines    bool             // a heredoc: tail is the start of a line rather than the end of a command
	chain    bool             // nothing but commands joined by &&, so that others can be joined to it
	assigns  []assignment
	calls    []*call   // see callsOf
	mistakes []mistake // see shelllint.go
}

// A command is one simple command, wherever it stands: in a list, a pipe, a
// substitution, a function, or a string given to sh -c.
type command struct {
	words  []shellWord
	at     int  // index of the program in words, after sudo, env, exec and their like
	sudo   int  // index of sudo or doas, or -1
	exact  bool // words know where in the source they are
	stmt   *syntax.Stmt
	text   Text
	nested bool // inside of a string, a substitution or a function
}

// A pipe is a | b | c.
type pipe struct {
	parts      []*command // nil for what is not a simple command
	start, end int
	list       bool // && and ; alone stand around it, so it can become a list itself
	tested     bool // it is a condition, so a failure of any part may be meant
}

// An assignment is NAME=value before a command or in an export.
type assignment struct {
	name       string
	value      shellWord // text "" without a value
	start, end int       // bytes of the source
	next       int       // start of what follows it in the same command, -1 when nothing does
	command    string    // the program that gets it, or the keyword: "export"
	stmtStart  int       // the whole statement, for an export of nothing else
	stmtEnd    int
	alone      bool
	nested     bool
}

// program returns the base name of what c runs: "apt-get".
func (c *command) program() string {
	if c.at >= len(c.words) || !c.words[c.at].literal {
		return ""
	}
	return path.Base(c.words[c.at].text)
}

// args returns what follows the program.
func (c *command) args() []shellWord {
	if c.at >= len(c.words) {
		return nil
	}
	return c.words[c.at+1:]
}

// mentions reports whether the text of in contains any of hints, so that the
// shell is parsed only where there is something to find.
func (f *File) mentions(in *Instruction, hints ...string) bool {
	text := f.Source[in.Start:in.End]
	m := in.memo()
	m.reading.Do(func() { m.pairs = pairsOf(text) })
	for _, h := range hints {
		if m.pairs.mayContain(h) && bytes.Contains(text, []byte(h)) {
			return true
		}
	}
	return false
}

// toolHints are words without which no check needs to understand a RUN.
var toolHints = [...]string{
	"sudo", "doas", "apt", "apk", "yum", "dnf", "zypper", "curl", "wget", "useradd", "adduser",
	"pip", "npm", "yarn", "pnpm", "bundle", "gem", "go ", "cargo", "composer", "rpm", "git", "config",
	"export", "|", "cd ", "rm ", "ln ", "ch", "$", "[ ", "dotnet", "gradle", "mvn", "poetry", "pipenv", "uv ",
	"VERIFY", "TRUSTED", "strict_ssl", "STRICT_SSL", "REJECT", "pecl", "ssh", "vi", "ps", "top", "ser", "kill", "mount",
	"tar ", "free", "shutdown", "ifconfig", "nano", "source ", "make", "passwd", "install", "mkdir", "user", "group", "login", "az ", "sam ", "next", "az", "ng ",
	"sum", "gpg", "cosign", "minisign", "signify", "openssl", "slsa", "gh ", "less ", "more ", "telnet", "halt", "reboot", "poweroff", "emacs",
	"mv ", "cp ", "alternatives", "clean", "nuxt", "astro", "gatsby", "turbo", "wrangler", "pwsh", "brew", "vcpkg", "storybook", "phpenmod", "pickle", "pie ",
}

// script returns what the RUN in executes. It is empty where that is not a
// shell script, or cannot be parsed.
func (f *File) script(in *Instruction) *script {
	s := &in.memo().script
	s.once.Do(func() {
		s.tail = -1
		if !f.mentions(in, toolHints[:]...) || in.Stage.windows || !in.posix {
			return
		}
		switch {
		case in.IsExec:
			s.addExec(in.Exec)
		case len(in.Heredocs) == 0:
			s.addText(in.Args, true)
		case isHeredocOnly(in):
			h := in.Heredocs[0]
			body := Text{String: string(f.Source[h.Start:h.End]), pieces: []piece{{0, h.Start}}}
			if posixShebang(body.String) && s.addText(body, true) {
				s.tail, s.lines = h.End, true
			} else {
				s.tail = -1
			}
		default:
			body := Text{String: in.Args.String + "\n" + string(f.Source[in.Heredocs[0].Start:in.End])}
			body.pieces = append(append(body.pieces, in.Args.pieces...), piece{len(in.Args.String) + 1, in.Heredocs[0].Start})
			s.addText(body, true)
			s.tail, s.chain = -1, false
		}
		s.calls = callsOf(s)
	})
	return s
}

func isHeredocOnly(in *Instruction) bool {
	return len(in.Heredocs) == 1 && strings.HasPrefix(in.Args.String, "<<") && len(in.Words()) == 1
}

// posixShebang reports whether a script that starts like text is shell.
func posixShebang(text string) bool {
	if !strings.HasPrefix(text, "#!") {
		return true
	}
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(strings.TrimPrefix(line, "#!"))
	for _, w := range fields {
		if isShell(path.Base(w)) {
			return true
		}
	}
	return false
}

func isShell(name string) bool {
	switch name {
	case "sh", "bash", "ash", "dash", "ksh", "zsh":
		return true
	}
	return false
}

// deepest is how far parentheses, braces and substitutions may nest: parsing
// is recursive, and no script that people write comes near.
const deepest = 200

func tooDeep(s string) bool {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '{', '`', '[':
			if depth++; depth > deepest {
				return true
			}
		case ')', '}', ']', '\n':
			depth = max(depth-1, 0)
		}
	}
	return false
}

// shellParsers are parsers that are not in use: one is larger than most scripts.
var shellParsers = sync.Pool{New: func() any { return syntax.NewParser(syntax.Variant(syntax.LangBash)) }}

// addText adds the commands of t. It reports whether t was understood.
func (s *script) addText(t Text, top bool) bool {
	if len(t.String) > 1<<18 || tooDeep(t.String) {
		return false
	}
	parser := shellParsers.Get().(*syntax.Parser)
	defer shellParsers.Put(parser)
	file, err := parser.Parse(strings.NewReader(t.String), "")
	if err != nil {
		return false
	}
	if top {
		s.tail = tail(file, t)
		s.chain = isChain(file)
	}
	w := walker{script: s, text: t, nested: !top, made: map[*syntax.Stmt]*command{}}
	syntax.Walk(file, w.visit)
	return true
}

// tail returns where "&& more" can be added to a script, or -1.
func tail(file *syntax.File, t Text) int {
	if len(file.Stmts) == 0 {
		return -1
	}
	last := file.Stmts[len(file.Stmts)-1]
	if last.Background || last.Coprocess || last.Negated || last.Disown {
		return -1
	}
	if call, ok := last.Cmd.(*syntax.CallExpr); ok && len(call.Args) > 0 {
		if name := call.Args[0].Lit(); name == "exit" || name == "exec" || name == "return" {
			return -1
		}
	}
	heredoc := false
	syntax.Walk(last, func(n syntax.Node) bool {
		if r, ok := n.(*syntax.Redirect); ok && r.Hdoc != nil {
			heredoc = true
		}
		return !heredoc
	})
	if heredoc {
		return -1
	}
	// The end of a statement includes its semicolon.
	end := int(last.End().Offset())
	if last.Semicolon.IsValid() {
		end = int(last.Semicolon.Offset())
	}
	for end > 0 && (isSpace(t.String[end-1]) || t.String[end-1] == ';') {
		end--
	}
	if end == 0 {
		return -1
	}
	_, at := t.Range(end-1, end)
	return at
}

type walker struct {
	script *script
	text   Text
	nested bool
	stack  []syntax.Node
	made   map[*syntax.Stmt]*command
}

func (w *walker) visit(n syntax.Node) bool {
	if n == nil {
		w.stack = w.stack[:len(w.stack)-1]
		return true
	}
	switch n := n.(type) {
	case *syntax.Stmt:
		w.statement(n)
	case *syntax.BinaryCmd:
		if isPipe(n) && !w.inPipe() {
			w.pipe(n)
		}
	}
	w.lint(n)
	w.stack = append(w.stack, n)
	return true
}

func isPipe(b *syntax.BinaryCmd) bool { return b.Op == syntax.Pipe || b.Op == syntax.PipeAll }

// inPipe reports whether the node being visited is a part of a longer pipe.
func (w *walker) inPipe() bool {
	if len(w.stack) < 2 {
		return false
	}
	b, ok := w.stack[len(w.stack)-2].(*syntax.BinaryCmd)
	return ok && isPipe(b)
}

// statement adds the command of st if it is a simple one. A statement is met a
// second time when it was part of a pipe.
func (w *walker) statement(st *syntax.Stmt) *command {
	if c, ok := w.made[st]; ok {
		return c
	}
	var words []*syntax.Word
	switch call := st.Cmd.(type) {
	case *syntax.CallExpr:
		words = call.Args
		w.assign(st, call.Assigns, words, "")
	case *syntax.DeclClause:
		w.assign(st, call.Args, nil, call.Variant.Value)
	}
	if len(words) == 0 {
		return nil
	}
	c := &command{exact: true, stmt: st, text: w.text, nested: w.nested || w.inside()}
	for _, word := range words {
		c.words = append(c.words, shellWordOf(word, w.text))
	}
	c.unwrap()
	w.made[st] = c
	w.script.commands = append(w.script.commands, c)
	w.inner(c, words)
	return c
}

// inside reports whether the node being visited is not part of the script's own
// lists but of a substitution, function, condition or loop.
func (w *walker) inside() bool {
	for _, n := range w.stack {
		switch n.(type) {
		case *syntax.File, *syntax.Stmt, *syntax.BinaryCmd:
		default:
			return true
		}
	}
	return false
}

func (w *walker) pipe(b *syntax.BinaryCmd) {
	var stmts []*syntax.Stmt
	var flatten func(st *syntax.Stmt)
	flatten = func(st *syntax.Stmt) {
		if b, ok := st.Cmd.(*syntax.BinaryCmd); ok && isPipe(b) && len(st.Redirs) == 0 && !st.Negated {
			flatten(b.X)
			flatten(b.Y)
			return
		}
		stmts = append(stmts, st)
	}
	flatten(b.X)
	flatten(b.Y)
	p := &pipe{list: !w.nested && !w.inside() && w.plainList(), tested: w.tested(b)}
	for _, st := range stmts {
		p.parts = append(p.parts, w.statement(st))
	}
	p.start, p.end = w.text.Range(int(b.Pos().Offset()), endOf(b, w.text))
	w.script.pipes = append(w.script.pipes, p)
}

// plainList reports whether only && and ; lead to the node being visited.
func (w *walker) plainList() bool {
	for _, n := range w.stack {
		switch n := n.(type) {
		case *syntax.BinaryCmd:
			if n.Op != syntax.AndStmt {
				return false
			}
		case *syntax.Stmt:
			if n.Negated || n.Background || len(n.Redirs) > 0 {
				return false
			}
		}
	}
	return true
}

// inner adds the commands of a string that c gives to a shell: sh -c '…'.
func (w *walker) inner(c *command, words []*syntax.Word) {
	if !isShell(c.program()) {
		return
	}
	for i := c.at + 1; i < len(c.words); i++ {
		option := c.words[i].text
		if !strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "+") {
			return
		}
		if strings.HasPrefix(option, "--") || !strings.Contains(option, "c") || i+1 >= len(words) {
			if option == "-o" || option == "+o" {
				i++
			}
			continue
		}
		if start, end, ok := quotedText(words[i+1], w.text.String); ok {
			w.script.addText(w.text.Slice(start, end), false)
		}
		return
	}
}

// addExec adds the command of an exec form; it has no places in the source.
func (s *script) addExec(args []string) {
	c := &command{}
	for _, a := range args {
		c.words = append(c.words, shellWord{a, true, -1, -1})
	}
	if len(args) == 0 {
		return
	}
	c.unwrap()
	s.commands = append(s.commands, c)
	if isShell(c.program()) && len(args) > c.at+2 && strings.HasPrefix(args[c.at+1], "-") && strings.Contains(args[c.at+1], "c") {
		before := len(s.commands)
		s.addText(Text{String: args[c.at+2], pieces: []piece{{0, 0}}}, false)
		for _, inner := range s.commands[before:] {
			inner.exact = false
			for i := range inner.words {
				inner.words[i].start, inner.words[i].end = -1, -1
			}
		}
		for _, p := range s.pipes {
			p.list = false
		}
	}
}
