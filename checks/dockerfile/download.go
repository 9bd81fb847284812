package dockerfile

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"plimsoll/checks"
)

var remoteAddWithoutChecksum = check(checks.Check{
	ID:       "remote-add-without-checksum",
	Title:    "ADD of an address without a checksum",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.12 (v1.6.0)", "hadolint DL3020", "checkov CKV_DOCKER_4", "CWE-494"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "ADD" || in.Stage == nil || len(in.Flag("checksum")) > 0 {
			continue
		}
		sources := in.sources()
		for _, s := range sources {
			written := s
			if strings.Contains(s, "$") {
				var certain bool
				if s, certain = f.expand(s, f.variablesAt(in)); certain || !isDownload(written) {
					written = s
				}
			}
			if !isDownload(s) || isRepository(s) || f.verifiedAfterAdd(in, s) {
				continue
			}
			address := plainAddress(written)
			finding := f.finding(in, in.Stage.label()+"/"+address,
				checks.Msg("ADD takes whatever %s serves on the day of the build", address))
			if len(sources) == 1 {
				finding.Fixes = f.addChecksumFix(in, address, path.Base(plainAddress(s)))
			}
			report(finding)
		}
	}
})

// verifiedAfterAdd reports whether a later step verifies what in, an ADD, puts
// there from address, or whether it is itself what others are verified by.
func (f *File) verifiedAfterAdd(in *Instruction, address string) bool {
	for _, ending := range []string{".asc", ".sig", ".sigstore", ".minisig", ".sha256", ".sha512", ".sha256sum", "SHASUMS256.txt", "SHA256SUMS"} {
		if strings.HasSuffix(strings.Trim(address, `"'`), ending) {
			return true
		}
	}
	names := []string{path.Base(plainAddress(address))}
	if _, dest, certain, _ := f.destination(in); certain && !isDirectory(dest) {
		names = append(names, path.Base(dest))
	}
	for _, other := range in.Stage.Instructions {
		if other.Line > in.Line && other.Keyword == "RUN" && f.mentions(other, names...) && f.verifies(other) {
			return true
		}
	}
	return false
}

// addChecksumFix makes in, an ADD of one address, insist on a checksum of what
// is there called file.
func (f *File) addChecksumFix(in *Instruction, address, file string) []checks.Fix {
	if f.written(in) == "" {
		return nil
	}
	name := f.freeArg(in, checksumName(file))
	key := checksumKey(name)
	at := in.Start + len(in.Keyword)
	return []checks.Fix{{
		ID: "add-checksum", Title: checks.Msg("give ADD the checksum of what is meant"),
		Caution: checks.Msg("without a checksum here the build stops until it is given: --build-arg %s=…", name),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("SHA-256 of %s", address), Default: "", Valid: validChecksum,
			Why: checks.Msg("take it from the release page of the project; empty leaves it to the build argument"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			sum := strings.ToLower(v[key])
			if err := validChecksum(sum); err != nil {
				return nil, err
			}
			reason := checks.Msg("BuildKit refuses anything else")
			if sum != "" {
				return []checks.Edit{{Start: at, End: at, New: " --checksum=sha256:" + sum, Reason: reason}}, nil
			}
			return []checks.Edit{
				f.insertBefore(in, "ARG "+name, checks.Msg("the checksum of the release that is meant")),
				{Start: at, End: at, New: " --checksum=sha256:${" + name + "}", Reason: reason},
			}, nil
		},
	}}
}

// checksumName returns the name of a build argument for the checksum of file.
func checksumName(file string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(scriptName(file))) + "_SHA256"
}

// checksumKey returns the key of the choice that fills the argument name.
func checksumKey(name string) string {
	return "sha256-" + strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(name, "_SHA256"), "_", "-"))
}

func isDownload(s string) bool {
	lower := strings.ToLower(strings.Trim(s, `"'`))
	return strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")
}

// isRepository reports whether ADD clones s rather than downloading it.
func isRepository(s string) bool {
	s, _, _ = strings.Cut(s, "#")
	s, _, _ = strings.Cut(s, "?")
	return strings.HasSuffix(s, ".git")
}

// plainAddress returns host and path of a URL, without what may be secret.
func plainAddress(s string) string {
	s = strings.Trim(s, `"'`)
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		return u.Host + u.Path
	}
	_, rest, _ := strings.Cut(s, "://")
	rest, _, _ = strings.Cut(rest, "?")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return rest
}

var downloadNotVerified = check(checks.Check{
	ID:       "download-not-verified",
	Title:    "Download used without verification",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.11 (v1.6.0)", "CIS 4.12 (v1.6.0)", "CWE-494"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.mentions(in, "curl", "wget") || f.verifies(in) {
			return
		}
		s := f.script(in)
		for _, k := range s.calls {
			w, ok := programDownload(k, s)
			if !ok || f.verifiedLater(in, k, w) {
				continue
			}
			address := plainAddress(w.text)
			finding := f.findingAt(in, k.name.start, k.words[len(k.words)-1].end, in.Stage.label()+"/"+address,
				checks.Msg("%s fetches %s, and nothing compares it with a checksum or signature", k.tool, address))
			finding.Fixes = f.checksumFix(in, k, w, address)
			report(finding)
		}
	})
})

// verifies reports whether in compares something with a checksum or a signature.
func (f *File) verifies(in *Instruction) bool {
	if !f.mentions(in, "sum", "gpg", "cosign", "minisign", "signify", "openssl", "slsa", "gh ", "verify", "rpmkeys") {
		return false
	}
	for _, c := range f.script(in).commands {
		switch c.program() {
		case "sha256sum", "sha512sum", "sha1sum", "sha384sum", "sha224sum", "md5sum", "shasum", "b2sum", "gpgv", "cosign", "minisign", "signify", "slsa-verifier", "sha256", "rpmkeys", "cksum":
			return true
		case "gpg", "gpg2", "openssl", "gh", "jarsigner":
			for _, a := range c.args() {
				if strings.Contains(a.text, "verify") || a.text == "dgst" || a.text == "attestation" || strings.HasPrefix(a.text, "sha") || strings.HasPrefix(a.text, "-sha") {
					return true
				}
			}
		}
	}
	return false
}

// verifiedLater reports whether a later step of in's stage verifies what k
// downloads from w: it names the file, or takes a list of checksums.
func (f *File) verifiedLater(in *Instruction, k *call, w shellWord) bool {
	file := outputOf(k)
	if file == "" {
		file = plainAddress(w.text)
	}
	for _, other := range in.Stage.Instructions {
		if other.Line > in.Line && other.Keyword == "RUN" && f.verifies(other) &&
			(f.mentions(other, path.Base(file)) || !f.mentions(other, "curl", "wget")) {
			return true
		}
	}
	return false
}

var archiveEndings = []string{
	".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz", ".tar.zst", ".tar", ".zip", ".deb", ".rpm", ".apk", ".jar", ".war",
	".gz", ".xz", ".bz2", ".zst", ".bin", ".run", ".exe", ".whl", ".gem", ".phar", ".so", ".appimage", ".7z", ".dmg", ".msi", ".pkg",
}

// programDownload returns the URL that k fetches if it is for certain a program
// or an archive: by its ending, or by what is done with it.
func programDownload(k *call, s *script) (shellWord, bool) {
	if k.tool != "curl" && k.tool != "wget" || k.has("-I", "--head", "--spider", "-X", "--request", "-d", "--data") {
		return shellWord{}, false
	}
	var found shellWord
	for _, w := range k.operands {
		if strings.Contains(w.text, "://") && !isLocal(w.text) {
			found = w
		}
	}
	if o, ok := k.option("--url"); ok && found.text == "" {
		found = o.value
	}
	if found.text == "" {
		return found, false
	}
	text := strings.ToLower(strings.Trim(found.text, `"'`))
	text, _, _ = strings.Cut(text, "?")
	if isData(text) {
		return found, false
	}
	for _, ending := range archiveEndings {
		if strings.HasSuffix(text, ending) {
			return found, true
		}
	}
	file := outputOf(k)
	if file == "" {
		file = path.Base(text)
	}
	for _, c := range s.commands {
		args := c.args()
		switch name := c.program(); name {
		case "tar", "bsdtar", "gunzip", "zcat", "gzip", "xz", "unxz", "xzcat", "bunzip2", "bzip2", "zstd", "unzstd", "cpio":
			if pipesInto(s, k.command, c) || anyNamed(args, file) {
				return found, true
			}
		case "chmod":
			if len(args) > 1 && executableMode(args[0].text) && anyNamed(args[1:], file) {
				return found, true
			}
		case "dpkg", "rpm", "unzip", "7z":
			if anyNamed(args, file) {
				return found, true
			}
		default:
			interpreter := isShell(name) || strings.HasPrefix(name, "python") || name == "perl" || name == "ruby" || name == "node" || name == "php" || name == "." || name == "source"
			if interpreter && len(args) > 0 && anyNamed(args[:1], file) || name != "" && name == path.Base(file) && c.words[c.at].text != name {
				return found, true
			}
		}
	}
	return found, false
}

// isData reports whether a file of this name is read rather than run, packed
// or not: its ending says so, or it is the index of a repository of packages.
func isData(address string) bool {
	name := path.Base(address)
	for _, packed := range []string{".gz", ".xz", ".bz2", ".zst", ".lz4"} {
		name = strings.TrimSuffix(name, packed)
	}
	switch path.Ext(name) {
	case ".json", ".xml", ".csv", ".tsv", ".txt", ".md", ".html", ".pdf", ".dat", ".sql", ".geojson", ".parquet", ".fasta", ".fa", ".vcf", ".bed", ".gtf", ".pem", ".crt":
		return true
	}
	switch name {
	case "packages", "sources", "release", "inrelease":
		return true
	}
	return strings.HasPrefix(name, "contents-")
}

func executableMode(mode string) bool {
	if strings.Contains(mode, "+") && strings.Contains(mode, "x") {
		return true
	}
	return len(mode) >= 3 && strings.Trim(mode, "01234567") == "" && strings.ContainsAny(mode[len(mode)-3:], "1357")
}

func anyNamed(words []shellWord, file string) bool {
	for _, w := range words {
		if w.text == file || path.Base(w.text) == path.Base(file) && file != "" {
			return true
		}
	}
	return false
}

// pipesInto reports whether the output of from goes into to.
func pipesInto(s *script, from, to *command) bool {
	for _, p := range s.pipes {
		seen := false
		for _, part := range p.parts {
			switch {
			case part == nil:
			case part == from:
				seen = true
			case part == to && seen:
				return true
			}
		}
	}
	return false
}

// outputOf returns the file that a download is saved to; "" when it is not
// said, or goes to the output.
func outputOf(k *call) string {
	names := []string{"-o", "--output"}
	if k.tool == "wget" {
		names = []string{"-O", "--output-document"}
	}
	if o, ok := k.option(names...); ok && o.value.text != "-" && o.value.literal {
		return o.value.text
	}
	return ""
}

func isLocal(address string) bool {
	host, _, _ := strings.Cut(strings.TrimPrefix(plainAddress(address), "["), "/")
	host, _, _ = strings.Cut(host, ":")
	host, _, _ = strings.Cut(host, "]")
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "0.0.0.0" || host == "" || host == "::1" || host == "host.docker.internal" || strings.HasPrefix(host, "169.254.")
}

// checksumFix compares the download of k with a checksum right after it.
func (f *File) checksumFix(in *Instruction, k *call, w shellWord, address string) []checks.Fix {
	file := outputOf(k)
	if file == "" && k.tool == "wget" && !k.has("-O", "--output-document", "-P", "--directory-prefix") || k.tool == "curl" && k.has("-O", "--remote-name") {
		file = path.Base(plainAddress(w.text))
	}
	if k.has("-J", "--remote-header-name", "--content-disposition", "--output-dir") {
		return nil
	}
	if file == "" || strings.ContainsAny(file, " \"'$`\\*?&;|<>(){}%#") || !w.literal || !k.exact || k.nested || len(k.stmt.Redirs) > 0 || in.IsExec || len(in.Heredocs) > 0 || !f.script(in).chain {
		return nil
	}
	if f.inPipe(in, k.command) {
		return nil
	}
	name := f.freeArg(in, checksumName(path.Base(file)))
	key := checksumKey(name)
	end := k.words[len(k.words)-1].end
	return []checks.Fix{{
		ID: "verify-checksum", Title: checks.Msg("verify the checksum of what was downloaded"),
		Caution: checks.Msg("without a checksum here the build stops until it is given: --build-arg %s=…", name),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("SHA-256 of %s", address), Default: "", Valid: validChecksum,
			Why: checks.Msg("take it from the release page of the project; empty leaves it to the build argument"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			sum := strings.ToLower(v[key])
			if err := validChecksum(sum); err != nil {
				return nil, err
			}
			declaration := "ARG " + name
			if sum != "" {
				declaration += "=" + sum
			}
			return []checks.Edit{
				f.insertBefore(in, declaration, checks.Msg("the checksum of the release that is meant")),
				{
					Start: end, End: end, New: fmt.Sprintf(` && echo "${%s}  %s" | sha256sum -c -`, name, file),
					Reason: checks.Msg("what was not verified is not used"),
				},
			}, nil
		},
	}}
}

// inPipe reports whether c is a part of a pipe of in.
func (f *File) inPipe(in *Instruction, c *command) bool {
	for _, p := range f.script(in).pipes {
		for _, part := range p.parts {
			if part == c {
				return true
			}
		}
	}
	return false
}

var downloadOverPlainHTTP = check(checks.Check{
	ID:       "download-over-plain-http",
	Title:    "Download over plain HTTP",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CWE-319"},
}, func(f *File, report func(checks.Finding)) {
	variable := false // a variable holds such an address
	for _, in := range f.Instructions {
		variable = variable || (in.Keyword == "ARG" || in.Keyword == "ENV") && f.mentions(in, "http://")
	}
	for _, in := range f.Instructions {
		if in.Stage == nil || in.Keyword != "ADD" && in.Keyword != "RUN" {
			continue
		}
		if !f.mentions(in, "http://", "HTTP://") {
			if variable && f.mentions(in, "$") {
				f.reportPlainVariable(in, report)
			}
			continue
		}
		switch in.Keyword {
		case "ADD":
			if len(in.Flag("checksum")) == 0 {
				for _, s := range in.Words() {
					if strings.HasPrefix(strings.ToLower(s.Text), "http://") {
						f.reportPlain(in, shellWord{text: s.Text, start: s.Start, end: s.End}, "ADD", report)
					}
				}
				for _, s := range in.Exec[:max(0, len(in.Exec)-1)] {
					if strings.HasPrefix(strings.ToLower(s), "http://") {
						f.reportPlain(in, shellWord{text: s, start: -1, end: -1}, "ADD", report)
					}
				}
			}
		case "RUN":
			for _, k := range f.script(in).calls {
				for _, w := range plainSources(k) {
					f.reportPlain(in, w, k.tool, report)
				}
			}
		}
	}
})

// reportPlainVariable reports an address over plain HTTP that in has from a
// variable of the file.
func (f *File) reportPlainVariable(in *Instruction, report func(checks.Finding)) {
	v := f.variablesAt(in)
	plain := func(text string) (string, bool) {
		if !strings.Contains(text, "$") {
			return "", false
		}
		text, certain := f.expand(text, v)
		return text, certain && strings.HasPrefix(strings.ToLower(text), "http://") && !isLocal(text)
	}
	if in.Keyword == "ADD" {
		for _, s := range in.sources() {
			if text, ok := plain(s); ok && len(in.Flag("checksum")) == 0 {
				f.reportPlain(in, shellWord{text: text, start: -1, end: -1}, "ADD", report)
			}
		}
		return
	}
	for _, k := range f.script(in).calls {
		if k.tool != "curl" && k.tool != "wget" && !(k.tool == "git" && k.is("clone")) {
			continue
		}
		for _, w := range k.operands {
			if text, ok := plain(w.text); ok && !w.literal {
				f.reportPlain(in, shellWord{text: text, start: -1, end: -1}, k.tool, report)
			}
		}
	}
}

// signedByItself reports whether tool verifies the signatures of what it
// fetches, so that the way there matters less.
func signedByItself(tool string) bool {
	switch tool {
	case "apt-get", "apt", "apk", "yum", "dnf", "microdnf", "zypper", "yum-config-manager", "dnf-config-manager":
		return true
	}
	return false
}

// plainSources returns the words of k that say to fetch over plain HTTP.
func plainSources(k *call) []shellWord {
	var out []shellWord
	add := func(w shellWord) {
		text := strings.ToLower(strings.TrimLeft(w.text, `"'`))
		if i := strings.Index(text, "http://"); i >= 0 && (i == 0 || text[i-1] == '+' || text[i-1] == '=' && !strings.Contains(text[:i], "://")) && !isLocal(text[i:]) {
			out = append(out, w)
		}
	}
	switch k.tool {
	case "curl", "wget":
		for _, w := range k.operands {
			add(w)
		}
		if o, ok := k.option("--url"); ok {
			add(o.value)
		}
	case "pip":
		for _, o := range k.options {
			switch o.name {
			case "-i", "--index-url", "--extra-index-url", "-f", "--find-links":
				add(o.value)
			}
		}
		for _, w := range k.operands {
			add(w)
		}
	case "git":
		if k.is("clone", "fetch", "pull", "submodule") {
			for _, w := range k.operands {
				add(w)
			}
		}
	case "npm", "yarn", "pnpm", "gem", "bundle", "go", "composer":
		for _, o := range k.options {
			switch o.name {
			case "--registry", "--source", "-s":
				add(o.value)
			}
		}
		for _, w := range k.operands {
			add(w)
		}
	case "rpm", "yum", "dnf", "microdnf", "zypper", "apk", "yum-config-manager", "dnf-config-manager", "apt-get", "apt":
		for _, w := range k.words[k.at+1:] {
			add(w)
		}
	}
	return out
}

// reportPlain reports that tool fetches what is at w.
func (f *File) reportPlain(in *Instruction, w shellWord, tool string, report func(checks.Finding)) {
	if isLocal(w.text) && !strings.Contains(w.text, "=") {
		return
	}
	i := strings.Index(strings.ToLower(w.text), "http://")
	address := plainAddress(w.text[max(i, 0):])
	finding := f.findingAt(in, w.start, w.end, in.Stage.label()+"/"+tool+" "+address,
		checks.Msg("%s fetches %s over plain HTTP: whoever is on the way can replace it", tool, address))
	if in.Keyword == "RUN" && (signedByItself(tool) || f.verifies(in)) {
		finding.Severity = checks.Low
	}
	if w.start >= 0 {
		text := strings.ToLower(string(f.Source[w.start:w.end]))
		if i := strings.Index(text, "http://"); i >= 0 {
			at := w.start + i + len("http")
			finding.Fixes = []checks.Fix{{
				ID: "https", Title: checks.Msg("fetch over HTTPS"),
				Caution: checks.Msg("this was not tried: the host has to answer over HTTPS, with a certificate that the image trusts"),
				Edit:    fixed(checks.Edit{Start: at, End: at, New: "s", Reason: checks.Msg("nobody on the way can change it")}),
			}}
		}
	}
	report(finding)
}
