package container

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/checks"
)

// publishing reports whether what host publishes has an effect.
func publishing(host *container.HostConfig) bool {
	return !host.NetworkMode.IsHost() && !host.NetworkMode.IsNone() && !host.NetworkMode.IsContainer()
}

// publishes reports whether c takes connections from outside.
func (c *Container) publishes() bool {
	host := c.Settings.Host
	if !publishing(host) {
		return false
	}
	for _, bindings := range host.PortBindings {
		if len(bindings) > 0 {
			return true
		}
	}
	return host.PublishAllPorts && c.opensAnything()
}

// dataStores are the ports of databases, caches, brokers and of interfaces to
// administer them, and who listens there.
var dataStores = map[uint16]string{
	1433: "SQL Server", 1521: "Oracle", 2181: "ZooKeeper", 2375: "Docker", 2376: "Docker", 2379: "etcd", 2380: "etcd",
	3306: "MySQL", 4222: "NATS", 5432: "PostgreSQL", 5601: "Kibana", 5672: "RabbitMQ", 5984: "CouchDB", 6379: "Redis",
	6443: "Kubernetes", 7474: "Neo4j", 7687: "Neo4j", 8086: "InfluxDB", 8123: "ClickHouse", 8200: "Vault", 8500: "Consul",
	8983: "Solr", 9042: "Cassandra", 9092: "Kafka", 9200: "Elasticsearch", 9300: "Elasticsearch", 9443: "Portainer",
	10250: "Kubernetes", 11211: "Memcached", 15672: "RabbitMQ", 26257: "CockroachDB", 27017: "MongoDB", 28015: "RethinkDB",
	50000: "Jenkins",
}

// dataImages are images of data stores and of interfaces to administer them,
// by the last part of the repository.
var dataImages = []string{
	"adminer", "cassandra", "clickhouse-server", "cockroach", "consul", "couchdb", "elasticsearch", "etcd", "influxdb",
	"mariadb", "memcached", "mongo", "mongo-express", "mysql", "nats", "neo4j", "opensearch", "pgadmin4", "phpmyadmin",
	"portainer", "portainer-ce", "postgis", "postgres", "rabbitmq", "redis", "redis-commander", "valkey", "vault",
}

func isDataStore(ref string) bool { return slices.Contains(dataImages, repository(ref)) }

// dataStoreOn returns the data store that listens on a port of c, "" if none does.
func (c *Container) dataStoreOn(port network.Port) string {
	if what, ok := dataStores[port.Num()]; ok {
		return what
	}
	if isDataStore(c.Settings.Image) {
		return repository(c.Settings.Image)
	}
	return ""
}

var datastorePortPublic = hostRule(checks.Check{
	ID:       "container-datastore-port-public",
	Title:    "Data store reachable from outside",
	Severity: checks.High,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"OWASP Docker rule 5a", "CWE-668"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	c.eachBinding(func(port network.Port, b network.PortBinding) {
		what := c.dataStoreOn(port)
		if what == "" || isLocal(b.HostIP) || c.boundLocally(port, b.HostPort) {
			return
		}
		f := c.binding(port, b, checks.Msg("%s lets other machines reach %s on port %s", c.Settings.Name, what, port.Port()))
		f.Fixes = []checks.Fix{{
			ID:      "loopback",
			Title:   checks.Msg("publish on 127.0.0.1 only"),
			Caution: checks.Msg("other machines no longer reach the port"),
			Change: func(s *checks.Settings, _ checks.Values) error {
				rebind(s.Host, port, b, func(b *network.PortBinding) {
					b.HostIP = netip.AddrFrom4([4]byte{127, 0, 0, 1})
				})
				return nil
			},
		}, unpublish(port, b)}
		report(f)
	})
})

// eachBinding calls f for every published port, each host port once.
func (c *Container) eachBinding(f func(network.Port, network.PortBinding)) {
	host := c.Settings.Host
	if !publishing(host) {
		return
	}
	for _, port := range slices.SortedFunc(maps.Keys(host.PortBindings), comparePorts) {
		seen := map[string]bool{}
		for _, b := range host.PortBindings[port] {
			if !seen[b.HostPort] {
				seen[b.HostPort] = true
				f(port, b)
			}
		}
	}
}

// binding starts a finding about a published port.
func (c *Container) binding(port network.Port, b network.PortBinding, message checks.Message) checks.Finding {
	address := ""
	if b.HostIP.IsValid() {
		address = b.HostIP.String()
	}
	f := c.found(setting{"HostConfig.PortBindings", []string{"ports." + cmp.Or(b.HostPort, port.Port()), "ports"}},
		address+":"+b.HostPort+" → "+port.String(), message)
	f.Key = cmp.Or(b.HostPort, "random") + ":" + port.String()
	return f
}

// rebind changes the bindings of port that share the host port of b.
func rebind(host *container.HostConfig, port network.Port, b network.PortBinding, change func(*network.PortBinding)) {
	bindings, ok := host.PortBindings[port]
	if !ok {
		return
	}
	for i := range bindings {
		if bindings[i].HostPort == b.HostPort {
			change(&bindings[i])
		}
	}
	host.PortBindings[port] = slices.Compact(bindings)
}

func unpublish(port network.Port, b network.PortBinding) checks.Fix {
	return checks.Fix{
		ID:      "unpublish",
		Title:   checks.Msg("no longer publish the port"),
		Caution: checks.Msg("only containers on its networks reach it from then on"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			left := slices.DeleteFunc(s.Host.PortBindings[port], func(o network.PortBinding) bool { return o.HostPort == b.HostPort })
			if s.Host.PortBindings[port] = left; len(left) == 0 {
				delete(s.Host.PortBindings, port)
			}
			return nil
		},
	}
}

func isLocal(address netip.Addr) bool { return address.IsValid() && address.Unmap().IsLoopback() }

// boundLocally reports whether the engine bound the port to loopback although
// it was not asked to: daemon.json can make that the default.
func (c *Container) boundLocally(port network.Port, hostPort string) bool {
	if c.Inspect == nil || c.Inspect.NetworkSettings == nil {
		return false
	}
	actual := slices.DeleteFunc(slices.Clone(c.Inspect.NetworkSettings.Ports[port]), func(b network.PortBinding) bool {
		return hostPort != "" && hostPort != b.HostPort
	})
	return len(actual) > 0 && !slices.ContainsFunc(actual, func(b network.PortBinding) bool { return !isLocal(b.HostIP) })
}

// webPorts are where browsers look: publishing them is what a web server is for.
var webPorts = []uint64{80, 443}

var privilegedPort = hostRule(checks.Check{
	ID:       "container-privileged-port",
	Title:    "Publishes a port of the system",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.8 (v1.6.0)"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	c.eachBinding(func(port network.Port, b network.PortBinding) {
		n, err := strconv.ParseUint(b.HostPort, 10, 16)
		if err != nil || n == 0 || n >= 1024 || slices.Contains(webPorts, n) {
			return
		}
		f := c.binding(port, b, checks.Msg("%s publishes port %d, where others expect a service of the system itself", c.Settings.Name, n))
		key := "port-" + b.HostPort
		valid := func(value string) error {
			if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 16); err != nil || n < 1024 {
				return refuse(checks.Msg("%s is not a port from 1024 to 65535", value))
			}
			return nil
		}
		f.Fixes = []checks.Fix{{
			ID:      "higher-port",
			Title:   checks.Msg("publish on a higher port"),
			Caution: checks.Msg("clients have to use the other port"),
			Choices: []checks.Choice{{
				Key:     key,
				Label:   checks.Msg("port of the host, in place of %s", b.HostPort),
				Default: strconv.FormatUint(8000+n, 10),
				Valid:   valid,
			}},
			Change: func(s *checks.Settings, values checks.Values) error {
				if err := valid(values[key]); err != nil {
					return err
				}
				rebind(s.Host, port, b, func(b *network.PortBinding) { b.HostPort = strings.TrimSpace(values[key]) })
				return nil
			},
		}}
		report(f)
	})
})

var portUnneeded = hostRule(checks.Check{
	ID:       "container-port-unneeded",
	Title:    "Publishes more than it has to",
	Severity: checks.Low,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.9 (v1.6.0)"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if publishing(host) && host.PublishAllPorts && c.opensAnything() {
		f := c.found(setting{"HostConfig.PublishAllPorts", []string{"ports"}}, "true",
			checks.Msg("%s publishes whatever its image exposes, and after an update what that one exposes", c.Settings.Name))
		f.Key = "publish-all"
		f.Fixes = []checks.Fix{{
			ID:      "publish-none",
			Title:   checks.Msg("publish named ports only"),
			Caution: checks.Msg("ports that were published only because of it are no longer reachable from outside"),
			Change:  func(s *checks.Settings, _ checks.Values) error { s.Host.PublishAllPorts = false; return nil },
		}}
		report(f)
	}
	if c.Image == nil || c.Image.Config == nil || len(c.Image.Config.ExposedPorts) == 0 {
		return // an image that exposes nothing says nothing about its ports
	}
	c.eachBinding(func(port network.Port, b network.PortBinding) {
		_, exposed := c.Image.Config.ExposedPorts[port.String()]
		_, bare := c.Image.Config.ExposedPorts[port.Port()]
		if exposed || bare && port.Proto() == network.TCP {
			return
		}
		f := c.binding(port, b, checks.Msg("%s publishes port %s, which its image does not expose", c.Settings.Name, port.String()))
		f.Evidence = append(f.Evidence, checks.Evidence{
			Source: "image config", Detail: "ExposedPorts " + strings.Join(slices.Sorted(maps.Keys(c.Image.Config.ExposedPorts)), ", "),
		})
		f.Fixes = []checks.Fix{unpublish(port, b)}
		report(f)
	})
})
