package quicklook

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/packages"
)

const debianStatus = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`

// shop is an image with a bit of everything; it wants a volume over what is
// looked at, and has been changed by its second layer.
func shop() dockertest.Image {
	return dockertest.Image{
		Tags: []string{"shop:1"}, Layers: []string{"sha256:" + strings.Repeat("1", 64), "sha256:" + strings.Repeat("2", 64)},
		Config: v1.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{Volumes: map[string]struct{}{"/data": {}, "/var/lib/dpkg": {}}, Labels: map[string]string{Label: "of the image"}}},
		Content: [][]dockertest.File{
			{
				{Path: "usr/lib/os-release", Text: "ID=debian\nVERSION_ID=\"12\"\n"},
				{Path: "var/lib/dpkg/status", Text: debianStatus},
				{Path: "lib/apk/db/installed", Text: "P:musl\nV:1.2.5-r0\nA:x86_64\n\n"},
			},
			{
				{Path: "lib/apk/db/installed", Deleted: true},
				{Path: "var/lib/dpkg/status.d/tzdata", Text: "Package: tzdata\nVersion: 2024a\n"},
				{Path: "var/lib/dpkg/status.d/tzdata.md5sums", Text: "0  usr/share/zoneinfo/UTC\n"},
				{Path: "app/node_modules/left-pad/package.json", Text: `{"name":"left-pad","version":"1.0.0"}`},
			},
		},
	}
}

func names(found *packages.Inventory) (out []string) {
	for _, p := range found.Packages {
		out = append(out, string(p.Type)+" "+p.Name+" "+p.Version)
	}
	return out
}

func look(t *testing.T, ctx context.Context, c *client.Client, ref string) (*packages.Inventory, error) {
	t.Helper()
	i, err := c.ImageInspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return Read(ctx, c, &i.InspectResponse)
}

// nothingLeft reports containers and volumes that are still there.
func nothingLeft(t *testing.T, c *client.Client, label string) {
	t.Helper()
	all, err := c.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", label)})
	if err != nil || len(all.Items) > 0 {
		t.Errorf("%v is left of it, %v", all.Items, err)
	}
}

func TestPackagesOfTheDistribution(t *testing.T) {
	server := dockertest.Run(t)
	server.AddImage(shop())
	c := server.Client(t)
	found, err := look(t, t.Context(), c, "shop:1")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(found); !slices.Equal(got, []string{"deb libc6 2.36-9", "deb tzdata 2024a"}) {
		t.Errorf("found %q", got)
	}
	if found.Release == nil || found.Release.ID != "debian" || found.Packages[0].Layer != -1 {
		t.Errorf("%+v", found)
	}
	if n := server.Count("POST /containers/{id}/start"); n > 0 {
		t.Error("a container was started")
	}
	nothingLeft(t, c, Label)
	volumes, err := c.VolumeList(t.Context(), client.VolumeListOptions{})
	if err != nil || len(volumes.Items) > 0 {
		t.Errorf("volumes %v are left, %v", volumes.Items, err)
	}
}

func TestContainerIsRemovedWhateverHappens(t *testing.T) {
	for name, fault := range map[string]dockertest.Fault{
		"the answer is lost":   {Endpoint: "POST /containers/create", After: true},
		"nothing can be read":  {Endpoint: "GET /containers/{id}/archive", Status: 500, Message: "no space left"},
		"the engine goes away": {Endpoint: "GET /containers/{id}/archive", Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := dockertest.Run(t)
			server.AddImage(shop())
			server.Inject(fault)
			if found, err := look(t, t.Context(), server.Client(t), "shop:1"); err == nil {
				t.Errorf("found %v", found)
			}
			server.Heal()
			nothingLeft(t, server.Client(t), Label)
		})
	}
	t.Run("the user gives up", func(t *testing.T) {
		server := dockertest.Run(t)
		server.AddImage(shop())
		ctx, cancel := context.WithCancel(t.Context())
		server.Watch(func(call dockertest.Call) {
			if call.Endpoint == "GET /containers/{id}/archive" {
				cancel()
			}
		})
		if _, err := look(t, ctx, server.Client(t), "shop:1"); err == nil {
			t.Error("it went on")
		}
		nothingLeft(t, server.Client(t), Label)
	})
	t.Run("it cannot be removed", func(t *testing.T) {
		server := dockertest.Run(t)
		server.AddImage(shop())
		server.Inject(dockertest.Fault{Endpoint: "DELETE /containers/{id}", Status: 500, Message: "device busy"})
		found, err := look(t, t.Context(), server.Client(t), "shop:1")
		if err == nil || !strings.Contains(err.Error(), "docker rm plimsoll-quick-") || found == nil {
			t.Errorf("%v, %v", found, err)
		}
	})
}

func TestOnlyWhatALookLeftIsSwept(t *testing.T) {
	server := dockertest.Run(t)
	server.AddImage(shop()) // all of its containers have the label
	c := server.Client(t)
	server.Inject(dockertest.Fault{Endpoint: "DELETE /containers/{id}", Status: 500})
	if _, err := look(t, t.Context(), c, "shop:1"); err == nil {
		t.Fatal("nothing is left")
	}
	server.Heal()
	if _, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "theirs", Config: &container.Config{Image: "shop:1"}, HostConfig: &container.HostConfig{NetworkMode: network}}); err != nil {
		t.Fatal(err)
	}
	sweep := func(at time.Time) (left []string) {
		for range 2 { // the second sees what the first has left
			all, err := c.ContainerList(t.Context(), client.ContainerListOptions{All: true})
			if err != nil {
				t.Fatal(err)
			}
			left = nil
			for _, s := range all.Items {
				left = append(left, s.Names[0])
			}
			if err := Sweep(t.Context(), c, all.Items, at); err != nil {
				t.Fatal(err)
			}
		}
		return left
	}
	if left := sweep(time.Now()); len(left) != 2 {
		t.Errorf("left %q: one is removed while somebody looks into it", left)
	}
	if left := sweep(time.Now().Add(abandoned + time.Minute)); !slices.Equal(left, []string{"/theirs"}) {
		t.Errorf("left %q", left)
	}
}

// TestRealEngine looks into an image of the real engine, and once more into a
// large one where there is one.
func TestRealEngine(t *testing.T) {
	c := dockertest.Real(t)
	prefix := dockertest.Prefix(t, c)
	image := shop()
	image.Tags = []string{prefix + "shop:1"}
	image.Files = map[string]string{
		"/usr/lib/os-release": "ID=debian\nVERSION_ID=12\n", "/var/lib/dpkg/status": debianStatus,
		"/var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 2024a\n",
	}
	dockertest.Load(t, c, prefix, image)
	found, err := look(t, t.Context(), c, image.Tags[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := names(found); !slices.Equal(got, []string{"deb libc6 2.36-9", "deb tzdata 2024a"}) || found.Release == nil {
		t.Errorf("found %q of %v", got, found.Release)
	}
	nothingLeft(t, c, prefixLabel+"="+prefix)
	if name := os.Getenv("PLIMSOLL_IMAGE"); name != "" {
		began := time.Now()
		found, err := look(t, t.Context(), c, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d packages of %s in %v", len(found.Packages), name, time.Since(began))
	}
}

// prefixLabel is inherited from the image by what is made of it.
const prefixLabel = dockertest.Label + ".prefix"

// TestOtherDistributions looks at databases of rpm, in each of its three forms, and
// of apk, of real distributions: what the layers would tell is found.
func TestOtherDistributions(t *testing.T) {
	for name, test := range map[string]struct {
		manager, file, path string
		n                   int
		has                 string
	}{
		"CentOS 7, Berkeley DB": {"rpm", "Packages", "var/lib/rpm/Packages", 148, "rpm bash 4.2.46-34.el7"},
		"SUSE, ndb":             {"rpm", "Packages.db", "usr/lib/sysimage/rpm/Packages.db", 132, "rpm coreutils 8.32-150400.7.5"},
		"RHEL 9, SQLite":        {"rpm", "rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite", 141, "rpm openssl-libs 1:3.0.7-6.el9_2"},
		"Alpine":                {"apk", "installed", "lib/apk/db/installed", 15, "apk musl 1.2.4-r0"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dockertest.Samples(t, test.manager), test.file))
			if err != nil {
				t.Fatal(err)
			}
			server := dockertest.Run(t)
			add := func(tag string, data []byte) {
				server.AddImage(dockertest.Image{Tags: []string{tag}, Layers: []string{"sha256:" + strings.Repeat("3", 64)}, Content: [][]dockertest.File{{
					{Path: "etc/os-release", Text: "ID=some\nVERSION_ID=1\n"}, {Path: test.path, Text: string(data)},
				}}})
			}
			add("whole:1", data)
			found, err := look(t, t.Context(), server.Client(t), "whole:1")
			if err != nil {
				t.Fatal(err)
			}
			got := names(found)
			if len(got) != test.n || !slices.Contains(got, test.has) || len(found.Trouble) > 0 || found.Release == nil || found.Release.ID != "some" {
				t.Errorf("%d packages of %v, %q, want %d with %s: %q", len(got), found.Release, found.Trouble, test.n, test.has, got)
			}
			if test.manager == "apk" {
				return
			}
			add("cut:1", data[:len(data)/3]) // said, not passed off as all there is
			found, err = look(t, t.Context(), server.Client(t), "cut:1")
			if err != nil || len(found.Packages) >= test.n || len(found.Trouble) == 0 {
				t.Errorf("cut short: %d packages, %q, %v", len(found.Packages), found.Trouble, err)
			}
			nothingLeft(t, server.Client(t), Label)
		})
	}
}

// TestRealRPM looks into an image of the real engine that is laid out like Fedora:
// the directory of old is a link to that of today.
func TestRealRPM(t *testing.T) {
	c := dockertest.Real(t)
	prefix := dockertest.Prefix(t, c)
	data, err := os.ReadFile(filepath.Join(dockertest.Samples(t, "rpm"), "rpmdb.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	root := packed(t,
		file("etc/os-release"), "ID=fedora\nVERSION_ID=40\n",
		file("usr/lib/sysimage/rpm/rpmdb.sqlite"), string(data),
		tar.Header{Name: "var/lib/rpm", Typeflag: tar.TypeSymlink, Linkname: "../../usr/lib/sysimage/rpm"}, "",
		file("lib/apk/db/installed"), "P:musl\nV:1.2.5-r0\nA:x86_64\n\n",
	)
	dockertest.Import(t, c, bytes.NewReader(root), prefix, "fedora:1")
	found, err := look(t, t.Context(), c, prefix+"fedora:1")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(found); len(got) != 142 || !slices.Contains(got, "rpm openssl-libs 1:3.0.7-6.el9_2") || !slices.Contains(got, "apk musl 1.2.5-r0") || len(found.Trouble) > 0 {
		t.Errorf("%d packages, %q: %q", len(got), found.Trouble, got)
	}
	nothingLeft(t, c, prefixLabel+"="+prefix)
}
