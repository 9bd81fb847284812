package runtime

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// Facts are what has to be known of a container to judge what it does.
type Facts struct {
	ID, Name string
	Image    string // id
	Of       string // image, as it was called when the container was created
	Service  string // what stays the same when it is created anew: "project/service", or its name
	Started  time.Time
	PID      int    // of its first process, on the machine of the engine
	User     string // that it was told to run as; "" is what its image says
	Command  string // that it was created with
	Health   string // command of its health check, as events show it; "" when there is none

	Ports      map[string]bool // "80/tcp": exposed or published
	Mounts     []string        // targets, which its image has nothing to do with
	CPULimited bool
	OwnNetwork bool // its ports are its own, not those of the host or of another container
	Running    bool
}

// Labels of docker compose.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
)

// FactsOf reads an inspection.
func FactsOf(i container.InspectResponse) Facts {
	f := Facts{ID: i.ID, Name: strings.TrimPrefix(i.Name, "/"), Image: i.Image, Ports: map[string]bool{}, OwnNetwork: true}
	f.Service = f.Name
	f.Command = strings.Join(append([]string{i.Path}, i.Args...), " ")
	if s := i.State; s != nil {
		f.Started, _ = time.Parse(time.RFC3339Nano, s.StartedAt)
		f.PID, f.Running = s.Pid, s.Running
	}
	if c := i.Config; c != nil {
		f.User, f.Of = c.User, c.Image
		if c.Labels[composeService] != "" {
			f.Service = c.Labels[composeProject] + "/" + c.Labels[composeService]
		}
		if c.Healthcheck != nil {
			f.Health = healthCommand(c.Healthcheck.Test, c.Shell)
		}
		for p := range c.ExposedPorts {
			f.Ports[p.String()] = true
		}
		for target := range c.Volumes {
			f.Mounts = append(f.Mounts, path.Clean(target))
		}
	}
	for _, m := range i.Mounts {
		f.Mounts = append(f.Mounts, path.Clean(m.Destination))
	}
	if h := i.HostConfig; h != nil {
		f.CPULimited = h.NanoCPUs > 0 || h.CPUQuota > 0 || h.CpusetCpus != ""
		f.OwnNetwork = !h.NetworkMode.IsHost() && !h.NetworkMode.IsContainer()
		for p := range h.PortBindings {
			f.Ports[p.String()] = true
		}
		for target := range h.Tmpfs {
			f.Mounts = append(f.Mounts, path.Clean(target))
		}
	}
	return f
}

// healthCommand returns what an engine executes for a health check, as its
// events show it.
func healthCommand(test, shell []string) string {
	if len(test) < 2 {
		return ""
	}
	switch test[0] {
	case "CMD":
		return strings.Join(test[1:], " ")
	case "CMD-SHELL":
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		return strings.Join(append(slices.Clone(shell), test[1]), " ")
	}
	return ""
}

// Told returns the names of the programs that f was told to start, by its
// command and by its health check, as far as they are written out.
func (f *Facts) Told() []string {
	var names []string
	for _, line := range []string{f.Command, f.Health} {
		c := words(line)
		for _, c := range append(c.inside(), c.reaped()...) {
			for _, name := range []string{c.name(), c.unwrapped().name()} {
				if name != "" && name != "." && name != "/" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// isHealthCheck reports whether a command line is that of the health check.
// Some engines show a shell without its folder.
func (f *Facts) isHealthCheck(line string) bool {
	return f.Health != "" && (line == f.Health || strings.TrimPrefix(f.Health, "/bin/") == line)
}

// HealthCheck reports whether an event of executing something is that of the
// health check, which may come every second.
func (f *Facts) HealthCheck(action string) bool {
	_, line, _ := strings.Cut(action, ": ")
	return f.isHealthCheck(line)
}

// isRoot reports whether a user is root. "" is not: somebody else decides then.
func isRoot(user string) bool {
	uid, known := checks.UID(user, nil)
	return user != "" && known && uid == 0
}

func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

func (f *Facts) mounted(p string) bool {
	return slices.ContainsFunc(f.Mounts, func(m string) bool { return within(p, m) })
}
