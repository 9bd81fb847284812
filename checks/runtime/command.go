package runtime

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// shells are programs that people type into.
var shells = map[string]bool{
	"sh": true, "bash": true, "ash": true, "dash": true, "zsh": true, "ksh": true, "mksh": true, "fish": true, "csh": true, "tcsh": true, "rbash": true,
}

// schedulers start what was never seen before at times of their own.
var schedulers = map[string]bool{
	"cron": true, "crond": true, "anacron": true, "supercronic": true, "fcron": true, "dcron": true, "atd": true, "busybox-crond": true, "ofelia": true,
}

// Schedulers returns the names of programs that start what was never seen
// before at times of their own, sorted.
func Schedulers() []string { return slices.Sorted(maps.Keys(schedulers)) }

// packageManagers are those of distributions, with what makes them change
// something. A look at what is installed changes nothing. Those of languages
// are not among them: developers run them in containers all day.
var packageManagers = map[string][]string{
	"apt":      {"install", "upgrade", "full-upgrade", "dist-upgrade", "remove", "purge", "autoremove", "update", "reinstall"},
	"apt-get":  {"install", "upgrade", "dist-upgrade", "remove", "purge", "autoremove", "update", "build-dep"},
	"aptitude": {"install", "upgrade", "safe-upgrade", "full-upgrade", "remove", "purge", "update"},
	"dpkg":     {"-i", "--install", "-r", "--remove", "-P", "--purge", "--unpack"},
	"apk":      {"add", "del", "upgrade", "update", "fix"},
	"yum":      {"install", "update", "upgrade", "remove", "erase", "reinstall", "localinstall", "groupinstall"},
	"dnf":      {"install", "update", "upgrade", "remove", "erase", "reinstall", "group"},
	"microdnf": {"install", "update", "upgrade", "remove", "reinstall"},
	"tdnf":     {"install", "update", "upgrade", "remove", "erase", "reinstall"},
	"zypper":   {"install", "in", "update", "up", "dist-upgrade", "dup", "remove", "rm", "patch"},
	"rpm":      {"-i", "-ivh", "-U", "-Uvh", "--install", "--upgrade", "-e", "--erase", "-F"},
	"pacman":   {"-S", "-Sy", "-Syu", "-Su", "-R", "-Rs", "-U"},
	"opkg":     {"install", "remove", "update", "upgrade"},
}

// miners are programs that compute for others, and what they are told to.
var miners = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|/)(?:xmrig|xmr-stak|minerd|cpuminer(?:-multi)?|cgminer|bfgminer|ethminer|nbminer|t-rex|lolminer|kdevtmpfsi|kinsing|xmrigdaemon)(?:\s|$)|stratum\+(?:tcp|ssl)://|--donate-level\b`)
})

// remoteShells are ways to hand a shell to somebody elsewhere.
var remoteShells = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`/dev/tcp/|\b(?:nc|ncat|netcat|nc\.traditional)\s.*-(?:e|-exec)\b|\bsocat\b.*\bexec:`)
})

// Mines reports whether a command is that of a miner.
func Mines(command string) bool { return miners().MatchString(command) }

// HandsOutShell reports whether a command connects a shell to another machine.
func HandsOutShell(command string) bool { return remoteShells().MatchString(command) }

// A command is what one program is told.
type command []string

func (c command) name() string {
	if len(c) == 0 {
		return ""
	}
	return path.Base(c[0])
}

// starters are programs that only start another one, with those of their
// options that take the next word as value.
var starters = map[string]string{
	"busybox": "", "nohup": "", "exec": "-a", "command": "", "setsid": "", "eatmydata": "", "nice": "-n", "su-exec": "", "gosu": "",
	"sudo": "-u -g -h -p -C -D -R -T -U -r -t --user --group --host --prompt --chdir --chroot",
	"doas": "-u -C", "env": "-u -C -S --unset --chdir", "timeout": "-k -s --kill-after --signal",
}

// operands is how many words some starters take before the program.
var operands = map[string]int{"su-exec": 1, "gosu": 1, "timeout": 1}

// unwrapped returns c without the programs that only start another one.
func (c command) unwrapped() command {
	for len(c) > 1 {
		name := c.name()
		valued, starts := starters[name]
		if !starts {
			return c
		}
		c = c[1:]
		for len(c) > 0 && strings.HasPrefix(c[0], "-") {
			takes := takesValue(valued, c[0])
			if c = c[1:]; takes && len(c) > 0 {
				c = c[1:]
			}
		}
		for len(c) > 0 && strings.Contains(c[0], "=") && (name == "env" || name == "sudo") {
			c = c[1:]
		}
		c = c[min(operands[name], len(c)):]
	}
	return c
}

// inits are programs that are the first of a container and start what it is for.
var inits = map[string]bool{"tini": true, "tini-static": true, "dumb-init": true, "catatonit": true, "docker-init": true, "podman-init": true}

// reaped returns what an init starts; nothing when c is none.
func (c command) reaped() []command {
	if !inits[c.name()] {
		return nil
	}
	for c = c[1:]; len(c) > 0 && strings.HasPrefix(c[0], "-"); {
		end := c[0] == "--"
		if c = c[1:]; end {
			break
		}
	}
	return c.inside()
}

// takesValue reports whether option is one of valued, which are separated by blanks.
func takesValue(valued, option string) bool { return slices.Contains(strings.Fields(valued), option) }

// valuedByShells are options of shells that take the next word as value.
const valuedByShells = "-o +o -O +O --rcfile --init-file"

// isShell reports whether c is a shell, and whether it was told what to do:
// one that was not waits for somebody to type.
func (c command) isShell() (shell, told bool) {
	c = c.unwrapped()
	if !shells[strings.TrimPrefix(c.name(), "-")] {
		return false, false
	}
	for i := 1; i < len(c); i++ {
		arg := c[i]
		switch {
		case takesValue(valuedByShells, arg):
			i++
		case arg == "-i":
			return true, false
		case strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && strings.Contains(arg, "c"):
			return true, true // a command: -c, -lc, -ec
		case !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "+"):
			return true, true // a script
		}
	}
	return true, false
}

// managesPackages reports whether c changes what is installed.
func (c command) managesPackages() bool {
	c = c.unwrapped()
	if len(c) == 0 {
		return false
	}
	return slices.ContainsFunc(packageManagers[c.name()], func(verb string) bool { return slices.Contains(c[1:], verb) })
}

// longestScript bounds what is parsed of a command line.
const longestScript = 16 << 10

// inside returns c and the commands in it: those of the script of sh -c.
func (c command) inside() []command {
	all := []command{c}
	c = c.unwrapped()
	if shell, told := c.isShell(); !shell || !told {
		return all
	}
	for i, arg := range c[1:] {
		if strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && strings.Contains(arg, "c") && i+2 < len(c) {
			return append(all, scripted(c[i+2])...)
		}
	}
	return all
}

// scripted returns the commands of a shell script, as far as they are written out.
func scripted(script string) []command {
	if len(script) > longestScript {
		script = script[:longestScript]
	}
	file, err := syntax.NewParser(syntax.KeepComments(false)).Parse(strings.NewReader(script), "")
	if err != nil {
		return []command{strings.Fields(script)}
	}
	var all []command
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok {
			var c command
			for _, word := range call.Args {
				c = append(c, word.Lit()) // "" where it is not written out
			}
			if len(c) > 0 {
				all = append(all, c)
			}
		}
		return true
	})
	return all
}

// words splits the command line of a process, whose quoting is lost: what
// follows -c of a shell is one word.
func words(line string) command {
	c := command(strings.Fields(line))
	for i, arg := range c {
		if i > 0 && i+1 < len(c) && strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && strings.HasSuffix(arg, "c") && shells[command(c[:1]).unwrapped().name()] {
			return append(slices.Clone(c[:i+1]), strings.Join(c[i+1:], " "))
		}
	}
	return c
}
