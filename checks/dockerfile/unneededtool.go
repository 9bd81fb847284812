package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// unneededPackages are packages that nobody needs in an image that serves:
// doors, and what an intruder would bring.
func unneededKind(name string) (kind string, removable bool) {
	switch name {
	case "openssh-server", "dropbear", "telnetd", "vsftpd", "xinetd":
		return "lets people log in", true
	case "telnet", "netcat", "netcat-openbsd", "netcat-traditional", "nc", "nmap", "nmap-ncat", "ncat", "tcpdump", "socat", "inetutils-telnet", "busybox-extras", "masscan", "hping3":
		return "is a tool for moving on through a network", true
	case "gdb", "gdbserver", "strace", "ltrace", "valgrind":
		return "is a debugger", true
	case "gcc", "g++", "clang", "build-essential", "build-base", "gcc-c++", "llvm":
		return "is for compiling", false
	case "sudo":
		return "is for becoming root", false
	}
	return "", false
}

var unneededToolInFinal = check(checks.Check{
	ID:       "unneeded-tool-in-final",
	Title:    "Tool in the image that it does not need",
	Severity: checks.Medium,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"CIS 4.3 (v1.6.0)", "dockle CIS-DI-0003"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) {
			return
		}
		s := f.script(in)
		compilers := false
		for _, c := range s.commands {
			p, ok := packageCallOf(c)
			if !ok || !p.installs() || removesAgain(s, c, p) {
				continue
			}
			for i, w := range p.packages {
				name, _, _ := strings.Cut(w.text, "=")
				kind, removable := unneededKind(name)
				if kind == "" || !w.literal || strings.HasPrefix(w.text, "-") {
					continue
				}
				if kind == "is for compiling" && compilers || kind != "lets people log in" && !f.serves() || f.startsWith(w) {
					continue // compilers once a step; nothing where such tools are the purpose
				}
				compilers = compilers || kind == "is for compiling"
				finding := f.findingAt(in, w.start, w.end, in.Stage.label()+"/"+name, unneededMessage(name, kind))
				if !removable && kind == "is for compiling" {
					finding.Severity = checks.Low
				}
				if removable && c.exact && (i > 0 || len(p.packages) > 1) && onlyOne(p) && !f.mentionedElsewhere(w) {
					finding.Fixes = f.dropPackage(c, w)
				}
				report(finding)
			}
		}
	})
})

func unneededMessage(name, kind string) checks.Message {
	switch kind {
	case "lets people log in":
		return checks.Msg("%s opens a way into the container that docker exec makes needless", name)
	case "is a debugger":
		return checks.Msg("%s stays in the shipped image, and lets an intruder look into other processes", name)
	case "is for compiling":
		return checks.Msg("%s stays in the shipped image: a compiler serves whoever breaks in, not the program", name)
	case "is for becoming root":
		return checks.Msg("%s in the shipped image is a way to become root", name)
	}
	return checks.Msg("%s stays in the shipped image, where an intruder would have to bring it", name)
}

// serves reports whether the image starts a program of its own, so that it is
// not one to build others with.
func (f *File) serves() bool {
	for _, s := range f.Final().Chain() {
		for _, in := range s.Instructions {
			if in.Keyword != "CMD" && in.Keyword != "ENTRYPOINT" {
				continue
			}
			words := in.Exec
			if !in.IsExec {
				words = strings.Fields(in.Args.String)
			}
			if len(words) > 0 && !isShell(pathBase(words[0])) && words[0] != "make" || len(words) > 1 && words[1] != "-l" && words[1] != "--login" {
				return true
			}
		}
	}
	return false
}

// startsWith reports whether the final image's own commands name the program of
// the package w: what the image is for.
func (f *File) startsWith(w shellWord) bool {
	name := programOf(w.text)
	for _, s := range f.Final().Chain() {
		for _, in := range s.Instructions {
			switch in.Keyword {
			case "CMD", "ENTRYPOINT", "HEALTHCHECK":
				if containsWord(in.Args.String, name) {
					return true
				}
			}
		}
	}
	return false
}

// programOf returns the name of the program that the package has.
func programOf(name string) string {
	name, _, _ = strings.Cut(name, "=")
	switch name {
	case "openssh-server":
		return "sshd"
	case "netcat", "netcat-openbsd", "netcat-traditional", "ncat", "nmap-ncat":
		return "nc"
	case "inetutils-telnet", "busybox-extras":
		return "telnet"
	}
	return name
}

// onlyOne reports whether p installs one unneeded package besides others, so
// that something is left to install.
func onlyOne(p packageCall) bool {
	n := 0
	for _, w := range p.packages {
		name, _, _ := strings.Cut(w.text, "=")
		if kind, removable := unneededKind(name); kind != "" && removable {
			n++
		}
	}
	return n < len(p.packages)
}

// removesAgain reports whether the same step removes what p installs.
func removesAgain(s *script, c *command, p packageCall) bool {
	after := false
	for _, other := range s.commands {
		if other == c {
			after = true
			continue
		}
		q, ok := packageCallOf(other)
		if !after || !ok || q.manager != p.manager {
			continue
		}
		switch q.verb.text {
		case "del", "remove", "purge", "autoremove", "erase", "rm":
			return true
		}
	}
	return false
}

// mentionedElsewhere reports whether anything else in the file mentions the
// program of the package w.
func (f *File) mentionedElsewhere(w shellWord) bool {
	name := programOf(w.text)
	if name == "sshd" {
		name = "ssh"
	}
	before := string(f.Source[:w.start])
	after := string(f.Source[w.end:])
	return containsWord(before, name) || containsWord(after, name)
}

func containsWord(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(word)
		if (start == 0 || !isLetterOrDigit(text[start-1])) && (end == len(text) || !isLetterOrDigit(text[end])) {
			return true
		}
		at = end
	}
}

// dropPackage takes the word w of c away.
func (f *File) dropPackage(c *command, w shellWord) []checks.Fix {
	for i, x := range c.words {
		if x.start != w.start || i == 0 {
			continue
		}
		prev := c.words[i-1].end
		if strings.Contains(string(f.Source[prev:w.start]), "#") {
			return nil
		}
		return []checks.Fix{{
			ID: "drop-package", Title: checks.Msg("do not install %s", w.text),
			Caution: checks.Msg("nothing else in this file mentions it, but a script that is copied may: rebuild and test"),
			Edit:    fixed(checks.Edit{Start: prev, End: w.end, Reason: checks.Msg("the image does its work without it")}),
		}}
	}
	return nil
}
