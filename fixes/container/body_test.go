package container

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	spec "github.com/moby/docker-image-spec/specs-go/v1"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	subject "plimsoll/checks/container"
)

// original returns a world of one container without an engine.
func original(change func(*api.InspectResponse)) *world {
	c := api.InspectResponse{
		ID: strings.Repeat("abc0", 16), Name: "/app", Image: "sha256:old",
		Config:          &api.Config{Hostname: "abc0abc0abc0", Image: "app:1", Labels: map[string]string{}},
		HostConfig:      &api.HostConfig{NetworkMode: "default"},
		State:           &api.State{Running: true},
		NetworkSettings: &api.NetworkSettings{Networks: map[string]*network.EndpointSettings{"bridge": {}}},
	}
	change(&c)
	i := &image.InspectResponse{ID: "sha256:old", Config: &spec.DockerOCIImageConfig{}}
	s := subject.New(c, i, "sha256:old", time.Time{})
	return &world{container: s, tag: i, surroundings: surroundings{api: "1.41"}}
}

// bodyOf returns what c is created again with.
func bodyOf(change func(*api.InspectResponse)) (*api.InspectResponse, body) {
	w := original(change)
	b := w.body(&w.container.Settings, w.container.Image, "app:1", "tx")
	return w.wanted(b), b
}

func TestFields(t *testing.T) {
	port := network.MustParsePort("80/tcp")
	for name, c := range map[string]struct {
		change func(*api.InspectResponse)
		got    func(body) any
		want   any
	}{
		"a default host name is not carried": {
			func(*api.InspectResponse) {}, func(b body) any { return b.options.Config.Hostname }, "",
		},
		"a chosen one is": {
			func(c *api.InspectResponse) { c.Config.Hostname = "box" }, func(b body) any { return b.options.Config.Hostname }, "box",
		},
		//scenario:40
		"nor that of another container": {
			func(c *api.InspectResponse) {
				c.Config.Hostname, c.HostConfig.NetworkMode = "donor", api.NetworkMode("container:"+strings.Repeat("d", 64))
			},
			func(b body) any { return b.options.Config.Hostname }, "",
		},
		//scenario:40
		"ports of a shared network are its owner's": {
			func(c *api.InspectResponse) {
				c.HostConfig.NetworkMode = api.NetworkMode("container:" + strings.Repeat("d", 64))
				c.Config.ExposedPorts = network.PortSet{port: {}}
			},
			func(b body) any { return len(b.options.Config.ExposedPorts) }, 0,
		},
		"published ports are exposed": {
			func(c *api.InspectResponse) { c.HostConfig.PortBindings = network.PortMap{port: {{}}} },
			func(b body) any { _, ok := b.options.Config.ExposedPorts[port]; return ok }, true,
		},
		//scenario:43
		"known lists of paths are left to the engine": {
			func(c *api.InspectResponse) { c.HostConfig.MaskedPaths = defaultMasked[:9] },
			func(b body) any { return b.options.HostConfig.MaskedPaths == nil }, true,
		},
		//scenario:44
		"an emptied list stays empty": {
			func(c *api.InspectResponse) { c.HostConfig.MaskedPaths = []string{} },
			func(b body) any { m := b.options.HostConfig.MaskedPaths; return m != nil && len(m) == 0 }, true,
		},
		"a chosen list stays": {
			func(c *api.InspectResponse) { c.HostConfig.MaskedPaths = []string{"/proc/kcore", "/own"} },
			func(b body) any { return len(b.options.HostConfig.MaskedPaths) }, 2,
		},
		//scenario:41
		"links are written as they were asked for": {
			func(c *api.InspectResponse) { c.HostConfig.Links = []string{"/db:/app/store"} },
			func(b body) any { return b.options.HostConfig.Links[0] }, "db:store",
		},
		"an anonymous volume gets its name": {
			func(c *api.InspectResponse) {
				c.Config.Volumes = map[string]struct{}{"/data": {}}
				c.Mounts = []api.MountPoint{{Type: mount.TypeVolume, Name: "0123", Destination: "/data", RW: true}}
			},
			func(b body) any { m := b.options.HostConfig.Mounts; return m[0].Source + m[0].Target }, "0123/data",
		},
		"and is no longer declared": {
			func(c *api.InspectResponse) {
				c.Config.Volumes = map[string]struct{}{"/data": {}}
				c.Mounts = []api.MountPoint{{Type: mount.TypeVolume, Name: "0123", Destination: "/data", RW: true}}
			},
			func(b body) any { return len(b.options.Config.Volumes) }, 0,
		},
		"a mount without source too": {
			func(c *api.InspectResponse) {
				c.HostConfig.Mounts = []mount.Mount{{Type: mount.TypeVolume, Target: "/x"}}
				c.Mounts = []api.MountPoint{{Type: mount.TypeVolume, Name: "0123", Destination: "/x", RW: true}}
			},
			func(b body) any { m := b.options.HostConfig.Mounts; return m[0].Source }, "0123",
		},
		"binds stay binds": {
			func(c *api.InspectResponse) {
				c.HostConfig.Binds = []string{"vol:/x:ro"}
				c.Config.Volumes = map[string]struct{}{"/x": {}}
				c.Mounts = []api.MountPoint{{Type: mount.TypeVolume, Name: "vol", Destination: "/x"}}
			},
			func(b body) any { return len(b.options.HostConfig.Mounts) }, 0,
		},
		//scenario:36
		"operational addresses are not asked for": {
			func(c *api.InspectResponse) {
				c.HostConfig.NetworkMode = "n"
				c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"n": {IPAMConfig: &network.EndpointIPAMConfig{}, Aliases: []string{"abc0abc0abc0", "web"}}}
			},
			func(b body) any {
				e := b.options.NetworkingConfig.EndpointsConfig["n"]
				return e.IPAMConfig == nil && slices.Equal(e.Aliases, []string{"web"})
			}, true,
		},
		//scenario:39
		"a moved container is made where it is": {
			func(c *api.InspectResponse) {
				c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"n": {}}
			},
			func(b body) any { return string(b.options.HostConfig.NetworkMode) }, "n",
		},
		"the mode chooses the first network": {
			func(c *api.InspectResponse) {
				c.HostConfig.NetworkMode = "z"
				c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"a": {}, "z": {}}
			},
			func(b body) any {
				_, ok := b.options.NetworkingConfig.EndpointsConfig["z"]
				return ok && b.connect[0].network == "a"
			}, true,
		},
		"a mode by id too": {
			func(c *api.InspectResponse) {
				c.HostConfig.NetworkMode = api.NetworkMode(strings.Repeat("e", 64))
				c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"a": {}, "z": {NetworkID: strings.Repeat("e", 64)}}
			},
			func(b body) any { return b.connect[0].network }, "a",
		},
		"host networks have no endpoint": {
			func(c *api.InspectResponse) {
				c.HostConfig.NetworkMode = "host"
				c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"host": {}}
			},
			func(b body) any { return b.options.NetworkingConfig == nil }, true,
		},
		//scenario:37
		"labels of an earlier change are replaced": {
			func(c *api.InspectResponse) { c.Config.Labels[labelTx] = "earlier" },
			func(b body) any { return b.options.Config.Labels[labelTx] }, "tx",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, b := bodyOf(c.change); c.got(b) != c.want {
				t.Errorf("got %v, want %v", c.got(b), c.want)
			}
		})
	}
}

// TestPlanningChangesNothing: the snapshot is somebody else's.
func TestPlanningChangesNothing(t *testing.T) {
	w := original(func(c *api.InspectResponse) {
		c.Config.Volumes = map[string]struct{}{"/data": {}}
		c.HostConfig.CapAdd = []string{"CAP_SYS_TIME"}
		c.HostConfig.Links = []string{"/db:/app/store"}
		c.Mounts = []api.MountPoint{{Type: mount.TypeVolume, Name: "0123", Destination: "/data", RW: true}}
	})
	before := pretty(w.container)
	w.body(&w.container.Settings, w.container.Image, "app:1", "tx")
	created(w.inspect())
	if after := pretty(w.container); after != before {
		t.Errorf("was %s\nis %s", before, after)
	}
}

//scenario:32,33,34
func TestRebase(t *testing.T) {
	imageOf := func(c ocispec.ImageConfig) *image.InspectResponse {
		return &image.InspectResponse{Config: &spec.DockerOCIImageConfig{ImageConfig: c}}
	}
	old := imageOf(ocispec.ImageConfig{
		Entrypoint: []string{"/start"}, Cmd: []string{"a"}, Env: []string{"PATH=/old", "A=1"}, User: "app", ExposedPorts: map[string]struct{}{"80/tcp": {}},
	})
	new := imageOf(ocispec.ImageConfig{
		Entrypoint: []string{"/begin"}, Cmd: []string{"b"}, Env: []string{"PATH=/new"}, User: "web", ExposedPorts: map[string]struct{}{"81/tcp": {}},
	})
	for name, c := range map[string]struct{ was, want api.Config }{
		"everything is the image's": {
			api.Config{Entrypoint: []string{"/start"}, Cmd: []string{"a"}, Env: []string{"PATH=/old", "A=1"}, User: "app"},
			api.Config{Entrypoint: []string{"/begin"}, Cmd: []string{"b"}, Env: []string{"PATH=/new"}, User: "web"},
		},
		"everything is the user's": {
			api.Config{Entrypoint: []string{"/own"}, Cmd: []string{"c"}, Env: []string{"PATH=/own", "B=2"}, User: "me"},
			api.Config{Entrypoint: []string{"/own"}, Cmd: []string{"c"}, Env: []string{"PATH=/own", "B=2"}, User: "me"},
		},
		"a command belongs to its entry point": {
			api.Config{Entrypoint: []string{"/own"}, Cmd: []string{"a"}, Env: []string{"PATH=/new"}},
			api.Config{Entrypoint: []string{"/own"}, Cmd: []string{"a"}, Env: []string{"PATH=/new"}},
		},
		"an own command keeps the image's entry point": {
			api.Config{Entrypoint: []string{"/start"}, Cmd: []string{"c"}, Env: []string{"PATH=/new"}},
			api.Config{Entrypoint: []string{"/begin"}, Cmd: []string{"c"}, Env: []string{"PATH=/new"}},
		},
		"a marker hides a variable": {
			api.Config{Env: []string{"PATH"}}, api.Config{Env: []string{"PATH"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.was
			rebase(&got, &c.was, old, new)
			if got.User != c.want.User || !slices.Equal(got.Entrypoint, c.want.Entrypoint) || !slices.Equal(got.Cmd, c.want.Cmd) || !slices.Equal(got.Env, c.want.Env) {
				t.Errorf("got %s\nwant %s", pretty(got), pretty(c.want))
			}
			if _, ok := got.ExposedPorts[network.MustParsePort("81/tcp")]; !ok {
				t.Errorf("ports %v", got.ExposedPorts)
			}
		})
	}
}

//scenario:46
func TestUnknownSettings(t *testing.T) {
	raw := `{"Id":"1","Config":{"Hostname":"x","MacAddress":"02:42:00:00:00:01","Novel":"x","Empty":""},
		"HostConfig":{"Memory":1,"KernelMemory":5,"Deep":{"List":[1]},"Mounts":[{"Type":"bind","Fancy":true}],"Off":false},
		"NetworkSettings":{"Bridge":"b","Networks":{"n":{"Aliases":["a"],"Weird":{"x":1}}}}}`
	var c api.InspectResponse
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		t.Fatal(err)
	}
	unknown, mac, err := unknownSettings([]byte(raw), &c)
	slices.Sort(unknown)
	want := []string{"Config.Novel", "HostConfig.Deep", "HostConfig.Mounts[0].Fancy", "Networks.n.Weird"}
	if err != nil || !slices.Equal(unknown, want) || mac != "02:42:00:00:00:01" {
		t.Errorf("%v, %s, %v", unknown, mac, err)
	}
}

func TestListening(t *testing.T) {
	ports := map[uint16]bool{}
	listening("  sl  local_address rem_address   st\n"+
		"   0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n"+
		"   1: 0100007F:0050 0100007F:9999 01 00000000:00000000\n"+
		"   2: 00000000000000000000000000000000:01BB 0:0000 0A\n", ports)
	if len(ports) != 2 || !ports[8080] || !ports[443] {
		t.Errorf("%v", ports)
	}
}
