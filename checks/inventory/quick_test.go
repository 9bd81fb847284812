package inventory

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/suite"
	"plimsoll/checks/vulnerability"
)

// advisories returns a store with one advisory, for libc6 of Debian 12.
func advisories(t *testing.T) *vulnerability.Store {
	t.Helper()
	store := vulnerability.NewStore(t.TempDir())
	archive := packedAdvisory(t, `{"id":"DEBIAN-CVE-2024-1","upstream":["CVE-2024-1"],"affected":[{"package":{"ecosystem":"Debian:12","name":"glibc"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.36-10"}]}]}]}`)
	if _, err := store.Import(t.Context(), archive, "", nil); err != nil {
		t.Fatal(err)
	}
	return store
}

// packedAdvisory returns the path of an archive with one advisory.
func packedAdvisory(t *testing.T, advisory string) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "all.zip")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	w, err := z.Create("1.json")
	if err == nil {
		_, err = w.Write([]byte(advisory))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// debianImage holds a vulnerable package of Debian and a program with setuid.
func debianImage(tag string) dockertest.Image {
	return dockertest.Image{
		Tags: []string{tag}, Layers: []string{layerID(tag, 1)},
		Content: [][]dockertest.File{{
			{Path: "etc/os-release", Text: "ID=debian\nVERSION_ID=\"12\"\n"},
			{Path: "var/lib/dpkg/status", Text: "Package: libc6\nStatus: install ok installed\nSource: glibc\nVersion: 2.36-9\n"},
			{Path: "opt/helper", Mode: 0o4755, Text: "\x7fELF"},
		}},
	}
}

func quickWorld(t *testing.T) (*dockertest.Server, Options) {
	t.Helper()
	server := dockertest.Run(t)
	server.AddImage(debianImage("used:1"))
	server.AddImage(debianImage("spare:1"))
	if _, err := server.AddContainer(dockertest.Container{Name: "app", Config: api.Config{Image: "used:1"}}); err != nil {
		t.Fatal(err)
	}
	target, err := engine.Resolve(server.Host())
	if err != nil {
		t.Fatal(err)
	}
	return server, Options{Target: &target, Suite: suite.All(), Advisories: advisories(t), Cache: layers.NewCache(t.TempDir())}
}

func says(item Item, words string) bool {
	for _, f := range item.Report.Findings {
		if strings.Contains(f.Message.String(), words) {
			return true
		}
	}
	return false
}

const onlyDistribution = "(quick: packages of the distribution only)"

// TestQuickLookIsReplacedByTheLayers: what a quick look finds says so, what only
// layers tell is not called clean, and the full scan takes its place.
func TestQuickLookIsReplacedByTheLayers(t *testing.T) {
	server, o := quickWorld(t)
	o.Layers = layers.Off
	v, inventory := watch(t, o)
	v.until("complete", func() bool { return v.done && v.image("spare:1").Subject != nil })
	ref := v.image("spare:1").Ref
	if err := inventory.QuickLook(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	v.until("looked", func() bool { return found(v.image("spare:1"), "image-vulnerable-critical") })
	looked := v.image("spare:1")
	i := looked.Subject.(*image.Image)
	if !says(looked, onlyDistribution) || !found(looked, "image-never-scanned") || !i.Quickly() || i.Files != nil || looked.Status.Layers.State != LayersUnread {
		t.Errorf("a quick look passes for more: %v", looked.Report.Findings)
	}
	if n := server.Count("GET /images/get"); n > 0 {
		t.Error("the image was saved")
	}
	for key := range v.items {
		if strings.HasPrefix(v.items[key].Ref.Name, "plimsoll-quick-") {
			t.Error("the container of the look is shown")
		}
	}
	if used := v.image("used:1"); found(used, "image-vulnerable-critical") {
		t.Error("what was seen in one image is said of another")
	}
	inventory.LookUp(t.Context()) // with the advisories as they are now
	inventory.ReadLayers(t.Context(), ref)
	v.untilRead("spare:1")
	read := v.image("spare:1")
	if says(read, onlyDistribution) || found(read, "image-never-scanned") || !found(read, "image-vulnerable-critical") || !found(read, "image-setuid-setgid-files") {
		t.Errorf("after the layers were read: %v", read.Report.Findings)
	}
}

func TestQuickLooksOfTheCommandLine(t *testing.T) {
	server, o := quickWorld(t)
	o.Layers = layers.Quick
	gather := func(o Options) map[string]Item {
		t.Helper()
		items, err := New(o).Gather(t.Context(), Selection{AllImages: true})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Item{}
		for _, item := range items {
			out[item.Ref.Name] = item
		}
		return out
	}
	items := gather(o)
	if !says(items["used:1"], onlyDistribution) || found(items["used:1"], "image-setuid-setgid-files") {
		t.Errorf("the image in use: %v", items["used:1"].Report.Findings)
	}
	if found(items["spare:1"], "image-vulnerable-critical") {
		t.Error("an image that nobody uses was looked into")
	}
	if n := server.Count("GET /images/get"); n > 0 {
		t.Error("an image was saved")
	}
	full := o
	full.Layers = layers.Used
	gather(full)
	made := server.Count("POST /containers/create")
	if items = gather(o); says(items["used:1"], onlyDistribution) || server.Count("POST /containers/create") > made {
		t.Error("an image whose layers are remembered is looked at quickly")
	}
}

func TestQuickLookIsRefused(t *testing.T) {
	server, o := quickWorld(t)
	o.Layers, o.ReadOnly = layers.Quick, true
	items, err := New(o).Gather(t.Context(), Selection{Images: []string{"used:1"}})
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	if errs := items[0].Report.Errors; len(errs) != 1 || !strings.Contains(errs[0].Error(), "read-only") || !found(items[0], "image-never-scanned") {
		t.Errorf("%v, %v", errs, items[0].Report.Findings)
	}
	if server.Count("POST /containers/create") > 0 {
		t.Error("a container was made")
	}
	o.ReadOnly = false
	o.Target = &engine.Target{Host: "tcp://192.0.2.1:2375"}
	if New(o).MayLook() == nil {
		t.Error("a container would be made where everybody can change what is asked")
	}
}

// TestLeftoversOfQuickLooks: a process that was killed leaves its container,
// which is not shown, and is removed by the next that may.
func TestLeftoversOfQuickLooks(t *testing.T) {
	clock := dockertest.NewManualClock(time.Now())
	server := dockertest.Run(t, dockertest.WithClock(clock))
	server.AddImage(debianImage("used:1"))
	target, err := engine.Resolve(server.Host())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Target: &target, Suite: suite.All(), Layers: layers.Quick}
	server.Inject(dockertest.Fault{Endpoint: "DELETE /containers/{id}", Status: 500, Message: "killed"})
	if _, err := New(o).Gather(t.Context(), Selection{Images: []string{"used:1"}}); err != nil {
		t.Fatal(err)
	}
	server.Heal()
	left := func() int {
		all, err := server.Client(t).ContainerList(t.Context(), client.ContainerListOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		return len(all.Items)
	}
	all := Selection{AllContainers: true}
	items, err := New(o).Gather(t.Context(), all)
	if err != nil || len(items) > 0 || left() != 1 {
		t.Errorf("%v, %v, %d left: another process may be looking", items, err, left())
	}
	clock.Advance(time.Hour)
	o.ReadOnly = true
	if _, err := New(o).Gather(t.Context(), all); err != nil || left() != 1 {
		t.Errorf("%v, %d left although nothing may be changed", err, left())
	}
	o.ReadOnly = false
	if _, err := New(o).Gather(t.Context(), all); err != nil || left() != 0 {
		t.Errorf("%v, %d left", err, left())
	}
}
