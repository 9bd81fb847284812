package dockerfile

import (
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// variables are the values of ARG and ENV where they are used. A name that is
// declared without a value, to be given at build time, has none here.
type variables map[string]string

// Get implements [shell.EnvGetter].
func (v variables) Get(name string) (string, bool) { value, ok := v[name]; return value, ok }

// Keys implements [shell.EnvGetter].
func (v variables) Keys() []string {
	out := make([]string, 0, len(v))
	for name := range v {
		out = append(out, name)
	}
	return out
}

// global returns the ARGs before the first FROM, which only FROMs see.
// They are read only.
func (f *File) global() variables {
	f.globals.once.Do(func() { f.globals.visible = f.beforeFrom() })
	return f.globals.visible
}

// globals remember [File.global].
type globals struct {
	once    sync.Once
	visible variables
}

func (f *File) beforeFrom() variables {
	v := variables{}
	for _, in := range f.Instructions {
		if in.Keyword == "FROM" {
			break
		}
		if in.Keyword == "ARG" {
			f.declare(v, in, nil)
		}
	}
	return v
}

// variablesAt returns what is visible to the instruction at of a stage: what
// its chain declares before, and the environment of the base image if known.
// They are read only.
func (f *File) variablesAt(at *Instruction) variables {
	m := at.memo()
	m.scoping.Do(func() { m.visible = f.visibleTo(at) })
	return m.visible
}

func (f *File) visibleTo(at *Instruction) variables {
	v := variables{}
	if !f.ordinary() {
		return v
	}
	if b, ok := f.base(at.Stage); ok {
		for _, e := range b.Env {
			if name, value, ok := strings.Cut(e, "="); ok {
				v[name] = value
			}
		}
	}
	global := f.global()
	env := variables{} // ENV wins over ARG, wherever the ARG is
	chain := at.Stage.Chain()
	for i := len(chain) - 1; i >= 0; i-- {
		for _, in := range chain[i].Instructions {
			if in == at {
				break
			}
			switch in.Keyword {
			case "ARG":
				f.declare(v, in, global)
			case "ENV":
				f.declare(v, in, nil)
				for _, p := range f.Pairs(in) {
					env[p.Name] = v[p.Name]
				}
			}
			if in.Keyword == "ARG" {
				for name, value := range env {
					v[name] = value
				}
			}
		}
	}
	return v
}

// declare adds the pairs of an ARG or ENV to v.
func (f *File) declare(v variables, in *Instruction, global variables) {
	values := make([]string, 0, 1)
	pairs := f.Pairs(in)
	for _, p := range pairs {
		value, _ := f.expand(p.Value, v)
		values = append(values, value)
	}
	for i, p := range pairs {
		if p.HasValue {
			v[p.Name] = values[i]
		} else if value, ok := global[p.Name]; ok {
			v[p.Name] = value
		}
	}
}

// lexers are BuildKit's that are not in use, by escape character: one is larger
// than all that it reads.
var lexers = map[byte]*sync.Pool{
	'\\': {New: func() any { return shell.NewLex('\\') }},
	'`':  {New: func() any { return shell.NewLex('`') }},
}

// process is what BuildKit does to a word that may have variables.
func (f *File) process(word string, v shell.EnvGetter) (shell.ProcessWordResult, error) {
	pool := lexers[f.Escape]
	lex := pool.Get().(*shell.Lex)
	defer pool.Put(lex)
	return lex.ProcessWordWithMatches(word, v)
}

// longestValue is how long the value of a variable may be to be looked into.
const longestValue = 1 << 14

// expand fills variables into word and removes its quotes. It is certain when
// every variable in it had a value or a default.
func (f *File) expand(word string, v variables) (text string, certain bool) {
	if !strings.ContainsAny(word, "$\"'\\`") {
		return word, true
	}
	// Values that double from line to line would grow without bound.
	size := len(word)
	if n := strings.Count(word, "$"); n > 0 {
		for _, value := range v {
			size = max(size, n*len(value))
		}
	}
	if size > longestValue {
		return word, false
	}
	result, err := f.process(word, v)
	if err != nil {
		return word, false
	}
	return result.Result, len(result.Unmatched) == 0
}
