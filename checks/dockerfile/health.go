package dockerfile

import (
	"strconv"
	"strings"

	"plimsoll/checks"
)

var healthcheckMissing = check(checks.Check{
	ID:       "healthcheck-missing",
	Title:    "No health check",
	Severity: checks.Low,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"CIS 4.6 (v1.6.0)", "hadolint DL3057", "trivy DS-0026", "checkov CKV_DOCKER_2", "dockle CIS-DI-0006"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || lastOf(s, "HEALTHCHECK") != nil || s.exports() {
		return
	}
	b, known := f.base(s)
	if b.Health {
		return
	}
	image := s.Root().Image
	finding := f.finding(s.From, "", checks.Msg("the engine cannot tell whether the service works: the final stage has no HEALTHCHECK"))
	detail := "not on this engine, so it is not known whether it brings a health check"
	if known {
		detail = "has no health check"
	}
	finding.Evidence = append(finding.Evidence, checks.Evidence{Source: "image " + image, Detail: detail})
	finding.Fixes = f.healthFix(s)
	report(finding)
})

func (f *File) healthFix(s *Stage) []checks.Fix {
	reason := checks.Msg("a service that hangs is seen, and can be restarted")
	if _, ok := f.insertAfter(s.tail(), "", reason); !ok || s.windows {
		return nil
	}
	command := checks.Choice{
		Key: "health-command", Label: checks.Msg("command that succeeds when the service works"), Example: "curl -fsS http://127.0.0.1:8080/", Valid: validProbe,
		Why: checks.Msg("only its author knows what the program answers, and with what it can be asked"),
	}
	if port := f.servicePort(s); port != "" {
		if probe, tool := f.probe(s, port); probe != "" {
			command.Default, command.Example = probe, ""
			command.Why = checks.Msg("%s is in the image, and port %s is exposed", tool, port)
		}
	}
	if command.Default == "" && !f.New {
		return nil // to whoever fixes all of a file it would be one question more
	}
	return []checks.Fix{{
		ID: "healthcheck", Title: checks.Msg("add a health check"),
		Caution: checks.Msg("a container that does not answer will be shown as unhealthy"),
		Choices: []checks.Choice{command},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validProbe(v["health-command"]); err != nil {
				return nil, err
			}
			edit, _ := f.insertAfter(s.tail(), "HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD "+v["health-command"], reason)
			return []checks.Edit{edit}, nil
		},
	}}
}

func validProbe(command string) error {
	if strings.TrimSpace(command) == "" || strings.ContainsAny(command, "\n\r") || strings.HasSuffix(command, `\`) || strings.HasSuffix(command, "`") {
		return &checks.Problem{What: checks.Msg("a health check is one command on one line")}
	}
	return nil
}

// servicePort returns the first TCP port that the chain of s exposes, or "".
func (f *File) servicePort(s *Stage) string {
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword != "EXPOSE" {
				continue
			}
			for _, w := range in.Words() {
				text, certain := w.Text, true
				if strings.Contains(text, "$") {
					text, certain = f.expand(text, f.variablesAt(in))
				}
				port, proto, _ := strings.Cut(strings.ToLower(text), "/")
				n, err := strconv.Atoi(port)
				if certain && err == nil && n > 0 && n < 65536 && n != 22 && proto != "udp" && proto != "sctp" {
					return port
				}
			}
		}
	}
	return ""
}

// probe returns a command that connects to port with a program that is in the
// image, and the name of that program. A connection says less than a request,
// but no path has to be guessed.
func (f *File) probe(s *Stage, port string) (command, tool string) {
	r := parseReference(s.Root().Image)
	name, tag := r.official(), r.tag
	alpine := strings.Contains(tag, "alpine") || name == "alpine" || name == "busybox"
	switch {
	case strings.Contains(r.name, "distroless") || name == "scratch":
		return "", ""
	case name == "node":
		return `node -e "require('net').connect(` + port + `, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))"`, "node"
	case name == "python":
		return `python3 -c "import socket; socket.create_connection(('127.0.0.1', ` + port + `), 3)"`, "python3"
	case name == "ruby":
		return `ruby -rsocket -e "TCPSocket.new('127.0.0.1', ` + port + `)"`, "ruby"
	case alpine:
		return "nc -z 127.0.0.1 " + port, "nc"
	case debianBased[name]:
		return `bash -c '</dev/tcp/127.0.0.1/` + port + `'`, "bash"
	case f.installed(s, "curl"):
		return "curl --silent --output /dev/null http://127.0.0.1:" + port + "/", "curl"
	}
	return "", ""
}

// debianBased are official images whose unmarked tags are built on Debian,
// Ubuntu or another distribution with bash.
var debianBased = map[string]bool{
	"debian": true, "ubuntu": true, "nginx": true, "httpd": true, "golang": true, "rust": true, "perl": true,
	"php": true, "openjdk": true, "eclipse-temurin": true, "tomcat": true, "fedora": true, "rockylinux": true,
	"almalinux": true, "centos": true, "amazonlinux": true, "postgres": true, "mysql": true, "mariadb": true,
	"redis": true, "mongo": true, "gcc": true, "buildpack-deps": true, "drupal": true, "wordpress": true,
}

// installed reports whether a step of s installs a package called name.
func (f *File) installed(s *Stage, name string) bool {
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword != "RUN" || !f.mentions(in, name) {
				continue
			}
			for _, c := range f.script(in).commands {
				if p, ok := packageCallOf(c); ok && p.installs() {
					for _, w := range p.packages {
						if w.text == name {
							return true
						}
					}
				}
			}
		}
	}
	return false
}
