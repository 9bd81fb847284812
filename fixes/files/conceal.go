package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
)

// An exclusion is a line that keeps a directory out of version control, or out
// of what a builder is sent.
type exclusion struct {
	list   string // relative to the project where it is in that, else absolute
	before string // what the line begins with
	dir    string // relative to what the list is of
	always bool   // also where there is no list yet
}

// conceal keeps the directories of secrets out of version control, and out of
// what is sent to builders.
func (p *patch) conceal(project *project, file document) error {
	p.conceals = map[string]bool{}
	for _, dir := range p.secretDirs() {
		lists := []exclusion{{".gitignore", "/", dir, inGit(project.dir)}, {".dockerignore", "", dir, false}}
		built, err := sent(file, project.dir, dir)
		if err != nil {
			return err
		}
		for _, x := range append(lists, built...) {
			if err := p.exclude(project, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// secretDirs returns the directories that secrets move to, relative to the project.
func (p *patch) secretDirs() (dirs []string) {
	for _, d := range p.proof.after.drafts {
		for _, e := range d.edits() {
			for _, s := range e.Moved {
				if dir := filepath.ToSlash(filepath.Dir(s.Path)); s.Path != "" && !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	slices.Sort(dirs)
	return dirs
}

// exclude adds the line x to the draft of its list, if nothing there does the same.
func (p *patch) exclude(project *project, x exclusion) error {
	if filepath.IsAbs(x.list) {
		data, err := readForeign(x.list)
		if err == nil && !ignores(string(data), x.dir) {
			err = refuse(checks.Msg("a build would copy %s, and the list that can prevent it is outside of the project: add the line %s/ at the end of %s first", x.dir, x.dir, x.list))
		}
		return err
	}
	d, known := p.proof.after.drafts[x.list]
	if !known {
		data, id, err := project.read(x.list)
		switch {
		case err != nil:
			return err
		case !id.Exists && !x.always:
			return nil
		}
		d = newDraft(data, id.Exists)
	}
	if ignores(string(d.bytes()), x.dir) {
		return nil
	}
	d, err := d.with([]checks.Edit{{
		Start: -1, End: -1, New: x.before + x.dir + "/\n",
		Reason: checks.Msg("secrets belong neither into version control nor into images"),
	}})
	if err != nil {
		return err
	}
	p.proof.after.drafts[x.list], p.conceals[x.list] = d, true
	return nil
}

// readForeign returns a list outside of the project, nothing where there is none.
func readForeign(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, refuse(checks.Msg("%s is not a regular file", path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, sizeLimit))
}

// sent returns what keeps dir of the project out of the builds of file's services.
func sent(file document, project, dir string) ([]exclusion, error) {
	c, ok := file.(composeDocument)
	if !ok {
		return nil, nil
	}
	var all []exclusion
	here := resolved(project)
	for _, b := range c.Builds {
		context := resolved(b.Context)
		rel, err := filepath.Rel(context, filepath.Join(here, dir))
		switch {
		case err != nil || !filepath.IsLocal(rel):
			continue
		case rel == ".":
			return nil, refuse(checks.Msg("a build would copy %s, which is its build context: give it another one first", terminal.Line(b.Context)))
		}
		// A builder prefers NAME.dockerignore to .dockerignore when it builds NAME.
		list := filepath.Join(context, ".dockerignore")
		if own := b.Dockerfile + ".dockerignore"; b.Dockerfile != "" {
			if _, err := os.Lstat(own); err == nil {
				list = filepath.Join(resolved(filepath.Dir(own)), filepath.Base(own))
			}
		}
		if inside, err := filepath.Rel(here, list); err == nil && filepath.IsLocal(inside) {
			list = inside
		}
		if x := (exclusion{list, "", filepath.ToSlash(rel), true}); !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all, nil
}

// inGit reports whether dir is in a work tree of Git.
func inGit(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// ignores reports whether a list of patterns names dir, or what it is in, as a
// whole, and makes no exception after that: which, it does not ask.
func ignores(list, dir string) bool {
	found := false
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		found = found && !strings.HasPrefix(line, "!") || names(strings.Trim(line, "/"), dir)
	}
	return found
}

// names reports whether pattern matches dir or a directory that it is in.
func names(pattern, dir string) bool {
	if pattern == "*" || pattern == "**" {
		return true
	}
	for ; dir != "."; dir = path.Dir(dir) {
		switch pattern {
		case dir, dir + "/*", dir + "/**", "**/" + dir, "**/" + path.Base(dir):
			return true
		}
	}
	return false
}
