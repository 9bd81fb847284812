package assets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"

	dockercontainer "github.com/moby/moby/api/types/container"
	dockerimage "github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"

	"plimsoll/checks"
	"plimsoll/checks/host"
	"plimsoll/checks/inventory"
)

// hostOf returns an engine from an excerpt of docker info, of its default
// bridge, of the list of running containers, or of anything that docker inspect
// tells of what the host has; several of these in an array.
func hostOf(source []byte) (checks.Subject, error) {
	h := &host.Host{Now: clock, Endpoint: "unix:///var/run/docker.sock"}
	return h, tell(h, source)
}

// tell adds to h what answers of the engine say.
func tell(h *host.Host, source []byte) error {
	parts := []json.RawMessage{source}
	if bytes.HasPrefix(bytes.TrimSpace(source), []byte("[")) {
		if err := json.Unmarshal(source, &parts); err != nil {
			return err
		}
	}
	var images []dockerimage.InspectResponse
	var containers []dockercontainer.InspectResponse
	for _, part := range parts {
		if err := addToHost(h, part, &containers, &images); err != nil {
			return err
		}
	}
	if h.Networks != nil || h.Volumes != nil {
		h.Attached = []host.Attached{}
	}
	for _, c := range containers {
		a := host.Inspected(c)
		for _, i := range images {
			a.Outdated = a.Outdated || i.ID != c.Image && slices.Contains(i.RepoTags, a.Image)
		}
		h.Attached = append(h.Attached, a)
	}
	return nil
}

// addToHost adds one excerpt to h. What it is of can be told by its fields.
func addToHost(h *host.Host, part json.RawMessage, containers *[]dockercontainer.InspectResponse, images *[]dockerimage.InspectResponse) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(part, &keys); err != nil {
		return err
	}
	has := func(all ...string) bool {
		return !slices.ContainsFunc(all, func(key string) bool { return keys[key] == nil })
	}
	managed := func() *host.Swarm {
		if h.Swarm == nil {
			h.Swarm = &host.Swarm{Services: []swarm.Service{}, Secrets: []swarm.Secret{}, Configs: []swarm.Config{}}
			h.Info.Swarm.LocalNodeState, h.Info.Swarm.ControlAvailable = swarm.LocalNodeStateActive, true
		}
		return h.Swarm
	}
	switch {
	case has("Names"):
		var running struct{ Names, Image, Ports string }
		if err := strict(part, &running); err != nil {
			return err
		}
		h.Containers = append(h.Containers, host.Running{Name: running.Names, Image: running.Image, Published: running.Ports})
		return nil
	case has("Type", "TotalCount"):
		return diskUsage(h, part)
	case has("Platform"), has("Components"):
		return versionOf(h, part)
	case has("Mountpoint"):
		h.Volumes = append(h.Volumes, host.Volume{})
		return strict(part, &h.Volumes[len(h.Volumes)-1].Volume)
	case has("NetworkSettings"), has("Mounts"):
		*containers = append(*containers, dockercontainer.InspectResponse{State: &dockercontainer.State{Running: true}})
		return strict(part, &(*containers)[len(*containers)-1])
	case has("RepoTags"):
		*images = append(*images, dockerimage.InspectResponse{})
		return strict(part, &(*images)[len(*images)-1])
	case has("Driver", "Name"):
		h.Networks = append(h.Networks, network.Network{})
		return strict(part, &h.Networks[len(h.Networks)-1])
	case has("Driver", "Options"):
		h.Bridge = new(network.Inspect)
		return strict(part, h.Bridge)
	case has("dst", "dev"):
		var route struct{ Dst, Dev string }
		if err := strict(part, &route); err != nil {
			return err
		}
		to, err := netip.ParsePrefix(route.Dst)
		h.Routes = append(h.Routes, host.Route{To: to, Interface: route.Dev})
		return err
	case has("ListenAddr"):
		managed().Local = &host.Node{Source: "docker-state.json"}
		return strict(part, h.Swarm.Local)
	case has("worker-token"), has("manager-token"), has("unlock-key"):
		managed().Keys = &host.Keys{}
		return strict(part, h.Swarm.Keys)
	case has("Spec") && bytes.Contains(keys["Spec"], []byte("TaskTemplate")):
		managed().Services = append(managed().Services, swarm.Service{})
		return strict(part, &h.Swarm.Services[len(h.Swarm.Services)-1])
	case has("Spec"):
		managed().Secrets = append(managed().Secrets, swarm.Secret{})
		return strict(part, &h.Swarm.Secrets[len(h.Swarm.Secrets)-1])
	}
	if err := strict(part, &h.Info); err != nil {
		return err
	}
	if h.Info.Swarm.ControlAvailable {
		managed()
	}
	return nil
}

// versionOf reads an excerpt of docker version.
func versionOf(h *host.Host, source []byte) error {
	var version system.VersionResponse
	if err := strict(source, &version); err != nil {
		return err
	}
	h.Info.OSType, h.Platform, h.Parts = "linux", version.Platform.Name, map[string]host.Part{}
	for _, c := range version.Components {
		h.Parts[c.Name] = host.Part{Version: c.Version, Commit: c.Details["GitCommit"]}
		if c.Name == "Engine" {
			h.Info.ServerVersion = c.Version
		}
	}
	return nil
}

// diskUsage reads a row of docker system df --format json.
func diskUsage(h *host.Host, source []byte) error {
	var row struct{ Type, TotalCount, Active, Size, Reclaimable string }
	if err := strict(source, &row); err != nil {
		return err
	}
	total, err := strconv.Atoi(row.TotalCount)
	if err != nil {
		return err
	}
	active, err := strconv.Atoi(row.Active)
	if err != nil {
		return err
	}
	gigabytes, err := strconv.ParseFloat(strings.TrimSuffix(row.Size, "GB"), 64)
	if err != nil {
		return err
	}
	switch row.Type {
	case "Images":
		h.Usage.Images, h.Usage.UnusedImages, h.Usage.UnusedSize = total, total-active, int64(gigabytes*1e9)
	case "Build Cache":
		h.Usage.BuildCache = int64(gigabytes * 1e9)
	default:
		return fmt.Errorf("no examples of %q", row.Type)
	}
	return nil
}

// madeUp is who owns a file of an example.
type madeUp struct{ uid, gid int }

func (m madeUp) Owner() (uid, gid int) { return m.uid, m.gid }

// siteOf returns a local engine of the user anna from parts that begin with
// "-- NAME [MODE OWNER:GROUP] --". NAME is the path of a file, "environment",
// or a docker command, whose answer follows as JSON.
func siteOf(source string) (checks.Subject, error) {
	ids := map[string]int{"root": 0, "anna": 1000, "bob": 1001, "docker": 999, "users": 100}
	root := fstest.MapFS{
		"etc/passwd":     {Data: []byte("root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n")},
		"etc/group":      {Data: []byte("root:x:0:\nanna:x:1000:\nbob:x:1001:\nusers:x:100:\ndocker:x:999:\n")},
		"proc/1/cmdline": {Data: []byte("/usr/bin/dockerd\x00")},
	}
	h := host.Host{Now: clock, Endpoint: "unix:///var/run/docker.sock"}
	h.Info.OSType, h.Info.LoggingDriver, h.Info.DockerRootDir = "linux", "json-file", "/var/lib/docker"
	environment := map[string]string{}
	for _, part := range strings.Split("\n"+source, "\n-- ")[1:] {
		head, content, _ := strings.Cut(part, "\n")
		head, ok := strings.CutSuffix(head, " --")
		if !ok {
			return nil, fmt.Errorf("%q has no -- at its end", head)
		}
		switch name, rest, _ := strings.Cut(head, " "); {
		case name == "environment":
			for line := range strings.Lines(content) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				environment[key] = value
			}
		case name == "docker":
			if err := tell(&h, []byte(content)); err != nil {
				return nil, fmt.Errorf("docker %s: %w", rest, err)
			}
		default:
			file := &fstest.MapFile{Data: []byte(content), Mode: 0o644, Sys: madeUp{}}
			if name == "/proc/1/cmdline" {
				file.Data = []byte(strings.ReplaceAll(strings.TrimSpace(content), " ", "\x00") + "\x00")
			}
			if strings.HasPrefix(name, "/home/anna/") {
				file.Sys = madeUp{1000, 1000}
			}
			if mode, who, given := strings.Cut(rest, " "); given {
				bits, err := strconv.ParseUint(mode, 8, 32)
				if err != nil {
					return nil, err
				}
				user, group, _ := strings.Cut(who, ":")
				file.Mode, file.Sys = fs.FileMode(bits), madeUp{ids[user], ids[group]}
			}
			root[strings.TrimPrefix(name, "/")] = file
		}
	}
	site := inventory.Site{Root: root, Home: "/home/anna", Env: func(key string) string { return environment[key] }, Daemon: 1}
	return site.Describe(h), nil
}
