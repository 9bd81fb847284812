package inventory

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"plimsoll/checks"
)

// maxWatched bounds the directories that are watched by the system; a larger
// tree is looked through every slowly instead.
const (
	maxWatched = 4096
	slowly     = 15 * time.Second
)

// followFiles lists the files below the roots and follows their changes until
// ctx ends.
func (v *Inventory) followFiles(ctx context.Context) {
	watcher, err := fsnotify.NewBufferedWatcher(256)
	if err != nil {
		watcher = &fsnotify.Watcher{} // its nil channels never deliver: the slow look remains
	} else {
		defer watcher.Close()
	}
	watched := map[string]bool{}
	partial := v.list(ctx, watcher, watched, false)
	again := time.NewTicker(slowly)
	defer again.Stop()
	var settle <-chan time.Time // a new directory is listed when it has been filled
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-watcher.Events:
			if !ok {
				return
			}
			if v.fileEvent(ctx, e, watched) && settle == nil {
				settle = time.After(quiet)
			}
		case <-watcher.Errors: // an overflow: some events are lost
			settle = time.After(quiet)
		case <-settle:
			settle = nil
			partial = v.list(ctx, watcher, watched, false)
		case <-again.C:
			if partial {
				partial = v.list(ctx, watcher, watched, true)
			}
		case <-v.filesAgain:
			partial = v.list(ctx, watcher, watched, true)
		}
	}
}

// list walks the roots, posts what is there and watches the directories. New
// files are read; all are when again is set. It reports whether some
// directories could not be watched.
func (v *Inventory) list(ctx context.Context, watcher *fsnotify.Watcher, watched map[string]bool, again bool) (partial bool) {
	var all tree
	var failed []Item
	for _, root := range v.options.Roots {
		t, err := find(ctx, root, v.options.From)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			ref := checks.Ref{Kind: checks.Dockerfile, ID: root, Name: shown(root, v.options.From)}
			failed = append(failed, Item{Ref: ref, Report: checks.Report{Subject: ref, Errors: []error{err}}})
		}
		all.files = append(all.files, t.files...)
		all.dirs = append(all.dirs, t.dirs...)
	}
	for _, f := range all.files {
		if dir := filepath.Dir(f.ID); !watched[dir] {
			all.dirs = append(all.dirs, dir) // of a file that was named by itself
		}
	}
	for _, dir := range all.dirs {
		if watched[dir] {
			continue
		}
		if len(watched) >= maxWatched || watcher.Events == nil || watcher.Add(dir) != nil {
			partial = true
			continue
		}
		watched[dir] = true
	}
	v.post(ctx, func(w *world) {
		present := map[identity]bool{}
		for _, ref := range all.files {
			present[identify(ref)] = true
			_, known := w.items[identify(ref)]
			if !known {
				w.put(Item{Ref: ref})
			}
			if !known || again {
				w.mark(ref)
			}
		}
		for _, item := range failed {
			present[identify(item.Ref)] = true
			w.put(item)
		}
		for key, item := range w.items {
			if !fromEngine(key.kind) && !present[key] {
				w.remove(item.Ref)
			}
		}
		w.listed(&w.filesListed)
	})
	return partial
}

// fileEvent marks what e may have changed and reports whether the tree itself
// did, so that it has to be listed again.
func (v *Inventory) fileEvent(ctx context.Context, e fsnotify.Event, watched map[string]bool) (relist bool) {
	if e.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Base(e.Name)
	if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		if watched[e.Name] {
			delete(watched, e.Name)
			return true
		}
	}
	if name == ".gitignore" {
		return true
	}
	dir := filepath.Dir(e.Name)
	if strings.HasSuffix(name, ".dockerignore") {
		v.post(ctx, func(w *world) { w.markBeside(dir) })
		return false
	}
	known := make(chan bool, 1)
	v.post(ctx, func(w *world) {
		found := false
		for _, kind := range []checks.Kind{checks.Dockerfile, checks.Compose} {
			if item, ok := w.items[identity{kind, e.Name}]; ok {
				w.mark(item.Ref)
				found = true
			}
		}
		known <- found
	})
	select {
	case found := <-known:
		if found {
			return false
		}
	case <-ctx.Done():
		return false
	}
	if !e.Has(fsnotify.Create) {
		return false
	}
	if _, ok := Recognise(name); ok {
		return true
	}
	info, err := os.Lstat(e.Name)
	return err == nil && info.IsDir() && !errors.Is(err, fs.ErrNotExist)
}

// markBeside marks the Dockerfiles in dir, whose build context changed.
func (w *world) markBeside(dir string) {
	for _, item := range w.items {
		if item.Ref.Kind == checks.Dockerfile && filepath.Dir(item.Ref.ID) == dir {
			w.mark(item.Ref)
		}
	}
}
