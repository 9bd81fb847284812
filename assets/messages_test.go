package assets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/attack"
	"plimsoll/checks/suite"
)

const module = ".." // the root of the module, seen from here

// TestEveryMessageIsGerman holds source and catalogues together: nothing that
// a user reads lacks a translation, and no translation outlives its message.
func TestEveryMessageIsGerman(t *testing.T) {
	formats := sourceFormats(t)
	german := germanEntries(t)
	for _, format := range slices.Sorted(maps.Keys(formats)) {
		entry, ok := german[format]
		if !ok {
			t.Errorf("%s: no German for %q", formats[format], format)
		} else if want, got := verbs(format), verbs(entry.text); !maps.Equal(got, want) {
			t.Errorf("%s: %q has verbs %v, its German %q has %v", entry.file, format, want, entry.text, got)
		}
	}
	for _, format := range slices.Sorted(maps.Keys(german)) {
		if formats[format] == "" {
			t.Errorf("%s: nothing says %q any more", german[format].file, format)
		}
	}
}

// sourceFormats returns every format that the module hands to a translator,
// with the place where it does: those of titles from the values themselves,
// all others from the source.
func sourceFormats(t *testing.T) map[string]string {
	formats := map[string]string{}
	for _, c := range append(slices.Clone(checks.Chapters), checks.Hygiene) {
		formats[c.Title()] = "checks/chapter.go"
	}
	for _, s := range checks.Severities {
		formats[s.String()] = "checks/severity.go"
	}
	for _, c := range suite.All() {
		formats[c.Title] = "title of check " + c.ID
	}
	for _, r := range attack.Rules() {
		formats[r.Title] = "title of rule " + r.ID
	}
	fset := token.NewFileSet()
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != module && (strings.HasPrefix(name, ".") || name == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Name.Name != "T" // hands on what it is given
			case *ast.CallExpr:
				translated(t, fset, n, formats)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return formats
}

// translated notes the format of a call to Msg or T. Msg takes constants only.
// T is also given what Msg, or a title, has brought along: that was found there.
func translated(t *testing.T, fset *token.FileSet, call *ast.CallExpr, formats map[string]string) {
	var function string
	switch f := call.Fun.(type) {
	case *ast.Ident:
		function = f.Name
	case *ast.SelectorExpr:
		function = f.Sel.Name
	}
	if function != "Msg" && function != "T" || len(call.Args) == 0 {
		return
	}
	position := fset.Position(call.Pos())
	at := fmt.Sprintf("%s:%d", strings.TrimPrefix(filepath.ToSlash(position.Filename), "../"), position.Line)
	if format, ok := constant(call.Args[0]); ok {
		formats[format] = at
	} else if function == "Msg" {
		t.Errorf("%s: the format of Msg is not a constant string", at)
	}
}

// constant returns the value of a string literal, or of several added up.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := constant(e.X)
		right, ok2 := constant(e.Y)
		return left + right, ok && ok2 && e.Op == token.ADD
	case *ast.ParenExpr:
		return constant(e.X)
	}
	return "", false
}

type entry struct{ text, file string }

// germanEntries reads the catalogues strictly: keys sorted, hence unique in
// their file, none empty, and the same in every file that has them.
func germanEntries(t *testing.T) map[string]entry {
	t.Helper()
	files, err := filepath.Glob("messages/de/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("catalogues %v: %v", files, err)
	}
	all := map[string]entry{}
	translate := assets.Translate(assets.German)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		var catalogue map[string]string
		if err := json.Unmarshal(data, &catalogue); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for d := json.NewDecoder(bytes.NewReader(data)); ; {
			token, err := d.Token()
			if err != nil {
				break
			}
			if s, ok := token.(string); ok {
				keys = append(keys, s)
				if _, err := d.Token(); err != nil {
					break
				}
			}
		}
		for i, key := range keys {
			if i > 0 && keys[i-1] >= key {
				t.Errorf("%s: %q must stand before %q, or is there twice", file, key, keys[i-1])
			}
			text := catalogue[key]
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: the translation of %q is empty", file, key)
			}
			if other, ok := all[key]; ok && other.text != text {
				t.Errorf("%q is %q in %s and %q in %s", key, other.text, other.file, text, file)
			}
			all[key] = entry{text, file}
			if got := translate(key); got != text {
				t.Errorf("%s: Translate gives %q for %q, want %q", file, got, key, text)
			}
		}
	}
	return all
}

var verb = regexp.MustCompile(`%[-+# 0]*(?:\[(\d+)\])?[\d*.]*(?:\[(\d+)\])?([a-zA-Z%])`)

// verbs returns the verb of each argument of a format, by its number, so that
// a translation may change the order: "%s in %s" and "in %[2]s: %[1]s" agree.
func verbs(format string) map[int]string {
	used := map[int]string{}
	next := 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[3] == "%" {
			continue
		}
		if index := m[1] + m[2]; index != "" {
			next, _ = strconv.Atoi(index)
		}
		used[next] = m[3]
		next++
	}
	return used
}

func TestVerbs(t *testing.T) {
	for _, c := range []struct {
		format string
		want   map[int]string
	}{
		{"100 %% of %s", map[int]string{1: "s"}},
		{"%s in %d", map[int]string{1: "s", 2: "d"}},
		{"%[2]d: %[1]s", map[int]string{1: "s", 2: "d"}},
		{"%.1f %+q %-10s", map[int]string{1: "f", 2: "q", 3: "s"}},
		{"nothing", map[int]string{}},
	} {
		if got := verbs(c.format); !maps.Equal(got, c.want) {
			t.Errorf("%q: got %v, want %v", c.format, got, c.want)
		}
	}
}
