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
		if f.Shipped(in.Stage) || in.IsExec || f.cleansUp(in) {
			return
		}
		for _, k := range f.script(in).calls {
			for _, c := range cachedTools() {
				if k.tool != c.tool || !k.is(c.verbs...) || k.has(c.avoids...) || k.nested || c.mounted(in) {
					continue
				}
				if c.tool == "pip" && f.switchedOn(in, "PIP_NO_CACHE_DIR") {
					continue
				}
				finding := f.findingAt(in, k.name.start, k.verb.end, in.Stage.label()+"/"+k.tool+" "+k.verb.text,
					checks.Msg("%s %s starts from nothing whenever this step is built: no cache mount keeps what it had", k.tool, k.verb.text))
				finding.Fixes = f.mountFix(in, c)
				report(finding)
				return
			}
		}
	})
})

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

// mountFix mounts a cache where the tool of root keeps it.
func (f *File) mountFix(in *Instruction, c cached) []checks.Fix {
	if u := f.userAt(in); !u.isRoot() && u.known || len(in.Heredocs) > 0 {
		return nil
	}
	if c.tool == "bundle" {
		return nil // where gems go is the image's business
	}
	v := f.variablesAt(in)
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "PIP_CACHE_DIR", "npm_config_cache", "YARN_CACHE_FOLDER", "GOCACHE", "CARGO_HOME", "COMPOSER_HOME", "COMPOSER_CACHE_DIR", "NUGET_PACKAGES"} {
		if _, ok := v[name]; ok {
			return nil
		}
	}
	at := in.Start + len(in.Keyword)
	return []checks.Fix{{
		ID: "cache-mount", Title: checks.Msg("keep the cache of %s in a mount", c.tool),
		Caution: checks.Msg("needs BuildKit, which is the default since Docker 23; it assumes that the cache of root is at %s", c.dirs[0]),
		Edit: fixed(checks.Edit{
			Start: at, End: at, New: " --mount=type=cache,target=" + c.dirs[0],
			Reason: checks.Msg("the cache survives between builds and is in no layer"),
		}),
	}}
}
