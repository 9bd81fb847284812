package tui

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	apiimage "github.com/moby/moby/api/types/image"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/inventory"
)

const explorerSecret = "ghp_0123456789abcdefghijABCDEFGHIJ012345"

// savedImage is an image in an archive, read as any other.
type savedImage struct {
	archive []byte
	err     error
}

func (s savedImage) Contents(ctx context.Context, i *image.Image) (*layers.Contents, error) {
	if s.err != nil {
		return nil, s.err
	}
	return layers.Read(ctx, bytes.NewReader(s.archive), layers.Options{})
}

func (s savedImage) File(ctx context.Context, i *image.Image, layer layers.Ref, path string, most int) ([]byte, error) {
	return layers.FileIn(ctx, bytes.NewReader(s.archive), layer, path, most)
}

type savedFile struct {
	name, content string
	mode          int64
}

func saved(t *testing.T, parts ...[]savedFile) savedImage {
	t.Helper()
	var archive bytes.Buffer
	out := tar.NewWriter(&archive)
	put := func(w *tar.Writer, f savedFile) {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content))}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.content)); err != nil {
			t.Fatal(err)
		}
	}
	var names, ids []string
	var history []map[string]any
	for n, part := range parts {
		var layer bytes.Buffer
		w := tar.NewWriter(&layer)
		for _, f := range part {
			put(w, f)
		}
		w.Close()
		names, ids = append(names, fmt.Sprintf("%d/layer.tar", n)), append(ids, fmt.Sprintf("sha256:%064d", n))
		history = append(history, map[string]any{"created_by": "RUN"})
		put(out, savedFile{name: names[n], content: layer.String()})
	}
	config, _ := json.Marshal(map[string]any{"rootfs": map[string]any{"diff_ids": ids}, "history": history})
	manifest, _ := json.Marshal([]any{map[string]any{"Config": "c.json", "Layers": names}})
	put(out, savedFile{name: "c.json", content: string(config)})
	put(out, savedFile{name: "manifest.json", content: string(manifest)})
	out.Close()
	return savedImage{archive: archive.Bytes()}
}

const hostileName = "a\x1b[2J\u202eb"

func shopImage(t *testing.T) savedImage {
	return saved(t,
		[]savedFile{
			{"etc/", "", 0o755}, {"etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0}, {"etc/shadow", "root:$6$" + explorerSecret + ":1::::::\n", 0o640},
			{"usr/bin/", "", 0}, {"usr/bin/su", "\x7fELF\x00\x01", 0o4755}, {"tmp/", "", 0o1777}, {"tmp/big.tar", strings.Repeat("x", 2_000_000), 0},
		},
		[]savedFile{{"app/", "", 0o755}, {"app/.env", "PORT=80\nAPI_TOKEN=" + explorerSecret + "\nDEBUG=1\n", 0}, {"app/" + hostileName, "x\x1b]0;evil\x07y\n", 0}, {"app/server.js", "listen(80)\n", 0}},
		[]savedFile{{"app/.wh..env", "", 0}, {"app/server.js", "listen(3000)\n", 0}, {"tmp/.wh.big.tar", "", 0}},
	)
}

func explorerModel(t *testing.T, s savedImage, language assets.Language, w, h int) *Model {
	t.Helper()
	i := &image.Image{Now: noon}
	i.Inspect.ID, i.Inspect.RepoTags, i.Inspect.Size = "sha256:"+strings.Repeat("a", 64), []string{"shop/web:1.4"}, 2_000_300
	i.Inspect.RootFS.Layers = []string{"a", "b", "c"}
	for _, c := range []string{"RUN rm -rf /tmp/big.tar /app/.env # buildkit", "RUN |1 API_TOKEN=" + explorerSecret + " make # buildkit", "ADD file:rootfs in /"} {
		i.History = append(i.History, apiimage.HistoryResponseItem{CreatedBy: c})
	}
	m := newModel(t, Options{Language: language, Layers: s}, w, h)
	drive(m, updateMsg(inventory.Update{Complete: true, Items: []inventory.Item{{Ref: i.Ref(), Subject: i}}}))
	for row := 0; m.world.subjects != nil; row++ {
		if at, _ := m.subjects.current(); at.subject != nil && at.subject.Ref.Kind == checks.Image {
			return m
		}
		if row > 20 {
			t.Fatal("the image is not in the list")
		}
		press(m, "down")
	}
	return m
}

func TestExplorerScreens(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 45}} {
		for _, language := range []assets.Language{assets.English, assets.German} {
			for _, c := range []struct {
				name string
				keys []string
			}{
				{"layers", []string{"x", "down"}},
				{"tree", []string{"x", "down", "enter"}},
				{"changes", []string{"x", "end", "enter", "right", "down", "down"}},
				{"together", []string{"x", "m", "down", "enter"}},
				{"filtered", []string{"x", "m", "/", "s", "u"}},
				{"file", []string{"x", "down", "enter", "down", "enter"}},
			} {
				t.Run(fmt.Sprintf("%s-%s-%dx%d", c.name, language, size[0], size[1]), func(t *testing.T) {
					m := explorerModel(t, shopImage(t), language, size[0], size[1])
					press(m, c.keys...)
					frame := screen(t, m)
					if strings.Contains(frame, explorerSecret[4:]) || strings.ContainsAny(m.View().Content, "\u202e\x07") {
						t.Error("the frame holds the secret, or what a hostile name does")
					}
					golden(t, frame)
				})
			}
		}
	}
}

// TestExplorerMasksWhatItShows opens every file there is.
func TestExplorerMasksWhatItShows(t *testing.T) {
	m := explorerModel(t, shopImage(t), assets.English, 100, 40)
	opened := 0
	for layer := range 3 {
		press(m, "x", "home")
		for range layer {
			press(m, "down")
		}
		press(m, "enter", "/", ".", "backspace", "a", "enter")
		tree := m.dialogs[len(m.dialogs)-1].(*treeDialog)
		for range tree.list.rows {
			press(m, "enter")
			if d, ok := m.dialogs[len(m.dialogs)-1].(*fileDialog); ok {
				opened++
				if d.lines == nil && d.err == nil {
					t.Error("a file is still being read")
				}
				if raw := m.View().Content; strings.Contains(raw, explorerSecret[4:]) || strings.ContainsAny(raw, "\u202e\x07") {
					t.Errorf("/%s is shown as it is", d.node.Path)
				}
				press(m, "esc")
			}
			press(m, "down")
		}
		press(m, "esc", "esc", "esc")
	}
	if opened < 6 {
		t.Errorf("only %d files were opened", opened)
	}
}

func TestExplorerSaysWhyNot(t *testing.T) {
	m := explorerModel(t, savedImage{err: errors.New("the engine went away")}, assets.English, 80, 24)
	press(m, "x")
	if !strings.Contains(screen(t, m), "the engine went away") {
		t.Error("nothing says why there are no layers")
	}
	press(m, "enter", "m", "esc")
	if len(m.dialogs) != 0 {
		t.Error("the dialog does not close")
	}
	press(m, "home", "x")
	if len(m.dialogs) != 0 || !strings.Contains(screen(t, m), "no image is selected") {
		t.Error("something that is no image has layers")
	}
}

func TestModeText(t *testing.T) {
	for want, f := range map[string]*layers.File{
		"-rwsr-sr-x": {Mode: 0o6755}, "-rwS--S--T": {Mode: 0o7600}, "drwxrwxrwt": {Kind: layers.Dir, Mode: 0o1777}, "          ": nil,
	} {
		if got := modeText(f); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
