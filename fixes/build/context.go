package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Pack returns a tar of what a build of dockerfile in the directory dir may
// read: everything but what the ignore list keeps out, as `docker build` sends
// it. Changed holds other contents for some files, by path; nil takes one out.
// Links are packed as links. Closing the reader ends the work.
func Pack(dir, dockerfile string, changed map[string][]byte) (io.ReadCloser, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("packing the build context: %w", err)
	}
	p := &packer{root: root, changed: changed, dockerfile: path.Clean(dockerfile)}
	if p.ignored, err = p.ignoreList(); err != nil {
		root.Close()
		return nil, fmt.Errorf("packing the build context: %w", err)
	}
	r, w := io.Pipe()
	go func() {
		defer root.Close()
		p.tar = tar.NewWriter(w)
		err := p.pack()
		if err == nil {
			err = p.tar.Close()
		}
		if err != nil {
			err = fmt.Errorf("packing the build context: %w", err)
		}
		w.CloseWithError(err)
	}()
	return r, nil
}

type packer struct {
	root       *os.Root
	tar        *tar.Writer
	dockerfile string
	changed    map[string][]byte
	ignored    *patternmatcher.PatternMatcher
}

// read returns a file of the context as the build is to see it.
func (p *packer) read(name string) ([]byte, error) {
	if data, ok := p.changed[name]; ok {
		if data == nil {
			return nil, fs.ErrNotExist
		}
		return data, nil
	}
	return p.root.ReadFile(name)
}

// ignoreList reads the list for this Dockerfile alone, or that of the context.
func (p *packer) ignoreList() (*patternmatcher.PatternMatcher, error) {
	for _, name := range []string{p.dockerfile + ".dockerignore", ".dockerignore"} {
		data, err := p.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return patternmatcher.New(patterns)
	}
	return patternmatcher.New(nil)
}

func (p *packer) pack() error {
	err := fs.WalkDir(p.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		out, err := p.leftOut(name)
		if err != nil {
			return err
		}
		if _, other := p.changed[name]; other {
			return nil
		}
		switch {
		case out && d.IsDir() && !p.ignored.Exclusions():
			return fs.SkipDir
		case out:
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return p.add(name, info)
	})
	if err != nil {
		return err
	}
	for name, data := range p.changed {
		if data == nil {
			continue
		}
		out, err := p.leftOut(name)
		if err != nil {
			return err
		}
		if out {
			continue
		}
		mode := int64(0o644)
		if info, err := p.root.Stat(name); err == nil {
			mode = int64(info.Mode().Perm())
		}
		if err := p.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := p.tar.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// leftOut reports whether the ignore list keeps name from the build. The files
// that say how to build are never left out.
func (p *packer) leftOut(name string) (bool, error) {
	if name == p.dockerfile || strings.HasSuffix(name, ".dockerignore") && path.Dir(name) == path.Dir(p.dockerfile) {
		return false, nil
	}
	return p.ignored.MatchesOrParentMatches(name)
}

func (p *packer) add(name string, info fs.FileInfo) error {
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		var err error
		if link, err = p.root.Readlink(name); err != nil {
			return err
		}
	case !info.Mode().IsRegular() && !info.IsDir():
		return nil // sockets and devices are no part of a context
	}
	head, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	head.Name = name
	if info.IsDir() {
		head.Name += "/"
	}
	head.Uid, head.Gid, head.Uname, head.Gname = 0, 0, "", ""
	if !info.Mode().IsRegular() {
		return p.tar.WriteHeader(head)
	}
	file, err := p.root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := p.tar.WriteHeader(head); err != nil {
		return err
	}
	_, err = io.CopyN(p.tar, file, head.Size)
	return err
}
