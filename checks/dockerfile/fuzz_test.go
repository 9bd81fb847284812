package dockerfile

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzFix reads, judges and fixes whatever comes, and holds the promises of
// every fix: see provenFix.
func FuzzFix(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if !strings.Contains(file.Name, ".") {
				f.Add(string(file.Data), true)
			}
		}
	}
	f.Add("FROM a\nCMD [\"id\"]", false)
	f.Add("FROM a\nCMD id \\", false)
	f.Add("#escape=`\r\nFROM a\r\nRUN sudo x `\r\n y", false)
	f.Add("FROM a\nRUN <<-\"A\" <<B\n\tUSER x\n\tA\nUSER y\nB\n", false)
	f.Fuzz(func(t *testing.T, src string, context bool) {
		if len(src) > 1<<14 {
			return
		}
		file := Parse("/project/Dockerfile", "Dockerfile", []byte(src))
		for _, in := range file.Instructions {
			if in.Start < 0 || in.Start > in.End || in.End > len(src) || in.Line < 1 || in.EndLine < in.Line {
				t.Fatalf("%s: bytes %d-%d, lines %d-%d", in.Keyword, in.Start, in.End, in.Line, in.EndLine)
			}
		}
		if whole := refusal(file.Source); !reflect.DeepEqual(unadvised(whole), unadvised(file.Refusal)) {
			t.Fatalf("BuildKit says %v of the file, %v of its skeleton", whole, file.Refusal)
		}
		if context {
			file.Context = Context{Known: true, Names: []string{"package.json", "Cargo.toml"}}
		}
		provenFix(t, "fuzz", file, true)
		provenFix(t, "fuzz", file, false)
	})
}

// unadvised returns a refusal without what BuildKit takes the mistake for: of
// two candidates that are as near it names either.
func unadvised(r *Refusal) *Refusal {
	if r == nil {
		return nil
	}
	bare := *r
	bare.Reason, _, _ = strings.Cut(bare.Reason, " (did you mean")
	return &bare
}
