package layers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

const imageID = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func opens(archive []byte) (func(context.Context) (io.ReadCloser, error), *int) {
	n := new(int)
	return func(context.Context) (io.ReadCloser, error) {
		*n++
		return io.NopCloser(bytes.NewReader(archive)), nil
	}, n
}

func TestCache(t *testing.T) {
	dir := t.TempDir()
	c := NewCache(dir)
	archive, ids := imageOf(t, layout{oci: true, pack: gzipped},
		layerOf(t, append(plain, planted{name: "app/.env", content: "DB_PASSWORD=" + canary}, planted{name: "k.pem", content: pem}, planted{name: "t", content: token},
			planted{name: "etc/shadow", content: "root:$6$" + canary + ":1:\n"})...),
		layerOf(t, planted{name: ".wh.k.pem"}))
	open, opened := opens(archive)
	before, err := c.Summary(t.Context(), imageID, Options{}, open)
	if err != nil {
		t.Fatal(err)
	}
	after, err := c.Summary(t.Context(), imageID, Options{}, open)
	if err != nil || *opened != 1 {
		t.Fatalf("%v, read %d times", err, *opened)
	}
	if !reflect.DeepEqual(before, after) || len(after.Hidden) != 1 || len(after.Secrets) != 2 {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	if l, ok := c.Layer(ids[1]); !ok || l.Files[0].Kind != Whiteout {
		t.Errorf("%+v, %v", l, ok)
	}
	files := 0
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", name, info.Mode())
		}
		if !d.IsDir() {
			files++
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, s := range []string{canary, token, "bm90IGEg"} {
				if bytes.Contains(data, []byte(s)) {
					t.Errorf("%s holds a secret", name)
				}
			}
		}
		return nil
	})
	if err != nil || files != 4 {
		t.Errorf("%d files, %v", files, err)
	}
	if err := os.Remove(c.file("summary", imageID)); err != nil {
		t.Fatal(err)
	}
	again, err := c.Summary(t.Context(), imageID, Options{}, open)
	if err != nil || *opened != 1 || !reflect.DeepEqual(before, again) {
		t.Errorf("from the layers %+v, %v, read %d times", again, err, *opened)
	}
	if err := os.RemoveAll(filepath.Join(dir, "plimsoll")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Summary(t.Context(), imageID, Options{}, open); err != nil || *opened != 2 {
		t.Errorf("%v, read %d times", err, *opened)
	}
}

func TestCacheForgetsTheIncomplete(t *testing.T) {
	c := NewCache(t.TempDir())
	layer := layerOf(t, plain...)
	archive, _ := imageOf(t, layout{pack: func(_ testing.TB, l []byte) []byte { return l[:1000] }}, layer)
	open, opened := opens(archive)
	for want := 1; want <= 2; want++ {
		s, err := c.Summary(t.Context(), imageID, Options{}, open)
		if err != nil || s.Err() == nil || *opened != want {
			t.Errorf("%v, %v, read %d times", err, s.Err(), *opened)
		}
	}
}

func TestCacheSurvivesDamage(t *testing.T) {
	dir := t.TempDir()
	c := NewCache(dir)
	archive, ids := imageOf(t, layout{}, layerOf(t, plain...))
	open, opened := opens(archive)
	if _, err := c.Summary(t.Context(), imageID, Options{}, open); err != nil {
		t.Fatal(err)
	}
	layer, summary := c.file("layer", ids[0]), c.file("summary", imageID)
	data, err := os.ReadFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{nil, data[:len(data)/2], []byte("nonsense")} {
		for _, name := range []string{layer, summary} { // a summary alone is made from the layers
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := *opened
		s, err := c.Summary(t.Context(), imageID, Options{}, open)
		if err != nil || *opened != before+1 || s.Files != 3 {
			t.Errorf("%+v, %v, read %d times", s, err, *opened-before)
		}
	}
}

func TestCacheTakesDigestsOnly(t *testing.T) {
	for _, id := range []string{"", "x", "sha256:../../../x", "sha256:" + strings.Repeat("A", 64), strings.Repeat("a", 64), "sha512:" + strings.Repeat("a", 64)} {
		if name := NewCache("/nowhere").file("layer", id); name != "" {
			t.Errorf("%q: %s", id, name)
		}
	}
	open, opened := opens(nil)
	if _, err := (Cache{}).Summary(t.Context(), imageID, Options{}, open); err == nil || *opened != 1 {
		t.Errorf("%v, read %d times", err, *opened)
	}
	refused := errors.New("no engine")
	_, err := (Cache{}).Summary(t.Context(), imageID, Options{}, func(context.Context) (io.ReadCloser, error) { return nil, refused })
	if !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

func TestCacheShared(t *testing.T) {
	dir := t.TempDir()
	archive, _ := imageOf(t, layout{}, layerOf(t, plain...))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			open, _ := opens(archive)
			for range 20 {
				if s, err := NewCache(dir).Summary(t.Context(), imageID, Options{}, open); err != nil || s.Files != 3 {
					t.Errorf("%+v, %v", s, err)
				}
			}
		})
	}
	all.Wait()
}

func TestPrune(t *testing.T) {
	c := NewCache(t.TempDir())
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	for name, size := range map[string]int64{"layer-old": largestCache, "layer-new": 1000, "new-1": 10, "new-2": 10} {
		name = filepath.Join(c.dir, name)
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, size); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "old") || strings.HasSuffix(name, "1") {
			if err := os.Chtimes(name, long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.prune()
	var left []string
	entries, err := os.ReadDir(c.dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if err != nil || strings.Join(left, " ") != "layer-new new-2" {
		t.Errorf("left %q, %v", left, err)
	}
}
