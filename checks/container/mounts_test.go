package container

import (
	"reflect"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
)

var nameless = strings.Repeat("0a", 32)

// keep gives c a volume without a name.
func keep(c *Container, path string) {
	c.Inspect.Mounts = append(c.Inspect.Mounts, container.MountPoint{Type: mount.TypeVolume, Name: nameless, Destination: path, RW: true})
}

var mountCases = []testCase{
	{"home", func(c *Container) { bind(c, "/home/me:/h:ro") }, []string{"container-user-secrets-mounted /h"}},
	{"keys", func(c *Container) {
		bind(c, "/home/me/.ssh/id_ed25519:/k:ro", "~/.aws:/a", "/root/.kube/config:/c", "/Users/me/.config/gcloud:/g")
	},
		[]string{"container-user-secrets-mounted /a", "container-user-secrets-mounted /c", "container-user-secrets-mounted /g", "container-user-secrets-mounted /k"}},
	{"keys by mount", func(c *Container) {
		c.Settings.Host.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: "/root/.docker", Target: "/d"}}
	}, []string{"container-user-secrets-mounted /d"}},
	{"project in a home", func(c *Container) { bind(c, "/home/me/shop:/app", "/home/me/.sshd:/s") }, nil},
	{"inherited keys", func(c *Container) {
		c.Inspect.Mounts = []container.MountPoint{{Type: mount.TypeBind, Source: "/home/me/.ssh", Destination: "/s"}}
	}, []string{"container-user-secrets-mounted /s"}},
	{"mounts as asked for", func(c *Container) {
		bind(c, "/home/me/.ssh:/s:ro")
		c.Inspect.Mounts = []container.MountPoint{{Type: mount.TypeBind, Source: "/home/me/.ssh", Destination: "/s"}}
	}, []string{"container-user-secrets-mounted /s"}},

	{"shared mounts", func(c *Container) {
		bind(c, "/srv/a:/a:rshared", "/srv/b:/b:ro,shared,z", "/srv/c:/c:rslave", "/srv/d:/d:rprivate")
	},
		[]string{"container-mount-propagation-shared /a", "container-mount-propagation-shared /b"}},
	{"shared mount", func(c *Container) {
		c.Settings.Host.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: "/srv", Target: "/s", BindOptions: &mount.BindOptions{Propagation: mount.PropagationRShared}}}
	}, []string{"container-mount-propagation-shared /s"}},

	{"mounts of another", func(c *Container) { c.Settings.Host.VolumesFrom = []string{"data:ro"} }, []string{"container-volumes-from data"}},

	{"volume without a name", func(c *Container) { keep(c, "/var/lib/mysql") }, []string{"container-data-in-writable-layer /var/lib/mysql"}},
	{"volume without a name of another", func(c *Container) { keep(c, "/x"); c.Settings.Host.VolumesFrom = []string{"a"} }, []string{"container-volumes-from a"}},
	{"volume with a name", func(c *Container) {
		c.Inspect.Mounts = []container.MountPoint{{Type: mount.TypeVolume, Name: "data", Destination: "/var/lib/mysql", RW: true}}
	}, nil},
	{"data beside the volumes", func(c *Container) {
		bind(c, "volume:/var/lib/grafana")
		c.Changed = []container.FilesystemChange{
			{Kind: container.ChangeModify, Path: "/var/lib/postgresql"}, {Kind: container.ChangeAdd, Path: "/var/lib/postgresql/data/base"},
			{Kind: container.ChangeAdd, Path: "/var/lib/grafana/grafana.db"}, {Kind: container.ChangeAdd, Path: "/tmp/x"},
		}
	}, []string{"container-data-in-writable-layer /var/lib/postgresql"}},
	{"data until it stops", func(c *Container) { keep(c, "/data"); c.Settings.Host.AutoRemove = true },
		[]string{"container-attributes-unsupported auto-remove", "container-autoremove-with-data /data", "container-data-in-writable-layer /data"}},

	{"secret in the command", func(c *Container) { c.Settings.Config.Cmd = []string{"server", "--password", "hunter2hunter2"} }, []string{"container-secret-in-args command"}},
	{"secret in the entry point", func(c *Container) { c.Settings.Config.Entrypoint = []string{"sh", "-c", "TOKEN=hunter2hunter2 run"} }, []string{"container-secret-in-args entrypoint"}},
	{"secret in the health check", func(c *Container) {
		c.Settings.Config.Healthcheck.Test = []string{"CMD-SHELL", "mysqladmin --password=hunter2hunter2 ping"}
	}, []string{"container-secret-in-args healthcheck"}},
	{"secret in a label", func(c *Container) {
		c.Settings.Config.Labels = map[string]string{"acme.api_token": "hunter2hunter2", "version": "1", "token": ""}
	}, []string{"container-secret-in-args acme.api_token"}},
	{"reference to a secret", func(c *Container) {
		c.Settings.Config.Cmd = []string{"server", "--password-file", "/run/secrets/db", "--password", "$DB_PASSWORD"}
	}, nil},
}

func TestMountFixes(t *testing.T) {
	c := sound()
	bind(c, "/srv/a:/a:ro,rshared", "/srv/b:/b:shared", "/home/me/.ssh:/k", "/srv/c:/c:ro")
	private := fixOf(t, c, "container-mount-propagation-shared", "private-mount")
	unmount := fixOf(t, c, "container-user-secrets-mounted", "unmount")
	c = tryFix(t, tryFix(t, c, private, nil), unmount, nil)
	want := []string{"/srv/a:/a:ro", "/srv/b:/b:shared", "/srv/c:/c:ro"}
	if !reflect.DeepEqual(c.Settings.Host.Binds, want) {
		t.Errorf("leaves %q", c.Settings.Host.Binds)
	}
	b := fixOf(t, c, "container-mount-propagation-shared", "private-mount")
	if got := tryFix(t, c, b, nil).Settings.Host.Binds[1]; got != "/srv/b:/b" {
		t.Errorf("makes %q of /srv/b:/b:shared", got)
	}
}

func TestSecretsStayHidden(t *testing.T) {
	c := sound()
	c.Settings.Config.Cmd = []string{"server", "--password", "hunter2hunter2"}
	c.Settings.Config.Labels = map[string]string{"token": "hunter2hunter2"}
	for _, f := range judge(t, c).Findings {
		for _, text := range append([]string{f.Message.String(), f.Key}, evidence(f)...) {
			if strings.Contains(text, "hunter2") {
				t.Errorf("%s shows %q", f.Check.ID, text)
			}
		}
	}
}

func evidence(f checks.Finding) (all []string) {
	for _, e := range f.Evidence {
		all = append(all, e.String())
	}
	return all
}
