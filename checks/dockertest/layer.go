package dockertest

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// An entry is what is at a path of a container's root. One that is at several
// paths has several names, as a hard link does.
type entry struct {
	header tar.Header
	text   string
}

func (e *entry) isDir() bool { return e.header.Typeflag == tar.TypeDir }

func (s *Server) file(text string) *entry {
	return &entry{tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, ModTime: s.clock.Now()}, text}
}

func (s *Server) folder() *entry {
	return &entry{header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, ModTime: s.clock.Now()}}
}

// below reports whether file is in the folder dir.
func below(file, dir string) bool {
	return strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}

// within returns the paths of tree that are in the folder dir, in order.
func within(tree map[string]*entry, dir string) []string {
	var out []string
	for file := range tree {
		if below(file, dir) {
			out = append(out, file)
		}
	}
	slices.Sort(out)
	return out
}

// lower is what the image has, as far as it was told.
func (s *Server) lower(i *img) map[string]*entry {
	tree := map[string]*entry{"/": s.folder()}
	for _, dir := range []string{"/dev", "/etc", "/proc", "/sys", "/tmp"} {
		tree[dir] = s.folder()
	}
	switch {
	case i == nil:
		return tree
	case i.whole != nil:
		return maps.Clone(i.whole)
	}
	for _, layer := range i.Content {
		for _, file := range layer {
			name := path.Clean("/" + file.Path)
			switch {
			case file.Deleted:
				remove(tree, name)
			case strings.HasSuffix(file.Path, "/"):
				tree[name] = s.folder()
			default:
				tree[name] = s.file(file.Text)
			}
		}
	}
	for name, text := range i.Files {
		tree[name] = s.file(text)
	}
	return tree
}

func remove(tree map[string]*entry, name string) {
	delete(tree, name)
	for _, file := range within(tree, name) {
		delete(tree, file)
	}
}

// upper is what c has beside its image: what its program did and what was put
// into it.
func (s *Server) upper(c *ctr) map[string]*entry {
	tree := maps.Clone(c.layer)
	if tree == nil {
		tree = map[string]*entry{}
	}
	if c.run == 0 {
		return tree
	}
	lower := s.lower(c.image)
	for _, change := range c.doing.Changes {
		if tree[change.Path] != nil || change.Kind == container.ChangeDelete {
			continue
		}
		if tree[change.Path] = lower[change.Path]; tree[change.Path] != nil {
			continue
		}
		tree[change.Path] = s.file("")
		if slices.ContainsFunc(c.doing.Changes, func(o container.FilesystemChange) bool { return below(o.Path, change.Path) }) {
			tree[change.Path] = s.folder()
		}
	}
	return tree
}

// root is all that is in c, without volumes.
func (s *Server) root(c *ctr) map[string]*entry {
	tree := s.lower(c.image)
	if c.run > 0 {
		for _, change := range c.doing.Changes {
			if change.Kind == container.ChangeDelete {
				remove(tree, change.Path)
			}
		}
	}
	maps.Copy(tree, s.upper(c))
	return tree
}

// tree is all that is in c, volumes included.
func (s *Server) tree(c *ctr) map[string]*entry {
	tree := s.root(c)
	for _, m := range c.Mounts {
		tree[m.Destination] = s.folder()
		if v := s.volumes[m.Name]; v != nil {
			for file, text := range v.content {
				tree[m.Destination+"/"+file] = s.file(text)
			}
		}
	}
	for _, file := range slices.Collect(maps.Keys(tree)) {
		for dir := path.Dir(file); tree[dir] == nil; dir = path.Dir(dir) {
			tree[dir] = s.folder()
		}
	}
	return tree
}

// changed are the changes of the root filesystem.
func (s *Server) changed(c *ctr) []container.FilesystemChange {
	var out []container.FilesystemChange
	told := map[string]bool{}
	if c.run > 0 {
		for _, change := range c.doing.Changes {
			out, told[change.Path] = append(out, change), true
		}
	}
	if len(c.layer) == 0 {
		return out
	}
	lower := s.lower(c.image)
	for _, name := range slices.Sorted(maps.Keys(c.layer)) {
		if told[name] {
			continue
		}
		kind := container.ChangeAdd
		if lower[name] != nil || len(within(lower, name)) > 0 {
			kind = container.ChangeModify
		}
		out = append(out, container.FilesystemChange{Kind: kind, Path: name})
	}
	return out
}

func (s *Server) changes(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	if len(s.changed(c)) == 0 {
		return answer(w, http.StatusOK, nil) // engines say null
	}
	return answer(w, http.StatusOK, s.changed(c))
}

// place puts e into the layer of c, with the folders on the way to it.
func (s *Server) place(c *ctr, name string, e *entry) {
	if c.layer == nil {
		c.layer = map[string]*entry{}
	}
	tree := s.tree(c)
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		if c.layer[dir] == nil {
			c.layer[dir] = tree[dir]
		}
		if c.layer[dir] == nil || !c.layer[dir].isDir() {
			c.layer[dir] = s.folder()
		}
	}
	if !e.isDir() {
		remove(c.layer, name)
	}
	c.layer[name] = e
	c.touch()
}

// append adds to a file in the layer of c.
func (s *Server) append(c *ctr, name, text string) {
	e := s.file(text)
	if old := s.tree(c)[name]; old != nil && old.header.Typeflag == tar.TypeReg {
		e.header, e.text = old.header, old.text+text
	}
	s.place(c, name, e)
}

// mounted mounts everything of c, as engines do to look inside, and returns what
// undoes it. The folders that this takes stay.
func (s *Server) mounted(c *ctr) func() {
	lower := s.lower(c.image)
	for _, m := range c.Mounts {
		if lower[m.Destination] == nil && c.layer[m.Destination] == nil {
			s.place(c, m.Destination, s.folder())
		}
	}
	s.eachMount(c, events.ActionMount)
	return func() { s.eachMount(c, events.ActionUnmount) }
}

// typeBits are what engines add to the mode of an entry.
var typeBits = map[byte]int64{tar.TypeReg: 0o100000, tar.TypeDir: 0o040000, tar.TypeSymlink: 0o120000, tar.TypeFifo: 0o010000, tar.TypeChar: 0o020000, tar.TypeBlock: 0o060000}

// archive serves what is at a path of a container, as a tar.
func (s *Server) archive(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	defer s.mounted(c)()
	name := path.Clean("/" + r.FormValue("path"))
	tree := s.tree(c)
	root := tree[name]
	if root == nil {
		return notFound("Could not find the file %s in container %s", name, r.PathValue("id"))
	}
	info := root.header
	info.Name = path.Base(name)
	stat, err := json.Marshal(container.PathStat{Name: info.Name, Size: int64(len(root.text)), Mode: info.FileInfo().Mode(), Mtime: info.ModTime, LinkTarget: linkTarget(name, &info)})
	if err != nil {
		return err
	}
	w.Header().Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString(stat))
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	s.emitContainer(c, events.ActionArchivePath, nil)
	w.Header().Set("Content-Type", "application/x-tar")
	t := tar.NewWriter(w)
	names := map[*entry]string{}
	for _, file := range append([]string{name}, within(tree, name)...) {
		e := tree[file]
		h := e.header
		h.Mode = h.Mode&0o7777 | typeBits[h.Typeflag]
		h.Name, h.Size = path.Base(name)+strings.TrimPrefix(file, strings.TrimSuffix(name, "/")), int64(len(e.text))
		if name == "/" {
			h.Name = strings.TrimPrefix(file, "/") + "."
		}
		text := e.text
		if first := names[e]; first != "" {
			h.Typeflag, h.Linkname, h.Size, text = tar.TypeLink, first, 0, ""
		}
		if h.Typeflag == tar.TypeReg {
			names[e] = h.Name
		}
		if e.isDir() {
			h.Name += "/"
		}
		if t.WriteHeader(&h) != nil {
			return nil // nobody reads on
		}
		if _, err := io.WriteString(t, text); err != nil {
			return nil
		}
	}
	t.Close()
	return nil
}

// linkTarget is where a symbolic link leads within the container.
func linkTarget(name string, h *tar.Header) string {
	switch {
	case h.Typeflag != tar.TypeSymlink:
		return ""
	case path.IsAbs(h.Linkname):
		return h.Linkname
	}
	return path.Join(path.Dir(name), h.Linkname)
}

// extract unpacks a tar into a container: into its volumes, or its own layer.
func (s *Server) extract(w http.ResponseWriter, r *http.Request) error {
	dir := path.Clean("/" + r.FormValue("path"))
	content := map[*entry]string{}
	var order []*entry
	for t := tar.NewReader(r.Body); ; { // without the lock: who sends may be reading from this engine
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return badRequest("Error processing tar file(exit status 1): %v", err)
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return badRequest("Error processing tar file(exit status 1): %v", err)
		}
		e := &entry{header: *h, text: string(text)}
		content[e], order = path.Join(dir, h.Name), append(order, e)
		e.header.Name = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	defer s.mounted(c)()
	at := s.tree(c)[dir]
	switch {
	case at == nil:
		return notFound("Could not find the file %s in container %s", r.FormValue("path"), r.PathValue("id"))
	case !at.isDir():
		return badRequest("extraction point is not a directory")
	}
	for _, e := range order {
		if err := s.unpack(c, content[e], e); err != nil {
			return err
		}
	}
	s.emitContainer(c, events.ActionExtractToDir, nil)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) unpack(c *ctr, name string, e *entry) error {
	for _, m := range c.Mounts {
		if v := s.volumes[m.Name]; v != nil && below(name, m.Destination) {
			if e.header.Typeflag == tar.TypeReg {
				v.content[strings.TrimPrefix(name, m.Destination+"/")] = e.text
			}
			return nil
		}
	}
	if c.HostConfig.ReadonlyRootfs {
		return internal("container rootfs is marked read-only")
	}
	if e.header.Typeflag == tar.TypeLink {
		target := s.tree(c)[path.Clean("/"+e.header.Linkname)]
		if target == nil {
			return badRequest("link %s: no such file or directory", name)
		}
		e = target
	}
	s.place(c, name, e)
	return nil
}
