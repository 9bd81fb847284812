package image

import (
	"fmt"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
)

var junkFiles = filesRule(checks.Check{
	ID:       "image-junk-files",
	Title:    "Files of the build or the editor in an image",
	Severity: checks.Low,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"dockle DKL-LI-0003"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if len(s.Junk) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("%s carries along what only its build or an editor needed: %s", i.Ref().Name, some(s.Junk)),
			Evidence: i.files(s.Junk, func(f layers.Found) string { return fmt.Sprintf("/%s (%s)", f.Path, f.Rule) }),
		})
	}
})

// Below these nobody gains much by another build.
const (
	littleWaste  = 10 << 20
	littleShare  = 20 // a twentieth of the image
	littleCopies = 10 << 20
)

var wastedSpace = filesRule(checks.Check{
	ID:       "image-wasted-space",
	Title:    "Layers that carry what later layers delete or replace",
	Severity: checks.Info,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"dive wastedBytes"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if s.Wasted < littleWaste || s.Wasted < s.Size/littleShare {
		return
	}
	evidence := []checks.Evidence{{Source: "efficiency", Detail: fmt.Sprintf("%d %%: %s of %s are never seen", 100-s.Wasted*100/max(1, s.Size), size(s.Wasted), size(s.Size))}}
	evidence = append(evidence, i.files(s.WastedFiles, func(f layers.Found) string { return fmt.Sprintf("/%s, %s", f.Path, size(f.Size)) })...)
	report(checks.Finding{
		Message:  checks.Msg("%s of %s are transferred and stored, but no container sees them", size(s.Wasted), i.Ref().Name),
		Evidence: evidence,
	})
})

var duplicateFiles = filesRule(checks.Check{
	ID:       "image-duplicate-files",
	Title:    "The same content many times over",
	Severity: checks.Info,
	Chapter:  checks.MinimalImages,
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	var wasted int64
	for _, c := range s.Duplicate {
		wasted += c.Wasted()
	}
	if wasted < littleCopies {
		return
	}
	var evidence []checks.Evidence
	for _, c := range s.Duplicate[:min(len(s.Duplicate), mostEvidence)] {
		evidence = append(evidence, checks.Evidence{
			Source: fmt.Sprintf("%d times %s", c.Count, size(c.Size)),
			Detail: "/" + strings.Join(c.Paths[:min(len(c.Paths), 3)], ", /"),
		})
	}
	report(checks.Finding{
		Message:  checks.Msg("%s holds the same content several times: %s more than needed", i.Ref().Name, size(wasted)),
		Evidence: evidence,
	})
})

// usual are the sizes in bytes above which an image is large for what it runs,
// told by the variable that the official images of a language set. They are
// about twice those of the smaller official variants.
var usual = []struct {
	variable, runtime string
	size              int64
}{
	{"NODE_VERSION", "Node.js", 600 << 20},
	{"PYTHON_VERSION", "Python", 500 << 20},
	{"JAVA_VERSION", "Java", 700 << 20},
	{"JAVA_HOME", "Java", 700 << 20},
	{"RUBY_VERSION", "Ruby", 600 << 20},
	{"PHP_VERSION", "PHP", 700 << 20},
	{"DOTNET_VERSION", ".NET", 500 << 20},
	{"GOLANG_VERSION", "Go", 300 << 20}, // with the tools: the program alone needs none
}

const (
	large      = 1 << 30
	manyLayers = 40
)

var largeOrManyLayers = check(checks.Check{
	ID:       "image-large-or-many-layers",
	Title:    "Image is large, or of many layers",
	Severity: checks.Info,
	Chapter:  checks.MinimalImages,
	Refs:     []string{"mint 20020"},
}, func(i *Image, report func(checks.Finding)) {
	if limit, runtime := i.usualSize(); i.Inspect.Size > limit {
		report(checks.Finding{
			Key:      "size",
			Message:  checks.Msg("%s has %s: every pull, start on a new host and scan takes so much longer", i.Ref().Name, size(i.Inspect.Size)),
			Evidence: []checks.Evidence{{Source: "Size", Detail: size(i.Inspect.Size)}, {Source: "usual for " + runtime, Detail: "less than " + size(limit)}},
		})
	}
	if n := len(i.Inspect.RootFS.Layers); n > manyLayers {
		report(checks.Finding{
			Key:      "layers",
			Message:  checks.Msg("%s has %d layers, each of which is looked through for every file", i.Ref().Name, n),
			Evidence: []checks.Evidence{{Source: "RootFS.Layers", Detail: fmt.Sprint(n)}, {Source: "usual", Detail: fmt.Sprintf("at most %d", manyLayers)}},
		})
	}
})

func (i *Image) usualSize() (limit int64, runtime string) {
	for _, u := range usual {
		if i.variable(u.variable) != "" {
			return u.size, u.runtime
		}
	}
	return large, "an application"
}

// variable returns a variable of the image's configuration, "" without one.
func (i *Image) variable(name string) string {
	if i.Inspect.Config == nil {
		return ""
	}
	for _, v := range i.Inspect.Config.Env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
