package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestDirectionOfImports holds the architecture: main → tui → fixes → checks,
// assets beside them, and the packages of checks independent of each other.
func TestDirectionOfImports(t *testing.T) {
	for pkg, imports := range importsOfModule(t) {
		for _, imported := range imports {
			if why := forbidden(pkg, imported); why != "" {
				t.Errorf("%s imports %s: %s", pkg, imported, why)
			}
		}
	}
}

// layers from the top down; a package may import its own layer and lower ones.
var layers = []string{"tui", "fixes", "checks"}

// gatherers of checks may import all of checks.
var gatherers = []string{"checks/suite", "checks/attack", "checks/inventory", "checks/engine", "checks/dockertest"}

// core of checks, for all of checks.
var core = []string{"checks", "checks/disk", "checks/lifecycle", "checks/packages", "checks/program", "checks/runtime", "checks/secret", "checks/terminal", "checks/vulnerability", "checks/yamledit"}

func forbidden(pkg, imported string) (why string) {
	from, to := layer(pkg), layer(imported)
	switch {
	case pkg == "":
		return ""
	case from == "assets":
		return "assets import the standard library only"
	case to == "assets" && from == "tui":
		return ""
	case to == "assets":
		return "only the screen and the command line speak"
	case slices.Index(layers, to) < slices.Index(layers, from):
		return "imports point down"
	case from != "checks" || slices.Contains(gatherers, pkg):
		return ""
	case slices.Contains(core, imported):
		return ""
	case pkg != "checks" && strings.HasPrefix(imported, pkg+"/"):
		return "" // a part of itself
	case pkg == "checks/compose" && imported == "checks/container":
		return "" // services are judged by the checks of containers
	case pkg == "checks/signature" && imported == "checks/registry":
		return "" // signatures are beside their image
	}
	return "packages of checks are independent of each other"
}

func layer(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

// importsOfModule returns the imports of each package within the module,
// without tests, both relative to the module.
func importsOfModule(t *testing.T) map[string][]string {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, "plimsoll"), "/")
		all[name] = nil
		for _, i := range pkg.Imports {
			if rel, ours := strings.CutPrefix(i, "plimsoll/"); ours {
				all[name] = append(all[name], rel)
			} else if layer(name) == "assets" && strings.Contains(layer(i), ".") {
				t.Errorf("%s imports %s: assets import the standard library only", name, i)
			}
		}
	}
	if len(all) < 10 {
		t.Fatalf("found only %d packages", len(all))
	}
	return all
}
