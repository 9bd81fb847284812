package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// A pinning says which calls install packages, and when their version is fixed.
type pinning struct {
	id, title string
	severity  checks.Severity
	refs      []string
	tools     []string
	installs  func(*call) bool
	unpinned  func(*call, string) bool // whether the operand, which is literal, has no version
}

func pinnings() []pinning {
	return []pinning{
		{
			id: "apt-version-unpinned", title: "apt packages without a version", severity: checks.Info,
			refs: []string{"hadolint DL3008", "OWASP Docker rule 9"}, tools: []string{"apt-get", "apt", "aptitude"},
			installs: func(k *call) bool { return k.is("install") && !k.has("--only-upgrade") }, // which wants the newest
			unpinned: func(_ *call, p string) bool {
				return !strings.ContainsAny(p, "=/") && !strings.HasSuffix(p, ".deb") && !strings.HasSuffix(p, "-")
			},
		},
		{
			id: "apk-version-unpinned", title: "apk packages without a version", severity: checks.Info,
			refs: []string{"hadolint DL3018"}, tools: []string{"apk"},
			installs: func(k *call) bool { return k.is("add") },
			unpinned: func(_ *call, p string) bool {
				return !strings.ContainsAny(p, "=<>~/") && !strings.HasSuffix(p, ".apk") && !strings.HasPrefix(p, "!") && !strings.HasPrefix(p, ".")
			},
		},
		{
			id: "yum-version-unpinned", title: "yum packages without a version", severity: checks.Info,
			refs: []string{"hadolint DL3033"}, tools: []string{"yum"},
			installs: rpmInstalls, unpinned: rpmUnpinned,
		},
		{
			id: "dnf-version-unpinned", title: "dnf packages without a version", severity: checks.Info,
			refs: []string{"hadolint DL3041"}, tools: []string{"dnf", "microdnf", "tdnf"},
			installs: rpmInstalls, unpinned: rpmUnpinned,
		},
		{
			id: "zypper-version-unpinned", title: "zypper packages without a version", severity: checks.Info,
			refs: []string{"hadolint DL3037"}, tools: []string{"zypper"},
			installs: func(k *call) bool {
				o, ok := k.option("-t", "--type")
				return k.is("install", "in") && (!ok || o.value.text == "package")
			},
			unpinned: func(_ *call, p string) bool {
				return !strings.ContainsAny(p, "=<>/:") && !strings.HasSuffix(p, ".rpm") && !strings.HasPrefix(p, "-")
			},
		},
		{
			id: "pip-version-unpinned", title: "Python packages without a version", severity: checks.Low,
			refs: []string{"hadolint DL3013"}, tools: []string{"pip"},
			installs: func(k *call) bool {
				return k.is("install") && !k.has("-c", "--constraint", "--no-index", "--require-hashes")
			},
			unpinned: pipUnpinned,
		},
		{
			id: "npm-version-unpinned", title: "npm packages without a version", severity: checks.Low,
			refs: []string{"hadolint DL3016"}, tools: []string{"npm", "yarn", "pnpm"},
			installs: npmAdds, unpinned: npmUnpinned,
		},
		{
			id: "gem-version-unpinned", title: "Ruby gems without a version", severity: checks.Low,
			refs: []string{"hadolint DL3028"}, tools: []string{"gem"},
			installs: func(k *call) bool {
				return k.is("install", "i") && !k.has("-v", "--version", "-g", "--file", "--local", "-l")
			},
			unpinned: func(_ *call, p string) bool {
				return !strings.ContainsAny(p, ":/") && !strings.HasSuffix(p, ".gem")
			},
		},
		{
			id: "go-version-unpinned", title: "Go programs without a version", severity: checks.Low,
			refs: []string{"hadolint DL3062"}, tools: []string{"go"},
			installs: func(k *call) bool { return k.is("install", "get", "run") }, unpinned: goUnpinned,
		},
	}
}

func pinningChecks() []*checks.Check {
	var out []*checks.Check
	for _, p := range pinnings() {
		out = append(out, check(checks.Check{
			ID: p.id, Title: p.title, Severity: p.severity, Chapter: checks.ScanningAndSigning, Refs: p.refs,
		}, p.run))
	}
	return out
}

func (p *pinning) run(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, p.tools...) {
			return
		}
		var names []string
		var words []shellWord
		var first shellWord
		tool := ""
		for _, k := range f.script(in).calls {
			for _, w := range p.loose(f, in, k) {
				if len(names) == 0 {
					first, tool = w, k.tool
				}
				names = append(names, w.text)
				words = append(words, w)
			}
		}
		if len(names) == 0 {
			return
		}
		key := in.Stage.label() + "/" + names[0]
		message := checks.Msg("%s installs %s in whatever version there is on the day of the build", tool, strings.Join(names, ", "))
		if n := len(names); n > 3 {
			message = checks.Msg("%s installs %s and %d more in whatever version there is on the day of the build", tool, strings.Join(names[:2], ", "), n-2)
		}
		finding := f.findingAt(in, first.start, first.end, key, message)
		finding.Fixes = p.pinFix(f, finding.Line, words)
		report(finding)
	})
}

// loose returns the operands of k without a version.
func (p *pinning) loose(f *File, in *Instruction, k *call) []shellWord {
	known := false
	for _, t := range p.tools {
		known = known || k.tool == t
	}
	if !known || !p.installs(k) {
		return nil
	}
	var out []shellWord
	for _, w := range k.operands {
		if k.tool == "yarn" && k.is("global") && w.text == "add" || k.is("module") && w.text == "install" {
			continue // a verb of two words
		}
		if !w.literal || w.text == "" || strings.ContainsAny(w.text, "*{$") || strings.Contains(w.text, "://") && !strings.HasPrefix(w.text, "git") {
			continue
		}
		if p.unpinned(k, w.text) && !p.setElsewhere(f, in, w.text) {
			out = append(out, w)
		}
	}
	return out
}

// setElsewhere reports whether the version is fixed outside of the command.
func (p *pinning) setElsewhere(f *File, in *Instruction, name string) bool {
	switch p.id {
	case "pip-version-unpinned":
		return f.variablesAt(in)["PIP_CONSTRAINT"] != "" || f.variablesAt(in)["PIP_REQUIRE_HASHES"] != ""
	case "go-version-unpinned":
		// Within a module go.mod has the version of what it names.
		return !strings.Contains(name, "@") && f.copiesBefore(in, "go.mod", "go.*")
	}
	return false
}

// copiesBefore reports whether in's stage has any file called one of names, or
// a whole folder, from the context or another stage.
func (f *File) copiesBefore(in *Instruction, names ...string) bool {
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Line >= in.Line || other.Keyword != "COPY" && other.Keyword != "ADD" {
				continue
			}
			if f.mentions(other, names...) {
				return true
			}
			for _, source := range other.sources() {
				if source == "." || source == "./" || strings.HasSuffix(source, "/") || strings.HasSuffix(source, "/.") || source == "*" {
					return true
				}
			}
		}
	}
	for _, mount := range in.Flag("mount") {
		if strings.Contains(mount, "bind") {
			return true
		}
	}
	return false
}

// rpmInstalls reports whether k installs packages, or modules of them, whose
// version is that of their stream: name:stream.
func rpmInstalls(k *call) bool {
	return k.is("install") || k.is("module") && len(k.operands) > 0 && k.operands[0].text == "install"
}

// rpmUnpinned reports whether p is a name without -version or -version-release.
func rpmUnpinned(_ *call, p string) bool {
	if strings.HasSuffix(p, ".rpm") || strings.ContainsAny(p, "/@:=<>") || strings.HasPrefix(p, "-") {
		return false
	}
	segments := strings.Split(p, "-")
	last := segments[len(segments)-1]
	return len(segments) == 1 || last == "" || last[0] < '0' || last[0] > '9'
}

func pipUnpinned(_ *call, p string) bool {
	if repository, ok := strings.CutPrefix(p, "git+"); ok {
		_, path, _ := strings.Cut(repository, "://")
		_, path, _ = strings.Cut(path, "/")
		return !strings.Contains(path, "@")
	}
	if strings.ContainsAny(p, "=<>~!@/\\") || strings.HasPrefix(p, ".") {
		return false
	}
	return !strings.HasSuffix(p, ".whl") && !strings.HasSuffix(p, ".gz") && !strings.HasSuffix(p, ".zip") && !strings.HasSuffix(p, ".txt")
}

// npmAdds reports whether k installs packages that it names.
func npmAdds(k *call) bool {
	switch k.tool {
	case "npm":
		return k.is("install", "i", "add", "in", "isntall")
	case "yarn":
		return k.is("add") || k.is("global") && len(k.operands) > 0 && k.operands[0].text == "add"
	}
	return k.is("add") || k.is("install", "i")
}

func npmUnpinned(_ *call, p string) bool {
	if strings.HasPrefix(p, ".") || strings.HasPrefix(p, "/") || strings.HasPrefix(p, "~") || strings.HasPrefix(p, "-") {
		return false
	}
	if strings.HasSuffix(p, ".tgz") || strings.HasSuffix(p, ".tar.gz") || strings.HasSuffix(p, ".tar") {
		return false
	}
	if strings.HasPrefix(p, "git") && strings.Contains(p, ":") {
		return !strings.Contains(p, "#")
	}
	if strings.Contains(p, "/") && !strings.HasPrefix(p, "@") {
		return strings.Contains(p, ":") && !strings.Contains(p, "#") // a folder or a repository
	}
	_, version, ok := strings.Cut(p[1:], "@")
	if !ok {
		return true
	}
	// A tag such as latest or next moves.
	return version == "" || version == "latest" || version == "next" || version == "beta" || version == "canary"
}

func goUnpinned(k *call, p string) bool {
	name, version, ok := strings.Cut(p, "@")
	host, _, _ := strings.Cut(name, "/")
	if !strings.Contains(host, ".") || strings.HasPrefix(host, ".") || strings.HasSuffix(p, ".go") {
		return false
	}
	if k.is("run") && len(k.operands) > 0 && k.operands[0].text != p {
		return false // an argument of the program
	}
	return !ok || version == "latest" || version == "upgrade" || version == "master" || version == "main"
}
