package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// A caching says how a package manager fills a cache, and what empties it.
type caching struct {
	id, title string
	refs      []string
	tools     []string
	what      checks.Message // what is left
	fills     func(*call) bool
	avoids    func(*File, *Instruction, *call) bool // an option or variable keeps the cache out
	cleans    func(*call) bool
	dirs      []string // parts of paths whose removal, or mount, is a cure
	option    string   // what keeps the cache out, added behind the verb
	command   string   // or what empties it, added behind everything else
	own       bool     // the cache is the user's, not the system's
}

func cachings() []caching {
	cleansAll := func(k *call) bool { return k.is("clean") && (len(k.operands) == 0 || k.operands[0].text == "all") }
	rpmFills := func(k *call) bool {
		return k.is("install", "in", "update", "upgrade", "reinstall", "localinstall", "groupinstall", "builddep", "makecache", "distro-sync", "swap")
	}
	rpmCleans := func(k *call) bool { return k.tool != "zypper" && cleansAll(k) && len(k.operands) > 0 }
	rpmDirs := []string{"/var/cache/yum", "/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/*", "/var/cache"}
	return []caching{
		{
			id: "apk-cache-left", title: "apk index stays in the image", refs: []string{"hadolint DL3019", "trivy DS-0025", "dockle DKL-DI-0004"},
			tools: []string{"apk"}, what: checks.Msg("apk's index"),
			fills:  func(k *call) bool { return k.is("add", "upgrade") },
			avoids: func(_ *File, _ *Instruction, k *call) bool { return k.has("--no-cache") },
			cleans: func(k *call) bool { return k.is("cache") && len(k.operands) > 0 && k.operands[0].text == "clean" },
			dirs:   []string{"/var/cache/apk", "/etc/apk/cache", "/var/cache/*", "/var/cache"}, option: "--no-cache",
		},
		{
			id: "yum-cache-left", title: "yum cache stays in the image", refs: []string{"hadolint DL3032", "trivy DS-0015"},
			tools: []string{"yum"}, what: checks.Msg("yum's cache"), fills: rpmFills, cleans: rpmCleans, dirs: rpmDirs, command: "yum clean all",
		},
		{
			id: "dnf-cache-left", title: "dnf cache stays in the image", refs: []string{"hadolint DL3040", "trivy DS-0019"},
			tools: []string{"dnf", "tdnf"}, what: checks.Msg("dnf's cache"), fills: rpmFills, cleans: rpmCleans, dirs: rpmDirs, command: "dnf clean all",
		},
		{
			id: "microdnf-cache-left", title: "microdnf cache stays in the image", refs: []string{"trivy DS-0027"},
			tools: []string{"microdnf"}, what: checks.Msg("microdnf's cache"), fills: rpmFills, cleans: rpmCleans, dirs: rpmDirs, command: "microdnf clean all",
		},
		{
			id: "zypper-cache-left", title: "zypper cache stays in the image", refs: []string{"hadolint DL3036", "trivy DS-0020"},
			tools: []string{"zypper"}, what: checks.Msg("zypper's cache"),
			fills: func(k *call) bool {
				return k.is("install", "in", "update", "up", "patch", "dup", "dist-upgrade", "remove", "rm", "refresh", "ref")
			},
			cleans: func(k *call) bool { return k.is("clean", "cc") },
			dirs:   []string{"/var/cache/zypp", "/var/cache/*", "/var/cache"}, command: "zypper clean --all",
		},
		{
			id: "pip-cache-left", title: "pip cache stays in the image", refs: []string{"hadolint DL3042"},
			tools: []string{"pip"}, what: checks.Msg("pip's cache of downloads and wheels"),
			fills: func(k *call) bool { return k.is("install") },
			avoids: func(f *File, in *Instruction, k *call) bool {
				return k.has("--no-cache-dir") || f.switchedOn(in, "PIP_NO_CACHE_DIR")
			},
			cleans: func(k *call) bool { return k.is("cache") && len(k.operands) > 0 && k.operands[0].text == "purge" },
			dirs:   []string{".cache/pip", ".cache", "/pip"}, option: "--no-cache-dir",
		},
		{
			id: "yarn-cache-left", title: "yarn cache stays in the image", refs: []string{"hadolint DL3060"},
			tools: []string{"yarn"}, what: checks.Msg("yarn's cache of packages"),
			fills: func(k *call) bool {
				return !k.has("--immutable", "--version", "-v", "--help") && (k.is("install", "add", "upgrade") || k.verb.text == "" && len(k.operands) == 0 || k.is("global") && k.about() == "add")
			},
			avoids: func(f *File, in *Instruction, _ *call) bool { return f.usesModernYarn(in) },
			cleans: func(k *call) bool { return k.is("cache") && k.about() == "clean" },
			dirs:   []string{".cache/yarn", ".cache", "/yarn", "yarn-cache", ".yarn"}, command: "yarn cache clean", own: true,
		},
		{
			id: "npm-cache-left", title: "npm cache stays in the image",
			refs:  []string{"cnspec npm-clean-cache"},
			tools: []string{"npm"}, what: checks.Msg("npm's cache of packages"),
			fills: func(k *call) bool {
				return k.is("install", "i", "ci", "add", "update", "up", "clean-install") && !k.has("--offline", "--dry-run")
			},
			cleans: func(k *call) bool {
				return k.is("cache") && (k.about() == "clean" || k.about() == "rm" || k.about() == "clear") && k.has("--force", "-f")
			},
			dirs: []string{".npm", "npm-cache", "/npm"}, command: "npm cache clean --force", own: true,
		},
		{
			id: "bundler-cache-left", title: "Downloaded gems stay in the image",
			refs:  []string{"tally ruby/leftover-bundler-cache"},
			tools: []string{"bundle", "gem"}, what: checks.Msg("every gem as it was downloaded"),
			fills: func(k *call) bool {
				if k.tool == "bundle" {
					return k.is("install", "update") || k.verb.text == "" && len(k.options) == 0
				}
				return k.is("install", "i") && len(k.operands) > 0 || k.is("update")
			},
			dirs: []string{"cache", ".gem", ".bundle"}, command: `rm -rf "$(gem env gemdir)"/cache/*`, own: true,
		},
	}
}

func cachingChecks() []*checks.Check {
	var out []*checks.Check
	for _, c := range cachings() {
		out = append(out, check(checks.Check{
			ID: c.id, Title: c.title, Severity: checks.Low, Chapter: checks.MinimalImages, Refs: c.refs,
		}, c.run))
	}
	return out
}

func (c *caching) run(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if !f.Shipped(in.Stage) || !f.mentions(in, c.tools...) {
			return
		}
		left := c.left(f, in)
		if len(left) == 0 {
			return
		}
		k := left[0]
		end := k.name.end
		if k.verb.text != "" {
			end = k.verb.end
		}
		finding := f.findingAt(in, k.name.start, end, in.Stage.label()+"/"+strings.TrimSpace(k.tool+" "+k.verb.text+" "+k.about()),
			checks.Msg("this step leaves %s in its layer", c.what))
		if edits, ok := c.edits(f, in, left); ok {
			finding.Fixes = []checks.Fix{{
				ID: "no-cache", Title: checks.Msg("leave %s out of the image", c.what), Safe: true, Edit: fixed(edits...),
			}}
		}
		report(finding)
	})
}

// left returns the calls of in that fill a cache which nothing empties after.
func (c *caching) left(f *File, in *Instruction) []*call {
	if c.mounted(f, in) {
		return nil
	}
	var left []*call
	s := f.script(in)
	calls := map[*command]*call{}
	for _, k := range s.calls {
		calls[k.command] = k
	}
	for _, cmd := range s.commands {
		k := calls[cmd]
		switch {
		case k != nil && c.cleans != nil && c.cleans(k):
			left = nil
		case k != nil && c.isTool(k) && c.fills(k):
			if c.avoids == nil || !c.avoids(f, in, k) {
				left = append(left, k)
			}
		case cmd.program() == "rm" || cmd.program() == "find":
			if c.removes(cmd) {
				left = nil
			}
		}
	}
	return left
}

func (c *caching) isTool(k *call) bool {
	for _, t := range c.tools {
		if k.tool == t {
			return true
		}
	}
	return false
}

// removes reports whether cmd, an rm or find, deletes the cache.
func (c *caching) removes(cmd *command) bool {
	for _, a := range cmd.args() {
		text := strings.TrimRight(strings.Trim(a.text, `"'`), "/*")
		for _, d := range c.dirs {
			d = strings.TrimRight(d, "/*")
			if strings.HasSuffix(text, d) || strings.Contains(text, d+"/") || strings.Contains(text, d+"{") {
				return true
			}
		}
	}
	return false
}

// mounted reports whether in keeps the cache in a mount.
func (c *caching) mounted(f *File, in *Instruction) bool {
	for _, m := range in.mounts() {
		if !m.volatile() {
			continue
		}
		target := m.target
		if strings.Contains(target, "$") {
			return true
		}
		for _, d := range c.dirs {
			if strings.HasSuffix(strings.TrimRight(target, "/"), strings.TrimRight(d, "/*")) || strings.Contains(target, d+"/") {
				return true
			}
		}
		v := f.variablesAt(in)
		for _, name := range []string{"PIP_CACHE_DIR", "YARN_CACHE_FOLDER", "npm_config_cache", "NPM_CONFIG_CACHE", "XDG_CACHE_HOME"} {
			if v[name] != "" && strings.HasPrefix(v[name], strings.TrimRight(target, "/")) {
				return true
			}
		}
	}
	return false
}

// volatile reports whether what is written to m stays out of the image.
func (m mount) volatile() bool { return m.kind == "cache" || m.kind == "tmpfs" }

// switchedOn reports whether the variable name is set for in to something that
// does not mean no.
func (f *File) switchedOn(in *Instruction, name string) bool {
	value, ok := f.variablesAt(in)[name]
	for _, a := range f.script(in).assigns {
		if a.name == name {
			value, ok = a.value.text, true
		}
	}
	return ok && value != ""
}

// usesModernYarn reports whether yarn is version 2 or later as far as the file
// tells: its cache may be what the program runs from.
func (f *File) usesModernYarn(in *Instruction) bool {
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if f.mentions(other, ".yarnrc.yml", ".yarn/releases", ".yarn ", ".yarn/", ".pnp", "yarn set version", "yarn@berry", "--immutable") {
				return true
			}
		}
	}
	return false
}

// edits returns what keeps the cache out of the layer.
func (c *caching) edits(f *File, in *Instruction, left []*call) ([]checks.Edit, bool) {
	reason := checks.Msg("the cache is of no use in the image")
	if c.option != "" {
		var edits []checks.Edit
		for _, k := range left {
			if !k.exact {
				return nil, false
			}
			at := k.insertion()
			edits = append(edits, checks.Edit{Start: at, End: at, New: " " + c.option, Reason: reason})
		}
		return edits, true
	}
	if c.id == "bundler-cache-left" && !f.plainGems(in) {
		return nil, false
	}
	command := c.command
	if left[0].tool == "tdnf" {
		command = "tdnf clean all"
	}
	if !c.own {
		command = f.asRoot(in, command)
	}
	edit, ok := f.appendEdit(in, command, reason)
	return []checks.Edit{edit}, ok
}

// plainGems reports whether gems go where gem says, as far as the file tells.
func (f *File) plainGems(in *Instruction) bool {
	if u := f.userAt(in); u.known && !u.isRoot() {
		return false
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if f.mentions(other, "BUNDLE_PATH", "BUNDLE_DEPLOYMENT", "--path", "--deployment", "deployment", "vendor", "GEM_HOME") {
				return false
			}
		}
	}
	return true
}
