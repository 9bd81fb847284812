package inventory

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"plimsoll/checks"
)

// A tree is what was found below a directory.
type tree struct {
	files []checks.Ref // Dockerfiles and compose files, by path
	dirs  []string     // directories that were read, to be watched
}

// find returns the Dockerfiles and compose files at and below root, a file or
// a directory, shown as seen from the directory from. Like git it leaves out what .gitignore names; it never follows
// a symbolic link. A file given by itself is taken whatever its name.
func find(ctx context.Context, root, from string) (tree, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return tree{}, err
	}
	info, err := os.Stat(root)
	if err != nil {
		return tree{}, err
	}
	if !info.IsDir() {
		return tree{files: []checks.Ref{explicit(root, from)}}, nil
	}
	t := tree{}
	w := walker{ctx: ctx, tree: &t, base: root, name: shown(root, from)}
	repository, inside := repositoryOf(root)
	w.root = repository
	for dir := repository; ; { // the .gitignore files between the repository and root
		if dir == root {
			break
		}
		w.patterns = append(w.patterns, w.ignored(dir)...)
		next, _, _ := strings.Cut(inside, string(filepath.Separator))
		inside = strings.TrimPrefix(strings.TrimPrefix(inside, next), string(filepath.Separator))
		dir = filepath.Join(dir, next)
	}
	err = w.walk(root, w.patterns)
	return t, err
}

// explicit classifies a file that the user named.
func explicit(path, from string) checks.Ref {
	kind := checks.Dockerfile
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".yml" || ext == ".yaml" {
		kind = checks.Compose
	}
	return checks.Ref{Kind: kind, ID: path, Name: shown(path, from)}
}

// shown returns path as people at the directory from would write it: the
// working directory when it is "".
func shown(path, from string) string {
	if from == "" {
		wd, err := os.Getwd()
		if err != nil {
			return path
		}
		from = wd
	}
	rel, err := filepath.Rel(from, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

// repositoryOf returns the git repository around dir and the path of dir in
// it; dir itself and "" when there is none.
func repositoryOf(dir string) (root, inside string) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(filepath.Join(d, ".git")); err == nil {
			rel, err := filepath.Rel(d, dir)
			if err != nil || rel == "." {
				return dir, ""
			}
			return d, rel
		}
		if d == filepath.Dir(d) {
			return dir, ""
		}
	}
}

type walker struct {
	ctx      context.Context // one walk only
	tree     *tree
	root     string // what .gitignore patterns are relative to
	base     string
	name     string // how base is shown
	patterns []gitignore.Pattern
}

// shown returns how the path of a file below base is shown.
func (w *walker) shown(path string) string {
	return filepath.Join(w.name, strings.TrimPrefix(path, w.base))
}

func (w *walker) walk(dir string, patterns []gitignore.Pattern) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		if dir == w.base {
			return err
		}
		return nil // a directory that may not be read hides nothing else
	}
	w.tree.dirs = append(w.tree.dirs, dir)
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ".gitignore" }) {
		patterns = append(slices.Clip(patterns), w.ignored(dir)...)
	}
	matcher := gitignore.NewMatcher(patterns)
	parts := w.parts(dir)
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			if name == ".git" || name == "node_modules" || len(patterns) > 0 && matcher.Match(append(slices.Clip(parts), name), true) {
				continue
			}
			if err := w.walk(path, patterns); err != nil {
				return err
			}
		case e.Type().IsRegular():
			kind, ok := Recognise(name)
			if !ok || len(patterns) > 0 && matcher.Match(append(slices.Clip(parts), name), false) {
				continue
			}
			w.tree.files = append(w.tree.files, checks.Ref{Kind: kind, ID: path, Name: w.shown(path)})
		}
	}
	return nil
}

func (w *walker) parts(dir string) []string {
	rel, err := filepath.Rel(w.root, dir)
	if err != nil || rel == "." {
		return nil
	}
	return strings.Split(rel, string(filepath.Separator))
}

// ignored returns the patterns of the .gitignore file in dir.
func (w *walker) ignored(dir string) []gitignore.Pattern {
	f, err := os.Open(filepath.Join(dir, ".gitignore"))
	if err != nil {
		return nil
	}
	defer f.Close()
	var patterns []gitignore.Pattern
	domain := w.parts(dir)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, gitignore.ParsePattern(line, domain))
		}
	}
	return patterns
}

// notBuilt are endings of files that stand beside Dockerfiles without being
// one: ignore lists, documents, templates and editors' leftovers.
var notBuilt = []string{".dockerignore", ".md", ".txt", ".j2", ".tmpl", ".template", ".tpl", ".in", ".erb", ".swp", ".orig", ".rej", ".bak", ".tmp", "~"}

// Recognise returns the kind of a file by its name alone.
func Recognise(name string) (checks.Kind, bool) {
	lower := strings.ToLower(name)
	for _, stem := range []string{"compose", "docker-compose"} {
		rest, ok := strings.CutPrefix(lower, stem)
		if ok && (rest == ".yml" || rest == ".yaml" || strings.HasPrefix(rest, ".") && (strings.HasSuffix(rest, ".yml") || strings.HasSuffix(rest, ".yaml"))) {
			return checks.Compose, true
		}
	}
	for _, end := range notBuilt {
		if strings.HasSuffix(lower, end) {
			return "", false
		}
	}
	for _, stem := range []string{"dockerfile", "containerfile"} {
		if lower == stem || strings.HasPrefix(lower, stem+".") || strings.HasSuffix(lower, "."+stem) {
			return checks.Dockerfile, true
		}
	}
	return "", false
}
