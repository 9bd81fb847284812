package attack

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
)

// A trait is something about a container or the engine that an attacker can use.
type trait int

const (
	published    trait = iota // a port on every interface
	publishedAt               // a port on one address that is not loopback
	publishedIn               // a port on loopback
	onHost                    // the network of the host
	asRoot                    // its program keeps uid 0
	unconfined                // privileged
	socket                    // of an engine
	writesHost                // a path of the host that decides what runs there
	readsKeys                 // a path of the host where keys are kept
	capable                   // a capability that leads out
	device                    // that leads out
	seesHost                  // processes of the host
	secretKept                // in a variable
	movingTag                 // an image from a registry by a tag that moves
	onBridge                  // member of the default bridge
	engineOpen                // API on the network without TLS
	engineLocal               // API on loopback without TLS
	groupMembers              // of the group docker
	escapable                 // runtime or kernel with a known way out
	inCloud                   // machine of a cloud
	bridgeOpen                // containers on the default bridge reach each other
)

// A fact is comparable, so that what did not change costs nothing.
type fact struct {
	trait  trait
	check  string // id of the check that reports it; "" when none does
	key    string // of its finding
	detail string // what exactly: a port, a path, a name
	source string // evidence
	seen   string
}

// A node is a container or a service of a compose file.
type node struct {
	spot     Spot
	scope    string // what names of networks and volumes hold in: "" is the engine, else a file
	facts    []fact
	networks []link
	volumes  []volume
	store    string // what kind of data store it is, "" if none
	listens  bool   // says that it takes connections
	remapped bool   // its root is nobody on the host
	hardened bool   // denies new privileges
	files    string // compose files that it came from, separated by commas
}

// A link is a network that a container is on.
type link struct {
	id    string // within the same file or engine
	apart bool   // its members do not reach each other
	cut   bool   // it leads nowhere else, and nothing else leads into it
}

// walled reports whether n is on no network that other machines reach, or that
// leads to them: the engine publishes nothing of it then.
func (n *node) walled() bool {
	return len(n.networks) > 0 && !slices.ContainsFunc(n.networks, func(l link) bool { return !l.cut })
}

// A volume is storage that other containers may see, too.
type volume struct {
	id, name string
	readOnly bool
}

func (n *node) equal(o *node) bool {
	return n.spot == o.spot && slices.Equal(n.facts, o.facts) && slices.Equal(n.networks, o.networks) && slices.Equal(n.volumes, o.volumes) &&
		n.store == o.store && n.listens == o.listens && n.remapped == o.remapped && n.hardened == o.hardened && n.files == o.files
}

func (n *node) planned() bool { return n.spot.Service != "" }

// decisivePaths are folders of the host and what writing there achieves.
var decisivePaths = []struct {
	path string
	all  bool // below it too
}{
	{"/", false}, {"/etc", true}, {"/root", true}, {"/home", true}, {"/usr", true}, {"/bin", true}, {"/sbin", true}, {"/lib", true},
	{"/lib64", true}, {"/opt", false}, {"/boot", true}, {"/var", false}, {"/var/spool", false}, {"/var/spool/cron", true}, {"/var/lib/docker", true},
	{"/var/lib/containerd", true}, {"/var/lib/kubelet", true}, {"/proc", true}, {"/sys", true}, {"/dev", false}, {"/run/systemd", true},
}

// plainPaths decide nothing although they stand below folders that do.
var plainPaths = []string{"/etc/localtime", "/etc/timezone", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/etc/ssl/certs", "/usr/share", "/usr/local/share", "/usr/src"}

// startFiles of a home are run or trusted at the next login; what else stands
// there is data.
var startFiles = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/home/[^/]+(?:/(?:\.ssh|\.bashrc|\.profile|\.bash_profile|\.zshrc|\.config(?:/(?:systemd|autostart))?|\.local(?:/bin)?|bin)(?:/.*)?)?$`)
})

func decides(p string) bool {
	if slices.ContainsFunc(plainPaths, func(q string) bool { return below(p, q) }) {
		return false
	}
	if strings.HasPrefix(p, "/home/") {
		return startFiles().MatchString(p)
	}
	for _, d := range decisivePaths {
		if p == d.path || d.all && below(p, d.path) {
			return true
		}
	}
	return false
}

// keyPaths match where keys and passwords of the host are kept.
var keyPaths = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:/|/etc|/etc/(?:shadow-?|ssh(?:/.*)?|kubernetes(?:/.*)?)|/root|/home|(?:/root|/home/[^/]+)(?:/(?:\.ssh|\.aws|\.azure|\.kube|\.docker|\.gnupg|\.config/gcloud|\.netrc|\.git-credentials)(?:/.*)?)?)$`)
})

func below(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// disks match devices that hold the file systems or the memory of the host.
var disks = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/dev(?:/(?:mem|kmem|port|sd[a-z]+\d*|hd[a-z]+\d*|vd[a-z]+\d*|xvd[a-z]+\d*|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|dm-\d+|md\d+|mapper/.+|disk/.+))?$`)
})

// stores are images of data stores by the last part of their repository.
var stores = map[string]bool{
	"postgres": true, "postgresql": true, "postgis": true, "timescaledb": true, "mysql": true, "mariadb": true, "percona": true, "mongo": true, "mongodb": true,
	"redis": true, "valkey": true, "keydb": true, "memcached": true, "elasticsearch": true, "opensearch": true, "couchdb": true, "cassandra": true,
	"clickhouse-server": true, "clickhouse": true, "influxdb": true, "neo4j": true, "etcd": true, "consul": true, "vault": true, "minio": true, "rabbitmq": true,
	"nats": true, "kafka": true, "zookeeper": true, "cockroach": true, "rethinkdb": true, "solr": true, "db": true, "database": true,
}

// storePorts are where data stores listen.
var storePorts = map[uint16]bool{
	1433: true, 1521: true, 2379: true, 3306: true, 5432: true, 5672: true, 5984: true, 6379: true, 7687: true, 8086: true, 8123: true,
	8200: true, 9042: true, 9092: true, 9200: true, 11211: true, 26257: true, 27017: true, 28015: true,
}

func storeOf(c *container.Container) string {
	if name := c.Repository(); stores[name] {
		return name
	}
	for _, p := range c.Listens() {
		if storePorts[p.Num()] {
			return p.String()
		}
	}
	return ""
}

// nodesOf returns the containers that a subject stands for.
func nodesOf(s checks.Subject) []*node {
	switch s := s.(type) {
	case *container.Container:
		if n := nodeOf(s, Spot{Ref: s.Ref()}, "", ""); n != nil {
			return []*node{n}
		}
	case *compose.File:
		var all []*node
		for _, service := range s.Services {
			spot := Spot{s.Ref(), service.Compose.Service}
			if n := nodeOf(service, spot, s.Path+"\x00", service.Compose.Service+"/"); n != nil {
				all = append(all, n)
			}
		}
		return all
	}
	return nil
}

// nodeOf returns what is known of c; nil when it does not run. Networks and
// volumes are told apart by scope, findings by prefix.
func nodeOf(c *container.Container, spot Spot, scope, prefix string) *node {
	host := c.Settings.Host
	if !c.Runs() || host == nil || c.Settings.Config == nil {
		return nil
	}
	n := &node{spot: spot, scope: scope, store: storeOf(c), listens: len(c.Listens()) > 0}
	if spot.Service == "" {
		n.files = container.ComposeFiles(c.Settings.Config.Labels)
	}
	add := func(f fact) {
		if f.key != "" || prefix != "" {
			f.key = strings.TrimSuffix(prefix+f.key, "/")
		}
		n.facts = append(n.facts, f)
	}
	for _, name := range c.NetworkNames() {
		l := link{id: scope + name}
		if c.Around != nil {
			fence := c.Around.Networks[name].Fence
			l.apart, l.cut = fence.Apart, fence.Internal
		}
		n.networks = append(n.networks, l)
	}
	for _, p := range c.Published() {
		if n.walled() {
			break
		}
		f := fact{published, "container-port-on-all-interfaces", p.Key, p.HostPort, "HostConfig.PortBindings", p.Key}
		if f.detail == "" {
			f.detail = p.Key
		}
		switch {
		case p.Local():
			f.trait, f.check = publishedIn, ""
		case !p.Open():
			f.trait, f.check, f.seen = publishedAt, "container-datastore-port-public", p.Address.String()+":"+p.Key
		}
		add(f)
	}
	if host.NetworkMode.IsHost() {
		add(fact{onHost, "container-network-host", "", "", "HostConfig.NetworkMode", "host"})
	}
	if c.RunsAsRoot() {
		add(fact{asRoot, "container-runs-as-root", "", "", "Config.User", "root"})
	}
	if host.Privileged {
		add(fact{unconfined, "container-privileged", "", "", "HostConfig.Privileged", "true"})
	}
	n.mounts(c, add)
	for _, name := range c.Capabilities() {
		_, leads := escapes[name]
		if (leads || name == "SYS_PTRACE") && !host.Privileged {
			add(fact{capable, "container-cap-escape-class", name, name, "HostConfig.CapAdd", name})
		}
	}
	for _, d := range host.Devices {
		if disks().MatchString(d.PathOnHost) {
			add(fact{device, "container-devices-exposed", d.PathOnHost, d.PathOnHost, "HostConfig.Devices", d.PathOnHost})
		}
	}
	if host.PidMode.IsHost() {
		add(fact{seesHost, "container-pid-host", "", "", "HostConfig.PidMode", "host"})
	}
	for _, name := range c.SecretVariables() {
		add(fact{secretKept, "container-secret-in-env", name, name, "Config.Env", name})
	}
	if moves(c) {
		add(fact{movingTag, "container-image-mutable-ref", "", c.Settings.Image, "Config.Image", c.Settings.Image})
	}
	for _, name := range c.NetworkNames() {
		if name == bridge {
			add(fact{onBridge, "container-default-bridge", "", bridge, "NetworkSettings.Networks", bridge})
		}
	}
	for _, opt := range host.SecurityOpt {
		n.hardened = n.hardened || strings.HasPrefix(opt, "no-new-privileges") && !strings.HasSuffix(opt, "false")
	}
	n.hardened = n.hardened || c.NoNewPrivileges
	n.remapped = !host.UsernsMode.IsHost() && !host.Privileged
	return n
}

// bridge is the network that the engine makes by itself.
const bridge = "bridge"

func (n *node) mounts(c *container.Container, add func(fact)) {
	for _, m := range c.Mounts() {
		switch {
		case m.IsEngineSocket():
			add(fact{socket, "container-docker-socket-mounted", m.Target, m.Source, m.Field, m.Detail})
			continue
		case m.Kind == mount.TypeBind && !m.ReadOnly && decides(m.Source):
			check := "container-sensitive-host-path"
			if strings.HasPrefix(m.Source, "/home") {
				check = "container-user-secrets-mounted"
			}
			add(fact{writesHost, check, m.Target, m.Source, m.Field, m.Detail})
		case m.Kind == mount.TypeBind && keyPaths().MatchString(m.Source):
			check := "container-user-secrets-mounted"
			if !strings.HasPrefix(m.Source, "/home") {
				check = "container-sensitive-host-path"
			}
			add(fact{readsKeys, check, m.Target, m.Source, m.Field, m.Detail})
		case m.Kind == mount.TypeVolume && m.Source != "":
			n.volumes = append(n.volumes, volume{n.scope + "volume " + m.Source, m.Source, m.ReadOnly})
		case m.Kind == mount.TypeBind:
			n.volumes = append(n.volumes, volume{n.scope + "path " + m.Source, m.Source, m.ReadOnly})
		}
	}
}

// moves reports whether the image of c came from a registry by a tag that its
// publisher moves: none, or latest. What was built here has no digest of a
// registry.
func moves(c *container.Container) bool {
	ref := c.Settings.Image
	if strings.Contains(ref, "@") || strings.HasPrefix(ref, "sha256:") || c.Image == nil || len(c.Image.RepoDigests) == 0 {
		return false
	}
	tag := ref[strings.LastIndexByte(ref, '/')+1:]
	_, tag, tagged := strings.Cut(tag, ":")
	return !tagged || tag == "latest"
}
