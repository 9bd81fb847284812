package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var runSecurityInsecure = check(checks.Check{
	ID:       "run-security-insecure",
	Title:    "Build step without a sandbox",
	Severity: checks.Critical,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRunFlag("security", "insecure", func(in *Instruction, flag Flag) {
		finding := f.findingAt(in, flag.Start, flag.End, in.Stage.label(), checks.Msg("the step runs with all rights on the machine that builds"))
		finding.Fixes = []checks.Fix{{
			ID: "sandbox", Title: checks.Msg("run the step in the sandbox"),
			Caution: checks.Msg("a step that starts containers or mounts something fails then"),
			Edit:    fixed(in.dropFlag(flag, checks.Msg("the sandbox is the default"))),
		}}
		report(finding)
	})
})

var runNetworkHost = check(checks.Check{
	ID:       "run-network-host",
	Title:    "Build step in the network of the host",
	Severity: checks.High,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CWE-923"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRunFlag("network", "host", func(in *Instruction, flag Flag) {
		finding := f.findingAt(in, flag.Start, flag.End, in.Stage.label(), checks.Msg("the step reaches every service that listens on the machine that builds, also those on localhost"))
		finding.Fixes = []checks.Fix{{
			ID: "own-network", Title: checks.Msg("give the step a network of its own"),
			Caution: checks.Msg("what listens on localhost of the machine that builds cannot be reached then"),
			Edit:    fixed(in.dropFlag(flag, checks.Msg("a network of its own is the default"))),
		}}
		report(finding)
	})
})

// eachRunFlag calls visit for every RUN with the option --name=value.
func (f *File) eachRunFlag(name, value string, visit func(*Instruction, Flag)) {
	f.eachRun(func(in *Instruction) {
		for _, flag := range in.Flags {
			if flag.Name == name && strings.EqualFold(flag.Value, value) {
				visit(in, flag)
			}
		}
	})
}

var runBindSensitiveSource = check(checks.Check{
	ID:       "run-bind-sensitive-source",
	Title:    "Secret file mounted as an ordinary one",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-538"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		for _, m := range in.mounts() {
			if m.kind != "bind" || m.from != "" || m.source == "" {
				continue
			}
			kind, _, ok := secretFile(m.source)
			if !ok {
				continue
			}
			finding := f.findingAt(in, m.flag.Start, m.flag.End, m.source, checks.Msg("the step mounts the secret file %s like any other: it has to lie in the build context for that", m.source))
			finding.Evidence = append(finding.Evidence, checks.Evidence{Source: m.source, Detail: kind})
			if m.target != "" && !strings.ContainsAny(m.source+m.target, "$\"' ") && !strings.HasSuffix(m.source, "/") && path.Ext(m.target)+path.Base(m.target) != "" {
				id := secretID(path.Base(m.source))
				target := m.target
				if !isAbsolute(target) {
					before, known := f.workdirBefore(in)
					if !known {
						target = ""
					} else {
						target = path.Join(before, target)
					}
				}
				if target != "" {
					text := "--mount=type=secret,id=" + id + ",target=" + target
					if u := f.userAt(in); u.known && !u.isRoot() {
						text += ",mode=0444"
					}
					finding.Fixes = []checks.Fix{{
						ID: "secret-mount", Title: checks.Msg("mount %s as a secret", m.source),
						Caution: checks.Msg("the build needs --secret id=%s,src=%s", id, m.source),
						Edit: fixed(append([]checks.Edit{{
							Start: m.flag.Start, End: m.flag.End, New: text, Reason: checks.Msg("a secret comes from outside of the context and is not cached"),
						}}, f.ignore(m.source)...)...),
					}}
				}
			}
			report(finding)
		}
	})
})

// engineSockets give whoever can write to them the whole engine.
var engineSockets = []string{"docker.sock", "containerd.sock", "podman.sock", "crio.sock"}

func engineSocket(s string) bool {
	name := path.Base(strings.Trim(s, `"'`))
	for _, socket := range engineSockets {
		if name == socket {
			return true
		}
	}
	return strings.Contains(s, "pipe") && strings.HasSuffix(s, "docker_engine")
}

var dockerSocketInImage = check(checks.Check{
	ID:       "docker-socket-in-image",
	Title:    "Docker socket in the build file",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.32 (v1.6.0)", "CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Stage == nil {
			continue
		}
		switch in.Keyword {
		case "VOLUME":
			for _, socket := range in.operands() {
				if engineSocket(socket) {
					finding := f.finding(in, socket, checks.Msg("VOLUME asks for %s, and who has that controls the engine and with it the host", socket))
					finding.Fixes = f.dropVolumes(in, engineSocket)
					report(finding)
				}
			}
		case "COPY", "ADD":
			for _, source := range in.sources() {
				if engineSocket(source) {
					report(f.finding(in, source, checks.Msg("%s takes %s, and who has that controls the engine and with it the host", in.Keyword, source)))
				}
			}
		case "RUN":
			for _, m := range in.mounts() {
				if !engineSocket(m.source) && !engineSocket(m.target) {
					continue
				}
				finding := f.findingAt(in, m.flag.Start, m.flag.End, m.target, checks.Msg("the step mounts %s, and who has that controls the engine and with it the host", m.source+m.target))
				finding.Fixes = []checks.Fix{{
					ID: "no-socket", Title: checks.Msg("leave the socket out"),
					Caution: checks.Msg("the step cannot talk to an engine then"),
					Edit:    fixed(in.dropFlag(m.flag, checks.Msg("a build needs no engine of its own"))),
				}}
				report(finding)
			}
		}
	}
})
