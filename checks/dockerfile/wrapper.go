package dockerfile

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// wrapperOptions returns the short options of a wrapper, a program that runs
// another one, that take a value of their own.
func wrapperOptions(name string) (options string, isWrapper bool) {
	switch name {
	case "sudo":
		return "ugUhpCrtTRD", true
	case "doas":
		return "uC", true
	case "env":
		return "uCS", true
	case "nice", "ionice":
		return "ncp", true
	case "xargs":
		return "naEIdLPs", true
	case "timeout":
		return "sk", true
	case "exec", "command", "nohup", "time", "eatmydata", "chronic", "builtin":
		return "", true
	}
	return "", false
}

// unwrap finds the program behind wrappers.
func (c *command) unwrap() {
	c.sudo = -1
	for c.at < len(c.words) {
		name := c.program()
		options, ok := wrapperOptions(name)
		if !ok {
			return
		}
		if name == "sudo" || name == "doas" {
			c.sudo = c.at
		}
		i := c.at + 1
		for i < len(c.words) {
			w := c.words[i].text
			if w == "--" {
				i++
				break
			}
			if strings.HasPrefix(w, "-") && len(w) > 1 {
				if !strings.HasPrefix(w, "--") && strings.IndexByte(options, w[len(w)-1]) >= 0 {
					i++
				}
				i++
				continue
			}
			if (name == "sudo" || name == "env") && isAssignment(w) {
				i++
				continue
			}
			break
		}
		if name == "timeout" {
			i++
		}
		if i >= len(c.words) {
			return
		}
		c.at = i
	}
}

func isAssignment(w string) bool {
	name, _, ok := strings.Cut(w, "=")
	return ok && syntax.ValidName(name)
}
