package container

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
)

// keyFolders are places below the home of a user that hold keys and
// credentials.
var keyFolders = []string{
	".ssh", ".aws", ".azure", ".kube", ".docker", ".gnupg", ".config/gcloud", ".config/gh", ".netrc", ".npmrc",
	".pypirc", ".pgpass", ".git-credentials", ".password-store", ".vault-token",
}

// home matches the home of a user, and captures what is below.
var home = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:/home/[^/]+|/Users/[^/]+|/root)(?:/(.+))?$`) })

var userSecretsMounted = hostRule(checks.Check{
	ID:       "container-user-secrets-mounted",
	Title:    "Keys of a user mounted",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-522", "CWE-668"},
}, func(c *Container, _ *container.HostConfig, report func(checks.Finding)) {
	for _, m := range c.mounts() {
		if m.kind != mount.TypeBind || !holdsKeys(m.source) {
			continue
		}
		f := c.found(mountSetting(m), m.description, checks.Msg("%s can read keys and credentials in %s", c.Settings.Name, hostPath(m.source)))
		f.Key = m.target
		if m.field != inherited {
			f.Fixes = []checks.Fix{{
				ID:      "unmount",
				Title:   checks.Msg("no longer mount %s", hostPath(m.source)),
				Caution: checks.Msg("what reads the files finds none: give it the one it needs as a secret"),
				Change:  func(s *checks.Settings, _ checks.Values) error { unmount(s.Host, m.target); return nil },
			}}
		}
		report(f)
	}
})

// holdsKeys reports whether source is the home of a user, or a place in it
// where keys are kept. The home of root is a sensitive path by itself.
func holdsKeys(source string) bool {
	below := ""
	if rest, ok := strings.CutPrefix(source, "~"); ok {
		below = strings.Trim(path.Clean("/"+rest), "/")
	} else {
		m := home().FindStringSubmatch(hostPath(source))
		if m == nil || m[0] == "/root" {
			return false
		}
		below = m[1]
	}
	return below == "" || slices.ContainsFunc(keyFolders, func(folder string) bool { return within(below, folder) })
}

// unmount takes away what host mounts at target.
func unmount(host *container.HostConfig, target string) {
	host.Binds = slices.DeleteFunc(host.Binds, func(bind string) bool {
		m, ok := parseBind(bind)
		return ok && m.target == target
	})
	host.Mounts = slices.DeleteFunc(host.Mounts, func(m mount.Mount) bool { return m.Target == target })
}

var mountPropagationShared = hostRule(checks.Check{
	ID:       "container-mount-propagation-shared",
	Title:    "Mounts reach the host",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.20 (v1.6.0)", "CWE-668"},
}, func(c *Container, _ *container.HostConfig, report func(checks.Finding)) {
	for _, m := range c.mounts() {
		if m.propagation != mount.PropagationShared && m.propagation != mount.PropagationRShared {
			continue
		}
		f := c.found(mountSetting(m), m.description+" "+string(m.propagation),
			checks.Msg("what %s mounts below %s appears on the host", c.Settings.Name, m.target))
		f.Key = m.target
		if m.field != inherited {
			f.Fixes = []checks.Fix{{
				ID:      "private-mount",
				Title:   checks.Msg("keep mounts below %s inside", m.target),
				Caution: checks.Msg("what it mounts for the host or for other containers is no longer seen there"),
				Change:  func(s *checks.Settings, _ checks.Values) error { keepInside(s.Host, m.target); return nil },
			}}
		}
		report(f)
	}
})

// keepInside makes the mount at target private.
func keepInside(host *container.HostConfig, target string) {
	for i, bind := range host.Binds {
		m, ok := parseBind(bind)
		at := strings.LastIndexByte(bind, ':')
		if !ok || m.target != target || at < 0 {
			continue
		}
		options := slices.DeleteFunc(strings.Split(bind[at+1:], ","), func(o string) bool { return o == "shared" || o == "rshared" })
		host.Binds[i] = strings.TrimSuffix(bind[:at+1]+strings.Join(options, ","), ":")
	}
	for i, m := range host.Mounts {
		if m.Target == target && m.BindOptions != nil {
			host.Mounts[i].BindOptions.Propagation = mount.PropagationRPrivate
		}
	}
}

var volumesFrom = hostRule(checks.Check{
	ID:       "container-volumes-from",
	Title:    "Takes all mounts of another container",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	for _, from := range host.VolumesFrom {
		other, _, _ := strings.Cut(from, ":")
		f := c.found(setting{"HostConfig.VolumesFrom", []string{"volumes_from." + from, "volumes_from"}}, from,
			checks.Msg("%s mounts whatever %s mounts", c.Settings.Name, other))
		f.Key = other
		report(f)
	}
})

// anonymousVolume matches the name that an engine makes up for a volume.
var anonymousVolume = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })

// anonymousVolumes returns the writable ones of c that belong to it alone.
func (c *Container) anonymousVolumes() []container.MountPoint {
	if c.Inspect == nil {
		return nil
	}
	var own []container.MountPoint
	if c.Settings.Host != nil && len(c.Settings.Host.VolumesFrom) > 0 {
		return nil // they may be those of the other container
	}
	for _, m := range c.Inspect.Mounts {
		if m.Type == mount.TypeVolume && m.RW && anonymousVolume().MatchString(m.Name) {
			own = append(own, m)
		}
	}
	return own
}

// dataFolders are where widespread programs keep what must not be lost.
var dataFolders = []string{
	"/var/lib/mysql", "/var/lib/mariadb", "/var/lib/postgresql", "/var/lib/mongodb", "/data/db", "/var/lib/redis",
	"/var/lib/rabbitmq", "/var/lib/influxdb", "/var/lib/influxdb2", "/var/lib/cassandra", "/var/lib/clickhouse",
	"/usr/share/elasticsearch/data", "/usr/share/opensearch/data", "/var/lib/grafana", "/prometheus", "/var/lib/neo4j/data",
	"/var/opt/mssql", "/opt/couchdb/data", "/etcd-data", "/var/lib/registry", "/var/jenkins_home", "/var/www/html/wp-content/uploads",
	"/var/www/html/data", "/var/gitlab", "/var/opt/gitlab", "/vaultwarden/data", "/data",
}

var dataInWritableLayer = stateful(checks.Check{
	ID:       "container-data-in-writable-layer",
	Title:    "Data would be left behind",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
}, func(c *Container, _ *container.InspectResponse, report func(checks.Finding)) {
	mounted := c.mounts()
	reported := map[string]bool{}
	for _, change := range c.Changed {
		p := path.Clean(change.Path)
		i := slices.IndexFunc(dataFolders, func(folder string) bool { return within(p, folder) && p != folder })
		if i < 0 || change.Kind == container.ChangeDelete || reported[dataFolders[i]] ||
			slices.ContainsFunc(mounted, func(m hostMount) bool { return within(p, path.Clean(m.target)) }) {
			continue
		}
		reported[dataFolders[i]] = true
		report(checks.Finding{
			Key:      dataFolders[i],
			Message:  checks.Msg("%s keeps data in %s, which is removed together with the container", c.Settings.Name, dataFolders[i]),
			Evidence: []checks.Evidence{{Source: "docker diff", Detail: p}},
		})
	}
	for _, m := range c.anonymousVolumes() {
		severity := checks.Low // a cache as likely as data
		if isDataStore(c.Settings.Image) || slices.ContainsFunc(dataFolders, func(folder string) bool { return within(path.Clean(m.Destination), folder) }) {
			severity = checks.Medium
		}
		report(checks.Finding{
			Key: m.Destination, Severity: severity,
			Message:  checks.Msg("%s keeps %s in a volume without a name, which another container would not find", c.Settings.Name, m.Destination),
			Evidence: []checks.Evidence{{Source: inherited, Detail: m.Name[:12] + ":" + m.Destination}},
		})
	}
})

var autoRemoveWithData = stateful(checks.Check{
	ID:       "container-autoremove-with-data",
	Title:    "Data is removed when it stops",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
}, func(c *Container, _ *container.InspectResponse, report func(checks.Finding)) {
	if c.Settings.Host == nil || !c.Settings.Host.AutoRemove {
		return
	}
	for _, m := range c.anonymousVolumes() {
		report(checks.Finding{
			Key:     m.Destination,
			Message: checks.Msg("when %s stops, the engine removes it and what it keeps in %s", c.Settings.Name, m.Destination),
			Evidence: []checks.Evidence{
				{Source: "HostConfig.AutoRemove", Detail: "true"},
				{Source: inherited, Detail: m.Name[:12] + ":" + m.Destination},
			},
		})
	}
})
