package inventory

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"

	"plimsoll/checks/host"
)

// A Site is the machine that plimsoll runs on, as far as facts about an engine
// and its user are read from its files. Reading is bounded, opens regular files
// only and runs nothing.
type Site struct {
	Root    fs.FS // the machine's root directory
	Home    string
	Env     func(string) string
	Windows bool // modes of files mean nothing

	// Daemon is the process of the engine, when the engine is on this
	// machine; else 0.
	Daemon int

	known  *packageCache
	unread []host.Unread
}

// here is the machine that this process runs on.
func here() Site {
	home, _ := os.UserHomeDir()
	s := Site{Home: home, Env: os.Getenv, Windows: runtime.GOOS == "windows", known: &packagesHere}
	if s.Windows {
		// The root is that of the drive that the home directory is on.
		drive, rest, _ := strings.Cut(home, ":")
		s.Root, s.Home = os.DirFS(drive+`:\`), strings.ReplaceAll(rest, `\`, "/")
	} else {
		s.Root = os.DirFS("/")
	}
	return s
}

// describe adds to h what the files of the site say.
func (s Site) describe(h *host.Host) {
	h.Client = s.client()
	if s.Daemon == 0 {
		return
	}
	h.Daemon = s.daemon(rootless(h))
	h.Machine = s.machine(h)
}

// Describe returns h with what the files of the site say. The engine is taken
// for one of this machine when s.Daemon says so.
func (s Site) Describe(h host.Host) *host.Host {
	s.describe(&h)
	return &h
}

// most is the size in bytes above which a file of a configuration is not what
// it should be, and how many entries of a directory are looked at.
const (
	most    = 1 << 20
	entries = 1000
)

// rooted is a path as fs.FS wants it.
func rooted(p string) string {
	if p = strings.TrimPrefix(path.Clean(p), "/"); p == "" {
		return "."
	}
	return p
}

// stat describes the file at p, following links as whoever uses it would.
func (s *Site) stat(p string) (fs.FileInfo, bool) {
	info, err := fs.Stat(s.Root, rooted(p))
	if err != nil {
		s.note(p, err)
		return nil, false
	}
	return info, true
}

// note keeps that p could not be read, unless it is simply not there.
func (s *Site) note(p string, err error) {
	if errors.Is(err, fs.ErrPermission) {
		s.unread = append(s.unread, host.Unread{Path: p})
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
		s.unread = append(s.unread, host.Unread{Path: p, Err: err.Error()})
	}
}

// read returns the content of the regular file at p; ok is false when there is
// none, or it may not be read.
func (s *Site) read(p string) (content []byte, ok bool) {
	content, err := s.limited(p, most)
	if err != nil {
		s.note(p, err)
	}
	return content, err == nil
}

var errNotRegular = errors.New("not a regular file of a sensible size")

func (s *Site) limited(p string, limit int64) ([]byte, error) {
	info, err := fs.Stat(s.Root, rooted(p))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, errNotRegular // opening a pipe could block for ever
	}
	f, err := s.Root.Open(rooted(p))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// list returns the names in the directory at p.
func (s *Site) list(p string) []string {
	f, err := s.Root.Open(rooted(p))
	if err != nil {
		s.note(p, err)
		return nil
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil
	}
	found, err := d.ReadDir(entries)
	if err != nil && !errors.Is(err, io.EOF) {
		s.note(p, err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}

// line returns the first line of the file at p, "" when there is none.
func (s *Site) line(p string) string {
	content, err := s.limited(p, most)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(content), "\n")
	return strings.TrimSpace(first)
}

// users and groups by number.
func (s *Site) accounts(file string) map[int]string {
	names := map[int]string{}
	content, _ := s.read(file)
	for line := range strings.Lines(string(content)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) < 3 {
			continue
		}
		if id, err := strconv.Atoi(field[2]); err == nil {
			if _, known := names[id]; !known {
				names[id] = field[0]
			}
		}
	}
	return names
}

func called(names map[int]string, id int) string {
	if n, ok := names[id]; ok {
		return n
	}
	return strconv.Itoa(id)
}

// owned is what fs.FileInfo.Sys of a made-up file may be.
type owned interface{ Owner() (uid, gid int) }

// owner returns the numbers of a file's user and group; ok is false where
// there are none.
func owner(info fs.FileInfo) (uid, gid int, ok bool) {
	if o, made := info.Sys().(owned); made {
		uid, gid = o.Owner()
		return uid, gid, true
	}
	return systemOwner(info)
}
