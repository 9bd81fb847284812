package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

// leavesRoot reports whether s starts as root and gives it up by itself, so
// that a USER would break it: how bad the start is then, and why. The severity
// is 0 when nothing is known to.
func (f *File) leavesRoot(s *Stage) (checks.Severity, checks.Evidence) {
	if tool := f.dropsPrivileges(s); tool != "" {
		return checks.Low, checks.Evidence{Source: "start-up", Detail: tool + " gives up root when the container starts, and needs to be root for it"}
	}
	program := path.Base(f.started(s))
	switch r := parseReference(s.Root().Image); {
	case startsAsRoot[r.official()]:
		return checks.Medium, checks.Evidence{Source: "image " + r.official(), Detail: "its start-up needs root, and leaves it for the service itself"}
	case r.official() == "docker" && strings.Contains(r.tag, "dind") && !strings.Contains(r.tag, "rootless"):
		return checks.Medium, checks.Evidence{Source: "image docker", Detail: "an engine needs root, unless it is the variant dind-rootless"}
	case masters[program] || strings.HasPrefix(program, "php-fpm"):
		return checks.Medium, checks.Evidence{Source: "start-up", Detail: program + " needs root to start, and does its work as another user"}
	case supervisors[program]:
		return checks.Medium, checks.Evidence{Source: "start-up", Detail: program + " needs root to start each program as the user that its configuration names"}
	case program == "." && r.official() == "php" && !strings.Contains(r.tag, "cli") && (strings.Contains(r.tag, "fpm") || strings.Contains(r.tag, "apache")):
		return checks.Medium, checks.Evidence{Source: "image php", Detail: "its server needs root to start, and does its work as another user"}
	}
	return 0, checks.Evidence{}
}

// dropsPrivileges returns the tool with which s leaves root at start-up, or "".
func (f *File) dropsPrivileges(s *Stage) string {
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			switch in.Keyword {
			case "RUN", "COPY", "ADD", "ENTRYPOINT", "CMD":
				for _, tool := range []string{"gosu", "su-exec", "setpriv", "runuser", "s6-overlay", "s6-setuidgid", "chpst"} {
					if hasWord(in.Args.String, tool) {
						return tool
					}
				}
			}
		}
	}
	return ""
}

// startsAsRoot are official images whose entrypoint needs root and gives it up
// by itself, or keeps it in one process only: a USER breaks them.
var startsAsRoot = map[string]bool{
	"postgres": true, "mysql": true, "mariadb": true, "redis": true, "valkey": true, "mongo": true,
	"cassandra": true, "couchdb": true, "rabbitmq": true, "nginx": true, "httpd": true, "influxdb": true,
	"wordpress": true, "nextcloud": true, "ghost": true, "registry": true, "traefik": true,
}

// masters are servers whose first process keeps root, to open ports and read
// keys, and which do their work as a user of their own, by what they document.
var masters = map[string]bool{
	"nginx": true, "openresty": true, "httpd": true, "httpd-foreground": true, "apache2": true, "apache2ctl": true, "apachectl": true,
	"apache2-foreground": true, "postfix": true, "exim": true, "exim4": true, "dovecot": true, "sshd": true, "vsftpd": true,
	"proftpd": true, "pure-ftpd": true, "named": true, "unbound": true, "dnsmasq": true, "squid": true, "varnishd": true, "chronyd": true,
}

// supervisors start other programs, each as the user that it is meant for.
var supervisors = map[string]bool{
	"supervisord": true, "s6-svscan": true, "runsvdir": true, "systemd": true, "init": true, "crond": true, "cron": true,
}

// started returns the program that s starts as it is written: behind the
// wrappers that start what follows them. "" when that is not said.
func (f *File) started(s *Stage) string {
	for _, keyword := range []string{"ENTRYPOINT", "CMD"} {
		in := lastOf(s, keyword)
		if in == nil {
			continue
		}
		words := in.Exec
		if !in.IsExec {
			words = strings.Fields(in.Args.String)
		}
		if len(words) == 3 && isShell(path.Base(words[0])) && words[1] == "-c" {
			words = strings.Fields(words[2])
		}
		for _, w := range words {
			if w = strings.Trim(w, `"';`); w != "" && w[0] != '-' && !wrapper(w) && !isAssignment(w) {
				return w
			}
		}
	}
	return ""
}

// shellOnly reports whether s starts nothing of its own: no more than a prompt,
// or not even that, and its image is one of a distribution or of a language,
// whose own command is a prompt. What runs in it is decided by who starts it or
// builds on it.
func (f *File) shellOnly(s *Stage) bool {
	if lastOf(s, "ENTRYPOINT") != nil || lastOf(s, "EXPOSE") != nil {
		return false
	}
	if in := lastOf(s, "CMD"); in != nil {
		return prompts[path.Base(f.started(s))] && !strings.ContainsAny(strings.TrimSpace(strings.Trim(in.Args.String, "[]")), " \t,")
	}
	r := parseReference(s.Root().Image)
	return linuxOnly[r.official()] || toolchains[r.official()] || strings.HasPrefix(r.name, "mcr.microsoft.com/devcontainers/")
}

// toolchains are official images of languages: they start a shell or a prompt.
var toolchains = map[string]bool{
	"golang": true, "rust": true, "gcc": true, "node": true, "python": true, "ruby": true, "perl": true, "openjdk": true,
	"eclipse-temurin": true, "amazoncorretto": true, "haskell": true, "erlang": true, "elixir": true, "swift": true, "dart": true,
	"julia": true, "r-base": true, "maven": true, "gradle": true, "bash": true, "pypy": true,
}

// prompts are programs that wait for input when nothing else is said.
var prompts = map[string]bool{
	"sh": true, "bash": true, "ash": true, "dash": true, "zsh": true, "fish": true, "python": true, "python3": true, "node": true, "irb": true,
	"jshell": true, "ghci": true, "erl": true, "iex": true, "julia": true, "R": true, "pypy3": true, "perl": true,
}
