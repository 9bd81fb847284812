package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/private"
)

// sizeLimit is far above any Dockerfile that a person wrote.
const sizeLimit = 1 << 20

// A project is the directory that files are changed in. Names are relative to
// it and cannot lead out of it, not even through symbolic links.
type project struct {
	dir  string
	root *os.Root
}

func openProject(dir string) (*project, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &project{dir, root}, nil
}

func (p *project) Close() { p.root.Close() }

func (p *project) path(name string) string { return filepath.Join(p.dir, name) }

// An identity tells one version of one file from every other.
type identity struct {
	Name   string
	Exists bool
	Dev    uint64
	Inode  uint64
	Size   int64
	Sum    string
	attributes
}

// Attributes are what a file keeps when its content is replaced.
type attributes struct {
	Mode fs.FileMode `json:"mode"` // 0: as the user's umask has it
	UID  int         `json:"uid"`
	GID  int         `json:"gid"`
}

// refuse returns an error that says why a file is not touched and what to do.
func refuse(why checks.Message) error {
	return &checks.Problem{What: why, Err: errdefs.ErrFailedPrecondition}
}

// refusal returns what err, made by refuse, says; nil if it is another error.
func refusal(err error) *checks.Problem {
	var p *checks.Problem
	if errors.As(err, &p) && errdefs.IsFailedPrecondition(p.Err) {
		return p
	}
	return nil
}

// read returns a file that may be replaced and what identifies it, or a
// error of refuse. A file that does not exist has only a name.
func (p *project) read(name string) ([]byte, identity, error) {
	none := identity{Name: name}
	if !filepath.IsLocal(name) {
		return nil, none, refuse(checks.Msg("%s is outside of the project: nothing there is changed", name))
	}
	info, err := p.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, none, nil
	}
	if err != nil {
		return nil, none, err
	}
	if err := replaceable(name, info); err != nil {
		return nil, none, err
	}
	f, err := p.root.OpenFile(name, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, none, err
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return nil, none, err
	}
	if !os.SameFile(info, opened) {
		return nil, none, fmt.Errorf("%s: %w", terminal.Line(name), fixes.ErrChanged)
	}
	data, err := io.ReadAll(io.LimitReader(f, sizeLimit+1))
	if err != nil {
		return nil, none, err
	}
	if len(data) > sizeLimit {
		return nil, none, tooLarge(name)
	}
	id := identify(name, opened)
	id.Size, id.Sum = int64(len(data)), sum(data)
	return data, id, nil
}

func replaceable(name string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return refuse(checks.Msg("%s is a symbolic link: open plimsoll where the file itself is", name))
	case !info.Mode().IsRegular():
		return refuse(checks.Msg("%s is not a regular file", name))
	case links(info) > 1:
		return refuse(checks.Msg("%s has other hard links, which would keep the old text: give it a copy of its own first", name))
	case info.Size() > sizeLimit:
		return tooLarge(name)
	case !mayOwn(info):
		return refuse(checks.Msg("%s belongs to another user: run plimsoll as its owner", name))
	}
	return nil
}

func tooLarge(name string) error {
	return refuse(checks.Msg("%s is larger than 1 MiB: nobody wrote that by hand", name))
}

// prepare writes data to a new file called temp.
func (p *project) prepare(temp string, data []byte, a attributes) error {
	mode := fs.FileMode(0o600)
	if a.Mode == 0 {
		mode = 0o644 // narrowed by the umask of the user
	}
	f, err := p.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = giveTo(f, a)
	}
	if err == nil && a.Mode != 0 {
		err = f.Chmod(a.Mode.Perm())
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		p.root.Remove(temp)
		return err
	}
	return nil
}

// put moves temp to the place of old, if that is still what it was.
func (p *project) put(temp string, old identity) error {
	if err := p.unchanged(old); err != nil {
		return err
	}
	if !old.Exists {
		// A link, unlike a rename, never takes the place of a new file.
		err := p.root.Link(temp, old.Name)
		switch {
		case err == nil:
			return errors.Join(p.root.Remove(temp), p.sync(old.Name))
		case errors.Is(err, fs.ErrExist):
			return fmt.Errorf("%s: %w", terminal.Line(old.Name), fixes.ErrChanged)
		}
	}
	if err := p.root.Rename(temp, old.Name); err != nil {
		return err
	}
	return p.sync(old.Name)
}

// remove removes a file if it is still what it was.
func (p *project) remove(old identity) error {
	if err := p.unchanged(old); err != nil {
		return err
	}
	if err := p.root.Remove(old.Name); err != nil {
		return err
	}
	return p.sync(old.Name)
}

func (p *project) unchanged(old identity) error {
	_, now, err := p.read(old.Name)
	if err != nil {
		return err
	}
	if now != old {
		return fmt.Errorf("%s: %w", terminal.Line(old.Name), fixes.ErrChanged)
	}
	return nil
}

// sync makes the directory entry of name survive a power cut.
func (p *project) sync(name string) error {
	dir, err := p.root.OpenRoot(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return private.SyncDir(dir)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// discard removes a temporary file, if it is there.
func (p *project) discard(temp string) error {
	// On a file system that is read-only, removing nothing is an error too.
	if _, err := p.root.Lstat(temp); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := p.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
