package dockerfile

import "strings"

// A call is a command understood as its tool understands it: options with their
// values, a verb, and what the verb is about.
type call struct {
	*command
	tool     string    // "pip" for pip3.11 and python -m pip too
	name     shellWord // the word that names the tool
	verb     shellWord // "install"; text "" without
	options  []option
	operands []shellWord // neither options nor their values, after the verb
	piped    bool        // its input is a pipe
}

// An option of a call: -x, --long, --long=value, or one letter of several.
type option struct {
	name  string // with dashes, without value: "-k", "--insecure"
	value shellWord
	word  shellWord // what it stands in
	index int       // of the letter in a bundle of several; 0 for a word of its own
	last  int       // end of the value in the source, of the word without one; -1 when unknown
	prev  int       // end of the word before; -1 when unknown
}

// A grammar says how a tool reads its words.
type grammar struct {
	short string // letters that take a value
	long  string // long options that take the next word, with a space around each
	plain bool   // there is no verb
	dash  bool   // one dash begins long options too
}

const packageValues = " --option --target-release --repository --virtual --root --keys-dir --enablerepo --disablerepo --setopt --installroot --releasever --exclude --repo --repoid --from --type "

// grammarOf returns how tool reads its words, if any check wants to know.
func grammarOf(tool string) (grammar, bool) {
	switch tool {
	case "apt-get", "apt", "aptitude":
		return grammar{short: "oct", long: packageValues}, true
	case "apk":
		return grammar{short: "pXt", long: packageValues}, true
	case "yum", "dnf", "microdnf", "tdnf", "yum-config-manager", "dnf-config-manager":
		return grammar{short: "cdexR", long: packageValues}, true
	case "zypper":
		return grammar{short: "cDprt", long: packageValues}, true
	case "rpm":
		return grammar{plain: true, long: " --root --prefix --dbpath --define "}, true
	case "curl":
		return grammar{plain: true, short: "ACDEFHKPQTUXYbcdehmortuwxyz", long: curlValues}, true
	case "wget":
		return grammar{plain: true, short: "oaeiBtOTwQPURDAIXl", long: wgetValues}, true
	case "pip":
		return grammar{short: "cefirdt", long: pipValues}, true
	case "npm":
		return grammar{short: "wC", long: " --prefix --registry --omit --only --cache --loglevel --workspace --userconfig --tag --include --fetch-retries --fetch-timeout --maxsockets "}, true
	case "yarn":
		return grammar{long: " --cwd --registry --network-timeout --cache-folder --modules-folder --mutex --network-concurrency "}, true
	case "pnpm":
		return grammar{short: "CF", long: " --dir --filter --store-dir --registry --prefix "}, true
	case "gem":
		return grammar{short: "vinPpsBC", long: " --version --source --install-dir --bindir --platform --file --http-proxy --trust-policy "}, true
	case "bundle":
		return grammar{short: "j", long: " --jobs --path --without --with --retry --gemfile --binstubs "}, true
	case "go":
		return grammar{dash: true, long: " -ldflags -tags -o -mod -p -gcflags -C -modfile -asmflags -buildmode -installsuffix "}, true
	case "cargo":
		return grammar{short: "pFj", long: " --version --git --branch --tag --rev --path --root --features --target --target-dir --manifest-path --bin --package --profile --jobs --registry --index --config "}, true
	case "composer":
		return grammar{short: "d", long: " --working-dir --prefer-install "}, true
	case "poetry", "pipenv", "uv":
		return grammar{short: "CEp", long: " --directory --project --only --without --with --extras --group --python "}, true
	case "git":
		return grammar{short: "cCbo", long: " --branch --depth --config --origin --git-dir --work-tree --jobs "}, true
	case "dotnet":
		return grammar{short: "corfv", long: " --configuration --output --runtime --framework --verbosity --source "}, true
	}
	return grammar{}, false
}

const (
	curlValues = " --output --header --user --request --data --data-raw --data-binary --data-urlencode --form --cacert --capath --cert --key --proxy --retry --retry-delay --retry-max-time --max-time --connect-timeout --range --user-agent --referer --cookie --cookie-jar --write-out --config --upload-file --limit-rate --resolve --ciphers --tls-max --interface --noproxy --continue-at --time-cond --output-dir --dump-header --max-redirs --speed-limit --speed-time --proto --proto-redir --proto-default --unix-socket --pinnedpubkey --oauth2-bearer --url "
	wgetValues = " --output-document --output-file --append-output --tries --timeout --header --user --password --directory-prefix --user-agent --post-data --waitretry --ca-certificate --referer --input-file --level --accept --reject --wait --quota --retry-on-http-error --http-user --http-password --base "
	pipValues  = " --requirement --constraint --editable --index-url --extra-index-url --find-links --target --prefix --root --trusted-host --cache-dir --timeout --retries --proxy --cert --client-cert --log --progress-bar --platform --python-version --implementation --abi --src --upgrade-strategy --no-binary --only-binary --global-option --install-option --config-settings --report --use-feature --use-deprecated --exists-action --python "
)

// callsOf returns the calls among the commands of s.
func callsOf(s *script) []*call {
	var out []*call
	for _, c := range s.commands {
		if k := callOf(c); k != nil {
			out = append(out, k)
		}
	}
	for _, p := range s.pipes {
		for i, part := range p.parts {
			for _, k := range out {
				k.piped = k.piped || i > 0 && part == k.command && part != nil
			}
		}
	}
	return out
}

// callOf returns what c asks of a tool that has a grammar, else nil.
func callOf(c *command) *call {
	if c.at >= len(c.words) {
		return nil
	}
	k := &call{command: c, tool: toolName(c.program()), name: c.words[c.at]}
	at := c.at + 1
	if k.tool == "python" && at+1 < len(c.words) && c.words[at].text == "-m" {
		k.tool, k.name = toolName(c.words[at+1].text), c.words[at+1]
		at += 2
	}
	g, ok := grammarOf(k.tool)
	if !ok {
		return nil
	}
	k.read(g, at)
	return k
}

// toolName returns the name that all versions of a program go by.
func toolName(program string) string {
	switch bare := strings.TrimRight(program, "0123456789."); bare {
	case "pip", "python", "composer", "gem", "bundle":
		return bare
	}
	switch program {
	case "bundler":
		return "bundle"
	case "composer.phar":
		return "composer"
	}
	return program
}

func (k *call) read(g grammar, at int) {
	words := k.words
	options := true
	for i := at; i < len(words); i++ {
		w := words[i]
		prev := words[i-1].end
		switch {
		case options && w.text == "--":
			options = false
		case options && strings.HasPrefix(w.text, "-") && len(w.text) > 1 && (strings.HasPrefix(w.text, "--") || g.dash):
			i += k.long(g, words, i, prev)
		case options && strings.HasPrefix(w.text, "-") && len(w.text) > 1:
			i += k.short(g, words, i, prev)
		case k.verb.text == "" && !g.plain:
			if w.literal {
				k.verb = w
			}
		default:
			k.operands = append(k.operands, w)
		}
	}
}

// long adds the option words[i] and returns how many more words it takes.
func (k *call) long(g grammar, words []shellWord, i, prev int) int {
	w := words[i]
	name, value, ok := strings.Cut(w.text, "=")
	o := option{name: name, word: w, last: w.end, prev: prev}
	if ok {
		o.value = shellWord{text: value, literal: w.literal, start: w.start, end: w.end}
	} else if strings.Contains(g.long, " "+name+" ") && i+1 < len(words) {
		o.value, o.last = words[i+1], words[i+1].end
		k.options = append(k.options, o)
		return 1
	}
	k.options = append(k.options, o)
	return 0
}

// short adds the options of the bundle words[i] and returns how many more
// words they take.
func (k *call) short(g grammar, words []shellWord, i, prev int) int {
	w := words[i]
	for j := 1; j < len(w.text); j++ {
		o := option{name: "-" + w.text[j:j+1], word: w, index: j, last: w.end, prev: prev}
		if k.tool == "wget" && w.text[j] == 'n' && j+1 < len(w.text) {
			o.name = "-" + w.text[j:j+2]
			j++
		}
		if len(w.text) == 2 {
			o.index = 0
		}
		if strings.IndexByte(g.short, w.text[j]) < 0 {
			k.options = append(k.options, o)
			continue
		}
		if rest := w.text[j+1:]; rest != "" {
			o.value = shellWord{text: strings.TrimPrefix(rest, "="), literal: w.literal, start: w.start, end: w.end}
			k.options = append(k.options, o)
			return 0
		}
		if i+1 < len(words) {
			o.value, o.last = words[i+1], words[i+1].end
			k.options = append(k.options, o)
			return 1
		}
		k.options = append(k.options, o)
	}
	return 0
}

// option returns the first option called one of names.
func (k *call) option(names ...string) (option, bool) {
	for _, o := range k.options {
		for _, n := range names {
			if o.name == n {
				return o, true
			}
		}
	}
	return option{}, false
}

// has reports whether k has an option called one of names.
func (k *call) has(names ...string) bool {
	_, ok := k.option(names...)
	return ok
}

// is reports whether the verb of k is one of verbs.
func (k *call) is(verbs ...string) bool {
	for _, v := range verbs {
		if k.verb.text == v {
			return true
		}
	}
	return false
}

// insertion returns where an option goes: behind the verb, else the tool.
func (k *call) insertion() int {
	if k.verb.text != "" {
		return k.verb.end
	}
	return k.name.end
}

// eachCall calls visit for every call of one of tools, in the order of the file.
func (f *File) eachCall(visit func(*Instruction, *call), tools ...string) {
	f.eachRun(func(in *Instruction) {
		for _, k := range f.script(in).calls {
			for _, t := range tools {
				if k.tool == t {
					visit(in, k)
					break
				}
			}
		}
	})
}
