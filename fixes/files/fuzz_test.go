package files_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	source "plimsoll/checks/dockerfile"
)

// FuzzPatch reads whatever comes as a Dockerfile, judges it by all checks, plans
// to fix everything, proves it and holds the promises of a patch: see tryFile.
func FuzzPatch(f *testing.F) {
	paths, err := filepath.Glob("../build/testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range paths {
		f.Add(dockerfileOf(f, path), true)
	}
	f.Fuzz(func(t *testing.T, text string, known bool) {
		if len(text) > 1<<12 || strings.Count(text, "\n") > 60 {
			return
		}
		bases := none
		if known {
			bases = facts
		}
		file := source.Parse("", "Dockerfile", []byte(text))
		if file.Refusal != nil {
			return // nothing of it is fixed
		}
		tryFile(t, "fuzz", text, bases)
	})
}

// dockerfileOf returns the Dockerfile of a project in a txtar archive.
func dockerfileOf(f *testing.F, path string) string {
	f.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if file.Name == "Dockerfile" {
			return string(file.Data)
		}
	}
	f.Fatal("no Dockerfile in ", path)
	return ""
}
