package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Label marks everything that tests make in a real engine.
const Label = "plimsoll.test"

// requireEngine is the variable that makes a missing engine a failure: set
// where an engine is promised, so that no test is skipped unnoticed.
const requireEngine = "PLIMSOLL_REQUIRE_ENGINE"

// Real returns a client of the engine that the environment names. Without one
// the test is skipped, and says so.
func Real(tb TB) *client.Client {
	tb.Helper()
	absent := tb.Skipf
	if os.Getenv(requireEngine) != "" {
		absent = tb.Fatalf
	}
	c, err := client.New(client.FromEnv)
	if err != nil {
		absent("no Docker Engine: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		c.Close()
		absent("no Docker Engine: %v", err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// Prefix returns a beginning for the names of what one test makes in a real
// engine, "plimsoll-test-1f2e3d4c-". Everything that has it is removed at the
// end of the test; see [Cleanup].
func Prefix(tb TB, c *client.Client) string {
	tb.Helper()
	var random [4]byte
	rand.Read(random[:])
	prefix := "plimsoll-test-" + hex.EncodeToString(random[:]) + "-"
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := Cleanup(ctx, c, prefix); err != nil {
			tb.Errorf("cleaning up: %v", err)
		}
	})
	return prefix
}

// Cleanup removes containers with their anonymous volumes, networks, volumes
// and images whose names begin with prefix.
func Cleanup(ctx context.Context, c *client.Client, prefix string) error {
	if prefix == "" {
		return errors.New("an empty prefix would remove everything")
	}
	var errs []error
	keep := func(err error) {
		if err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	containers, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", prefix)})
	keep(err)
	for _, one := range containers.Items {
		if slices.ContainsFunc(one.Names, func(n string) bool { return strings.HasPrefix(n, "/"+prefix) }) {
			_, err := c.ContainerRemove(ctx, one.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			keep(err)
		}
	}
	networks, err := c.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("name", prefix)})
	keep(err)
	for _, one := range networks.Items {
		if strings.HasPrefix(one.Name, prefix) {
			_, err := c.NetworkRemove(ctx, one.ID, client.NetworkRemoveOptions{})
			keep(err)
		}
	}
	volumes, err := c.VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters{}.Add("name", prefix)})
	keep(err)
	for _, one := range volumes.Items {
		if strings.HasPrefix(one.Name, prefix) {
			_, err := c.VolumeRemove(ctx, one.Name, client.VolumeRemoveOptions{})
			keep(err)
		}
	}
	keep(removeImages(ctx, c, prefix))
	return errors.Join(errs...)
}

// removeImages removes the images of prefix. Those that others are built on go
// after these, and a build that was given up takes a moment to let go.
func removeImages(ctx context.Context, c *client.Client, prefix string) error {
	for {
		images, err := c.ImageList(ctx, client.ImageListOptions{All: true, Filters: client.Filters{}.Add("label", prefixLabel+"="+prefix)})
		if err != nil {
			return err
		}
		var errs []error
		for _, one := range images.Items {
			if _, err := c.ImageRemove(ctx, one.ID, client.ImageRemoveOptions{Force: true}); err != nil && !errdefs.IsNotFound(err) {
				errs = append(errs, err)
			}
		}
		if err := errors.Join(errs...); err == nil || !errdefs.IsConflict(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(errs...)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

const prefixLabel = Label + ".prefix"

// Labels returns what an image needs to be removed with everything of prefix.
func Labels(prefix string) map[string]string {
	return map[string]string{Label: "1", prefixLabel: prefix}
}

// Load puts images made with [Probe] into a real engine and returns their ids.
// They are built FROM scratch without the engine's builder. Tags must begin
// with prefix, so that they are removed at the end; a later image with the
// same tag takes it over.
func Load(tb TB, c *client.Client, prefix string, images ...Image) []string {
	tb.Helper()
	program, err := probeProgram()
	if err != nil {
		tb.Skipf("the probe cannot be built: %v", err)
	}
	var ids []string
	for _, i := range images {
		archive, id, err := archiveOf(i, prefix, program)
		if err != nil {
			tb.Fatalf("packing an image: %v", err)
		}
		loaded, err := c.ImageLoad(context.Background(), bytes.NewReader(archive), client.ImageLoadWithQuiet(true))
		if err != nil {
			tb.Fatalf("loading an image: %v", err)
		}
		_, err = io.Copy(io.Discard, loaded)
		loaded.Close()
		if err != nil {
			tb.Fatalf("loading an image: %v", err)
		}
		ids = append(ids, id)
	}
	return ids
}

// Ready waits until the probe in a container that was started obeys signals,
// or has ended. Before that, the first process of a container ignores SIGTERM.
func Ready(ctx context.Context, c *client.Client, id string) error {
	for {
		got, err := c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil || !got.Container.State.Running {
			return err
		}
		// What was printed since the run before. StartedAt may be later than
		// the first line.
		since := got.Container.State.FinishedAt
		if since == never {
			since = ""
		}
		logs, err := c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, Since: since})
		if err != nil {
			return err
		}
		text, err := io.ReadAll(logs)
		logs.Close()
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("ready\n")) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

//go:embed testdata/probe/main.go
var probeSource []byte

// probeProgram is built once per process.
var probeProgram = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string][]byte{"main.go": probeSource, "go.mod": []byte("module probe\n\ngo 1.26\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "probe", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "probe"))
})

// archiveOf returns what "docker save" would write for an image, and its id.
func archiveOf(i Image, prefix string, program []byte) (archive []byte, id string, err error) {
	var layer bytes.Buffer
	t := tar.NewWriter(&layer)
	add := func(name string, mode int64, content []byte) {
		t.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg})
		t.Write(content)
	}
	t.WriteHeader(&tar.Header{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir})
	t.WriteHeader(&tar.Header{Name: "etc/", Mode: 0o755, Typeflag: tar.TypeDir})
	add("probe", 0o755, program)
	for _, file := range slices.Sorted(maps.Keys(i.Files)) {
		add(strings.TrimPrefix(file, "/"), 0o644, []byte(i.Files[file]))
	}
	if err := t.Close(); err != nil {
		return nil, "", err
	}
	created := i.Created
	if created.IsZero() {
		created = time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	}
	labels := maps.Clone(i.Config.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, Labels(prefix))
	i.Config.Labels = labels
	image := v1.DockerOCIImage{Config: i.Config}
	image.Image.Created = &created
	image.Image.Platform = ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	image.Image.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer.Bytes())}}
	image.Image.History = []ocispec.History{{Created: &created, CreatedBy: "COPY probe /probe # buildkit"}}
	for _, h := range slices.Backward(i.History) {
		image.Image.History = append(image.Image.History, ocispec.History{Created: &created, CreatedBy: h.CreatedBy, EmptyLayer: true})
	}
	config, err := json.Marshal(image)
	if err != nil {
		return nil, "", err
	}
	sum := digest.FromBytes(config)
	for _, tag := range i.Tags {
		if !strings.HasPrefix(tag, prefix) {
			return nil, "", fmt.Errorf("tag %q does not begin with %q", tag, prefix)
		}
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": sum.Encoded() + ".json", "RepoTags": i.Tags, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	t = tar.NewWriter(&out)
	add(sum.Encoded()+".json", 0o644, config)
	add("layer.tar", 0o644, layer.Bytes())
	add("manifest.json", 0o644, manifest)
	return out.Bytes(), sum.String(), t.Close()
}
