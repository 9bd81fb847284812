package falco

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// lookAgain is how often a file is looked at where nobody tells of its changes,
// as on some network file systems.
const lookAgain = 5 * time.Second

// Follow hands each line that is appended to the file at path to take, until
// ctx ends: also where the file does not exist yet, is moved away and written
// anew, or is emptied while it is written to. What was in it before is history.
// Trouble says why it cannot be read right now, nil once it can; it may be nil.
func Follow(ctx context.Context, path string, take func(line []byte), trouble func(error)) error {
	if trouble == nil {
		trouble = func(error) {}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("follow %s: %w", path, err)
	}
	defer watcher.Close()
	// The folder, because the file is replaced.
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		trouble(fmt.Errorf("follow %s: %w", path, err)) // it is looked at all the same
	}
	t := tail{path: path, take: take}
	defer t.close()
	trouble(t.open(true))
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	var last error
	for {
		if err := t.read(); (err == nil) != (last == nil) || err != nil && last != nil && err.Error() != last.Error() {
			trouble(err)
			last = err
		}
		select {
		case e := <-watcher.Events:
			for e.Name != filepath.Clean(path) { // another file of the folder
				select {
				case e = <-watcher.Events:
					continue
				case <-again.C:
				case <-ctx.Done():
				}
				break
			}
		case <-watcher.Errors: // it lost count
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// A tail is how far a file was read.
type tail struct {
	path string
	take func([]byte)
	file *os.File
	at   int64
	line []byte // that has no end yet
	long bool   // it is too long, and left out
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// open opens the file that has the name now. A pipe or device is refused.
func (t *tail) open(atEnd bool) error {
	info, err := os.Stat(t.path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", t.path)
	}
	f, err := os.Open(t.path)
	if err != nil {
		return err
	}
	t.close()
	t.file, t.at, t.line, t.long = f, 0, nil, false
	if atEnd {
		if t.at, err = f.Seek(0, io.SeekEnd); err != nil {
			return err
		}
	}
	return nil
}

// read reads what was appended, to the end of the file that has the name.
func (t *tail) read() error {
	if t.file == nil {
		if err := t.open(false); err != nil {
			return err
		}
	}
	if err := t.rest(); err != nil {
		return err
	}
	named, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return err // moved away; the writer makes a new one
	}
	if err != nil {
		return err
	}
	held, err := t.file.Stat()
	if err != nil {
		return err
	}
	if os.SameFile(named, held) {
		return nil
	}
	if err := t.rest(); err != nil { // the last words before it was moved away
		return err
	}
	if err := t.open(false); err != nil {
		return err
	}
	return t.rest()
}

// rest reads to the end of the open file.
func (t *tail) rest() error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < t.at { // emptied
		t.at, t.line, t.long = 0, nil, false
	}
	var buffer [32 << 10]byte
	for {
		n, err := t.file.ReadAt(buffer[:], t.at)
		t.at += int64(n)
		t.lines(buffer[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// lines hands out the lines that end in data.
func (t *tail) lines(data []byte) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		part := data
		if end >= 0 {
			part, data = data[:end], data[end+1:]
		} else {
			data = nil
		}
		if len(t.line)+len(part) > MostBytes {
			t.long = true
		}
		if !t.long {
			t.line = append(t.line, part...)
		}
		if end < 0 {
			return
		}
		if line := bytes.TrimSpace(t.line); len(line) > 0 && !t.long {
			t.take(line)
		}
		t.line, t.long = t.line[:0], false
	}
}
