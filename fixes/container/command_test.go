package container

import (
	"net/netip"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
)

// TestCreateCommand: what is shown can be pasted, and holds no secret.
func TestCreateCommand(t *testing.T) {
	_, b := bodyOf(func(c *api.InspectResponse) {
		c.Config.Hostname = "box"
		c.Config.Env = []string{"A=it's", "DB_PASSWORD=correct-horse-battery"}
		c.Config.Labels = map[string]string{"api.token": "correct-horse-battery", "evil": "a\x1b[2J$(id)"}
		c.Config.Entrypoint, c.Config.Cmd = []string{"/bin/sh", "-c"}, []string{"echo $HOME; exit"}
		c.Config.Healthcheck = &api.HealthConfig{Test: []string{"CMD", "/check", "a b"}, Retries: 2}
		h := c.HostConfig
		h.Memory, h.NanoCPUs, h.ReadonlyRootfs = 256<<20, 15e8, true
		h.CapDrop, h.CapAdd = []string{"ALL"}, []string{"CAP_CHOWN"}
		h.SecurityOpt = []string{"no-new-privileges", `seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`}
		h.RestartPolicy = api.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}
		h.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "v", Target: "/v", ReadOnly: true}}
		h.NetworkMode = "n"
		h.PortBindings = network.PortMap{network.MustParsePort("80/tcp"): {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: "8080"}}}
		c.NetworkSettings.Networks = map[string]*network.EndpointSettings{"n": {
			IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.1.2.3")}, Aliases: []string{"web"},
		}}
	})
	line := shellLine(createCommand(b, imageConfig(nil)))
	for _, want := range []string{
		"docker create --name app.plimsoll-new", "--hostname box", `"A=it's"`, "--env DB_PASSWORD ", "--memory 256m", "--cpus 1.5",
		"--read-only", "--cap-drop ALL --cap-add CHOWN", "seccomp=PROFILE.json", "--restart on-failure:3", "type=volume,source=v,target=/v,readonly",
		"--network n --ip 10.1.2.3 --network-alias web", "127.0.0.1:8080:80/tcp", "--entrypoint /bin/sh app:1 -c 'echo $HOME; exit'",
		"--health-cmd", "--health-retries 2",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in\n%s", want, line)
		}
	}
	for _, not := range []string{"battery", "\x1b", "defaultAction"} {
		if strings.Contains(line, not) {
			t.Errorf("%q in\n%s", not, line)
		}
	}
}
