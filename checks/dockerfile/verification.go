package dockerfile

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

// A laxity is a way to switch off the verification of what a tool fetches.
type laxity struct {
	id, title string
	refs      []string
	variables []laxVariable
	options   []laxOption
	settings  []laxSetting
	signature bool   // what is not verified is the signature of packages
	file      string // configuration file that may switch it off: ".curlrc"
	fileLine  string // with this word
}

// A laxVariable is an environment variable: verification is off when it has one
// of the values off, or any value at all when there are none.
type laxVariable struct {
	name string
	off  []string
	on   string // the value that means verification
}

// A laxOption is an option of a tool.
type laxOption struct {
	tools string // with a space around each
	names []string
	value string // part of its value, in lower case, that it is about; "" for all
}

// A laxSetting is NAME=off in a configuration, on a command line or in a file
// that the step writes.
type laxSetting struct {
	name   string
	off    []string
	on     string
	tools  string // that set it by a command: npm config set NAME off
	within string // what else a text must have to be about it
}

var (
	zero      = []string{"0"}
	falsehood = []string{"false", "0"}
	noes      = []string{"0", "false", "no", "off"}
)

const rpmTools = " yum dnf microdnf tdnf yum-config-manager dnf-config-manager "

// laxities is a function because a table of values is made at start otherwise.
func laxities() []laxity {
	return []laxity{
		{
			id: "tls-verify-off-curl", title: "curl does not verify certificates",
			refs:    []string{"checkov CKV2_DOCKER_2", "CWE-295"},
			options: []laxOption{{tools: " curl ", names: []string{"-k", "--insecure", "--proxy-insecure", "--doh-insecure"}}},
			file:    ".curlrc", fileLine: "insecure",
		},
		{
			id: "tls-verify-off-wget", title: "wget does not verify certificates",
			refs:     []string{"checkov CKV2_DOCKER_3", "CWE-295"},
			options:  []laxOption{{tools: " wget ", names: []string{"--no-check-certificate"}}},
			settings: []laxSetting{{name: "check_certificate", off: []string{"off", "no", "0"}, on: "on"}, {name: "check-certificate", off: []string{"off", "no", "0"}, on: "on"}},
		},
		{
			id: "tls-verify-off-pip", title: "pip trusts hosts without a certificate",
			refs:      []string{"checkov CKV2_DOCKER_4", "checkov CKV2_DOCKER_16", "CWE-295"},
			variables: []laxVariable{{name: "PIP_TRUSTED_HOST", on: `""`}},
			options:   []laxOption{{tools: " pip ", names: []string{"--trusted-host"}}},
		},
		{
			id: "tls-verify-off-python", title: "Python does not verify certificates",
			refs:      []string{"checkov CKV2_DOCKER_5", "CWE-295"},
			variables: []laxVariable{{name: "PYTHONHTTPSVERIFY", off: zero, on: "1"}},
		},
		{
			id: "tls-verify-off-node", title: "Node.js does not verify certificates",
			refs:      []string{"checkov CKV2_DOCKER_6", "CWE-295"},
			variables: []laxVariable{{name: "NODE_TLS_REJECT_UNAUTHORIZED", off: zero, on: "1"}},
		},
		{
			id: "tls-verify-off-npm", title: "npm or yarn does not verify certificates",
			refs: []string{"checkov CKV2_DOCKER_12", "checkov CKV2_DOCKER_13", "CWE-295"},
			variables: []laxVariable{
				{name: "NPM_CONFIG_STRICT_SSL", off: falsehood, on: "true"}, {name: "npm_config_strict_ssl", off: falsehood, on: "true"},
				{name: "YARN_ENABLE_STRICT_SSL", off: falsehood, on: "true"}, {name: "yarn_strict_ssl", off: falsehood, on: "true"},
			},
			options: []laxOption{
				{tools: " npm yarn pnpm ", names: []string{"--no-strict-ssl"}},
				{tools: " npm yarn pnpm ", names: []string{"--strict-ssl"}, value: "false"},
			},
			settings: []laxSetting{
				{name: "strict-ssl", off: falsehood, on: "true", tools: " npm yarn pnpm "},
				{name: "enableStrictSsl", off: falsehood, on: "true", tools: " yarn "},
			},
		},
		{
			id: "tls-verify-off-git", title: "git does not verify certificates",
			refs:      []string{"checkov CKV2_DOCKER_14", "CWE-295"},
			variables: []laxVariable{{name: "GIT_SSL_NO_VERIFY"}},
			settings:  []laxSetting{{name: "http.sslVerify", off: noes, on: "true", tools: " git "}},
		},
		{
			id: "tls-verify-off-dnf", title: "yum or dnf does not verify certificates",
			refs:     []string{"checkov CKV2_DOCKER_15", "CWE-295"},
			options:  []laxOption{{tools: rpmTools, names: []string{"--nosslverify"}}},
			settings: []laxSetting{{name: "sslverify", off: noes, on: "1", tools: rpmTools}},
		},
		{
			id: "pkg-signature-off-apk", title: "apk installs packages without a signature", signature: true,
			refs:    []string{"checkov CKV2_DOCKER_7", "CWE-347"},
			options: []laxOption{{tools: " apk ", names: []string{"--allow-untrusted"}}},
		},
		{
			id: "pkg-signature-off-apt", title: "apt installs packages without a signature", signature: true,
			refs: []string{"checkov CKV2_DOCKER_8", "checkov CKV2_DOCKER_11", "CWE-347"},
			options: []laxOption{{
				tools: " apt apt-get aptitude ",
				names: []string{"--allow-unauthenticated", "--force-yes", "--allow-insecure-repositories", "--no-allow-weak-repositories"},
			}},
			settings: []laxSetting{
				{name: "APT::Get::AllowUnauthenticated", off: []string{"true", "1", "yes"}, on: "false", tools: " apt apt-get aptitude "},
				{name: "Acquire::AllowInsecureRepositories", off: []string{"true", "1", "yes"}, on: "false", tools: " apt apt-get aptitude "},
				{name: "Verify-Peer", off: falsehood, on: "true", tools: " apt apt-get aptitude "},
				{name: "trusted", off: []string{"yes"}, on: "no", within: "deb"},
			},
		},
		{
			id: "pkg-signature-off-rpm", title: "Packages are installed without their signature", signature: true,
			refs: []string{"checkov CKV2_DOCKER_9", "checkov CKV2_DOCKER_10", "CWE-347"},
			options: []laxOption{
				{tools: rpmTools, names: []string{"--nogpgcheck", "--no-gpgchecks", "--no-gpg-checks"}},
				{tools: " zypper ", names: []string{"--no-gpg-checks", "--allow-unsigned-rpm"}},
				{tools: " rpm ", names: []string{"--nosignature", "--nodigest", "--noverify", "--nofiledigest"}},
			},
			settings: []laxSetting{{name: "gpgcheck", off: noes, on: "1", tools: rpmTools}},
		},
	}
}

// verificationChecks returns a check for each of laxities.
func verificationChecks() []*checks.Check {
	var out []*checks.Check
	for _, l := range laxities() {
		out = append(out, check(checks.Check{
			ID: l.id, Title: l.title, Severity: checks.High, Chapter: checks.ScanningAndSigning, Refs: l.refs,
		}, l.run))
	}
	return out
}

func (l *laxity) run(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		switch {
		case in.Stage == nil:
		case in.Keyword == "ENV" || in.Keyword == "ARG":
			l.declared(f, in, report)
		case in.Keyword == "RUN" && l.hinted(f, in):
			l.executed(f, in, report)
		case (in.Keyword == "COPY" || in.Keyword == "ADD") && len(in.Heredocs) > 0:
			l.heredocs(f, in, report)
		}
	}
}

// hinted reports whether in has any word that l is about.
func (l *laxity) hinted(f *File, in *Instruction) bool {
	for _, v := range l.variables {
		if f.mentions(in, v.name) {
			return true
		}
	}
	for _, o := range l.options {
		if f.mentions(in, o.names...) || len(o.names[0]) == 2 && f.mentions(in, "curl") {
			return true
		}
	}
	for _, s := range l.settings {
		if f.mentions(in, s.name) || s.tools == " git " && f.mentions(in, "http.ssl") {
			return true
		}
	}
	return l.file != "" && f.mentions(in, l.file)
}

func (l *laxity) finding(f *File, in *Instruction, start, end int, what string) checks.Finding {
	message := checks.Msg("%s switches the verification of certificates off: whoever is on the way can change what arrives", what)
	if l.signature {
		message = checks.Msg("%s lets packages in that nobody has signed", what)
	}
	return f.findingAt(in, start, end, in.Stage.label()+"/"+what, message)
}

// strict is the fix of every laxity.
func (l *laxity) strict(edits ...checks.Edit) []checks.Fix {
	fix := checks.Fix{
		ID: "verify", Title: checks.Msg("verify certificates again"),
		Caution: checks.Msg("a host whose certificate cannot be verified stops the build from now on: give the build its CA certificate"),
	}
	reason := checks.Msg("what cannot be verified is not used")
	if l.signature {
		fix.Title = checks.Msg("verify signatures again")
		fix.Caution = checks.Msg("a package that is not signed stops the build from now on: give the build the key of its repository")
	}
	for i := range edits {
		edits[i].Reason = reason
	}
	fix.Edit = fixed(edits...)
	return []checks.Fix{fix}
}

func (v laxVariable) isOff(value string) bool {
	if len(v.off) == 0 {
		return value != "" || v.on == ""
	}
	return containsFold(v.off, value)
}

func containsFold(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

// declared looks at the variables that an ENV or ARG sets.
func (l *laxity) declared(f *File, in *Instruction, report func(checks.Finding)) {
	for _, v := range l.variables {
		pairs := f.Pairs(in)
		for i, p := range pairs {
			if p.Name != v.name || !p.HasValue {
				continue
			}
			value, certain := f.expand(p.Value, variables{})
			if !certain || !v.isOff(value) {
				continue
			}
			finding := l.finding(f, in, p.Start, p.End, p.Name+"="+value)
			switch {
			case len(pairs) == 1:
				finding.Fixes = l.strict(f.remove(in, checks.Message{}))
			case v.on != "":
				finding.Fixes = l.strict(checks.Edit{Start: p.ValueStart, End: p.ValueEnd, New: v.on})
			case i > 0:
				finding.Fixes = l.strict(checks.Edit{Start: pairs[i-1].End, End: p.End})
			default:
				finding.Fixes = l.strict(checks.Edit{Start: p.Start, End: pairs[1].Start})
			}
			report(finding)
		}
	}
}

// executed looks at the commands of a step.
func (l *laxity) executed(f *File, in *Instruction, report func(checks.Finding)) {
	s := f.script(in)
	for _, v := range l.variables {
		for _, a := range s.assigns {
			if a.name == v.name && a.value.literal && a.command != "" && v.isOff(a.value.text) {
				finding := l.finding(f, in, a.start, a.end, a.name+"="+a.value.text)
				switch {
				case v.on != "":
					finding.Fixes = l.strict(checks.Edit{Start: a.value.start, End: a.value.end, New: v.on})
				case a.alone:
					finding.Fixes = l.strict(checks.Edit{Start: a.stmtStart, End: a.stmtEnd, New: "unset " + a.name})
				case a.next >= 0:
					finding.Fixes = l.strict(checks.Edit{Start: a.start, End: a.next})
				}
				report(finding)
			}
		}
	}
	for _, k := range s.calls {
		l.called(f, in, k, report)
	}
	for _, c := range s.commands {
		l.written(f, in, c, report)
	}
	if len(in.Heredocs) > 0 && (!isHeredocOnly(in) || len(s.commands) == 0) {
		l.heredocs(f, in, report)
	}
}

// called looks at the options and settings of one call.
func (l *laxity) called(f *File, in *Instruction, k *call, report func(checks.Finding)) {
	var edits []checks.Edit
	var first *option
	for _, o := range l.options {
		if !strings.Contains(o.tools, " "+k.tool+" ") {
			continue
		}
		for i := range k.options {
			x := &k.options[i]
			if !slices.Contains(o.names, x.name) || o.value != "" && !strings.EqualFold(x.value.text, o.value) {
				continue
			}
			if first == nil {
				first = x
			}
			if e, ok := f.dropOption(*x); ok {
				edits = append(edits, e)
			}
		}
	}
	if first != nil && !(l.signature && f.ownPackages(in, k)) {
		finding := l.finding(f, in, first.word.start, first.last, k.tool+" "+first.name)
		if len(edits) > 0 && k.exact {
			finding.Fixes = l.strict(edits...)
		}
		report(finding)
	}
	for _, s := range l.settings {
		if s.tools == "" || !strings.Contains(s.tools, " "+k.tool+" ") || strings.Contains(" npm yarn pnpm ", " "+k.tool+" ") && !k.is("config", "c", "set") {
			continue
		}
		words := k.args()
		for i, w := range words {
			switch value, ok := s.in(w.text); {
			case ok:
				finding := l.finding(f, in, w.start, w.end, s.name+"="+value)
				if e, ok := f.flip(w, s); ok {
					finding.Fixes = l.strict(e)
				}
				report(finding)
			case strings.EqualFold(w.text, s.name) && i+1 < len(words) && containsFold(s.off, words[i+1].text):
				next := words[i+1]
				finding := l.finding(f, in, w.start, next.end, s.name+" "+next.text)
				if k.exact {
					finding.Fixes = l.strict(checks.Edit{Start: next.start, End: next.end, New: s.on})
				}
				report(finding)
			}
		}
	}
}

// ownPackages reports whether all that k installs are files that a stage of
// this build made: nobody but the build could have signed them.
func (f *File) ownPackages(in *Instruction, k *call) bool {
	var made []string
	for _, m := range in.mounts() {
		if m.kind == "bind" && f.stage(m.from) != nil {
			made = append(made, m.target)
		}
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if from := other.Flag("from"); other.Keyword == "COPY" && other.Line < in.Line && len(from) == 1 && f.stage(from[0]) != nil {
				if _, dest, certain, _ := f.destination(other); certain {
					made = append(made, dest)
				}
			}
		}
	}
	packages := 0
	for _, w := range k.operands {
		packages++
		if !slices.ContainsFunc(made, func(dir string) bool { return dir != "" && strings.HasPrefix(w.text, strings.TrimSuffix(dir, "/")+"/") }) {
			return false
		}
	}
	return packages > 0
}

// written looks at the texts that a command writes to a file.
func (l *laxity) written(f *File, in *Instruction, c *command, report func(checks.Finding)) {
	switch c.program() {
	case "echo", "printf", "sed", "tee", "crudini":
	default:
		return
	}
	for _, w := range c.args() {
		text := w.text
		if c.program() == "sed" {
			text = replacement(text)
		}
		for _, s := range l.settings {
			value, ok := s.in(text)
			if !ok || c.program() != "sed" && !f.goesToFile(in, c) {
				continue
			}
			finding := l.finding(f, in, w.start, w.end, s.name+"="+value)
			if e, ok := f.flip(w, s); ok && c.program() != "sed" {
				finding.Fixes = l.strict(e)
			}
			report(finding)
		}
		if l.file != "" && strings.Contains(text, l.fileLine) && f.redirectsTo(c, l.file) {
			report(l.finding(f, in, w.start, w.end, l.fileLine+" in "+l.file))
		}
	}
}

// replacement returns what the sed script s puts into the file.
func replacement(s string) string {
	i := strings.IndexByte(s, 's')
	if i < 0 || i+1 >= len(s) || isLetterOrDigit(s[i+1]) || s[i+1] == ' ' {
		return s
	}
	parts := strings.Split(s[i+2:], s[i+1:i+2])
	if len(parts) < 2 {
		return s
	}
	return parts[1]
}

// goesToFile reports whether what c prints is kept: redirected, or piped.
func (f *File) goesToFile(in *Instruction, c *command) bool {
	if c.stmt == nil {
		return false
	}
	if len(c.stmt.Redirs) > 0 || c.program() == "tee" || c.program() == "crudini" {
		return true
	}
	for _, p := range f.script(in).pipes {
		for i, part := range p.parts {
			if part == c && i+1 < len(p.parts) {
				return true
			}
		}
	}
	// A group or a loop may be redirected as a whole.
	return c.nested
}

// redirectsTo reports whether the output of c goes to a file of that name.
func (f *File) redirectsTo(c *command, name string) bool {
	if c.stmt == nil {
		return false
	}
	for _, r := range c.stmt.Redirs {
		if r.Word != nil && strings.HasSuffix(strings.TrimRight(shellWordOf(r.Word, c.text).text, `"'`), name) {
			return true
		}
	}
	return false
}

// heredocs looks at the texts of the heredocs of in.
func (l *laxity) heredocs(f *File, in *Instruction, report func(checks.Finding)) {
	for _, h := range in.Heredocs {
		at := h.Start
		for line := range strings.Lines(string(f.Source[h.Start:h.End])) {
			w := shellWord{text: strings.TrimRight(line, "\r\n"), start: at, end: at + len(line)}
			at += len(line)
			if strings.HasPrefix(strings.TrimSpace(w.text), "#") {
				continue
			}
			for _, s := range l.settings {
				if value, ok := s.in(w.text); ok {
					finding := l.finding(f, in, w.start, w.start+len(w.text), s.name+"="+value)
					if e, ok := f.flip(w, s); ok {
						finding.Fixes = l.strict(e)
					}
					report(finding)
				}
			}
		}
	}
}

// in reports whether text sets s to a value that means no verification.
func (s laxSetting) in(text string) (value string, ok bool) {
	start, end, ok := s.find(text)
	if !ok || s.within != "" && (!strings.Contains(text, s.within) || strings.Contains(text, "file:")) {
		return "", false // a repository in the image itself needs no signature
	}
	return text[start:end], true
}

// find returns where in text the value is that s is set to, if it means no
// verification.
func (s laxSetting) find(text string) (start, end int, ok bool) {
	lower, name := strings.ToLower(text), strings.ToLower(s.name)
	for at := 0; ; {
		i := strings.Index(lower[at:], name)
		if i < 0 {
			return 0, 0, false
		}
		i += at
		at = i + len(name)
		if i > 0 && (isLetterOrDigit(lower[i-1]) || lower[i-1] == '_' || lower[i-1] == '-') {
			continue
		}
		start = at
		for start < len(lower) && strings.IndexByte(" \t=\"'\\", lower[start]) >= 0 {
			start++
		}
		end = start
		for end < len(lower) && isLetterOrDigit(lower[end]) {
			end++
		}
		if start > at && containsFold(s.off, lower[start:end]) {
			return start, end, true
		}
	}
}

// flip returns the edit that sets s to the value that means verification, in
// the source of w.
func (f *File) flip(w shellWord, s laxSetting) (checks.Edit, bool) {
	if w.start < 0 {
		return checks.Edit{}, false
	}
	start, end, ok := s.find(string(f.Source[w.start:w.end]))
	return checks.Edit{Start: w.start + start, End: w.start + end, New: s.on}, ok
}

// dropOption returns the edit that takes o and its value away.
func (f *File) dropOption(o option) (checks.Edit, bool) {
	w := o.word
	if w.start < 0 || o.prev < 0 {
		return checks.Edit{}, false
	}
	if o.index > 0 {
		at := w.start + o.index
		if string(f.Source[w.start:w.end]) != w.text || o.last != w.end {
			return checks.Edit{}, false
		}
		return checks.Edit{Start: at, End: at + len(o.name) - 1}, true
	}
	if strings.Contains(string(f.Source[o.prev:w.start]), "#") {
		return checks.Edit{}, false
	}
	return checks.Edit{Start: o.prev, End: o.last}, true
}
