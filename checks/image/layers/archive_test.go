package layers

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// An entry of a layer that a test makes.
type planted struct {
	name, content string
	mode          int64
	flag          byte
	link          string
	pax           map[string]string
}

func layerOf(t testing.TB, entries ...planted) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.flag == 0 {
			e.flag = tar.TypeReg
			if strings.HasSuffix(e.name, "/") {
				e.flag = tar.TypeDir
			}
		}
		if e.mode == 0 {
			e.mode = 0o644
		}
		h := &tar.Header{Name: e.name, Mode: e.mode, Typeflag: e.flag, Linkname: e.link, PAXRecords: e.pax}
		if e.flag == tar.TypeReg {
			h.Size = int64(len(e.content))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func gzipped(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, data []byte) []byte {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(data, nil)
}

// A layout is how engines put an image into an archive.
type layout struct {
	oci           bool // blobs by digest and an index; else a directory per layer
	manifestFirst bool
	pack          func(testing.TB, []byte) []byte
}

// imageOf returns an archive of layers, the lowest first, and their diff ids.
func imageOf(t testing.TB, o layout, layers ...[]byte) (archive []byte, diffIDs []string) {
	t.Helper()
	type file struct {
		name string
		data []byte
	}
	var files, heads []file
	var names []string
	var descriptors []map[string]any
	var history []map[string]any
	for i, l := range layers {
		diffIDs = append(diffIDs, "sha256:"+digestOf(l))
		if o.pack != nil {
			l = o.pack(t, l)
		}
		name := fmt.Sprintf("%064d/layer.tar", i)
		if o.oci {
			name = "blobs/sha256/" + digestOf(l)
		}
		names = append(names, name)
		files = append(files, file{name, l})
		descriptors = append(descriptors, map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + digestOf(l), "size": len(l)})
		history = append(history, map[string]any{"created_by": fmt.Sprint("RUN step ", i)}, map[string]any{"created_by": "ENV A=b", "empty_layer": true})
	}
	marshal := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	config := marshal(map[string]any{"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}, "history": history})
	if o.oci {
		manifest := marshal(map[string]any{"schemaVersion": 2, "config": map[string]any{"digest": "sha256:" + digestOf(config)}, "layers": descriptors})
		index := marshal(map[string]any{"schemaVersion": 2, "manifests": []any{
			map[string]any{"digest": "sha256:" + digestOf([]byte("attestation")), "annotations": map[string]string{"vnd.docker.reference.type": "attestation-manifest"}},
			map[string]any{"digest": "sha256:" + digestOf(manifest)},
		}})
		heads = []file{{"blobs/sha256/" + digestOf(config), config}, {"blobs/sha256/" + digestOf(manifest), manifest}, {"index.json", index}}
	} else {
		heads = []file{{digestOf(config) + ".json", config}, {"manifest.json", marshal([]any{map[string]any{"Config": digestOf(config) + ".json", "Layers": names}})}}
	}
	if o.manifestFirst {
		files = append(heads, files...)
	} else {
		files = append(files, heads...)
	}
	var entries []planted
	for _, f := range files {
		entries = append(entries, planted{name: f.name, content: string(f.data)})
	}
	return layerOf(t, entries...), diffIDs
}

func mustRead(t testing.TB, archive []byte) *Contents {
	t.Helper()
	contents, err := Read(t.Context(), bytes.NewReader(archive), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

var plain = []planted{{name: "etc/"}, {name: "./etc/passwd", content: "root:x:0:0::/:/bin/sh\n"}, {name: "bin/sh", mode: 0o755, content: "#!"}}

func TestLayouts(t *testing.T) {
	first, second := layerOf(t, plain...), layerOf(t, planted{name: "app/.env", content: "DB_PASSWORD=not-a-real-one\n"},
		planted{name: "var/lib/dpkg/status", content: "Package: libssl3\nStatus: install ok installed\nSource: openssl (3.0.9-1)\nVersion: 3.0.9-1+b1\n"})
	for _, oci := range []bool{false, true} {
		for _, manifestFirst := range []bool{false, true} {
			for name, pack := range map[string]func(testing.TB, []byte) []byte{"": nil, "gzip": gzipped, "zstd": zstded} {
				t.Run(fmt.Sprintf("oci %v, first %v, %s", oci, manifestFirst, name), func(t *testing.T) {
					archive, ids := imageOf(t, layout{oci, manifestFirst, pack}, first, second)
					c := mustRead(t, archive)
					if len(c.Layers) != 2 || c.Manifest.Layers[0].DiffID != ids[0] || c.Manifest.Layers[1].Step != 2 || c.Manifest.Layers[1].Packed != name {
						t.Fatalf("%+v", c.Manifest)
					}
					s := c.Summary()
					if err := s.Err(); err != nil {
						t.Error(err)
					}
					if len(s.Accounts) != 1 || len(s.Secrets) != 1 || s.Secrets[0].Path != "app/.env" || s.Secrets[0].Layer != 1 || s.Files != 5 {
						t.Errorf("%+v", s)
					}
					if p := s.Installed.Packages; len(p) != 1 || p[0].Name != "libssl3" || p[0].Source != "openssl" || p[0].SourceVersion != "3.0.9-1" || p[0].Layer != 1 {
						t.Errorf("packages %+v", p)
					}
				})
			}
		}
	}
}

// TestRepeatedLayer has a layer that is a link to another, as old engines save it.
func TestRepeatedLayer(t *testing.T) {
	layer := layerOf(t, plain...)
	id := "sha256:" + digestOf(layer)
	archive := layerOf(t,
		planted{name: "b/layer.tar", flag: tar.TypeSymlink, link: "../a/layer.tar"},
		planted{name: "a/layer.tar", content: string(layer)},
		planted{name: "c.json", content: `{"rootfs":{"diff_ids":["` + id + `","` + id + `"]}}`},
		planted{name: "manifest.json", content: `[{"Config":"c.json","Layers":["a/layer.tar","b/layer.tar"]}]`},
	)
	c := mustRead(t, archive)
	if c.Layers[0] != c.Layers[1] || c.Summary().Err() != nil {
		t.Errorf("%+v", c.Manifest)
	}
	if c.Manifest.Layers[0].Step != -1 {
		t.Error("a step without a history")
	}
}

func TestChoosesByDiffIDs(t *testing.T) {
	one, two := layerOf(t, plain...), layerOf(t, planted{name: "x"})
	archive := layerOf(t,
		planted{name: "1.tar", content: string(one)}, planted{name: "2.tar", content: string(two)},
		planted{name: "1.json", content: `{"rootfs":{"diff_ids":["sha256:1"]}}`}, planted{name: "2.json", content: `{"rootfs":{"diff_ids":["sha256:2"]}}`},
		planted{name: "manifest.json", content: `[{"Config":"1.json","Layers":["1.tar"]},{"Config":"2.json","Layers":["2.tar"]}]`},
	)
	c, err := Read(t.Context(), bytes.NewReader(archive), Options{DiffIDs: []string{"sha256:2"}})
	if err != nil || c.Manifest.Layers[0].Name != "2.tar" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Read(t.Context(), bytes.NewReader(archive), Options{DiffIDs: []string{"sha256:3"}}); err == nil {
		t.Error("took another image")
	}
}

// sparse is a layer whose header claims 1 TiB, of which 512 bytes are there.
func sparse(t testing.TB, name string) []byte {
	block := make([]byte, 512)
	copy(block, name)
	copy(block[100:], "0000644\x00")
	copy(block[108:], "0000000\x00")
	copy(block[116:], "0000000\x00")
	copy(block[124:], "00000001000\x00") // 512 bytes follow
	copy(block[136:], "00000000000\x00")
	copy(block[148:], "        ")
	block[156] = tar.TypeGNUSparse
	copy(block[257:], "ustar  \x00")
	copy(block[386:], "00000000000\x00") // of the sparse file, they are at 0
	copy(block[398:], "00000001000\x00")
	copy(block[483:], "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00") // it is said to have 1 TiB
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
	data := append(block, bytes.Repeat([]byte("x"), 512)...)
	h, err := tar.NewReader(bytes.NewReader(append(data, make([]byte, 1024)...))).Next()
	if err != nil || h.Size != 1<<40 {
		t.Fatalf("not the trap it should be: %v, %+v", err, h)
	}
	return append(data, make([]byte, 1024)...)
}

// wants asks for everything.
type wants struct{ got int64 }

func (w *wants) Visit(*File) io.WriteCloser        { return w }
func (w *wants) Write(p []byte) (n int, err error) { w.got += int64(len(p)); return len(p), nil }
func (w *wants) Close() error                      { return nil }

// TestHostile reads what a hostile image may consist of: quickly, without
// writing anything, and saying what was not read.
//
//scenario:72
func TestHostile(t *testing.T) {
	good := layerOf(t, plain...)
	broken := func(data []byte) []byte {
		data = bytes.Clone(data)
		for i := len(data) / 2; i < len(data)/2+8; i++ {
			data[i] ^= 0xff
		}
		return data
	}
	asIs := func(data []byte) func(testing.TB, []byte) []byte {
		return func(testing.TB, []byte) []byte { return data }
	}
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	large := layerOf(t, planted{name: "noise", content: string(noise)})
	bomb := gzipped(t, layerOf(t, planted{name: "zeros", content: string(make([]byte, 256<<20))}))
	cases := map[string]struct {
		archive    []byte
		incomplete bool
		limits     func(*Limits)
		see        func(*testing.T, *Contents)
	}{
		"path escapes": {archive: first(imageOf(t, layout{}, layerOf(t,
			planted{name: "../../etc/passwd", content: "evil:x:0:0::/:\n"}, planted{name: "/etc/shadow", content: "evil:::\n"}, planted{name: "a/../../b"}, planted{name: "a/../c"},
		))), see: func(t *testing.T, c *Contents) {
			if got := len(c.Layers[0].Escapes); got != 3 {
				t.Errorf("%d escapes: %q", got, c.Layers[0].Escapes)
			}
			for _, f := range c.Layers[0].Files {
				if !filepath.IsLocal(f.Path) {
					t.Errorf("%q points out", f.Path)
				}
			}
		}},
		"links and devices": {archive: first(imageOf(t, layout{}, layerOf(t,
			planted{name: "etc", flag: tar.TypeSymlink, link: "/etc"}, planted{name: "etc/passwd", flag: tar.TypeLink, link: "../../etc/shadow"},
			planted{name: "dev/sda", flag: tar.TypeBlock}, planted{name: "pipe", flag: tar.TypeFifo}, planted{name: "self", flag: tar.TypeSymlink, link: "self"},
		))), see: func(t *testing.T, c *Contents) {
			if c.Summary().Size != 0 || len(c.Layers[0].Files) != 5 {
				t.Errorf("%+v", c.Layers[0])
			}
		}},
		"1 TiB of holes": {archive: first(imageOf(t, layout{}, sparse(t, "app/.env"))), see: func(t *testing.T, c *Contents) {
			if size := c.Summary().Size; size > 4096 {
				t.Errorf("believed in %d bytes", size)
			}
		}},
		"gzip bomb":        {archive: first(imageOf(t, layout{pack: asIs(bomb)}, good)), incomplete: true},
		"corrupt gzip":     {archive: first(imageOf(t, layout{pack: asIs(broken(gzipped(t, large)))}, good)), incomplete: true},
		"corrupt zstd":     {archive: first(imageOf(t, layout{pack: asIs(broken(zstded(t, large)))}, good)), incomplete: true},
		"truncated gzip":   {archive: first(imageOf(t, layout{pack: asIs(gzipped(t, large)[:100])}, good)), incomplete: true},
		"truncated layer":  {archive: first(imageOf(t, layout{pack: asIs(large[:2000])}, good)), incomplete: true},
		"truncated stream": {archive: half(first(imageOf(t, layout{manifestFirst: true}, good, large))), incomplete: true},
		"too many bytes":   {archive: first(imageOf(t, layout{manifestFirst: true}, good, large)), incomplete: true, limits: func(l *Limits) { l.Bytes = 32 << 10 }},
		"too many names":   {archive: first(imageOf(t, layout{manifestFirst: true}, good, many(t, 100))), incomplete: true, limits: func(l *Limits) { l.Names = 1 << 10 }},
	}
	if testing.Short() {
		t.Log("WITHOUT THE MILLION ENTRIES, which take minutes under the race detector")
	} else {
		million := cases["gzip bomb"]
		million.archive = first(imageOf(t, layout{pack: gzipped}, many(t, 1_000_000)))
		cases["million entries"] = million
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv("TMPDIR", ".")
			limits := Sane
			if test.limits != nil {
				test.limits(&limits)
			}
			start := time.Now()
			contents, err := Read(t.Context(), bytes.NewReader(test.archive), Options{Limits: limits})
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
				t.Errorf("wrote %v, %v", left, err)
			}
			if name == "million entries" && err != nil {
				return // the manifest stands behind them: nothing was learnt
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := contents.Summary().Err(); (err != nil) != test.incomplete {
				t.Errorf("incomplete: %v", err)
			}
			if test.see != nil {
				test.see(t, contents)
			}
		})
	}
}

// TestContentIsBounded has a visitor that wants all of 1 TiB.
func TestContentIsBounded(t *testing.T) {
	archive, _ := imageOf(t, layout{}, sparse(t, "hole"))
	w := &wants{}
	limits := Sane
	limits.Content = 1 << 20
	if _, err := Read(t.Context(), bytes.NewReader(archive), Options{Limits: limits, Visitors: func(string) []Visitor { return []Visitor{w} }}); err != nil {
		t.Fatal(err)
	}
	if w.got != limits.Content {
		t.Errorf("got %d bytes", w.got)
	}
}

// TestVisitorsShareAPass has two visitors of which one has soon seen enough.
func TestVisitorsShareAPass(t *testing.T) {
	archive, _ := imageOf(t, layout{}, layerOf(t, planted{name: "app", content: strings.Repeat("x", 100_000)}))
	all, some := &wants{}, &collector{limit: 10}
	_, err := Read(t.Context(), bytes.NewReader(archive), Options{Visitors: func(string) []Visitor { return []Visitor{all, once{some}} }})
	if err != nil || all.got != 100_000 || len(some.data) != 10 {
		t.Errorf("%v: all %d, some %d", err, all.got, len(some.data))
	}
}

type once struct{ *collector }

func (o once) Visit(*File) io.WriteCloser { return o }
func (o once) Close() error               { return nil }

func TestCancelled(t *testing.T) {
	archive, _ := imageOf(t, layout{}, layerOf(t, plain...))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, bytes.NewReader(archive), Options{}); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

func first(archive []byte, _ []string) []byte { return archive }

func half(data []byte) []byte { return data[:len(data)-40<<10] }

func many(t testing.TB, n int) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range n {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d/%08d", i), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzRead(f *testing.F) {
	for _, o := range []layout{{}, {oci: true, manifestFirst: true, pack: gzipped}, {oci: true, pack: zstded}} {
		archive, _ := imageOf(f, o, layerOf(f, plain...), layerOf(f, planted{name: ".wh.etc"}))
		f.Add(archive)
	}
	archive, _ := imageOf(f, layout{}, sparse(f, "x"))
	f.Add(archive)
	limits := Limits{Entries: 1000, Names: 1 << 16, Bytes: 1 << 22, Content: 1 << 16, Ratio: 100, Documents: 1 << 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Read(t.Context(), bytes.NewReader(data), Options{Limits: limits})
		if err != nil {
			return
		}
		s := c.Summary()
		for _, l := range c.Layers {
			for _, file := range l.Files {
				if file.Size < 0 || file.Size > 1<<22 {
					t.Errorf("size %d", file.Size)
				}
				if file.Path != "" && !filepath.IsLocal(file.Path) {
					t.Errorf("path %q", file.Path)
				}
			}
		}
		if s.Wasted > s.Size {
			t.Errorf("wasted %d of %d", s.Wasted, s.Size)
		}
	})
}
