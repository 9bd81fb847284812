package inventory

import (
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/image"
)

// project is the label by which compose names the project of a container.
const project = "com.docker.compose.project"

// status returns what the row of a subject shows.
func status(s checks.Subject) Status {
	switch s := s.(type) {
	case *container.Container:
		return containerStatus(s)
	case *image.Image:
		return Status{Size: s.Inspect.Size, Created: parseTime(s.Inspect.Created)}
	}
	return Status{}
}

func containerStatus(c *container.Container) Status {
	st := Status{Image: c.Settings.Image}
	if c.Settings.Config != nil {
		st.Project = c.Settings.Config.Labels[project]
	}
	if c.Inspect == nil {
		return st
	}
	st.Created = parseTime(c.Inspect.Created)
	if s := c.Inspect.State; s != nil {
		st.State = string(s.Status)
		st.Kept, st.Past = c.Kept(), c.Past()
		if s.Health != nil && s.Health.Status != api.NoHealthcheck {
			st.Health = string(s.Health.Status)
		}
	}
	return st
}

// listedStatus is the same from the engine's list, before any inspection.
func listedStatus(s api.Summary) Status {
	st := Status{State: string(s.State), Image: s.Image, Project: s.Labels[project]}
	if s.Created > 0 {
		st.Created = time.Unix(s.Created, 0)
	}
	if s.Health != nil && s.Health.Status != api.NoHealthcheck {
		st.Health = string(s.Health.Status)
	}
	return st
}

// imageRef returns the identity and status of a listed image.
func imageRef(x *images, id string) (checks.Ref, Status) {
	s, _ := x.summary(id)
	st := Status{Size: s.Size}
	if s.Created > 0 {
		st.Created = time.Unix(s.Created, 0)
	}
	return checks.Ref{Kind: checks.Image, ID: id, Name: image.Name(s.RepoTags, s.RepoDigests, id)}, st
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
