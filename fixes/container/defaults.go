package container

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	spec "github.com/moby/docker-image-spec/specs-go/v1"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
)

// An inspection does not tell what the user set from what the image brought
// along. With the same image that does not matter. With another one, what
// equals the old image's has to give way to the new image's: the old PATH or
// the old command would not start it.

// imageConfig returns the configuration of i, empty when there is none.
func imageConfig(i *image.InspectResponse) spec.DockerOCIImageConfig {
	if i == nil || i.Config == nil {
		return spec.DockerOCIImageConfig{}
	}
	return *i.Config
}

func imageLabels(i *image.InspectResponse) map[string]string { return imageConfig(i).Labels }

// rebase moves c, the merged configuration of a container, from the defaults
// of image from to those of image to. What differs from those of from stays,
// and what differs from before, as a fix has just set it.
func rebase(c, before *api.Config, from, to *image.InspectResponse) {
	old, new := imageConfig(from), imageConfig(to)

	moved := func(value *string, before, old, new string) {
		if *value == old && *value == before {
			*value = new
		}
	}
	moved(&c.User, before.User, old.User, new.User)
	moved(&c.WorkingDir, before.WorkingDir, old.WorkingDir, new.WorkingDir)
	moved(&c.StopSignal, before.StopSignal, old.StopSignal, new.StopSignal)

	// A command belongs to the entry point that it was written for.
	if slices.Equal(c.Entrypoint, old.Entrypoint) {
		c.Entrypoint = slices.Clone(new.Entrypoint)
		if slices.Equal(c.Cmd, old.Cmd) {
			c.Cmd = slices.Clone(new.Cmd)
			//lint:ignore SA1019 engines for Windows still read it
			c.ArgsEscaped = new.ArgsEscaped
		}
	}
	c.Env = rebaseEnv(c.Env, old.Env, new.Env)
	c.Labels = rebaseLabels(c.Labels, old.Labels, new.Labels)
	c.ExposedPorts = rebasePorts(c.ExposedPorts, old.ExposedPorts, new.ExposedPorts)
	c.Healthcheck = rebaseHealth(c.Healthcheck, old.Healthcheck, new.Healthcheck)
	if slices.Equal(c.Shell, old.Shell) {
		c.Shell = slices.Clone(new.Shell)
	}
	c.OnBuild = nil // read by builds only
}

// variable returns the name of an entry of an environment. An entry without
// "=" hides the image's variable of that name.
func variable(entry string) string {
	name, _, _ := strings.Cut(entry, "=")
	return name
}

func rebaseEnv(env, old, new []string) []string {
	var out []string
	named := map[string]bool{}
	for _, entry := range env {
		if !slices.Contains(old, entry) {
			out = append(out, entry)
			named[variable(entry)] = true
		}
	}
	for _, entry := range new {
		if !named[variable(entry)] {
			out = append(out, entry)
		}
	}
	return out
}

func rebaseLabels(labels, old, new map[string]string) map[string]string {
	out := maps.Clone(new)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range labels {
		if was, ok := old[k]; !ok || was != v {
			out[k] = v
		}
	}
	return out
}

func rebasePorts(ports network.PortSet, old, new map[string]struct{}) network.PortSet {
	out := network.PortSet{}
	for p := range ports {
		out[p] = struct{}{}
	}
	for s := range old {
		if p, err := network.ParsePort(s); err == nil {
			delete(out, p)
		}
	}
	for s := range new {
		if p, err := network.ParsePort(s); err == nil {
			out[p] = struct{}{}
		}
	}
	return out
}

// rebaseHealth moves the fields of a health check one by one, because the
// engine fills what the user left out from the image. One with another test is
// the user's own.
func rebaseHealth(h, old, new *api.HealthConfig) *api.HealthConfig {
	switch {
	case h == nil:
		return new
	case old == nil || !slices.Equal(h.Test, old.Test):
		return h
	case reflect.DeepEqual(h, old) || new == nil:
		return new
	}
	out := *new
	keep(&out.Interval, h.Interval, old.Interval)
	keep(&out.Timeout, h.Timeout, old.Timeout)
	keep(&out.StartPeriod, h.StartPeriod, old.StartPeriod)
	keep(&out.StartInterval, h.StartInterval, old.StartInterval)
	keep(&out.Retries, h.Retries, old.Retries)
	return &out
}

func keep[T comparable](into *T, value, old T) {
	if value != old {
		*into = value
	}
}
