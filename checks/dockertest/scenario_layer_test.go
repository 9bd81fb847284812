package dockertest_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// differences notes what a container has in a layer of its own.
func (e *engine) differences(what, id string) {
	e.Helper()
	diff, err := e.cli.ContainerDiff(e.Context(), id, client.ContainerDiffOptions{})
	if err != nil {
		e.Fatal(err)
	}
	slices.SortFunc(diff.Changes, func(a, b container.FilesystemChange) int { return cmp.Compare(a.Path, b.Path) })
	e.note(what, diff.Changes)
}

// archived notes the entries of a path of a container.
func (e *engine) archived(id, path string) {
	e.Helper()
	got, err := e.cli.CopyFromContainer(e.Context(), id, client.CopyFromContainerOptions{SourcePath: path})
	e.fails("archive of "+path, err)
	if err != nil {
		return
	}
	defer got.Content.Close()
	e.note("it is", []any{got.Stat.Name, got.Stat.Mode.String(), got.Stat.LinkTarget})
	for t := tar.NewReader(got.Content); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			e.Fatal(err)
		}
		text, err := io.ReadAll(t)
		if err != nil {
			e.Fatal(err)
		}
		e.note("entry", []any{h.Name, string(h.Typeflag), h.Mode, h.Uid, h.Gid, h.Linkname, string(text)})
	}
}

// put copies entries into a container.
func (e *engine) put(what, id, dir string, entries ...tar.Header) {
	e.Helper()
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, h := range entries {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = "text of " + h.Name
		}
		h.Size, h.ModTime = int64(len(text)), time.Unix(1_577_934_245, 0)
		if err := t.WriteHeader(&h); err != nil {
			e.Fatal(err)
		}
		if _, err := io.WriteString(t, text); err != nil {
			e.Fatal(err)
		}
	}
	if err := t.Close(); err != nil {
		e.Fatal(err)
	}
	_, err := e.cli.CopyToContainer(e.Context(), id, client.CopyToContainerOptions{DestinationPath: dir, Content: &b, AllowOverwriteDirWithFile: true})
	e.fails(what, err)
}

// writable is about the layer that a container writes to: it is read and filled
// while the container does not run, and made an image of.
func writable(e *engine) {
	image := dockertest.Probe("app:1")
	image.Files = map[string]string{"/etc/gone": "text", "/etc/stays": "text"}
	e.images(image)
	ctx := e.Context()
	old := e.run("old", container.Config{Image: "app:1", Env: []string{"TOKEN=geheim"}, Cmd: []string{"-write", "/state/log=hello", "-remove", "/etc/gone"}}, container.HostConfig{})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		diff, err := e.cli.ContainerDiff(ctx, old, client.ContainerDiffOptions{})
		if err != nil || len(diff.Changes) > 3 {
			break
		}
	}
	_, err := e.cli.ContainerStop(ctx, old, client.ContainerStopOptions{})
	e.fails("stop", err)
	e.differences("diff", old)
	e.archived(old, "/state")
	e.archived(old, "/state/log")
	e.archived(old, "/state/none")
	e.archived(old, "/etc/gone")
	e.eventsSoFar()

	id := e.mustCreate("new", container.Config{Image: "app:1", Cmd: []string{"-write", "/state/log=hello"}}, container.HostConfig{
		Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: e.prefix + "data", Target: "/data"}},
	})
	e.put("put", id, "/",
		tar.Header{Name: "state/", Typeflag: tar.TypeDir, Mode: 0o1750, Uid: 1000, Gid: 1001},
		tar.Header{Name: "state/log", Typeflag: tar.TypeReg, Mode: 0o4640, Uid: 1000},
		tar.Header{Name: "state/pipe", Typeflag: tar.TypeFifo, Mode: 0o600},
		tar.Header{Name: "state/sym", Typeflag: tar.TypeSymlink, Linkname: "../etc", Mode: 0o777},
		tar.Header{Name: "deep/er/file", Typeflag: tar.TypeReg, Mode: 0o600, Uid: 7},
		tar.Header{Name: "etc/own", Typeflag: tar.TypeReg, Mode: 0o600},
	)
	e.differences("diff of what was put", id)
	e.archived(id, "/state")
	e.archived(id, "/deep/er/file")
	e.archived(id, "/state/sym")
	e.put("a file for a folder", id, "/", tar.Header{Name: "state", Typeflag: tar.TypeReg, Mode: 0o600})
	e.archived(id, "/state")
	e.put("put a folder back", id, "/", tar.Header{Name: "state/", Typeflag: tar.TypeDir, Mode: 0o700}, tar.Header{Name: "state/log", Typeflag: tar.TypeReg, Mode: 0o600})
	e.put("into a volume", id, "/", tar.Header{Name: "data/file", Typeflag: tar.TypeReg, Mode: 0o600})
	e.note("in the volume", e.file(id, "/data/file"))
	e.differences("diff", id)
	e.put("where nothing is", id, "/nothing", tar.Header{Name: "file", Typeflag: tar.TypeReg, Mode: 0o600})
	e.put("into nobody", "nobody-at-all", "/", tar.Header{Name: "file", Typeflag: tar.TypeReg, Mode: 0o600})
	e.eventsSoFar()
	if _, err := e.cli.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		e.Fatal(err)
	}
	e.ready(id)
	e.note("appended", e.file(id, "/state/log"))

	sealed := e.mustCreate("sealed", container.Config{Image: "app:1"}, container.HostConfig{ReadonlyRootfs: true})
	e.put("into a read-only root", sealed, "/", tar.Header{Name: "file", Typeflag: tar.TypeReg, Mode: 0o600})
	e.eventsSoFar()

	made, err := e.cli.ContainerCommit(ctx, old, client.ContainerCommitOptions{
		Reference: e.prefix + "kept:1", Comment: "what it wrote", NoPause: true,
		Config: &container.Config{Env: []string{"TOKEN="}, Labels: map[string]string{"own": "1"}},
	})
	e.fails("commit", err)
	e.know(made.ID, "committed")
	got, err := e.cli.ImageInspect(ctx, e.prefix+"kept:1")
	e.fails("inspect it", err)
	for k := range got.Config.Labels {
		if strings.HasPrefix(k, dockertest.Label) {
			delete(got.Config.Labels, k)
		}
	}
	e.note("image", []any{got.ID, got.RepoTags, got.Comment, got.Config.Env, got.Config.Cmd, got.Config.Entrypoint, got.Config.Labels, len(got.RootFS.Layers)})
	var raw bytes.Buffer
	if _, err := e.cli.ImageInspect(ctx, e.prefix+"kept:1", client.ImageInspectWithRawResponse(&raw)); err != nil {
		e.Fatal(err)
	}
	e.note("the value is in it all the same", strings.Contains(raw.String(), "geheim"))
	again := e.mustCreate("again", container.Config{Image: "kept:1"}, container.HostConfig{})
	e.differences("diff of what is made from it", again)
	e.note("environment", e.inspect(again).Config.Env)
	e.archived(again, "/state/log")
	e.archived(again, "/etc/gone")
	e.archived(again, "/etc/stays")
	_, err = e.cli.ImageRemove(ctx, e.prefix+"kept:1", client.ImageRemoveOptions{})
	e.fails("remove it while it is used", err)
	if _, err := e.cli.ContainerRemove(ctx, again, client.ContainerRemoveOptions{}); err != nil {
		e.Fatal(err)
	}
	_, err = e.cli.ImageRemove(ctx, e.prefix+"kept:1", client.ImageRemoveOptions{})
	e.fails("remove it", err)
	_, err = e.cli.ContainerCommit(ctx, "nobody-at-all", client.ContainerCommitOptions{Config: &container.Config{}})
	e.fails("commit of nobody", err)
	e.eventsSoFar()
}
