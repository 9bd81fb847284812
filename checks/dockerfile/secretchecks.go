package dockerfile

import (
	"path"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var credentialCommand = check(checks.Check{
	ID:       "credential-command-without-secret-mount",
	Title:    "Login in a build step without a secret mount",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"trivy DS-0031", "CWE-522"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if in.mountsKind("secret") || !f.mentions(in, credentialHints[:]...) {
			return
		}
		s := f.script(in)
		for _, c := range s.commands {
			l, ok := loginOf(c)
			if !ok {
				continue
			}
			finding := f.findingAt(in, c.words[c.at].start, c.words[c.at].end, in.Stage.label()+"/"+l.what, checks.Msg("%s gets credentials in a step without a secret mount: they stay in the layer or in its history", l.what))
			finding.Fixes = f.loginFix(in, s, c, l)
			report(finding)
		}
	})
})

// credentialHints stand in every command that the check knows.
var credentialHints = [...]string{"login", "config", "credential", "auth", "_authToken", "assword", "token", "Token", "TOKEN"}

// A login is a way to give a tool credentials that it keeps in a file.
type login struct {
	what  string // "docker login"
	file  string // below the home directory of the user; "" when there is no such file
	tools string // that read it
}

// logins are the tools' commands, by program and first words, and the files in
// which they keep what they get: facts of their documentation.
var logins = []struct {
	words string // program and operands, in order, options left out
	login
	needs string // one of these must be an option or part of an operand; "" for none
}{
	{"docker login", login{"docker login", ".docker/config.json", "docker"}, ""},
	{"podman login", login{"podman login", "", ""}, ""},
	{"buildah login", login{"buildah login", "", ""}, ""},
	{"skopeo login", login{"skopeo login", "", ""}, ""},
	{"crane auth login", login{"crane auth login", ".docker/config.json", "crane"}, ""},
	{"oras login", login{"oras login", ".docker/config.json", "oras"}, ""},
	{"helm registry login", login{"helm registry login", "", ""}, ""},
	{"npm config set", login{"npm config set", ".npmrc", "npm npx yarn pnpm"}, "_auth _password"},
	{"npm set", login{"npm set", ".npmrc", "npm npx yarn pnpm"}, "_auth _password"},
	{"pnpm config set", login{"pnpm config set", ".npmrc", "pnpm"}, "_auth _password"},
	{"yarn config set", login{"yarn config set", "", ""}, "_auth _password npmAuthToken npmAuthIdent"},
	{"composer config", login{"composer config", ".composer/auth.json", "composer"}, "http-basic github-oauth gitlab-token bearer bitbucket-oauth"},
	{"poetry config", login{"poetry config", "", ""}, "http-basic pypi-token"},
	{"bundle config", login{"bundle config", "", ""}, "credentials"},
	{"aws configure set", login{"aws configure set", ".aws/credentials", "aws"}, "aws_secret_access_key aws_session_token"},
	{"az login", login{"az login", "", ""}, "-p --password"},
	{"gh auth login", login{"gh auth login", "", ""}, "--with-token"},
	{"gcloud auth activate-service-account", login{"gcloud auth activate-service-account", "", ""}, ""},
	{"cargo login", login{"cargo login", ".cargo/credentials.toml", "cargo"}, ""},
	{"heroku login", login{"heroku login", "", ""}, ""},
	{"vault login", login{"vault login", ".vault-token", "vault"}, ""},
	{"dotnet nuget add source", login{"dotnet nuget add source", ".nuget/NuGet/NuGet.Config", "dotnet"}, "-p --password"},
	{"dotnet nuget update source", login{"dotnet nuget update source", ".nuget/NuGet/NuGet.Config", "dotnet"}, "-p --password"},
	{"nuget sources add", login{"nuget sources add", "", ""}, "-Password -password"},
	{"twine upload", login{"twine upload", "", ""}, "-p --password"},
	{"kubectl config set-credentials", login{"kubectl config set-credentials", ".kube/config", "kubectl helm"}, "--token --password"},
	{"sentry-cli login", login{"sentry-cli login", "", ""}, "--auth-token"},
	{"conan remote login", login{"conan remote login", "", ""}, "-p --password"},
	{"conan user", login{"conan user", "", ""}, "-p --password"},
}

// loginOf returns the login that c is.
func loginOf(c *command) (login, bool) {
	program := c.program()
	switch program {
	case "":
		return login{}, false
	case "echo", "printf":
		return writtenLogin(c)
	case "git":
		return gitLogin(c)
	case "bundle", "bundler":
		if credentialBundle(c) {
			return login{what: "bundle config"}, true
		}
		return login{}, false
	}
	for _, l := range logins {
		if !strings.HasPrefix(l.words, program+" ") {
			continue
		}
		words := strings.Fields(l.words)
		next, need := 1, l.needs == ""
		for _, a := range c.args() {
			if next < len(words) && a.text == words[next] {
				next++
				continue
			}
			for _, n := range strings.Fields(l.needs) {
				if strings.HasPrefix(n, "-") {
					need = need || a.text == n || strings.HasPrefix(a.text, n+"=")
				} else {
					need = need || strings.Contains(a.text, n)
				}
			}
			if a.text == "--help" || a.text == "--anonymous" || a.text == "--get-login" {
				return login{}, false
			}
		}
		if next == len(words) && need {
			return l.login, true
		}
	}
	return login{}, false
}

// credentialBundle reports whether c gives bundler a host with what looks like
// a token: the setting is a host name, its value anything.
func credentialBundle(c *command) bool {
	var operands []string
	for _, a := range c.args() {
		if !strings.HasPrefix(a.text, "-") {
			operands = append(operands, a.text)
		}
	}
	if len(operands) > 0 && operands[0] == "config" {
		operands = operands[1:]
	}
	if len(operands) > 0 && (operands[0] == "set" || operands[0] == "global") {
		operands = operands[1:]
	}
	return len(operands) == 2 && strings.Contains(operands[0], ".") && !strings.Contains(operands[0], "mirror") && !strings.Contains(operands[0], "build.") &&
		(strings.Contains(operands[1], ":") || mentionsSecret(operands[1]))
}

// writtenLogin recognises echo '…_authToken=…' > .npmrc and its like.
func writtenLogin(c *command) (login, bool) {
	if c.stmt == nil {
		return login{}, false
	}
	text := ""
	for _, a := range c.args() {
		text += " " + a.text
	}
	for _, r := range c.stmt.Redirs {
		if r.Word == nil || r.Op.String() != ">" && r.Op.String() != ">>" {
			continue
		}
		start, end := int(r.Word.Pos().Offset()), endOf(r.Word, c.text)
		if end > len(c.text.String) {
			continue
		}
		file := path.Base(strings.Trim(c.text.String[start:end], `"'`))
		switch {
		case file == ".npmrc" && (strings.Contains(text, "_auth") || strings.Contains(text, "_password")),
			(file == ".netrc" || file == "_netrc" || file == "auth.conf") && strings.Contains(text, "password"),
			file == ".git-credentials" && strings.Contains(text, "@"),
			file == ".pypirc" && strings.Contains(text, "password"),
			file == "pip.conf" && mentionsSecret(text) && strings.Contains(text, "@"):
			return login{what: file}, true
		}
	}
	return login{}, false
}

// gitLogin recognises credentials in git's configuration.
func gitLogin(c *command) (login, bool) {
	config := false
	for _, a := range c.args() {
		lower := strings.ToLower(a.text)
		config = config || a.text == "config"
		switch {
		case config && strings.Contains(lower, ".insteadof") && strings.Contains(a.text, "@") && strings.Contains(a.text, "://") && !strings.Contains(a.text, "://git@") && !strings.Contains(a.text, "ssh://"),
			config && strings.Contains(lower, "extraheader"):
			return login{what: "git config"}, true
		}
	}
	return login{}, false
}

// mentionsSecret reports whether text names a variable that holds a secret.
func mentionsSecret(text string) bool {
	for _, name := range variableNames(text) {
		if secret.SensitiveName(name) {
			return true
		}
	}
	return false
}

// variableNames returns the names of the variables that text expands.
func variableNames(text string) []string {
	var out []string
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			return out
		}
		if name := variableName(text[i:]); name != "" {
			out = append(out, name)
		}
		text = text[i+1:]
	}
}

// loginFix takes the command out and mounts the file that it would have written
// into the steps that read it. It fails where something else needs the command.
func (f *File) loginFix(in *Instruction, s *script, c *command, l login) []checks.Fix {
	u := f.userAt(in)
	if l.file == "" || u.in != nil && !u.isRoot() || !f.ordinary() {
		return nil
	}
	start, end, ok := s.extent(c)
	if !ok {
		return nil
	}
	target := "/root/" + l.file
	name := path.Base(l.file)
	id := strings.TrimPrefix(secretID(strings.ReplaceAll(strings.TrimPrefix(l.file, "."), "/", "_")), ".")
	cut, ok := f.takeOut(in, start, end, checks.Msg("what it writes stays in the layer"))
	if !ok {
		return nil
	}
	edits := []checks.Edit{cut}
	tools := strings.Fields(l.tools)
	mounted := false
	for _, other := range in.Stage.Instructions {
		if other.Keyword != "RUN" || other.Line < in.Line {
			continue
		}
		rest := other.Args.String
		if other == in {
			from, to := in.Args.index(start), in.Args.index(end-1)+1
			rest = rest[:from] + rest[to:]
		}
		if hasWord(rest, "logout") || hasWord(rest, name) || strings.Contains(rest, "config delete") || strings.Contains(rest, "config rm") {
			return nil // the mounted file cannot be deleted
		}
		if other.IsExec || other.open || len(other.Heredocs) > 0 {
			continue
		}
		if slices.ContainsFunc(tools, func(tool string) bool { return hasWord(rest, tool) }) {
			edits = append(edits, f.mountSecret(other, id, target, true)...)
			mounted = true
		}
	}
	if !mounted {
		return nil
	}
	return []checks.Fix{{
		ID: "secret-mount", Title: checks.Msg("mount the file that %s writes as a secret", l.what),
		Caution: checks.Msg("the build needs --secret id=%s,src=$HOME/%s", id, l.file),
		Edit:    fixed(edits...),
	}}
}

var buildStepDummySecret = check(checks.Check{
	ID:       "build-step-needs-dummy-secret",
	Title:    "Real application secret for compiling assets",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-522"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "assets:precompile") || f.mentions(in, "SECRET_KEY_BASE_DUMMY") {
			return
		}
		for _, c := range f.script(in).commands {
			if !slices.ContainsFunc(c.args(), func(w shellWord) bool { return w.text == "assets:precompile" }) {
				continue
			}
			name := f.railsSecret(in)
			if name == "" {
				continue
			}
			finding := f.findingAt(in, c.words[c.at].start, c.words[c.at].end, in.Stage.label(), checks.Msg("assets:precompile gets the real %s, although any value would do", name))
			if _, set := f.variablesAt(in)["SECRET_KEY_BASE_DUMMY"]; set {
				continue
			}
			if c.exact && !c.nested && c.stmt != nil {
				at, _ := c.text.Range(int(c.stmt.Pos().Offset()), int(c.stmt.Pos().Offset())+1)
				finding.Fixes = []checks.Fix{{
					ID: "dummy-key", Title: checks.Msg("compile with a dummy key"),
					Caution: checks.Msg("Rails knows SECRET_KEY_BASE_DUMMY from 7.1 on; take the real key out of the file then"),
					Edit:    fixed(checks.Edit{Start: at, End: at, New: "SECRET_KEY_BASE_DUMMY=1 ", Reason: checks.Msg("compiling assets needs a key but not the key")}),
				}}
			}
			report(finding)
		}
	})
})

// railsSecret returns the real secret of Rails that in gets from an ARG, an
// ENV or the step itself.
func (f *File) railsSecret(in *Instruction) string {
	for _, name := range []string{"SECRET_KEY_BASE", "RAILS_MASTER_KEY"} {
		for _, s := range in.Stage.Chain() {
			for _, other := range s.Instructions {
				if (other.Keyword == "ARG" || other.Keyword == "ENV") && other.Line < in.Line {
					for _, p := range f.Pairs(other) {
						if p.Name == name && !dummyValue(p.Value) && (other.Keyword == "ARG" || strings.Contains(p.Value, "$") || secret.Literal(p.Value)) {
							return name
						}
					}
				}
			}
		}
		if text := in.Args.String; strings.Contains(text, name+"=$") || strings.Contains(text, name+`="$`) {
			return name
		}
	}
	return ""
}

func dummyValue(value string) bool {
	v := strings.ToLower(strings.Trim(value, `"'`))
	for _, word := range []string{"dummy", "fake", "placeholder", "test", "temp", "changeme", "build", "not", "precompile", "xxx"} {
		if strings.Contains(v, word) {
			return true
		}
	}
	return v == "1" || v == "x" || v == "a" || v == "none"
}
