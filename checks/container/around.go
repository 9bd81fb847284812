package container

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"plimsoll/checks"
)

// Around is what stands beside a container: the networks that it is on, and
// who else mounts its volumes.
type Around struct {
	Networks map[string]Network  // by name
	Writers  map[string][]string // by volume: names of other containers that may write it, sorted
	Project  int                 // other containers of its compose project
}

// A Network is one that a container is on.
type Network struct {
	Fence
	Entries []string // names of other containers on it that publish ports beyond this machine, sorted
	Project int      // other containers of the same compose project on it
}

// A Fence is what a network keeps apart.
type Fence struct {
	Internal bool // has no way out, and no way in
	Apart    bool // its members do not reach each other
}

// FenceOf reads the settings of a network.
func FenceOf(internal bool, options map[string]string) Fence {
	traffic, err := strconv.ParseBool(options["com.docker.network.bridge.enable_icc"])
	return Fence{Internal: internal, Apart: err == nil && !traffic}
}

// A Neighbour is a container, as far as others are concerned by it.
type Neighbour struct {
	Name     string
	Project  string   // compose project, "" without one
	Networks []string // names
	Writes   []string // volumes that it may write
	Entry    bool     // publishes a port beyond this machine
}

// Neighbours finds what stands beside each of many containers.
type Neighbours struct {
	all      map[string]Neighbour
	writers  map[string][]string // by volume
	entries  map[string][]string // by network
	members  map[[2]string]int   // by project and network
	projects map[string]int
	fences   map[string]Fence // by network; nil: not known
}

// NewNeighbours takes all containers of an engine, or all services of a
// project, and what their networks keep apart.
func NewNeighbours(all []Neighbour, fences map[string]Fence) *Neighbours {
	n := &Neighbours{
		all: map[string]Neighbour{}, writers: map[string][]string{}, entries: map[string][]string{},
		members: map[[2]string]int{}, projects: map[string]int{}, fences: fences,
	}
	for _, one := range all {
		n.all[one.Name] = one
		n.projects[one.Project]++
		for _, volume := range one.Writes {
			n.writers[volume] = append(n.writers[volume], one.Name)
		}
		for _, network := range one.Networks {
			n.members[[2]string{one.Project, network}]++
			if one.Entry {
				n.entries[network] = append(n.entries[network], one.Name)
			}
		}
	}
	return n
}

// named is how many names are told: more make no difference to anybody.
const named = 3

// Of returns what stands beside the container called name; nil if it is not
// among all.
func (n *Neighbours) Of(name string) *Around {
	one, ok := n.all[name]
	if !ok || n.fences == nil {
		return nil
	}
	others := func(names []string) []string {
		names = slices.DeleteFunc(slices.Clone(names), func(o string) bool { return o == name })
		slices.Sort(names)
		names = slices.Compact(names)
		return slices.Clip(names[:min(named, len(names))])
	}
	a := &Around{Networks: map[string]Network{}, Writers: map[string][]string{}}
	if one.Project != "" {
		a.Project = n.projects[one.Project] - 1
	}
	for _, network := range one.Networks {
		fence, known := n.fences[network]
		if !known {
			continue // an id, or one that was made just now
		}
		seen := Network{Fence: fence, Entries: others(n.entries[network])}
		if one.Project != "" {
			seen.Project = n.members[[2]string{one.Project, network}] - 1
		}
		a.Networks[network] = seen
	}
	for _, volume := range one.Writes {
		if w := others(n.writers[volume]); len(w) > 0 {
			a.Writers[volume] = w
		}
	}
	return a
}

// beside declares a rule about what stands beside a container.
func beside(c checks.Check, run func(*Container, *Around, func(checks.Finding))) *checks.Check {
	return declare(c, func(s *Container, report func(checks.Finding)) {
		if s.Around != nil && s.Settings.Host != nil {
			run(s, s.Around, report)
		}
	})
}

var volumeShared = beside(checks.Check{
	ID:       "container-volume-shared",
	Title:    "Volume that several containers write",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CWE-668"},
}, func(c *Container, around *Around, report func(checks.Finding)) {
	for _, m := range c.mounts() {
		others := around.Writers[m.source] // none for one without a name
		if m.readOnly || m.kind != "volume" || len(others) == 0 {
			continue
		}
		f := c.found(mountSetting(m), m.description,
			checks.Msg("what %s writes into the volume %s, %s trusts, and the other way round", c.Settings.Name, m.source, list(others)))
		f.Key = m.target
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "also mounted by", Detail: list(others)})
		report(f)
	}
})

// holdsData are the images whose work it is to keep data: they answer others
// and call nobody.
var holdsData = []string{
	"cassandra", "clickhouse-server", "cockroach", "couchdb", "elasticsearch", "etcd", "influxdb", "mariadb", "memcached", "mongo", "mysql",
	"neo4j", "opensearch", "postgis", "postgres", "rabbitmq", "redis", "valkey", "vault",
}

// KeepsData reports whether it is the work of the image ref to keep data for others.
func KeepsData(ref string) bool { return slices.Contains(holdsData, repository(ref)) }

var egressOpen = beside(checks.Check{
	ID:       "container-egress-open",
	Title:    "Data store with a way out",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"OWASP Docker rule 5"},
}, func(c *Container, around *Around, report func(checks.Finding)) {
	if !KeepsData(c.Settings.Image) || !publishing(c.Settings.Host) {
		return
	}
	var open []string
	for _, name := range slices.Sorted(maps.Keys(around.Networks)) {
		if !around.Networks[name].Internal {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return
	}
	report(c.onNetwork(open[0], "Internal false",
		checks.Msg("%s keeps data and can send it anywhere: the network %s has a way out", c.Settings.Name, open[0])))
})

// onNetwork starts a finding about one of the networks of c.
func (c *Container) onNetwork(name, seen string, message checks.Message) checks.Finding {
	return c.found(setting{"NetworkSettings.Networks." + name, []string{"networks." + name, "networks"}}, seen, message)
}

// fewServices are those of a project that need no second network: a program
// and its database have to reach each other anyway.
const fewServices = 3

var networkFlat = beside(checks.Check{
	ID:       "container-network-flat",
	Title:    "All services of a project on one network",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"OWASP Docker rule 5"},
}, func(c *Container, around *Around, report func(checks.Finding)) {
	if !KeepsData(c.Settings.Image) || len(around.Networks) != 1 || around.Project+1 < fewServices {
		return
	}
	for name, network := range around.Networks {
		if network.Project < around.Project || len(network.Entries) == 0 || network.Apart {
			return
		}
		f := c.onNetwork(name, fmt.Sprintf("all %d of the project", around.Project+1),
			checks.Msg("whoever gets into %s reaches %s directly: all services of the project share the network %s", network.Entries[0], c.Settings.Name, name))
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "publishes ports", Detail: list(network.Entries)})
		report(f)
	}
})

var bridgesZones = beside(checks.Check{
	ID:       "container-bridges-zones",
	Title:    "Connects a closed network with an open one",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"OWASP Docker rule 5"},
}, func(c *Container, around *Around, report func(checks.Finding)) {
	var closed, open []string
	for _, name := range slices.Sorted(maps.Keys(around.Networks)) {
		if around.Networks[name].Internal {
			closed = append(closed, name)
		} else {
			open = append(open, name)
		}
	}
	if len(closed) == 0 || len(open) == 0 {
		return
	}
	report(c.onNetwork(closed[0], list(closed)+" | "+list(open),
		checks.Msg("%s stands between %s, which is closed, and %s: it is the way from one into the other", c.Settings.Name, list(closed), list(open))))
})

// NeighbourOf returns what others are concerned by in c.
func NeighbourOf(c *Container) Neighbour {
	n := Neighbour{Name: c.Settings.Name, Networks: slices.Sorted(maps.Keys(c.Settings.Networks))}
	if c.Settings.Config != nil {
		n.Project = c.Settings.Config.Labels["com.docker.compose.project"]
	}
	if c.Settings.Host == nil {
		return n
	}
	for _, m := range c.mounts() {
		if m.kind == "volume" && !m.readOnly && m.source != "" {
			n.Writes = append(n.Writes, m.source)
		}
	}
	if publishing(c.Settings.Host) {
		for _, bindings := range c.Settings.Host.PortBindings {
			for _, b := range bindings {
				n.Entry = n.Entry || !isLocal(b.HostIP)
			}
		}
		n.Entry = n.Entry || c.Settings.Host.PublishAllPorts && c.opensAnything()
	}
	return n
}
