package files

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// A dockerfileDocument is a Dockerfile with what is known of its base images
// and of its build context.
type dockerfileDocument struct{ *dockerfile.File }

func asDockerfile(s checks.Subject) document {
	if f, ok := s.(*dockerfile.File); ok {
		return dockerfileDocument{f}
	}
	return nil
}

func (d dockerfileDocument) subject() checks.Subject { return d.File }

func (d dockerfileDocument) text() text {
	return text{path: d.Path, name: d.Name, source: d.Source, absent: d.New}
}

func (d dockerfileDocument) refusal() error {
	if d.Refusal == nil {
		return nil
	}
	return d.Refusal
}

func (d dockerfileDocument) with(source []byte, changed func(path string) ([]byte, bool)) (document, error) {
	next := dockerfileDocument{parseDockerfile(d.File, source, changed)}
	return next, next.refusal()
}

func (d dockerfileDocument) place(path string) string {
	if own := ignoreName(d.File); path == ".dockerignore" && slices.Contains(d.Context.Names, own) {
		return own
	}
	return path
}

// A builder prefers NAME.dockerignore to .dockerignore when it builds NAME.
func (d dockerfileDocument) beside(path string) (string, error) {
	name := filepath.Base(d.Path)
	switch path {
	case "":
		return name + hardened, nil
	case ".dockerignore", name + ".dockerignore":
		return name + hardened + ".dockerignore", nil
	}
	return "", refuse(checks.Msg("%s cannot be patched in a copy: change the file itself", path))
}

// Images are built when their owner wants that.
func (d dockerfileDocument) deploy(document, string) []string { return nil }

func (d dockerfileDocument) command(dir, name string, deposits []string) string {
	var b strings.Builder
	b.WriteString("docker build")
	for _, secret := range deposits {
		fmt.Fprintf(&b, " --secret %s", fixes.Quote(secret))
	}
	if name != "Dockerfile" {
		fmt.Fprintf(&b, " -f %s", fixes.Quote(filepath.Join(dir, name)))
	}
	return terminal.Line(b.String() + " " + fixes.Quote(dir))
}

// parseDockerfile returns old with other text and the same facts from outside. changed
// returns the content of a file beside it, if that is another one too.
func parseDockerfile(old *dockerfile.File, source []byte, changed func(path string) ([]byte, bool)) *dockerfile.File {
	file := dockerfile.Parse(old.Path, old.Name, source)
	file.Bases, file.Context, file.New = carried(old.Bases, file.BaseImages()), old.Context, old.New
	own := ignoreName(old)
	for _, path := range []string{own, ".dockerignore"} {
		if data, ok := changed(path); ok {
			file.Context.Ignore = data
			if !slices.Contains(file.Context.Names, path) {
				file.Context.Names = append(slices.Clone(file.Context.Names), path)
			}
			break
		}
		if slices.Contains(file.Context.Names, own) {
			break
		}
	}
	return file
}

// carried returns bases with what is known under another reference added for
// those references that name the same image, by its digest or one of its tags:
// a pinned image is still the one that was inspected.
func carried(bases map[string]dockerfile.Base, references []string) map[string]dockerfile.Base {
	out := bases
	for _, reference := range references {
		if _, known := bases[reference]; known {
			continue
		}
		tag, digest, pinned := strings.Cut(reference, "@")
		for _, old := range slices.Sorted(maps.Keys(bases)) {
			base := bases[old]
			if pinned && digest == base.Digest || !pinned && slices.Contains(base.Tags, tag) {
				if len(out) == len(bases) {
					out = maps.Clone(bases)
				}
				out[reference] = base
				break
			}
		}
	}
	return out
}

// ignoreName returns the name of the ignore list that is for file alone. It
// wins over .dockerignore.
func ignoreName(file *dockerfile.File) string { return filepath.Base(file.Path) + ".dockerignore" }
