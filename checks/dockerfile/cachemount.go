package dockerfile

import (
	"strings"

	"plimsoll/checks"
)

// A cached is a tool that keeps what it downloads, and where.
type cached struct {
	tool   string
	verbs  []string // none for a tool without verbs
	dirs   []string // what a mount may be for; the first one is proposed
	avoids []string // options after which there is no cache
}

func cachedTools() []cached {
	return []cached{
		{"pip", []string{"install"}, []string{"/root/.cache/pip", ".cache"}, []string{"--no-cache-dir"}},
		{"npm", []string{"install", "i", "ci"}, []string{"/root/.npm", ".npm"}, nil},
		{"yarn", []string{"install"}, []string{"/usr/local/share/.cache/yarn", ".cache", ".yarn", "yarn"}, nil},
		{"pnpm", []string{"install", "i"}, []string{"/root/.local/share/pnpm/store", "pnpm", ".cache"}, nil},
		{"bundle", []string{"install"}, []string{"/usr/local/bundle/cache", "bundle", "cache"}, nil},
		{"go", []string{"build"}, []string{"/root/.cache/go-build", "go-build", "/go", ".cache"}, nil},
		{"cargo", []string{"build"}, []string{"/usr/local/cargo/registry", "cargo", "target"}, nil},
		{"composer", []string{"install"}, []string{"/root/.composer/cache", "composer", ".cache"}, []string{"--no-cache"}},
	}
}

// cacheMountMissing looks at stages that are not shipped: where the cache would
// end in the image, leaving it out is what the *-cache-left checks are for.
var cacheMountMissing = check(checks.Check{
	ID:       "package-cache-mount-missing",
	Title:    "No cache mount for packages",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally prefer-package-cache-mounts"},
}, func(f *File, report func(checks.Finding)) {
	f.eachRun(func(in *Instruction) {
		if f.Shipped(in.Stage) {
			return
		}
		if calls, tools := f.uncached(in); len(calls) > 0 {
			k := calls[0]
			finding := f.findingAt(in, k.name.start, k.verb.end, in.Stage.label()+"/"+k.tool+" "+k.verb.text,
				checks.Msg("%s %s starts from nothing whenever this step is built: no cache mount keeps what it had", k.tool, k.verb.text))
			finding.Fixes = f.mountFix(in, tools)
			report(finding)
		}
	})
})

// uncached returns the calls of in whose caches no mount keeps, with what is
// known of their tools, one call for each tool.
func (f *File) uncached(in *Instruction) (calls []*call, tools []cached) {
	if in.IsExec || f.cleansUp(in) {
		return nil, nil
	}
	for _, c := range cachedTools() {
		if c.mounted(in) || c.tool == "pip" && f.switchedOn(in, "PIP_NO_CACHE_DIR") {
			continue
		}
		for _, k := range f.script(in).calls {
			if k.tool == c.tool && k.is(c.verbs...) && !k.has(c.avoids...) && !k.nested {
				calls, tools = append(calls, k), append(tools, c)
				break
			}
		}
	}
	return calls, tools
}

// cacheMounts returns the edits that give in, a RUN of a stage that will not be
// shipped any more, the mounts it lacks.
func (f *File) cacheMounts(in *Instruction) []checks.Edit {
	_, tools := f.uncached(in)
	for _, fix := range f.mountFix(in, tools) {
		edits, _ := fix.Edit(nil) // which has no choice to get wrong
		return edits
	}
	return nil
}

// startsAsRoot reports whether nothing switches the user before in, and the base
// is an image that by its name runs as root.
func (f *File) startsAsRoot(in *Instruction) bool {
	image := in.Stage.Root().Image
	return in.user == nil && (debianFamily(image) || alpineFamily(image))
}

// cleansUp reports whether in empties a cache itself.
func (f *File) cleansUp(in *Instruction) bool {
	for _, k := range f.script(in).calls {
		if k.is("cache") && (k.about() == "clean" || k.about() == "purge") || k.is("clean") {
			return true
		}
	}
	return f.mentions(in, "rm -rf ~/.", "rm -rf /root/", "rm -rf $HOME", ".cache")
}

func (c cached) mounted(in *Instruction) bool {
	for _, m := range in.mounts() {
		if !m.volatile() {
			continue
		}
		for _, d := range c.dirs {
			if strings.Contains(m.target, d) || strings.Contains(m.target, "$") {
				return true
			}
		}
	}
	return false
}

// mountFix mounts caches where the tools of root keep them.
func (f *File) mountFix(in *Instruction, tools []cached) []checks.Fix {
	if u := f.userAt(in); len(tools) == 0 || !u.isRoot() && u.known && !f.startsAsRoot(in) || len(in.Heredocs) > 0 {
		return nil
	}
	v := f.variablesAt(in)
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "PIP_CACHE_DIR", "npm_config_cache", "YARN_CACHE_FOLDER", "GOCACHE", "CARGO_HOME", "COMPOSER_HOME", "COMPOSER_CACHE_DIR", "PNPM_HOME", "PNPM_STORE_DIR"} {
		if _, ok := v[name]; ok {
			return nil
		}
	}
	at := in.Start + len(in.Keyword)
	var edits []checks.Edit
	var names, dirs []string
	for _, c := range tools {
		if c.tool == "bundle" {
			return nil // where gems go is the image's business
		}
		names, dirs = append(names, c.tool), append(dirs, c.dirs[0])
		edits = append(edits, checks.Edit{
			Start: at, End: at, New: " --mount=type=cache,target=" + c.dirs[0],
			Reason: checks.Msg("the cache survives between builds and is in no layer"),
		})
	}
	return []checks.Fix{{
		ID: "cache-mount", Title: checks.Msg("keep the cache of %s in a mount", strings.Join(names, ", ")),
		Caution: checks.Msg("needs BuildKit, which is the default since Docker 23; it assumes that the cache of root is at %s", strings.Join(dirs, ", ")),
		Edit:    fixed(edits...),
	}}
}
