package dockerfile

import (
	"path"
	"slices"
	"strings"

	"plimsoll/checks"
)

var secretFileCopied = check(checks.Check{
	ID:       "secret-file-copied",
	Title:    "Secret file copied into the image",
	Severity: checks.Critical,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "trivy DS-0031", "dockle CIS-DI-0010", "CWE-538"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || !f.Shipped(in.Stage) || len(in.Flag("from")) > 0 {
			continue
		}
		sources := in.sources()
		for i, source := range sources {
			kind, tools, ok := secretFile(source)
			if !ok {
				continue
			}
			finding := f.finding(in, source, checks.Msg("%s puts %s into the image, where everyone who has it can read it", in.Keyword, source))
			finding.Evidence = append(finding.Evidence, checks.Evidence{Source: source, Detail: kind})
			finding.Fixes = f.dropFix(in, sources, i, tools)
			report(finding)
		}
	}
	f.namedCredentials(report)
})

// secretFiles are names of files that hold credentials, and the tools that read
// them during a build. The facts are those tools' documentation.
var secretFiles = []struct{ pattern, kind, tools string }{
	{".env", "a file of secret variables", ""},
	{".env.*", "a file of secret variables", ""},
	{".npmrc", "npm's credentials", "npm npx yarn pnpm"},
	{".yarnrc.yml", "", ""},
	{".netrc", "passwords for hosts", "curl wget git go pip pip3"},
	{"_netrc", "passwords for hosts", ""},
	{".pypirc", "credentials for package indexes", "twine pip pip3 poetry"},
	{".git-credentials", "git's passwords", "git"},
	{".pgpass", "database passwords", "psql pg_dump"},
	{".htpasswd", "password hashes", ""},
	{"id_rsa", "a private SSH key", "git ssh npm pip go"},
	{"id_dsa", "a private SSH key", "git ssh npm pip go"},
	{"id_ecdsa", "a private SSH key", "git ssh npm pip go"},
	{"id_ed25519", "a private SSH key", "git ssh npm pip go"},
	{".ssh", "private SSH keys", ""},
	{".aws", "credentials for AWS", ""},
	{".kube", "access to a cluster", ""},
	{"kubeconfig", "access to a cluster", ""},
	{"kubeconfig.*", "access to a cluster", ""},
	{".dockercfg", "passwords for registries", ""},
	{".gnupg", "private keys", ""},
	{"credentials.json", "credentials of a service", ""},
	{"service-account*.json", "credentials of a service", ""},
	{"service_account*.json", "credentials of a service", ""},
	{"terraform.tfstate", "secrets of an infrastructure", ""},
	{"*.p12", "a private key", ""},
	{"*.pfx", "a private key", ""},
	{"*.jks", "private keys", ""},
	{"*.ppk", "a private key", ""},
	{"*.key", "a private key", ""},
	{"*privkey*.pem", "a private key", ""},
	{"*private*.pem", "a private key", ""},
	{"*-key.pem", "a private key", ""},
	{"key.pem", "a private key", ""},
}

// harmlessEndings mark examples and public halves.
var harmlessEndings = []string{".example", ".sample", ".template", ".dist", ".tmpl", ".defaults", ".schema", ".pub"}

// secretFile says what kind of credentials a file called source holds.
func secretFile(source string) (kind string, tools []string, ok bool) {
	name := path.Base(strings.TrimSuffix(source, "/"))
	for _, ending := range harmlessEndings {
		if strings.HasSuffix(name, ending) {
			return "", nil, false
		}
	}
	dir := path.Base(path.Dir(source))
	if dir == ".aws" || dir == ".ssh" && name != "known_hosts" && name != "config" || dir == ".kube" && name == "config" || dir == ".docker" && name == "config.json" {
		return "credentials of a user", nil, true
	}
	if strings.Contains(name, "public") {
		return "", nil, false
	}
	for _, s := range secretFiles {
		if s.kind != "" && matches(s.pattern, name) {
			return s.kind, strings.Fields(s.tools), true
		}
	}
	return "", nil, false
}

// matches is [path.Match] for a pattern of letters and stars, which most names
// of a large directory fail at once.
func matches(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return name == pattern
	}
	tail := rest[strings.LastIndexByte(rest, '*')+1:]
	if !strings.HasPrefix(name, head) || !strings.HasSuffix(name, tail) {
		return false
	}
	matched, err := path.Match(pattern, name)
	return err == nil && matched
}

// dropFix takes source i out of in and out of the build context; the later
// steps that read it get it as a build secret.
func (f *File) dropFix(in *Instruction, sources []string, i int, tools []string) []checks.Fix {
	if !f.ordinary() || len(sources) > 100 {
		return nil
	}
	source := sources[i]
	words := in.Words()
	if in.IsExec || in.open || len(in.Heredocs) > 0 || len(words) != len(sources)+1 || strings.Contains(source, "$") {
		return nil
	}
	reason := checks.Msg("what is copied stays in the image, also when it is deleted later")
	edits, mounted, ok := f.mountInstead(in, source, words[len(words)-1].Text, len(sources), tools)
	if !ok {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(sources), func(s string) bool { _, _, is := secretFile(s); return is })
	switch {
	case len(others) == 0:
		edits = append(edits, f.remove(in, reason))
	default:
		edits = append(edits, removeWord(words, i, reason))
	}
	edits = append(edits, f.ignore(source)...)
	fix := checks.Fix{ID: "not-copied", Title: checks.Msg("do not copy %s", source), Edit: fixed(edits...)}
	if mounted {
		fix.Caution = checks.Msg("the build needs --secret id=%s,src=%s; and change what is in it, if an image was shared", secretID(path.Base(source)), source)
	} else {
		fix.Caution = checks.Msg("a program that reads %s must get it when the container starts, as a mount or with --env-file", source)
	}
	return []checks.Fix{fix}
}

// mountInstead mounts source where in would have copied it, into the later
// steps of the stage that run one of tools. A plain rm of the file, which a
// mount would not allow, goes; it fails where something else names the file.
func (f *File) mountInstead(in *Instruction, source, destination string, sources int, tools []string) (edits []checks.Edit, mounted, ok bool) {
	name := path.Base(source)
	target := destination
	if strings.HasSuffix(destination, "/") || destination == "." || sources > 1 || path.Base(destination) != name {
		target = path.Join(destination, name)
	}
	if !isAbsolute(target) {
		before, known := f.workdirBefore(in)
		if !known {
			tools = nil
		}
		target = path.Join(before, target)
	}
	if strings.ContainsAny(target, "$,\"' ~") {
		tools = nil
	}
	for _, other := range in.Stage.Instructions {
		if other.Keyword != "RUN" || other.Line <= in.Line {
			continue
		}
		text := other.Args.String
		if hasWord(text, name) {
			undone, rest, ok := f.withoutDelete(other, name)
			if !ok {
				return nil, false, false
			}
			edits, text = append(edits, undone...), rest
		}
		if text != "" && len(other.Heredocs) == 0 && !other.open && slices.ContainsFunc(tools, func(tool string) bool { return hasWord(text, tool) }) {
			edits = append(edits, f.mountSecret(other, secretID(name), target, false)...)
			mounted = true
		}
	}
	return edits, mounted, true
}

// withoutDelete returns the edits that take the rm of name out of in, and what
// is left of its text: "" when nothing is. It fails where in does something
// else with the file.
func (f *File) withoutDelete(in *Instruction, name string) (edits []checks.Edit, rest string, ok bool) {
	reason := checks.Msg("nothing is copied that would have to be deleted")
	s := f.script(in)
	rest = in.Args.String
	for _, c := range s.commands {
		if c.program() != "rm" || !c.exact {
			continue
		}
		var named, others []shellWord
		for _, a := range c.args() {
			switch {
			case path.Base(a.text) == name:
				named = append(named, a)
			case !strings.HasPrefix(a.text, "-"):
				others = append(others, a)
			}
		}
		if len(named) == 0 {
			continue
		}
		start, end, known := s.extent(c)
		if len(others) > 0 {
			if len(named) > 1 {
				return nil, "", false
			}
			w := named[0]
			start, end, known = w.start, w.end, true
			for start > in.Start && isSpace(f.Source[start-1]) {
				start--
			}
			edits = append(edits, checks.Edit{Start: start, End: end, Reason: reason})
		} else if known {
			edit, possible := f.takeOut(in, start, end, reason)
			if !possible {
				return nil, "", false
			}
			edits = append(edits, edit)
		}
		from, to := in.Args.index(start), in.Args.index(end-1)+1
		if !known || from < 0 || len(edits) > 1 {
			return nil, "", false
		}
		rest = strings.TrimSpace(rest[:from] + rest[to:])
	}
	return edits, rest, len(edits) > 0 && !hasWord(rest, name)
}
