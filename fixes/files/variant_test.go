package files_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"plimsoll/checks"
	source "plimsoll/checks/dockerfile"
)

// A variant writes a Dockerfile in another way that BuildKit reads as well.
type variant struct {
	name  string
	write func(text string) string
}

var variants = []variant{
	{"CRLF", func(text string) string { return strings.ReplaceAll(unix(text), "\n", "\r\n") }},
	{"BOM", func(text string) string { return string(bom) + strings.TrimPrefix(text, string(bom)) }},
	{"BOM and CRLF", func(text string) string {
		return string(bom) + strings.ReplaceAll(unix(strings.TrimPrefix(text, string(bom))), "\n", "\r\n")
	}},
	{"lower case", inLowerCase},
	{"escape", withBacktick},
	{"heredocs", asHeredocs},
	{"heredocs and CRLF", func(text string) string { return strings.ReplaceAll(unix(asHeredocs(text)), "\n", "\r\n") }},
	{"no last newline", func(text string) string { return strings.TrimRight(text, "\r\n") }},
	{"tabs", func(text string) string { return indent.ReplaceAllString(text, "\t") }},
}

var indent = regexp.MustCompile(`(?m)^(?: {2,})`)

func unix(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// inLowerCase writes the keywords small.
func inLowerCase(text string) string {
	f := source.Parse("", "", []byte(text))
	var edits []checks.Edit
	for _, in := range f.Instructions {
		edits = append(edits, checks.Edit{Start: in.Start, End: in.Start + len(in.Keyword), New: strings.ToLower(in.Keyword)})
	}
	return applied(text, edits)
}

var continuation = regexp.MustCompile(`(?m)\\([ \t]*\r?)$`)

// withBacktick continues lines with a backtick, as files for Windows do. A text
// that uses backticks otherwise stays as it is.
func withBacktick(text string) string {
	if strings.Contains(text, "`") || strings.Contains(text, "escape=") || strings.HasPrefix(text, string(bom)) {
		return text
	}
	return "# escape=`\n" + continuation.ReplaceAllString(text, "`$1")
}

// asHeredocs gives every command of a RUN its own document.
func asHeredocs(text string) string {
	f := source.Parse("", "", []byte(text))
	var edits []checks.Edit
	for _, in := range f.Instructions {
		if in.Keyword != "RUN" || in.IsExec || len(in.Heredocs) > 0 || in.Args.String == "" {
			continue
		}
		start, end := in.Args.Range(0, len(in.Args.String))
		edits = append(edits, checks.Edit{Start: start, End: end, New: "<<EOT\n" + in.Args.String + "\nEOT"})
	}
	return applied(text, edits)
}

func applied(text string, edits []checks.Edit) string {
	out, err := source.Apply([]byte(text), edits)
	if err != nil {
		return text
	}
	return string(out)
}

// TestVariants is TestCorpus for files that are written in other ways: a part
// of them in each, or all of them in all ways where PLIMSOLL_WHOLE_CORPUS is set.
//
//scenario:82
func TestVariants(t *testing.T) {
	paths := corpus(t)
	whole := os.Getenv("PLIMSOLL_WHOLE_CORPUS") != ""
	for n, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			tried, patched := 0, 0
			for i, path := range paths {
				if !whole && i%(4*len(variants)) != n {
					continue
				}
				data, err := os.ReadFile(path)
				must(t, err)
				text := v.write(string(data))
				if text == string(data) || source.Parse("", "", []byte(text)).Refusal != nil {
					continue // not a spelling of this file
				}
				tried++
				for _, known := range []func(*source.File) map[string]source.Base{facts, none} {
					if plan := tryFile(t, filepath.Base(path), text, known); plan.Blocked.IsZero() {
						patched++
					}
				}
			}
			t.Logf("%d files, %d patches", tried, patched)
			if patched < tried {
				t.Errorf("only %d patches of %d files", patched, tried)
			}
		})
	}
}
