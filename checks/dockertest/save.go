package dockertest

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
)

// saveImage serves what docker save writes, in the layout of engines before 25.
func (s *Server) saveImage(w http.ResponseWriter, r *http.Request) error {
	return s.save(w, r.PathValue("name"))
}

// saveImages is how the client asks for one image or several; one is served.
func (s *Server) saveImages(w http.ResponseWriter, r *http.Request) error {
	names := r.URL.Query()["names"]
	if len(names) != 1 {
		return badRequest("only one image is saved at a time")
	}
	return s.save(w, names[0])
}

func (s *Server) save(w http.ResponseWriter, name string) error {
	s.mu.Lock()
	i, err := s.imageByRef(name)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	saved := i.Image // its slices are replaced, never changed
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-tar")
	return saved.write(w)
}

func (i *Image) write(w io.Writer) error {
	out := tar.NewWriter(w)
	var names []string
	for n := range i.Layers {
		var files []File
		if n < len(i.Content) {
			files = i.Content[n]
		}
		names = append(names, fmt.Sprintf("%d/layer.tar", n))
		if err := writeLayer(out, names[n], files); err != nil {
			return err
		}
	}
	type step struct {
		CreatedBy  string `json:"created_by"`
		EmptyLayer bool   `json:"empty_layer,omitempty"`
	}
	var history []step
	for n := len(i.History) - 1; n >= 0; n-- {
		instruction := strings.TrimPrefix(i.History[n].CreatedBy, "/bin/sh -c #(nop) ")
		word, _, _ := strings.Cut(strings.TrimSpace(instruction), " ")
		empty := word == strings.ToUpper(word) && !strings.HasPrefix(word, "|") && word != "RUN" && word != "COPY" && word != "ADD"
		history = append(history, step{i.History[n].CreatedBy, empty})
	}
	config := map[string]any{"config": i.Config, "history": history, "rootfs": map[string]any{"type": "layers", "diff_ids": i.Layers}}
	manifest := []map[string]any{{"Config": "config.json", "RepoTags": i.Tags, "Layers": names}}
	for _, doc := range []struct {
		name string
		v    any
	}{{"config.json", config}, {"manifest.json", manifest}} {
		data, err := json.Marshal(doc.v)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: doc.name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
	return out.Close()
}

// writeLayer writes a layer as one file of the archive.
func writeLayer(out *tar.Writer, name string, files []File) error {
	var size measure
	if err := writeFiles(&size, files); err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size)}); err != nil {
		return err
	}
	return writeFiles(out, files)
}

// measure counts what is written to it.
type measure int64

func (m *measure) Write(p []byte) (int, error) {
	*m += measure(len(p))
	return len(p), nil
}

func writeFiles(w io.Writer, files []File) error {
	layer := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{Name: f.Path, Mode: f.Mode, Size: int64(len(f.Text)) + f.Size, Typeflag: tar.TypeReg}
		switch {
		case f.Deleted:
			h.Name = path.Join(path.Dir(f.Path), ".wh."+path.Base(f.Path))
		case strings.HasSuffix(f.Path, "/"):
			h.Typeflag = tar.TypeDir
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		if err := layer.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.WriteString(layer, f.Text); err != nil {
			return err
		}
		if _, err := io.CopyN(layer, zeros{}, f.Size); err != nil {
			return err
		}
	}
	return layer.Close()
}

// zeros is an endless file of nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
