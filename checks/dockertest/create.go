package dockertest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/storage"
)

// A Container is what [Server.AddContainer] creates.
type Container struct {
	Name     string
	Config   container.Config
	Host     container.HostConfig
	Networks map[string]*network.EndpointSettings
	Age      time.Duration // how long ago it was created and started
	Stopped  bool          // created only
}

// AddContainer creates a container by the rules of API 1.44, so with any number
// of networks, and starts it unless it says otherwise. It returns its id.
func (s *Server) AddContainer(c Container) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	config, host := c.Config, c.Host
	made, _, err := s.create(createRequest{
		name: c.Name, config: &config, host: &host, endpoints: c.Networks, version: version{1, 44},
	})
	if err != nil {
		return "", err
	}
	if !c.Stopped {
		if err := s.start(made); err != nil {
			return "", err
		}
	}
	if c.Age > 0 {
		made.created = made.created.Add(-c.Age)
		made.Created = stamp(made.created)
		if !c.Stopped {
			made.started = made.started.Add(-c.Age)
			made.State.StartedAt = stamp(made.started)
			if checked(made) && made.doing.HealthAfter < c.Age {
				s.health(made, made.doing.verdict())
			}
		}
		made.touch()
	}
	return made.ID, nil
}

type createRequest struct {
	name      string
	platform  string
	config    *container.Config
	host      *container.HostConfig
	endpoints map[string]*network.EndpointSettings
	mac       string
	version   version
}

func (s *Server) createContainer(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		container.CreateRequest
		MacAddress string
	}
	if err := read(r, &body); err != nil {
		return err
	}
	if body.Config == nil {
		return badRequest("Config cannot be empty in order to create a container")
	}
	request := createRequest{
		name: strings.TrimPrefix(r.FormValue("name"), "/"), platform: r.FormValue("platform"),
		config: body.Config, host: body.HostConfig, mac: body.MacAddress, version: requested(r),
	}
	if body.NetworkingConfig != nil {
		request.endpoints = body.NetworkingConfig.EndpointsConfig
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, warnings, err := s.create(request)
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, container.CreateResponse{ID: c.ID, Warnings: orEmpty(warnings)})
}

// create makes a container. It keeps the order in which an engine checks.
func (s *Server) create(want createRequest) (*ctr, []string, error) {
	config, host := want.config, want.host
	if host == nil {
		host = &container.HostConfig{}
	}
	if !want.version.atLeast(1, 42) {
		// Lists sent as null and lists left out are the same to old engines.
		for i := range host.Mounts {
			if host.Mounts[i].BindOptions != nil {
				host.Mounts[i].BindOptions.CreateMountpoint = false
			}
		}
	}
	if !want.version.atLeast(1, 43) {
		host.Annotations = nil
	}
	warnings, err := s.verify(config, host)
	if err != nil {
		return nil, nil, err
	}
	if len(want.endpoints) > 1 && !want.version.atLeast(1, 44) {
		return nil, nil, badRequest("Container cannot be connected to network endpoints: %s", strings.Join(slices.Sorted(maps.Keys(want.endpoints)), ", "))
	}
	for name, e := range want.endpoints {
		if e == nil && want.version.atLeast(1, 44) {
			return nil, nil, badRequest("no EndpointSettings for %s", name)
		}
	}
	i, err := s.imageByRef(config.Image)
	if err != nil {
		return nil, nil, err
	}
	if os, arch, _ := strings.Cut(want.platform, "/"); want.platform != "" && (os != "linux" || arch != "" && arch != "amd64" && arch != "x86_64") {
		return nil, nil, notFound("image with reference %s was found but does not match the specified platform: wanted %s, actual: linux/amd64", config.Image, want.platform)
	}
	merge(config, &i.Config)
	if len(config.Entrypoint) == 1 && config.Entrypoint[0] == "" {
		config.Entrypoint = nil
	}
	if len(config.Entrypoint) == 0 && len(config.Cmd) == 0 {
		return nil, nil, badRequest("No command specified")
	}
	id := s.id("container")
	if want.name == "" {
		want.name = s.generatedName()
	} else if !validName(want.name) {
		return nil, nil, badRequest("Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", want.name)
	}
	if other := s.names[want.name]; other != nil {
		return nil, nil, conflict("Conflict. The container name %q is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", "/"+want.name, other.ID)
	}
	s.resolveDonors(config, host)
	links, err := s.resolveLinks(host)
	if err != nil {
		return nil, nil, err
	}
	c := &ctr{created: s.clock.Now(), image: i, mac: want.mac, links: links, gone: make(chan struct{})}
	c.ID, c.Name, c.Created, c.Image = id, "/"+want.name, stamp(c.created), i.ID
	s.settle(c, config, host)
	if err := s.mounts(c); err != nil {
		return nil, nil, err
	}
	networks, err := s.endpoints(c, want)
	if err != nil {
		return nil, nil, err
	}
	c.NetworkSettings = &container.NetworkSettings{Networks: networks}
	c.State = &container.State{Status: container.StateCreated, StartedAt: never, FinishedAt: never}
	s.containers[id], s.names[want.name] = c, c
	s.order = append(s.order, c)
	s.emitContainer(c, events.ActionCreate, nil)
	return c, warnings, nil
}

// resolveDonors replaces names of containers whose namespaces are shared by
// their ids. A donor that is missing fails the start, not this.
func (s *Server) resolveDonors(config *container.Config, host *container.HostConfig) {
	if donor, err := s.find(host.NetworkMode.ConnectedContainer()); err == nil {
		host.NetworkMode = container.NetworkMode("container:" + donor.ID)
		config.Hostname = donor.Config.Hostname
	}
	if donor, err := s.find(host.IpcMode.Container()); err == nil {
		host.IpcMode = container.IpcMode("container:" + donor.ID)
	}
	if donor, err := s.find(host.PidMode.Container()); err == nil {
		host.PidMode = container.PidMode("container:" + donor.ID)
	}
}

func (s *Server) resolveLinks(host *container.HostConfig) ([]link, error) {
	var links []link
	for _, text := range host.Links {
		name, alias, ok := strings.Cut(text, ":")
		to, err := s.find(name)
		if err != nil {
			return nil, badRequest("could not get container for %s: %v", name, err)
		}
		if !ok {
			alias = to.name()
		}
		links = append(links, link{to, alias[strings.LastIndex(alias, "/")+1:]})
	}
	host.Links = nil
	return links, nil
}

const never = "0001-01-01T00:00:00Z"

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// merge fills in what the image says, as engines do: an entrypoint of the user
// hides the image's command, an empty one does not hide its entrypoint.
func merge(user *container.Config, image *v1.DockerOCIImageConfig) {
	user.User = cmp.Or(user.User, image.User)
	user.WorkingDir = cmp.Or(user.WorkingDir, image.WorkingDir)
	user.StopSignal = cmp.Or(user.StopSignal, image.StopSignal)
	for text := range image.ExposedPorts {
		if port, err := network.ParsePort(text); err == nil {
			if user.ExposedPorts == nil {
				user.ExposedPorts = network.PortSet{}
			}
			user.ExposedPorts[port] = struct{}{}
		}
	}
	for _, entry := range image.Env {
		key, _, _ := strings.Cut(entry, "=")
		if !slices.ContainsFunc(user.Env, func(e string) bool { k, _, _ := strings.Cut(e, "="); return k == key }) {
			user.Env = append(user.Env, entry)
		}
	}
	if len(image.Labels) > 0 {
		labels := maps.Clone(image.Labels)
		maps.Copy(labels, user.Labels)
		user.Labels = labels
	}
	if user.Labels == nil {
		user.Labels = map[string]string{}
	}
	if len(user.Entrypoint) == 0 {
		if len(user.Cmd) == 0 {
			user.Cmd = image.Cmd
		}
		if user.Entrypoint == nil {
			user.Entrypoint = image.Entrypoint
		}
	}
	if len(image.Volumes) > 0 {
		volumes := maps.Clone(image.Volumes)
		maps.Copy(volumes, user.Volumes)
		user.Volumes = volumes
	}
	if image.Healthcheck != nil {
		if user.Healthcheck == nil {
			h := *image.Healthcheck
			user.Healthcheck = &h
		} else {
			h := user.Healthcheck
			if len(h.Test) == 0 {
				h.Test = image.Healthcheck.Test
			}
			h.Interval = cmp.Or(h.Interval, image.Healthcheck.Interval)
			h.Timeout = cmp.Or(h.Timeout, image.Healthcheck.Timeout)
			h.StartPeriod = cmp.Or(h.StartPeriod, image.Healthcheck.StartPeriod)
			h.Retries = cmp.Or(h.Retries, image.Healthcheck.Retries)
		}
	}
}

// settle fills in what the engine decides.
func (s *Server) settle(c *ctr, config *container.Config, host *container.HostConfig) {
	if config.Hostname == "" {
		config.Hostname = c.ID[:12]
		if host.NetworkMode.IsHost() {
			config.Hostname = s.info.Name
		}
	}
	host.NetworkMode = container.NetworkMode(cmp.Or(string(host.NetworkMode), "default"))
	if host.Memory > 0 && host.MemorySwap == 0 {
		host.MemorySwap = 2 * host.Memory
	}
	if host.ShmSize == 0 {
		host.ShmSize = 64 << 20
	}
	if host.OomKillDisable == nil {
		host.OomKillDisable = new(bool)
	}
	host.IpcMode = container.IpcMode(cmp.Or(string(host.IpcMode), "private"))
	host.CgroupnsMode = container.CgroupnsMode(cmp.Or(string(host.CgroupnsMode), map[string]string{"1": "host", "2": "private"}[s.info.CgroupVersion]))
	host.Runtime = cmp.Or(host.Runtime, s.info.DefaultRuntime)
	if host.LogConfig.Type == "" {
		host.LogConfig.Type = s.info.LoggingDriver
	}
	if host.LogConfig.Config == nil {
		host.LogConfig.Config = map[string]string{}
	}
	if (host.Privileged || host.PidMode.IsHost() || host.IpcMode.IsHost()) && !slices.Contains(host.SecurityOpt, "label=disable") {
		host.SecurityOpt = append(host.SecurityOpt, "label=disable")
	}
	switch {
	case host.Privileged:
		host.MaskedPaths, host.ReadonlyPaths = nil, nil
	default:
		if host.MaskedPaths == nil {
			host.MaskedPaths = slices.Clone(maskedPaths)
		}
		if host.ReadonlyPaths == nil {
			host.ReadonlyPaths = slices.Clone(readonlyPaths)
		}
	}
	c.Config, c.HostConfig = config, host
	argv := slices.Concat(config.Entrypoint, config.Cmd)
	c.Path, c.Args = argv[0], orEmpty(argv[1:])
	c.Driver, c.Platform = s.info.Driver, "linux"
	c.GraphDriver = &storage.DriverData{Name: s.info.Driver, Data: map[string]string{}}
	if slices.ContainsFunc(s.info.SecurityOptions, func(o string) bool { return strings.Contains(o, "apparmor") }) && !host.Privileged {
		c.AppArmorProfile = "docker-default"
	}
}

var (
	maskedPaths = []string{
		"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// endpoints returns the networks of a new container.
func (s *Server) endpoints(c *ctr, want createRequest) (map[string]*network.EndpointSettings, error) {
	all := map[string]*network.EndpointSettings{}
	mode := c.HostConfig.NetworkMode
	if mode.IsContainer() {
		return all, nil
	}
	primary := string(mode)
	if mode.IsDefault() {
		primary = "bridge"
	}
	for name, e := range want.endpoints {
		if name == "default" {
			name = "bridge"
		}
		// A network may be missing, or named by its id, until the start.
		if n, err := s.networkByRef(name); err == nil {
			name = n.Name
			if want.version.atLeast(1, 44) && e != nil {
				if err := n.allows(e); err != nil {
					return nil, err
				}
			}
		}
		e = e.Copy()
		if e == nil {
			e = &network.EndpointSettings{}
		}
		if !want.version.atLeast(1, 44) {
			e.MacAddress = nil
		}
		all[name] = e
	}
	if n, err := s.networkByRef(primary); err == nil {
		primary = n.Name
	}
	// Engines show what was asked for the first network where it used to be.
	if e := all[primary]; e != nil && len(e.MacAddress) > 0 {
		c.mac = e.MacAddress.String()
	}
	if all[primary] == nil && (want.version.atLeast(1, 44) || len(all) == 0) {
		all[primary] = &network.EndpointSettings{}
	}
	return all, nil
}

func validName(name string) bool {
	return len(name) > 1 && !strings.ContainsAny(name[:1], "_.-") && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r))
	})
}

func (s *Server) generatedName() string {
	for i := len(s.order) + 1; ; i++ {
		if name := "calm_harbour" + strconv.Itoa(i); s.names[name] == nil {
			return name
		}
	}
}
