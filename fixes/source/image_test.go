package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suite"
	"plimsoll/fixes"
	"plimsoll/fixes/build"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
	"plimsoll/fixes/source"
)

// A builder has images that were built here, and a folder without a Dockerfile.
type builder struct {
	*fixer.Dispatcher
	t         *testing.T
	engine    *client.Client
	inventory *inventory.Inventory
	prefix    string
	dir       string
	classic   bool // without BuildKit
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: images are built on a real engine")
	}
	c := dockertest.Real(t)
	b := &builder{t: t, engine: c, prefix: dockertest.Prefix(t, c), dir: t.TempDir()}
	dockertest.Busybox(t, c, b.prefix, "busybox:1")
	target, err := engine.Resolve(c.DaemonHost())
	must(t, err)
	b.inventory = inventory.New(inventory.Options{Target: &target, Suite: suite.All(), Policy: &checks.Policy{Profile: checks.All}, Layers: layers.Off})
	b.Dispatcher = fixer.New(fixer.Options{
		Ledger: ledger.New(filepath.Join(b.dir, "state")),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Dockerfile: files.New(checks.Dockerfile, files.Options{Checks: dockerfile.Checks(), Policy: &checks.Policy{Profile: checks.All}}),
			checks.Image:      nobody{},
		},
		Reader: b.inventory,
		Source: source.Of(b.inventory, source.Options{Dir: b.dir}),
		Engine: func(context.Context) (string, error) { return "engine", nil },
	})
	b.build("base:1", "FROM "+b.prefix+"busybox:1\nRUN echo "+b.prefix+" > /etc/own\n", nil) // like no other
	return b
}

// nobody changes images themselves.
type nobody struct{ fixer.Mechanic }

// build builds an image, called name and the prefix, from a Dockerfile and files.
func (b *builder) build(name, text string, files map[string]string) *image.Image {
	b.t.Helper()
	var context bytes.Buffer
	w := tar.NewWriter(&context)
	for path, content := range files {
		must(b.t, w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		must(b.t, err)
	}
	must(b.t, w.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(text))}))
	_, err := w.Write([]byte(text))
	must(b.t, err)
	must(b.t, w.Close())
	tag := b.prefix + name
	_, err = build.Run(b.t.Context(), b.engine, build.Options{Context: &context, Dockerfile: "Dockerfile", Tag: tag, Classic: b.classic})
	var failure *build.Failure
	if errors.As(err, &failure) {
		b.t.Fatalf("built from\n%s\n%s\n%s", text, failure.Reason, failure.Log)
	}
	must(b.t, err)
	return b.gather(tag).Subject.(*image.Image)
}

// gather reads an image, and the Dockerfiles of the folder.
func (b *builder) gather(tag string) inventory.Item {
	b.t.Helper()
	items, err := b.inventory.Gather(b.t.Context(), inventory.Selection{Images: []string{tag}, Paths: []string{b.dir}})
	must(b.t, err)
	at := slices.IndexFunc(items, func(i inventory.Item) bool { return i.Ref.Kind == checks.Image })
	if at < 0 || items[at].Subject == nil {
		b.t.Fatalf("no image %s in %v", tag, items)
	}
	return items[at]
}

// asks returns the request to cure what check finds of i.
func (b *builder) asks(i *image.Image, check string) fixes.Request {
	b.t.Helper()
	for _, f := range b.gather(i.Inspect.RepoTags[0]).Report.Findings {
		if f.Check.ID == check {
			return fixes.Request{Findings: []checks.Finding{f}}
		}
	}
	b.t.Fatalf("%s does not find anything", check)
	return fixes.Request{}
}

const service = `FROM PREFIXbase:1
ENV APP_HOME="/opt/my app" GREETING='say "hi" for $5' EMPTY=
ENV DB_PASSWORD=not-a-real-secret-7f3a
ARG RELEASE=1.2
WORKDIR /opt/my app
COPY notes.txt ./
COPY notes.txt extra.txt /srv/
RUN echo "built $RELEASE" > /srv/built && echo 'one\ttwo' >> /srv/built
LABEL org.example.title="a \"quoted\" title" org.example.empty=""
USER 1000:1000
EXPOSE 8080 53/udp
VOLUME /data
STOPSIGNAL SIGINT
HEALTHCHECK --interval=7s --timeout=2s --retries=4 CMD test -f /srv/built
ENTRYPOINT ["sh", "-c", "cat /srv/built; exec \"$@\"", "sh"]
CMD ["sleep", "60"]
`

// What is reconstructed from a history is built again, and is like the image.
func TestReconstructed(t *testing.T) {
	t.Parallel()
	for name, classic := range map[string]bool{"BuildKit": false, "classic": true} {
		t.Run(name, func(t *testing.T) {
			reconstructed(t, classic)
		})
	}
}

func reconstructed(t *testing.T, classic bool) {
	b := newBuilder(t)
	b.classic = classic
	original := b.build("shop:1", strings.ReplaceAll(service, "PREFIX", b.prefix), map[string]string{"notes.txt": "notes\n", "extra.txt": "extra\n"})
	b.classic = false
	plan, err := b.Plan(t.Context(), original, b.asks(original, "image-no-dockerfile-known"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.dir, "Dockerfile."+b.prefix+"shop")
	if plan.Subject.ID != path || len(plan.Files) != 1 || !plan.Files[0].Created || plan.Files[0].Before != nil || !plan.Blocked.IsZero() {
		t.Fatalf("plans %+v", plan)
	}
	receipt, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	text, err := os.ReadFile(path)
	must(t, err)
	if strings.Contains(string(text), "not-a-real-secret") || !strings.Contains(string(text), "FROM "+b.prefix+"base:1\n") {
		t.Fatalf("wrote\n%s", text)
	}
	again := b.build("again:1", string(text), nil)
	want, got := settings(original), settings(again)
	want["Env"] = slices.DeleteFunc(want["Env"].([]any), func(v any) bool { return strings.HasPrefix(v.(string), "DB_PASSWORD=") })
	for key := range want {
		if !reflect.DeepEqual(want[key], got[key]) {
			t.Errorf("%s is %v, was %v", key, got[key], want[key])
		}
	}
	for _, file := range []string{"/srv/built", "/srv/notes.txt", "/srv/extra.txt", "/opt/my app/notes.txt"} {
		if was, is := b.file(original, file), b.file(again, file); was != is {
			t.Errorf("%s holds %q, held %q", file, is, was)
		}
	}
	must(t, b.Undo(t.Context(), receipt.Entry, nil))
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("undone: %v", err)
	}
}

// Without the base, and where the builder is not known, the files of the whole
// image are taken over.
func TestReconstructedWithoutBase(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	original := b.build("shop:1", strings.ReplaceAll(service, "PREFIX", b.prefix), map[string]string{"notes.txt": "notes\n", "extra.txt": "extra\n"})
	again := b.build("again:1", string(original.Reconstruct(nil)), nil)
	if is, was := b.file(again, "/srv/built"), b.file(original, "/srv/built"); is != was {
		t.Errorf("it holds %q, held %q", is, was)
	}
	want, got := settings(original), settings(again)
	for _, key := range []string{"User", "WorkingDir", "Cmd", "Entrypoint", "Healthcheck", "Volumes", "ExposedPorts"} {
		if !reflect.DeepEqual(want[key], got[key]) {
			t.Errorf("%s is %v, was %v", key, got[key], want[key])
		}
	}
}

// An image without a Dockerfile gets one that builds on it.
func TestBuiltOn(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	root := b.build("app:1", "FROM "+b.prefix+"base:1\nRUN echo 'root:x:0:0::/:/bin/sh' > /etc/passwd; echo 'root:x:0:' > /etc/group\nCMD [\"sleep\", \"60\"]\n", nil)
	must(t, os.WriteFile(filepath.Join(b.dir, "Dockerfile."+b.prefix+"app"), nil, 0o644)) // somebody's

	request := b.asks(root, "image-user-root")
	plan, err := b.Plan(t.Context(), root, request)
	must(t, err)
	if !plan.Blocked.IsZero() || filepath.Base(plan.Subject.ID) != "Dockerfile."+b.prefix+"app.2" || len(plan.Cures) == 0 {
		t.Fatalf("plans %s of %s, cures %d: %s", plan.Mechanism, plan.Subject.ID, len(plan.Cures), plan.Blocked)
	}
	_, err = b.Apply(t.Context(), plan, nil)
	must(t, err)
	text, err := os.ReadFile(plan.Subject.ID)
	must(t, err)
	hardened := b.build("app:2", string(text), nil)
	for _, f := range checks.Run(hardened, image.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "image-user-root" {
			t.Errorf("still root with\n%s", text)
		}
	}
	if got := settings(hardened)["Cmd"]; !reflect.DeepEqual(got, []any{"sleep", "60"}) {
		t.Errorf("it runs %v", got)
	}
}

// An image whose Dockerfile is here is put right there.
func TestPutRightWhereItIsBuilt(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	text := "FROM " + b.prefix + "base:1\nRUN mkdir /srv\nUSER root\nCMD [\"sleep\", \"60\"]\n"
	path := filepath.Join(b.dir, "Dockerfile")
	must(t, os.WriteFile(path, []byte(text), 0o644))
	i := b.build("app:1", text, nil)
	request := b.asks(i, "image-user-root")
	plan, err := b.Plan(t.Context(), i, request)
	must(t, err)
	if plan.Subject.ID != path || len(plan.Cures) == 0 {
		t.Fatalf("plans %s, cures %v", plan.Subject.ID, plan.Cures)
	}
	file, err := b.inventory.Read(t.Context(), checks.Ref{Kind: checks.Dockerfile, ID: path, Name: path})
	must(t, err)
	batch, err := b.PlanBatch(t.Context(), []fixes.Ask{{Subject: i, Request: request}, {Subject: file, Request: fixes.Request{Findings: plan.Cures}}})
	must(t, err)
	if len(batch.Parts) != 1 || !batch.Parts[0].Applicable() || len(batch.Parts[0].For) != 1 || batch.Parts[0].For[0].ID != i.Inspect.ID {
		t.Errorf("a file and an image made from it are changed by %+v", batch.Parts)
	}
	_, err = b.Apply(t.Context(), plan, nil)
	must(t, err)
	if _, err := b.Plan(t.Context(), i, request); err == nil || !strings.Contains(err.Error(), "build") {
		t.Errorf("with nothing left there: %v", err)
	}
}

// settings returns the configuration of i without what builders write themselves.
func settings(i *image.Image) map[string]any {
	data, _ := json.Marshal(i.Inspect.Config)
	out := map[string]any{}
	_ = json.Unmarshal(data, &out)
	return out
}

// file returns what a file of i holds.
func (b *builder) file(i *image.Image, path string) string {
	b.t.Helper()
	c, err := b.engine.ContainerCreate(b.t.Context(), client.ContainerCreateOptions{Image: i.Inspect.ID, Name: b.prefix + "reader"})
	must(b.t, err)
	defer b.engine.ContainerRemove(b.t.Context(), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	got, err := b.engine.CopyFromContainer(b.t.Context(), c.ID, client.CopyFromContainerOptions{SourcePath: path})
	must(b.t, err)
	defer got.Content.Close()
	r := tar.NewReader(got.Content)
	_, err = r.Next()
	must(b.t, err)
	text, err := io.ReadAll(r)
	must(b.t, err)
	return string(text)
}
