package container

import (
	"cmp"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client/pkg/versions"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
)

// ownLabels returns the labels of the container that its image did not bring
// along: a label is a claim, and an image may claim anything.
func (w *world) ownLabels() map[string]string {
	image := imageLabels(w.container.Image)
	own := map[string]string{}
	for k, v := range w.inspect().Config.Labels {
		if was, ok := image[k]; !ok || was != v {
			own[k] = v
		}
	}
	return own
}

const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeFiles   = "com.docker.compose.project.config_files"
	composeOneOff  = "com.docker.compose.oneoff"
	composeNeeds   = "com.docker.compose.depends_on" // "db:service_healthy:true,cache:service_started:false"
)

// foreign says why the container is not ours to change at all, zero if it is.
func (w *world) foreign() checks.Message {
	name := clean(w.name())
	switch c := w.inspect(); {
	case w.plain:
		return checks.Msg("the connection to this engine is not encrypted: use ssh:// or TLS to change anything")
	case shelved(w.name()):
		return checks.Msg("%s is the kept original of an earlier change: undo that change instead", name)
	case strings.HasSuffix(w.name(), newSuffix):
		return checks.Msg("%s is the unfinished replacement of an earlier change: recover that change instead", name)
	case c.State.Paused:
		return checks.Msg("%[1]s is paused: run docker unpause %[1]s first", name)
	case c.State.Restarting:
		return checks.Msg("%[1]s is restarting right now: stop it first with docker stop %[1]s", name)
	case c.State.Dead || c.State.Status == api.StateRemoving:
		return checks.Msg("%s is being removed", name)
	case w.self != "" && strings.HasPrefix(c.ID, w.self):
		return checks.Msg("plimsoll runs in %s and would stop itself: run it from elsewhere", name)
	case w.carriesConnection():
		return checks.Msg("the connection to the engine goes through %s, which would be cut: connect to the engine directly", name)
	}
	return w.orchestrated()
}

// carriesConnection reports whether the engine is reached through the
// container, such as a proxy for its socket.
func (w *world) carriesConnection() bool {
	u, err := url.Parse(w.host)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	c, host := w.inspect(), u.Hostname()
	if host == w.name() || host == c.Config.Hostname {
		return true
	}
	if c.NetworkSettings == nil {
		return false
	}
	for _, e := range c.NetworkSettings.Networks {
		if e == nil {
			continue
		}
		for _, alias := range e.Aliases {
			if alias == host {
				return true
			}
		}
		if e.IPAddress.IsValid() && e.IPAddress.String() == host {
			return true
		}
	}
	_, port, err := net.SplitHostPort(u.Host)
	if err != nil || host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return false
	}
	for _, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if b.HostPort == port {
				return true
			}
		}
	}
	return false
}

// orchestrated names the program that would undo a change or trip over it.
func (w *world) orchestrated() checks.Message {
	labels := w.ownLabels()
	name := clean(w.name())
	if labels[subject.LabelTask] != "" || labels[subject.LabelServiceName] != "" {
		service := clean(cmp.Or(labels[subject.LabelServiceName], "SERVICE"))
		switch {
		case w.container.Past():
			return checks.Msg("%s is a past task of the service %s, which never runs again: change one that runs", name, service)
		case w.service != nil:
			return checks.Message{}
		case w.info.Swarm.LocalNodeState == swarm.LocalNodeStateActive && !w.info.Swarm.ControlAvailable:
			return checks.Msg("%s is a task of a Swarm service, and this engine is no manager of the swarm: connect to one, or run docker service update %s there", name, fixes.Quote(service))
		}
		return checks.Msg("%s is a task of a Swarm service, which replaces it: change the service with docker service update %s", name, fixes.Quote(service))
	}
	if labels["io.kubernetes.pod.name"] != "" {
		return checks.Msg("%s belongs to the Kubernetes pod %s: change its securityContext and resources with kubectl", name, clean(labels["io.kubernetes.pod.name"]))
	}
	for k := range labels {
		switch {
		case strings.HasPrefix(k, "io.x-k8s.kind."), strings.HasPrefix(k, "name.minikube."):
			return checks.Msg("%s is a node of a local Kubernetes cluster: it is managed by the tool that made it", name)
		case strings.HasPrefix(k, "com.hashicorp.nomad."):
			return checks.Msg("%s belongs to Nomad: change the job and run nomad job run", name)
		case strings.HasPrefix(k, "com.amazonaws.ecs."):
			return checks.Msg("%s belongs to Amazon ECS: change the task definition", name)
		case strings.HasPrefix(k, "io.hass."):
			return checks.Msg("%s belongs to Home Assistant: change it there", name)
		}
	}
	if e := w.container.Engine; e != nil && e.Podman && labels["PODMAN_SYSTEMD_UNIT"] == "" {
		// It refuses what it says itself: its limits have other names when it
		// is asked for them, and it has no docker update.
		return checks.Msg("%s runs on Podman, which does not take back all that it says of a container: create it anew with podman run and the changed settings", name)
	}
	if unit := labels["PODMAN_SYSTEMD_UNIT"]; unit != "" {
		return checks.Msg("%s belongs to the systemd unit %s: change the unit, then run systemctl restart %s", name, clean(unit), fixes.Quote(clean(unit)))
	}
	return checks.Message{}
}

// irreplaceable says why the container must not be recreated, zero if it may be.
func (w *world) irreplaceable(fields []string) checks.Message {
	c := w.inspect()
	name := clean(w.name())
	labels := w.ownLabels()
	switch {
	case w.mac != "" && versions.LessThan(w.api, "1.44"):
		return checks.Msg("%s has the hardware address %s, which plimsoll cannot ask this version of the engine for", name, clean(w.mac))
	case len(w.unknown) > 0:
		return checks.Msg("the engine knows settings of %s that plimsoll does not, and they would be lost: %s", name, clean(strings.Join(w.unknown, ", ")))
	case c.HostConfig.AutoRemove:
		return checks.Msg("%s was started with --rm: stopping it removes it and its anonymous volumes, so that there would be no way back. Run it again without --rm", name)
	case strings.EqualFold(labels[composeOneOff], "true"):
		return checks.Msg("%s is a single run of docker compose run: run it again with the changed compose file", name)
	case labels[composeProject] != "":
		return w.composed(labels, fields)
	case w.container.Image == nil:
		return checks.Msg("the image of %s is no longer on the engine, so that it cannot be created again: pull it first", name)
	case len(w.missing) > 0:
		return checks.Msg("the engine would create empty folders in place of what is mounted and no longer there: %s", clean(strings.Join(w.missing, ", ")))
	}
	if gone := w.missingNetworks(); len(gone) > 0 {
		return checks.Msg("%s belongs to networks that no longer exist: %s", name, clean(strings.Join(gone, ", ")))
	}
	if others := w.dependants(); len(others) > 0 {
		return checks.Msg("other containers share namespaces with %s or are linked to it and would break: %s. Remove them first and create them again afterwards", name, clean(strings.Join(others, ", ")))
	}
	return checks.Message{}
}

// composed names the change of the compose file that does what was asked for.
func (w *world) composed(labels map[string]string, fields []string) checks.Message {
	file := "compose.yaml"
	if first, _, _ := strings.Cut(labels[composeFiles], ","); first != "" {
		file = filepath.Base(first)
	}
	service := cmp.Or(labels[composeService], w.name())
	if len(fields) == 1 && fields[0] == "Image" {
		return checks.Msg("docker compose manages %s: update it with docker compose pull %[2]s, then docker compose up -d %[2]s", clean(w.name()), clean(fixes.Quote(service)))
	}
	return checks.Msg("docker compose manages %s and would undo the change: set %s of the service %s in %s, then run: %s",
		clean(w.name()), composeKeys(fields), clean(service), clean(file), clean("docker compose up -d "+fixes.Quote(service)))
}

// composeKey names settings the way a compose file does.
var composeKey = map[string]string{
	"Config.User":                "user",
	"Config.Healthcheck":         "healthcheck",
	"HostConfig.CapAdd":          "cap_add",
	"HostConfig.CapDrop":         "cap_drop",
	"HostConfig.Memory":          "mem_limit",
	"HostConfig.MemorySwap":      "memswap_limit",
	"HostConfig.NanoCpus":        "cpus",
	"HostConfig.NetworkMode":     "networks",
	"HostConfig.PidsLimit":       "pids_limit",
	"HostConfig.PortBindings":    "ports",
	"HostConfig.Privileged":      "privileged",
	"HostConfig.PublishAllPorts": "ports",
	"HostConfig.ReadonlyRootfs":  "read_only",
	"HostConfig.RestartPolicy":   "restart",
	"HostConfig.SecurityOpt":     "security_opt",
	"HostConfig.Tmpfs":           "tmpfs",
	"Image":                      "image",
	"Networks":                   "networks",
}

// composeKeys returns the keys for fields, each once.
func composeKeys(fields []string) string {
	var keys []string
	seen := map[string]bool{}
	for _, f := range fields {
		key, ok := "", false
		for ; !ok && f != ""; f = f[:max(0, strings.LastIndexAny(f, ".["))] {
			key, ok = composeKey[f]
		}
		if ok && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ", ")
}

// missingNetworks returns networks of the container that are gone.
func (w *world) missingNetworks() []string {
	var out []string
	mode := w.inspect().HostConfig.NetworkMode
	if mode.IsHost() || mode.IsNone() || mode.IsContainer() {
		return nil
	}
	for _, name := range sortedKeys(w.container.Settings.Networks) {
		e := w.container.Settings.Networks[name]
		if !w.hasNetwork(name, e) {
			out = append(out, name)
		}
	}
	return out
}

func (w *world) hasNetwork(name string, e *network.EndpointSettings) bool {
	for _, n := range w.networks {
		if n.Name == name && (e == nil || e.NetworkID == "" || e.NetworkID == n.ID) {
			return true
		}
	}
	return false
}

// dependants returns containers that name this one, in ways that do not
// survive another id or another container of the name. Shelved originals do
// not count, they are stopped for good.
func (w *world) dependants() []string {
	var out []string
	for i := range w.all {
		o := &w.all[i]
		if !shelved(containerName(o)) && !w.together[o.ID] && dependsOn(o.HostConfig, w.inspect()) {
			out = append(out, containerName(o))
		}
	}
	return out
}

// dependsOn reports whether a container with the settings h needs c to run.
func dependsOn(h *api.HostConfig, c *api.InspectResponse) bool {
	for _, ref := range []string{h.NetworkMode.ConnectedContainer(), h.IpcMode.Container(), h.PidMode.Container()} {
		if isContainer(c, ref) {
			return true
		}
	}
	for _, l := range h.Links {
		if source, _, _ := strings.Cut(link(l), ":"); isContainer(c, source) {
			return true
		}
	}
	return false
}

// startsAfter reports whether docker compose starts the container after other,
// as their file asks for.
func (w *world) startsAfter(other *world) bool {
	if w.inspect().Config.Labels[composeNeeds] == "" {
		return false // almost always; the rest takes longer
	}
	labels, others := w.ownLabels(), other.ownLabels()
	if labels[composeProject] == "" || labels[composeProject] != others[composeProject] {
		return false
	}
	for need := range strings.SplitSeq(labels[composeNeeds], ",") {
		if service, _, _ := strings.Cut(need, ":"); service != "" && service == others[composeService] {
			return true
		}
	}
	return false
}
