package container

import (
	"maps"
	"slices"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// managers are labels of containers that something else creates, and would
// create again.
var managers = map[string]string{
	"io.kubernetes.pod.name":       "Kubernetes",
	"PODMAN_SYSTEMD_UNIT":          "systemd",
	"com.hashicorp.nomad.alloc_id": "Nomad",
	"com.amazonaws.ecs.task-arn":   "ECS",
	"com.docker.compose.oneoff":    "docker compose run",
	"com.docker.desktop.extension": "Docker Desktop",
	"org.testcontainers":           "Testcontainers",
	"io.x-k8s.kind.cluster":        "kind",
	"io.hass.type":                 "Home Assistant",
	"devcontainer.local_folder":    "Dev Containers",
}

var attributesUnsupported = stateful(checks.Check{
	ID:       "container-attributes-unsupported",
	Title:    "Cannot be created anew as it is",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	say := func(key, source, detail string, message checks.Message) {
		report(checks.Finding{Key: key, Message: message, Evidence: []checks.Evidence{{Source: source, Detail: detail}}})
	}
	name := c.Settings.Name
	if c.Settings.Host != nil && c.Settings.Host.AutoRemove {
		say("auto-remove", "HostConfig.AutoRemove", "true",
			checks.Msg("%s is removed when it stops, so that a change of it could not be undone", name))
	}
	if c.Image == nil && i.Image != "" {
		say("image", "Image", i.Image, checks.Msg("the image of %s is gone: it runs, but cannot be created again", name))
	}
	if c.Settings.Config == nil {
		return
	}
	for _, label := range slices.Sorted(maps.Keys(managers)) {
		value, ok := c.Settings.Config.Labels[label]
		if !ok || value == "" || value == "False" || value == "false" || c.imageLabel(label) == value {
			continue
		}
		say(label, "Config.Labels", label, checks.Msg("%s belongs to %s, which would undo a change: make it there", name, managers[label]))
	}
})

// imageLabel returns a label of the image: what an image says of itself does
// not tell who manages the container.
func (c *Container) imageLabel(name string) string {
	if c.Image == nil || c.Image.Config == nil {
		return ""
	}
	return c.Image.Config.Labels[name]
}
