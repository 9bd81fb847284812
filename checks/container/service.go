package container

import "github.com/moby/moby/api/types/container"

// Labels that a swarm puts on the containers of its tasks.
const (
	LabelService     = "com.docker.swarm.service.id"
	LabelServiceName = "com.docker.swarm.service.name"
	LabelTask        = "com.docker.swarm.task.id"
)

// Service returns the Swarm service that c is a task of, empty for none. An image
// may claim anything, so that its labels do not count.
func (c *Container) Service() (id, name string) {
	if c.Settings.Config == nil || c.Inspect == nil {
		return "", ""
	}
	if id = c.Settings.Config.Labels[LabelService]; id == "" || c.imageLabel(LabelService) == id {
		return "", ""
	}
	return id, c.Settings.Config.Labels[LabelServiceName]
}

// Past reports whether c is what is left of a task that has ended. A swarm makes
// a new container for each task and keeps a few of the old ones, which never run
// again. They are not judged: nothing about them can be changed.
func (c *Container) Past() bool {
	id, _ := c.Service()
	if id == "" || c.Inspect.State == nil {
		return false
	}
	s := c.Inspect.State.Status
	return s == container.StateExited || s == container.StateDead
}

// lasting returns the name that outlives c: that of its service.
func (c *Container) lasting() string {
	if _, service := c.Service(); service != "" {
		return service
	}
	return c.Settings.Name
}
