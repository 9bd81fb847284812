package layers

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// system is an image of about 300 MB made from the programs and documents of
// this machine: names and sizes as a distribution has them.
func system(b *testing.B) []byte {
	b.Helper()
	const enough = 300 << 20
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, root := range []string{"/etc", "/bin", "/lib", "/usr/bin", "/usr/lib", "/usr/share"} {
		_ = filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if layer.Len() > enough {
				return filepath.SkipAll
			}
			info, err := d.Info()
			if err != nil || info.Size() > 2<<20 {
				return nil
			}
			h, err := tar.FileInfoHeader(info, "")
			if err != nil {
				return nil
			}
			h.Name = name[1:]
			var data []byte
			if info.Mode().IsRegular() {
				if data, err = os.ReadFile(name); err != nil {
					return nil
				}
				h.Size = int64(len(data))
			}
			if w.WriteHeader(h) == nil {
				_, err = w.Write(data)
			}
			return err
		})
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	if layer.Len() < enough/3 {
		b.Skipf("this machine has only %d bytes of a system", layer.Len())
	}
	archive, _ := imageOf(b, layout{}, layer.Bytes())
	return archive
}

// BenchmarkRead reports how much longer reading takes than going through the
// same stream with archive/tar alone, and how long it takes from the cache.
func BenchmarkRead(b *testing.B) {
	archive := system(b)
	b.SetBytes(int64(len(archive)))
	var ours, alone, cached time.Duration
	c := NewCache(b.TempDir())
	open, _ := opens(archive)
	if _, err := c.Summary(b.Context(), imageID, Options{}, open); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		start := time.Now()
		contents, err := Read(b.Context(), bytes.NewReader(archive), Options{})
		if err != nil {
			b.Fatal(err)
		}
		files := contents.Summary().Files
		ours += time.Since(start)

		start = time.Now()
		if n := walk(b, bytes.NewReader(archive)); n < files {
			b.Fatalf("%d entries alone, %d files", n, files)
		}
		alone += time.Since(start)

		start = time.Now()
		if _, err := c.Summary(b.Context(), imageID, Options{}, open); err != nil {
			b.Fatal(err)
		}
		cached += time.Since(start)
		b.ReportMetric(float64(files), "files")
	}
	b.ReportMetric(float64(ours)/float64(alone), "ratio")
	b.ReportMetric(float64(cached.Microseconds())/1000/float64(b.N), "cached-ms")
}

// walk goes through an archive and the layers in it.
func walk(b *testing.B, r io.Reader) (n int) {
	for t := tar.NewReader(r); ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			b.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg && len(h.Name) > 9 && h.Name[len(h.Name)-9:] == "layer.tar" {
			n += walk(b, t)
		}
	}
}
