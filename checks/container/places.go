package container

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
)

// A Place is what stands behind a mount on this machine.
type Place struct {
	Mode    fs.FileMode
	Newest  time.Time // of what lies there, the last change
	Entries int
	Partial bool // there is more than was looked at

	// Roots are what only root may write there, at most a few, told from the mount;
	// RootCount is how many there are.
	Roots     []string
	RootCount int
}

// watchedFor is how long a container has to run before it says something that
// it wrote nothing.
const watchedFor = 24 * time.Hour

var mountWritableNeedlessly = stateful(checks.Check{
	ID:       "container-mount-writable-needlessly",
	Title:    "Writable mount that nothing writes",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"OWASP Docker rule 8", "CWE-732"},
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	if !c.running() {
		return
	}
	since, err := time.Parse(time.RFC3339Nano, i.State.StartedAt)
	if err != nil || c.Now.Sub(since) < watchedFor {
		return
	}
	for _, m := range c.mounts() {
		place, known := c.Places[m.target]
		if !known || m.readOnly || m.field == inherited || place.Partial || place.Entries == 0 || !place.Newest.Before(since) ||
			m.kind != mount.TypeBind && m.kind != mount.TypeVolume || strings.HasSuffix(m.source, ".sock") {
			continue
		}
		f := c.found(mountSetting(m), m.description,
			checks.Msg("%s may write to %s and has not done so in the %d days that it runs", c.Settings.Name, m.target, int(c.Now.Sub(since)/day)))
		f.Key = m.target
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "newest change there", Detail: place.Newest.UTC().Format(time.RFC3339)})
		f.Fixes = []checks.Fix{{
			ID:      "mount-read-only",
			Title:   checks.Msg("mount %s read-only", m.target),
			Caution: checks.Msg("a rare task that does write there fails"),
			Change:  func(s *checks.Settings, _ checks.Values) error { writeProtect(s.Host, m.target); return nil },
		}}
		report(f)
	}
})

// writeProtect makes the mount at target read-only.
func writeProtect(host *container.HostConfig, target string) {
	for i, bind := range host.Binds {
		m, ok := parseBind(bind)
		if !ok || m.target != target || m.readOnly {
			continue
		}
		source := strings.TrimSuffix(bind, ":"+bindOptions(bind))
		options := slices.DeleteFunc(strings.Split(bindOptions(bind), ","), func(o string) bool { return o == "rw" || o == "" })
		host.Binds[i] = source + ":" + strings.Join(append([]string{"ro"}, options...), ",")
	}
	for i, m := range host.Mounts {
		if m.Target == target {
			host.Mounts[i].ReadOnly = true
		}
	}
}

// bindOptions returns what stands behind the target of a bind, "" for nothing.
func bindOptions(bind string) string {
	m, ok := parseBind(bind)
	if !ok {
		return ""
	}
	_, options, found := strings.Cut(bind, ":"+m.target+":")
	if !found {
		return ""
	}
	return options
}

// secretNames matches files that hold a secret by their name.
var secretNames = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:pem|key|p12|pfx|jks|keystore|kdbx)|\.?(?:env|netrc|npmrc|pgpass|git-credentials|htpasswd)(?:\..+)?|credentials(?:\.json)?|kubeconfig|.*(?:secret|password|passwd|token)s?(?:\.(?:txt|json|ya?ml|env|conf))?)$`)
})

// public matches those among them that anybody may read.
var public = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[-_.])(?:ca|cert|certs|chain|fullchain|public|pub|root|example|sample)(?:[-_.]|$)`)
})

const othersMayRead fs.FileMode = 0o004

var secretFileReadable = stateful(checks.Check{
	ID:       "container-secret-file-readable",
	Title:    "Mounted secret that anybody may read",
	Severity: checks.Low,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-732", "CWE-522"},
}, func(c *Container, _ *container.InspectResponse, report func(checks.Finding)) {
	for _, m := range c.mounts() {
		place, known := c.Places[m.target]
		if !known || m.kind != mount.TypeBind || !place.Mode.IsRegular() || place.Mode&othersMayRead == 0 || !holdsSecret(m) {
			continue
		}
		f := c.found(mountSetting(m), m.description, checks.Msg("every user in %s, and on the host, may read the secret in %s", c.Settings.Name, m.target))
		f.Key = m.target
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "mode of " + m.source, Detail: place.Mode.String()})
		report(f)
	}
})

// holdsSecret reports whether a mounted file is one by its place or its name.
func holdsSecret(m hostMount) bool {
	if within(path.Clean(m.target), "/run/secrets") {
		return true
	}
	for _, name := range []string{path.Base(m.target), path.Base(hostPath(m.source))} {
		if secretNames().MatchString(name) && !public().MatchString(name) {
			return true
		}
	}
	return false
}
