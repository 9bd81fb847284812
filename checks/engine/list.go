package engine

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/moby/moby/client"
)

// A Known is an engine that the user has told the docker CLI of.
type Known struct {
	Target
	Name string // of the context, or the address in DOCKER_HOST
	Err  error  // why it cannot be used; then Target is empty
}

// List returns the engines of DOCKER_HOST, the default socket and all contexts
// of the docker CLI, in the order of their names after the first two.
func List() ([]Known, error) {
	var all []Known
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		t, err := direct(host)
		all = append(all, Known{t, host, err})
	}
	t, err := Context("default")
	all = append(all, Known{t, "default", err})
	metas, err := contexts().List()
	if err != nil {
		return all, fmt.Errorf("reading the docker contexts: %w", err)
	}
	slices.SortFunc(metas, func(a, b store.Metadata) int { return cmp.Compare(a.Name, b.Name) })
	for _, meta := range metas {
		t, err := named(meta.Name)
		all = append(all, Known{t, meta.Name, err})
	}
	return all, nil
}

// Context returns the engine of a context of the docker CLI.
func Context(name string) (Target, error) {
	if name == "default" {
		t, err := direct(client.DefaultDockerHost)
		t.Context = name
		return t, err
	}
	return named(name)
}

// Title is what t is called where there are several engines: the name of its
// context, else its address.
func (t Target) Title() string { return cmp.Or(t.Context, t.Host) }

func contexts() *store.ContextStore {
	return store.New(config.ContextStoreDir(), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(docker.DockerEndpoint, func() any { return &docker.EndpointMeta{} }),
	))
}
