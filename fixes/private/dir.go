// Package private keeps small files in directories that only the user may
// enter, durably: a file is there whole, or not at all.
package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
)

// A Dir is a directory of mode 0700, created when the first file is written.
// Every use checks that nobody else owns it or may enter it.
type Dir struct {
	Path string // absolute
}

// sizeLimit is far above anything that this program writes.
const sizeLimit = 4 << 20

// Write replaces the file called name, mode 0600. When it returns, the content
// survives a power cut.
func (d Dir) Write(name string, data []byte) error {
	return d.Fill(name, whole(data))
}

// Fill is Write for what may be too large for memory: fill writes the content.
func (d Dir) Fill(name string, fill func(io.Writer) error) error {
	root, err := d.create()
	if err != nil {
		return err
	}
	defer root.Close()
	temp := unfinished(name)
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(root, temp, fill); err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		root.Remove(temp)
		return err
	}
	return SyncDir(root)
}

// Create is Write for a file that must not exist yet: it wraps
// [fs.ErrExist] when it does.
func (d Dir) Create(name string, data []byte) error {
	root, err := d.create()
	if err != nil {
		return err
	}
	defer root.Close()
	temp := unfinished(name)
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(root, temp, whole(data)); err != nil {
		return err
	}
	defer root.Remove(temp)
	// A link, unlike a rename, never takes the place of another file.
	if err := root.Link(temp, name); err != nil {
		return err
	}
	return SyncDir(root)
}

// unfinished is the name of a file while it is written.
func unfinished(name string) string { return "." + name + ".tmp" }

func whole(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func writeNew(root *os.Root, name string, fill func(io.Writer) error) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		root.Remove(name)
		return err
	}
	return nil
}

// Read returns the content of the file called name, which must be a regular
// file of the user. It wraps [fs.ErrNotExist] when there is none.
func (d Dir) Read(name string) ([]byte, error) {
	root, err := d.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.Path, name)
	if !info.Mode().IsRegular() {
		return nil, errdefs.ErrPermissionDenied.WithMessage(path + " is not a regular file")
	}
	if !ownedByUser(info) {
		return nil, errdefs.ErrPermissionDenied.WithMessage(path + " belongs to another user")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, sizeLimit+1))
	if err == nil && len(data) > sizeLimit {
		err = fmt.Errorf("%s is larger than %d bytes", path, sizeLimit)
	}
	return data, err
}

// Remove removes the file called name, and what a crash left of one that was
// being written; it is no error when there is none.
func (d Dir) Remove(name string) error {
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	for _, file := range []string{name, unfinished(name)} {
		if err := root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return SyncDir(root)
}

// Names lists the files, none when the directory does not exist.
func (d Dir) Names() ([]string, error) {
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// OpenFile opens a file of the directory for reading and writing, and creates
// both when they do not exist.
func (d Dir) OpenFile(name string) (*os.File, error) {
	root, err := d.create()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
}

func (d Dir) create() (*os.Root, error) {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return nil, err
	}
	return d.open()
}

// open returns the directory itself, so that what was checked is what is used.
func (d Dir) open() (*os.Root, error) {
	info, err := os.Lstat(d.Path)
	if err != nil {
		return nil, err
	}
	if err := d.check(info); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(info, opened) {
		err = errdefs.ErrPermissionDenied.WithMessage(d.Path + " was replaced while it was opened")
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

func (d Dir) check(info fs.FileInfo) error {
	refuse := func(why, remedy string) error {
		return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("%s %s: %s", d.Path, why, remedy))
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return refuse("is a symbolic link", "put a directory of your own there")
	case !info.IsDir():
		return refuse("is not a directory", "move it away")
	case !ownedByUser(info):
		return refuse("belongs to another user", "remove it or choose another place")
	case !closedToOthers(info):
		return refuse(fmt.Sprintf("can be entered by others (mode %04o)", info.Mode().Perm()), "run chmod 700 on it after checking what is inside")
	}
	return nil
}
