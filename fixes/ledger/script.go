package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll/checks/terminal"
)

// Script returns what the applied ones of entries did, the oldest first, as a
// shell script. Values of secrets are not in it: docker takes a variable that
// has none from the environment of the script. What was done to files is in it as
// a patch.
func Script(entries []Entry) string {
	var b strings.Builder
	b.WriteString(`#!/bin/sh
# What plimsoll changed, as commands of docker. Read it before you run it: it was right for the
# world in which it was recorded. Values of secrets are left out and taken from the environment.
set -eu
`)
	for _, e := range slices.Backward(entries) {
		if e.State != Applied && e.State != Final {
			continue
		}
		fmt.Fprintf(&b, "\n# %s  %s (%s %s)\n", e.Time.UTC().Format(time.RFC3339), terminal.Line(e.Title), e.Subject.Kind, terminal.Line(e.Subject.Name))
		for _, c := range e.Commands {
			fmt.Fprintln(&b, printable(c))
		}
	}
	return b.String()
}

// printable returns a command without what a terminal would obey. Its tabs stay:
// they are part of a patch.
func printable(command string) string {
	lines := strings.Split(command, "\n")
	for i, line := range lines {
		pieces := strings.Split(line, "\t")
		for k := range pieces {
			pieces[k] = terminal.Line(pieces[k])
		}
		lines[i] = strings.Join(pieces, "\t")
	}
	return strings.Join(lines, "\n")
}
