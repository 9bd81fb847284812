package fixes

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Quote returns s as one word of a shell command.
func Quote(s string) string {
	q, err := syntax.Quote(s, syntax.LangBash)
	if err != nil { // a zero byte, which no argument can hold
		return "'…'"
	}
	return q
}

// Command returns argv as a command of a shell.
func Command(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = Quote(word)
	}
	return strings.Join(words, " ")
}
