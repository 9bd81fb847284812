package container

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
)

// A view is settings by field, each as JSON, without what is empty.
type view map[string]string

// flatten adds the fields of v below path. Lists are one value.
func (f view) flatten(path string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic("fixes/container: settings do not marshal: " + err.Error())
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic("fixes/container: settings do not unmarshal: " + err.Error())
	}
	f.add(path, tree)
}

func (f view) add(path string, v any) {
	if m, ok := v.(map[string]any); ok {
		for k, v := range m {
			f.add(path+"."+k, v)
		}
		return
	}
	if !empty(v) {
		data, _ := json.Marshal(v) // it was just unmarshalled
		f[path] = string(data)
	}
}

// differences returns the fields in which a and b differ, in order.
func (f view) differences(other view) []string {
	var out []string
	for k, v := range f {
		if other[k] != v {
			out = append(out, k)
		}
	}
	for k := range other {
		if _, ok := f[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// created returns what c was created from in a form in which two containers
// that were created alike are equal, whatever the engine made up for each.
func created(c *api.InspectResponse) view {
	s := settings(c)
	config, host := s.Config, s.Host
	if strings.HasPrefix(c.ID, config.Hostname) || host.NetworkMode.IsContainer() || host.UTSMode.IsHost() {
		config.Hostname = ""
	}
	if len(config.Entrypoint) == 1 && config.Entrypoint[0] == "" {
		config.Entrypoint = nil // how emptying it was asked for
	}
	config.Image = ""
	config.Volumes = nil // seen as mounts
	config.Labels = withoutOurs(config.Labels, nil)
	slices.Sort(config.Env)
	hostDefaults(host)
	host.CapAdd, host.CapDrop = capabilities(host.CapAdd), capabilities(host.CapDrop)
	slices.Sort(host.SecurityOpt)
	slices.Sort(host.Links)
	if host.NetworkMode == network.NetworkBridge || host.NetworkMode == "" {
		host.NetworkMode = network.NetworkDefault
	}
	if host.RestartPolicy.Name == "" {
		host.RestartPolicy.Name = api.RestartPolicyDisabled
	}
	hostMounts := host.Mounts
	host.Mounts = nil

	f := view{}
	f.flatten("Config", config)
	f.flatten("HostConfig", host)
	// These make a difference when they are empty but not missing.
	f.emptied("HostConfig.MaskedPaths", host.MaskedPaths)
	f.emptied("HostConfig.ReadonlyPaths", host.ReadonlyPaths)
	for _, m := range hostMounts {
		m.Source, m.VolumeOptions = "", volumeOptions(m) // seen as mounts
		if !onlyNames(m) {
			f.flatten("HostConfig.Mounts["+m.Target+"]", m)
		}
	}
	for _, m := range c.Mounts {
		f["Mounts["+m.Destination+"]"] = fmt.Sprintf("%s %s writable=%t %s", m.Type, mountSource(m), m.RW, m.Propagation)
	}
	if host.NetworkMode.IsHost() || host.NetworkMode.IsNone() || host.NetworkMode.IsContainer() {
		return f
	}
	for name, e := range s.Networks {
		path := "Networks[" + name + "]"
		f[path] = "connected"
		if e == nil {
			continue
		}
		aliases := ownAliases(e.Aliases, c)
		slices.Sort(aliases)
		links := slices.Clone(e.Links)
		for i, l := range links {
			links[i] = link(l)
		}
		f.flatten(path, network.EndpointSettings{IPAMConfig: e.IPAMConfig, Aliases: slices.Compact(aliases), DriverOpts: e.DriverOpts, Links: links, GwPriority: e.GwPriority})
	}
	return f
}

func (f view) emptied(path string, list []string) {
	if list != nil && len(list) == 0 {
		f[path] = "[]"
	}
}

// volumeOptions returns the options of m that matter for a volume that exists.
func volumeOptions(m mount.Mount) *mount.VolumeOptions {
	if m.VolumeOptions == nil || m.VolumeOptions.Subpath == "" {
		return nil
	}
	return &mount.VolumeOptions{Subpath: m.VolumeOptions.Subpath}
}

// onlyNames reports whether m says no more than the list of mounts does.
func onlyNames(m mount.Mount) bool {
	m.Target, m.ReadOnly = "", false
	return m == mount.Mount{Type: mount.TypeVolume}
}

// mountSource returns what is mounted.
func mountSource(m api.MountPoint) string {
	if m.Type == mount.TypeVolume {
		return m.Name
	}
	return m.Source
}

// capabilities returns names in the way that documentation writes them, in order.
func capabilities(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, strings.TrimPrefix(strings.ToUpper(n), "CAP_"))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unexpected returns the fields in which the replacement differs from what was
// wanted. This is the last word before anything happens to the original: what
// the engine dropped, or filled in otherwise, shows here.
func (w *world) unexpected(want, got *api.InspectResponse, image *image.InspectResponse) []string {
	a, b := created(want), created(got)
	var out []string
	for _, field := range a.differences(b) {
		if w.expected(field, image, a, b) {
			continue
		}
		out = append(out, field)
	}
	if got.Image != image.ID {
		out = append(out, "Image")
	}
	sameProgram := want.Path == got.Path && slices.Equal(want.Args, got.Args)
	if !w.another(image) && sameCommand(want.Config, w.inspect().Config) && !sameProgram {
		out = append(out, "Path", "Args")
	}
	return out
}

func sameCommand(a, b *api.Config) bool {
	return slices.Equal(a.Entrypoint, b.Entrypoint) && slices.Equal(a.Cmd, b.Cmd)
}

// expected reports whether a difference in field is no loss.
func (w *world) expected(field string, image *image.InspectResponse, want, got view) bool {
	switch field {
	case "HostConfig.MemorySwap":
		// Without swap accounting the engine says so and drops the limit.
		return !w.info.SwapLimit
	case "HostConfig.MaskedPaths", "HostConfig.ReadonlyPaths":
		// The engine's own list, where its own list was asked for.
		return want[field] == ""
	}
	// A new image may declare volumes that the old one did not.
	path, isMount := strings.CutPrefix(field, "Mounts[")
	_, declared := imageConfig(image).Volumes[strings.TrimSuffix(path, "]")]
	return isMount && declared && want[field] == "" && w.another(image)
}

// wanted returns how an inspection of the replacement should look: that of the
// original with the settings that b asks for.
func (w *world) wanted(b body) *api.InspectResponse {
	c := *w.inspect()
	config, host := *b.options.Config, *b.options.HostConfig
	c.Config, c.HostConfig = &config, &host
	networks := map[string]*network.EndpointSettings{}
	if n := b.options.NetworkingConfig; n != nil {
		maps.Copy(networks, n.EndpointsConfig)
	}
	for _, e := range b.connect {
		networks[e.network] = e.settings
	}
	c.NetworkSettings = &api.NetworkSettings{Networks: networks}
	// What is mounted only now, which is read-only and private.
	c.Mounts = slices.Clone(c.Mounts)
	for _, m := range host.Mounts {
		if m.Type == mount.TypeBind && !slices.ContainsFunc(c.Mounts, func(p api.MountPoint) bool { return p.Destination == m.Target }) {
			c.Mounts = append(c.Mounts, api.MountPoint{Type: m.Type, Source: m.Source, Destination: m.Target, RW: !m.ReadOnly, Propagation: mount.PropagationRPrivate})
		}
	}
	return &c
}
