package report

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"plimsoll/assets"
	"plimsoll/checks/dockerfile"
)

// corpus is reference material that is not part of the module.
const corpus = "../../../../shared/corpus"

// TestCorpus holds that what people, and people with bad intentions, have
// written becomes valid SARIF, and no control character gets through.
func TestCorpus(t *testing.T) {
	for _, dir := range []string{"dockerfiles", "adversarial"} {
		t.Run(dir, func(t *testing.T) {
			d := &Document{Root: "/project", Version: "1.2.3", Language: assets.German, Explain: error.Error}
			err := filepath.WalkDir(filepath.Join(corpus, dir), func(path string, entry fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := entry.Info()
				if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
					return err
				}
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				name := filepath.ToSlash(path[len(corpus)+1:])
				d.Items = append(d.Items, judged(dockerfile.Parse("/project/"+name, name, data)))
				return nil
			})
			if err != nil || len(d.Items) == 0 {
				t.Skipf("no corpus: %v", err)
			}
			if results := sarif(t, d).Runs[0].Results; len(results) == 0 {
				t.Error("there are no results")
			}
			for format := range Formats {
				for i, c := range written(t, d, format) {
					if c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c >= 0x80 && c < 0xa0 {
						t.Fatalf("%s has the character %U at %d", format, c, i)
					}
				}
			}
		})
	}
}
