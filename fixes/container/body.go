package container

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"plimsoll/checks"
)

// A body is everything that the engine is told to create a replacement.
type body struct {
	options client.ContainerCreateOptions
	connect []endpoint // networks to connect to after creation, on engines that take one at creation
}

// An endpoint is a container's place in a network.
type endpoint struct {
	network  string
	settings *network.EndpointSettings
}

// body returns how to create a container that an inspection shows as want,
// from image, which the reference ref names.
//
// An inspection is not a request: it shows what was filled in, and hides what
// was emptied. Every line below undoes one of these differences.
func (w *world) body(want *checks.Settings, image *image.InspectResponse, ref, tx string) body {
	s := want.Clone()
	old := w.inspect()
	config, host := s.Config, s.Host

	if w.another(image) {
		rebase(config, old.Config, w.container.Image, image)
	}
	config.Image = ref
	w.identity(s, image, ref, tx)

	// Nothing asks for the image's entry point, so that emptying it takes
	// one empty word.
	if len(config.Entrypoint) == 0 && len(imageConfig(image).Entrypoint) > 0 {
		config.Entrypoint = []string{""}
	}
	w.nameVolumes(s, image)
	hostDefaults(host)
	if host.NetworkMode.IsContainer() {
		// They belong to the container whose network it is.
		config.Hostname, config.Domainname, config.ExposedPorts = "", "", nil
		host.PortBindings, host.PublishAllPorts = nil, false
	} else {
		for port := range host.PortBindings {
			if config.ExposedPorts == nil {
				config.ExposedPorts = network.PortSet{}
			}
			config.ExposedPorts[port] = struct{}{}
		}
	}
	if host.UTSMode.IsHost() || strings.HasPrefix(old.ID, config.Hostname) {
		config.Hostname = ""
	}

	b := body{options: client.ContainerCreateOptions{Config: config, HostConfig: host, Name: w.name() + newSuffix}}
	b.options.NetworkingConfig, b.connect = w.endpoints(s)
	return b
}

// another reports whether image is neither the one that the container runs nor
// one that was made of the container.
func (w *world) another(image *image.InspectResponse) bool {
	return image.ID != w.inspect().Image && image.ID != w.made
}

// identity sets the labels by which the replacement is found again. Those of
// an earlier transaction are replaced, never stacked.
func (w *world) identity(s *checks.Settings, image *image.InspectResponse, ref, tx string) {
	labels := withoutOurs(s.Config.Labels, imageLabels(image))
	labels[labelTx], labels[labelReplaces], labels[labelName] = tx, w.inspect().ID, w.name()
	if strings.HasPrefix(ref, "sha256:") {
		if name := w.reference(); !strings.HasPrefix(name, "sha256:") {
			labels[labelImage] = name
		}
	}
	s.Config.Labels = labels
}

// withoutOurs returns labels without those of a transaction, except where the
// image itself has them.
func withoutOurs(labels, image map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		ours := k == labelTx || k == labelReplaces || k == labelName || k == labelImage || k == labelWritten
		if was, ok := image[k]; !ours || ok && was == v {
			out[k] = v
		}
	}
	return out
}

// nameVolumes makes the replacement use the anonymous volumes of the original,
// which have no name but their id, instead of fresh empty ones.
func (w *world) nameVolumes(s *checks.Settings, image *image.InspectResponse) {
	byPath := map[string]api.MountPoint{}
	for _, m := range w.inspect().Mounts {
		if m.Type == mount.TypeVolume && m.Name != "" {
			byPath[m.Destination] = m
		}
	}
	named := map[string]bool{}
	for i := range s.Host.Mounts {
		m := &s.Host.Mounts[i]
		named[m.Target] = true
		if m.Type == mount.TypeVolume && m.Source == "" {
			m.Source = byPath[m.Target].Name
		}
	}
	for _, bind := range s.Host.Binds {
		named[bindTarget(bind)] = true
	}
	for path := range s.Host.Tmpfs {
		named[path] = true
	}
	declared := maps.Clone(s.Config.Volumes)
	if declared == nil {
		declared = map[string]struct{}{}
	}
	for path := range imageConfig(image).Volumes {
		declared[path] = struct{}{}
	}
	for _, path := range slices.Sorted(maps.Keys(declared)) {
		if m, ok := byPath[path]; ok && !named[path] && !w.inherited(m) {
			s.Host.Mounts = append(s.Host.Mounts, mount.Mount{
				Type: mount.TypeVolume, Source: m.Name, Target: path, ReadOnly: !m.RW,
				// An emptied volume must not be filled from the image again.
				VolumeOptions: &mount.VolumeOptions{NoCopy: true},
			})
			named[path] = true
		}
		if named[path] {
			delete(s.Config.Volumes, path)
		}
	}
}

// inherited reports whether m came from another container by --volumes-from:
// it will come again.
func (w *world) inherited(m api.MountPoint) bool {
	for _, from := range w.inspect().HostConfig.VolumesFrom {
		source, _, _ := strings.Cut(from, ":")
		for _, other := range w.all {
			if !isContainer(&other, source) {
				continue
			}
			for _, o := range other.Mounts {
				if o.Name == m.Name && o.Destination == m.Destination {
					return true
				}
			}
		}
	}
	return false
}

// bindTarget returns where "source:target:options" is mounted.
func bindTarget(bind string) string {
	if parts := strings.Split(bind, ":"); len(parts) > 1 {
		return parts[1]
	}
	return ""
}

// hostDefaults takes out of h what the engine filled in and would refuse, or
// would keep although it should choose anew.
func hostDefaults(h *api.HostConfig) {
	if isDefault(h.MaskedPaths, defaultMasked) {
		h.MaskedPaths = nil
	}
	if isDefault(h.ReadonlyPaths, defaultReadonly) {
		h.ReadonlyPaths = nil
	}
	h.ContainerIDFile = ""
	h.ConsoleSize = [2]uint{}
	for i, l := range h.Links {
		h.Links[i] = link(l)
	}
	podmanDefaults(h)
}

// podmanDefaults takes out of h what Podman says in other words than those in which
// it is asked, or says twice. Docker says nothing of the kind.
func podmanDefaults(h *api.HostConfig) {
	for i, limit := range h.Ulimits {
		if name, ok := strings.CutPrefix(limit.Name, "RLIMIT_"); ok {
			own := *limit
			own.Name = strings.ToLower(name)
			h.Ulimits[i] = &own
		}
	}
	if h.NanoCPUs > 0 {
		h.CPUQuota, h.CPUPeriod = 0, 0 // the same once more
	}
	for i := range h.Devices {
		h.Devices[i].CgroupPermissions = cmp.Or(h.Devices[i].CgroupPermissions, "rwm")
	}
	if h.MemorySwappiness != nil && *h.MemorySwappiness < 0 {
		h.MemorySwappiness = nil
	}
	if h.Runtime == "oci" {
		h.Runtime = ""
	}
}

// link turns "/source:/container/alias", as the engine shows it, into
// "source:alias", as it was asked for.
func link(l string) string {
	source, alias, ok := strings.Cut(l, ":")
	if !ok {
		return l
	}
	return strings.TrimPrefix(source, "/") + ":" + alias[strings.LastIndexByte(alias, '/')+1:]
}

// Paths that engines have hidden or protected by default, over all versions.
// A list that consists of these is the engine's own: carrying it over would
// keep the container without what a newer engine adds.
var (
	defaultMasked = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
		"/sys/firmware",
	}
	defaultReadonly = []string{"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// isDefault reports whether paths are a default of some engine. A list with
// less than most of them was chosen by someone; an empty one turns it off.
func isDefault(paths, known []string) bool {
	if len(paths) < 5 {
		return false
	}
	for _, p := range paths {
		if !slices.Contains(known, p) && !strings.HasPrefix(p, "/sys/devices/system/cpu/cpu") {
			return false
		}
	}
	return true
}

// endpoints returns the networks to create the replacement with, and those to
// connect it to afterwards.
func (w *world) endpoints(s *checks.Settings) (*network.NetworkingConfig, []endpoint) {
	mode := s.Host.NetworkMode
	if mode.IsHost() || mode.IsNone() || mode.IsContainer() || len(s.Networks) == 0 {
		return nil, nil
	}
	names := slices.Sorted(maps.Keys(s.Networks))
	primary := primaryNetwork(s)
	if _, ok := s.Networks[primary]; !ok {
		// It was moved while it ran: the mode still names the network of its birth.
		primary = names[0]
		s.Host.NetworkMode = api.NetworkMode(primary)
	}
	create := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{}}
	var later []endpoint
	for _, name := range names {
		e := w.request(name, s.Networks[name])
		if name == primary || versions.GreaterThanOrEqualTo(w.api, "1.44") {
			create.EndpointsConfig[name] = e
		} else {
			later = append(later, endpoint{name, e})
		}
	}
	if w.mac != "" && versions.GreaterThanOrEqualTo(w.api, "1.44") {
		if e := create.EndpointsConfig[primary]; e != nil {
			_ = e.MacAddress.UnmarshalText([]byte(w.mac)) // an address that the engine has written
		}
	}
	return create, later
}

// primaryNetwork returns the name of the network that s was created in.
func primaryNetwork(s *checks.Settings) string {
	mode := string(s.Host.NetworkMode)
	if mode == "" || mode == network.NetworkDefault {
		return network.NetworkBridge
	}
	for name, e := range s.Networks {
		if e != nil && e.NetworkID != "" && len(mode) >= 12 && strings.HasPrefix(e.NetworkID, mode) {
			return name
		}
	}
	return mode
}

// request returns what to ask for so that an inspection shows e: addresses
// only where they were asked for, no names that the engine makes up.
func (w *world) request(name string, e *network.EndpointSettings) *network.EndpointSettings {
	if e == nil {
		return &network.EndpointSettings{}
	}
	r := &network.EndpointSettings{DriverOpts: maps.Clone(e.DriverOpts), GwPriority: e.GwPriority}
	for _, l := range e.Links {
		r.Links = append(r.Links, link(l))
	}
	if name == network.NetworkBridge {
		return r // it has neither addresses nor names of the user's choice
	}
	r.Aliases = ownAliases(e.Aliases, w.inspect())
	if c := e.IPAMConfig; c != nil && (c.IPv4Address.IsValid() || c.IPv6Address.IsValid() || len(c.LinkLocalIPs) > 0) {
		r.IPAMConfig = c.Copy()
	}
	return r
}

// ownAliases returns aliases without those that the engine adds to every
// endpoint of c.
func ownAliases(aliases []string, c *api.InspectResponse) []string {
	var out []string
	for _, a := range aliases {
		if a != short(c.ID) && !(c.Config != nil && a == c.Config.Hostname) {
			out = append(out, a)
		}
	}
	return out
}

// isContainer reports whether ref, a name or an id or the start of one, names c.
func isContainer(c *api.InspectResponse, ref string) bool {
	ref = strings.TrimPrefix(ref, "/")
	return ref != "" && (ref == containerName(c) || len(ref) >= 12 && strings.HasPrefix(c.ID, ref))
}
