package container

import (
	"archive/tar"
	stdbytes "bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Folders that are there because of what lies in them are no files; mounts and
// the way to them are the engine's; what is new is read as a whole, unless a
// mount is in it.
func TestLayerOf(t *testing.T) {
	var changes []api.FilesystemChange
	for _, line := range strings.Fields("C/etc C/etc/f A/etc/n D/etc/g A/vol A/new A/new/deep A/new/deep/vol A/new/z A/data A/data/sub A/data/sub/a D/old A/old/x A/way A/way/vol C/bare D/bare/x A/cover A/cover/x A/data-b") {
		kind := map[byte]api.ChangeType{'A': api.ChangeAdd, 'C': api.ChangeModify, 'D': api.ChangeDelete}[line[0]]
		changes = append(changes, api.FilesystemChange{Kind: kind, Path: line[1:]})
	}
	slices.Reverse(changes) // engines list them in any order
	before := map[string]bool{"/vol": true, "/new/deep/vol": true, "/way/vol": true}
	l := layerOf(changes, before, map[string]bool{"/vol": true, "/new/deep/vol": true, "/way/vol": true, "/cover": true})
	if got, want := strings.Join(l.files, " "), "/data-b /data/sub/a /etc/f /etc/n /new/z /old/x"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}
	var places []string
	for _, p := range l.places {
		places = append(places, fmt.Sprint(p.path, map[bool]string{true: "/**"}[p.whole]))
	}
	if got, want := strings.Join(places, " "), "/bare /data/** /data-b/** /etc /etc/f /etc/n/** /new /new/z/** /old /old/x/**"; got != want {
		t.Errorf("places %s, want %s", got, want)
	}
	if got := strings.Join(l.deleted, " "); got != "/bare/x /etc/g" || l.covered != 1 {
		t.Errorf("deleted %s, %d covered", got, l.covered)
	}
}

// An archiver is an engine that only serves archives.
type archiver struct {
	Engine
	entries map[string][]tar.Header
}

func (a archiver) CopyFromContainer(_ context.Context, _ string, o client.CopyFromContainerOptions) (client.CopyFromContainerResult, error) {
	var b stdbytes.Buffer
	t := tar.NewWriter(&b)
	for _, h := range a.entries[o.SourcePath] {
		if err := t.WriteHeader(&h); err != nil {
			return client.CopyFromContainerResult{}, err
		}
		if _, err := t.Write(make([]byte, h.Size)); err != nil {
			return client.CopyFromContainerResult{}, err
		}
	}
	return client.CopyFromContainerResult{Content: io.NopCloser(&b)}, t.Close()
}

// copied reads what changes, all of which are new, say.
func copied(entries map[string][]tar.Header, paths ...string) (*copier, []byte, error) {
	var changes []api.FilesystemChange
	for _, p := range paths {
		changes = append(changes, api.FilesystemChange{Kind: api.ChangeAdd, Path: p})
	}
	c := &copier{engine: archiver{entries: entries}, layer: layerOf(changes, nil, nil), most: 1 << 20, say: func(int64) {}}
	var out stdbytes.Buffer
	err := c.write(context.Background(), &out)
	return c, out.Bytes(), err
}

// An engine that sends what it was not asked for, or more than there is, is not
// believed; what is not among the changes, such as what a volume holds, is left.
func TestHostileArchives(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	for what, entries := range map[string][]tar.Header{
		"another path": {file("b")}, "the way out": {file("../etc/passwd")}, "below a file beside it": {file("ab/c")}, "an absolute path": {file("/a/../../x")},
	} {
		if c, _, err := copied(map[string][]tar.Header{"/d/a": entries}, "/d/a", "/d/a/x"); err == nil {
			t.Errorf("%s: sent %v", what, c.sent)
		}
	}
	huge := file("a")
	huge.Size = 2 << 20
	if _, _, err := copied(map[string][]tar.Header{"/d/a": {huge}}, "/d/a"); err == nil || !strings.Contains(err.Error(), "sparse") {
		t.Errorf("more than there is: %v", err)
	}
	c, data, err := copied(map[string][]tar.Header{"/a": {
		{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o755}, file("a/mine"), file("a/not"),
		{Name: "a/out", Typeflag: tar.TypeLink, Linkname: "../etc/shadow"}, {Name: "a/hard", Typeflag: tar.TypeLink, Linkname: "a/mine"},
	}}, "/a", "/a/mine", "/a/out", "/a/hard", "/a/socket")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for in := tar.NewReader(stdbytes.NewReader(data)); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name+">"+h.Linkname)
	}
	if got := strings.Join(names, " "); got != "a/> a/mine> a/hard>a/mine" {
		t.Errorf("copied %s", got)
	}
	if got := strings.Join(c.missing(), " "); got != "/a/out /a/socket" {
		t.Errorf("missing %s", got)
	}
}
