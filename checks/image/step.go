package image

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// A step is one instruction of the history, as either builder records it.
type step struct {
	number      int    // from 1, the oldest
	instruction string // "RUN", "ADD", …; "" when nobody can tell
	text        string // what follows it: of RUN the command alone
	all         string // everything, as it was recorded
	first       bool   // no step before it put anything into the file system
}

// steps returns the history, the oldest first.
func (i *Image) steps() []step {
	out := make([]step, 0, len(i.History))
	first := true
	for n, h := range slices.Backward(i.History) {
		s := parseStep(len(i.History)-n, h.CreatedBy)
		s.first = first
		switch s.instruction {
		case "RUN", "COPY", "ADD", "":
			first = false
		}
		out = append(out, s)
	}
	return out
}

func parseStep(number int, createdBy string) step {
	text := strings.TrimSpace(createdBy[:min(len(createdBy), longestStep)])
	s := step{number: number, all: text}
	text = strings.TrimSuffix(text, " # buildkit")
	if rest, ok := strings.CutPrefix(text, "/bin/sh -c #(nop)"); ok {
		s.instruction, s.text, _ = strings.Cut(strings.TrimSpace(rest), " ")
		s.text = strings.TrimSpace(s.text)
		return s
	}
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case word == "RUN":
		s.instruction, s.text = word, command(rest)
	case word != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
		s.instruction, s.text = word, strings.TrimSpace(rest)
	case strings.HasPrefix(text, "|") || strings.HasPrefix(text, "/bin/"):
		s.instruction, s.text = "RUN", command(text)
	}
	return s
}

// command takes build arguments and the shell off the text of RUN.
func command(text string) string {
	if at := strings.Index(text, " -c "); at >= 0 {
		return text[at+len(" -c "):]
	}
	return text
}

func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

// evidence shows the step with secrets masked.
func (s step) evidence() checks.Evidence {
	return checks.Evidence{Source: fmt.Sprintf("history, step %d", s.number), Detail: shorten(secret.Redact(s.all), 160)}
}

// Step returns the step of the history at index n, the oldest being 0, with
// secrets masked; "" when there is none.
func (i *Image) Step(n int) string {
	if n < 0 || n >= len(i.History) {
		return ""
	}
	return parseStep(n+1, i.History[len(i.History)-1-n].CreatedBy).evidence().Detail
}

// mentions reports whether a script holds one of words anywhere. It is asked
// before [commands], which takes the script apart and costs much more. It errs
// where quotes or backslashes stand inside of a word, as nobody writes them.
func mentions(script string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(script, w) })
}

// commands returns the simple commands of a shell script as words. It knows
// quotes and what separates commands, and no more: what it gets wrong is not
// found.
func commands(script string) [][]string {
	var out [][]string
	var words []string
	var word strings.Builder
	inWord := false
	end := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	var quote byte
	for at := 0; at < len(script); at++ {
		c := script[at]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteByte(c)
			}
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '\\' && at+1 < len(script):
			if at++; script[at] != '\n' {
				word.WriteByte(script[at])
				inWord = true
			}
		case strings.IndexByte(";&|\n(){}", c) >= 0:
			if end(); len(words) > 0 {
				out, words = append(out, words), nil
			}
		case c == ' ' || c == '\t' || c == '\r':
			end()
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if end(); len(words) > 0 {
		out = append(out, words)
	}
	for n := range out {
		out[n] = bare(out[n])
		if rest, ok := behindSudo(out[n]); ok {
			out = append(out, bare(rest))
		}
	}
	return slices.DeleteFunc(out, func(w []string) bool { return len(w) == 0 })
}

// behindSudo returns the command that sudo runs.
func behindSudo(words []string) ([]string, bool) {
	if len(words) == 0 || !runs(words, "sudo") {
		return nil, false
	}
	words = words[1:]
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		takesValue := words[0] == "-u" || words[0] == "-g" || words[0] == "-h"
		words = words[1:]
		if takesValue && len(words) > 0 {
			words = words[1:]
		}
	}
	return words, len(words) > 0
}

// bare drops what may stand before the name of a program.
func bare(words []string) []string {
	for len(words) > 0 {
		switch w := words[0]; {
		case w == "then" || w == "do" || w == "else" || w == "if" || w == "!" || w == "exec" || w == "time" || w == "env":
		case strings.IndexByte(w, '=') > 0 && !strings.HasPrefix(w, "-"):
		default:
			return words
		}
		words = words[1:]
	}
	return nil
}

// runs reports whether words call program with all of args somewhere.
func runs(words []string, program string, args ...string) bool {
	if words[0][strings.LastIndexByte(words[0], '/')+1:] != program {
		return false
	}
	for _, a := range args {
		if !slices.Contains(words[1:], a) {
			return false
		}
	}
	return true
}

// runsAny reports whether one of the commands calls one of programs with one of
// args.
func runsAny(all [][]string, programs, args []string) bool {
	for _, words := range all {
		for _, p := range programs {
			for _, a := range args {
				if runs(words, p, a) {
					return true
				}
			}
		}
	}
	return false
}

// MadeBy reports whether the youngest steps of the history are the instructions
// of a Dockerfile's last stage, keyword and arguments. Commands have to be the
// same; of other instructions builders write down less than there was.
func (i *Image) MadeBy(instructions [][2]string) bool {
	var own []step
	for _, s := range i.steps() {
		if s.instruction != "" && s.instruction != "ARG" {
			own = append(own, s)
		}
	}
	var want [][2]string
	commands := 0
	for _, in := range instructions {
		if in[0] != "FROM" && in[0] != "ARG" && in[0] != "SHELL" {
			want = append(want, in)
		}
		if in[0] == "RUN" {
			commands++
		}
	}
	if len(want) > len(own) || commands == 0 && len(want) < 2 {
		return false
	}
	for n, s := range own[len(own)-len(want):] {
		if s.instruction != want[n][0] || s.instruction == "RUN" && !sameCommand(s.text, want[n][1]) {
			return false
		}
	}
	return true
}

// sameCommand compares a command of the history with one of a Dockerfile, where
// lines are continued and blanks are free.
func sameCommand(history, file string) bool {
	plain := func(s string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(s, "\\\n", " ")), " ")
	}
	return plain(history) == plain(file)
}
