package dockertest

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/volume"
)

// mounts resolves what a container mounts. Later kinds win over earlier ones
// at the same path: VolumesFrom, Binds, Mounts; volumes of the configuration
// and the image take what is left.
func (s *Server) mounts(c *ctr) error {
	points := map[string]container.MountPoint{}
	anonymous := func(target string) container.MountPoint {
		v := s.addVolume(volume.CreateRequest{})
		c.anonymous = append(c.anonymous, v.Name)
		return point(v, target, "", true)
	}
	for _, from := range c.HostConfig.VolumesFrom {
		name, mode, _ := strings.Cut(from, ":")
		other, err := s.find(name)
		if err != nil {
			return badRequest("%v", err)
		}
		for _, m := range other.Mounts {
			m.RW = m.RW && mode != "ro"
			points[m.Destination] = m
		}
	}
	for _, bind := range c.HostConfig.Binds {
		parts := strings.Split(bind, ":")
		if len(parts) < 2 || len(parts) > 3 || !strings.HasPrefix(parts[1], "/") {
			return badRequest("invalid volume specification: '%s'", bind)
		}
		mode := ""
		if len(parts) == 3 {
			mode = parts[2]
		}
		target, rw := path.Clean(parts[1]), !slices.Contains(strings.Split(mode, ","), "ro")
		if strings.HasPrefix(parts[0], "/") {
			points[target] = container.MountPoint{Type: mount.TypeBind, Source: path.Clean(parts[0]), Destination: target, Mode: mode, RW: rw, Propagation: mount.PropagationRPrivate}
			continue
		}
		if !validVolume(parts[0]) {
			return badRequest("create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", parts[0], parts[0])
		}
		m := point(s.addVolume(volume.CreateRequest{Name: parts[0]}), target, cmp.Or(mode, "z"), rw)
		points[target] = m
	}
	for _, m := range c.HostConfig.Mounts {
		target := path.Clean(m.Target)
		switch m.Type {
		case mount.TypeVolume:
			request := volume.CreateRequest{Name: m.Source}
			if m.VolumeOptions != nil {
				request.Labels = m.VolumeOptions.Labels
			}
			v := s.addVolume(request)
			if m.Source == "" {
				c.anonymous = append(c.anonymous, v.Name)
			}
			points[target] = point(v, target, "z", !m.ReadOnly)
		case mount.TypeBind:
			points[target] = container.MountPoint{Type: mount.TypeBind, Source: m.Source, Destination: target, RW: !m.ReadOnly, Propagation: mount.PropagationRPrivate}
		case mount.TypeTmpfs:
			points[target] = container.MountPoint{Type: mount.TypeTmpfs, Destination: target, RW: !m.ReadOnly}
		}
	}
	for _, target := range slices.Sorted(maps.Keys(c.Config.Volumes)) {
		target = path.Clean(target)
		if _, taken := points[target]; taken {
			continue
		}
		if _, taken := c.HostConfig.Tmpfs[target]; taken {
			continue
		}
		points[target] = anonymous(target)
	}
	c.Mounts = []container.MountPoint{}
	for _, target := range slices.Sorted(maps.Keys(points)) {
		c.Mounts = append(c.Mounts, points[target])
	}
	return nil
}

func point(v *vol, target, mode string, rw bool) container.MountPoint {
	return container.MountPoint{
		Type: mount.TypeVolume, Name: v.Name, Source: v.Mountpoint, Destination: target, Driver: v.Driver, Mode: mode, RW: rw,
	}
}
