package checks

import (
	"encoding/json"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// Settings are what a container is, or would be, created from. They come from
// an inspection or from a service of a compose file, so that both are judged by
// the same checks and changed by the same fixes.
type Settings struct {
	Name     string // container name without a slash, or service name
	Image    string // reference as the user wrote it
	Config   *container.Config
	Host     *container.HostConfig
	Networks map[string]*network.EndpointSettings // by network name

	// Update asks for the image that Image names now, rather than the one the
	// container runs; Pull asks the registry first. Set by fixes only.
	Update, Pull bool

	// Secrets leave the environment for files that are mounted. Set by fixes only.
	Secrets []FileSecret
}

// A FileSecret is a secret that a container reads from a file.
type FileSecret struct {
	Variable string // that held it
	Name     string
	Target   string // in the container
	Value    Sensitive

	// Readable says that another user than root reads the file.
	Readable bool

	// Path is the file on the machine of the engine; empty until one is chosen.
	Path string
}

// Clone returns a deep copy, so that a change can be tried and compared.
func (s *Settings) Clone() *Settings {
	c := *s
	c.Config = deepCopy(s.Config)
	c.Host = deepCopy(s.Host)
	c.Networks = *deepCopy(&s.Networks)
	c.Secrets = slices.Clone(s.Secrets)
	return &c
}

// deepCopy goes through JSON because that is what these types are made for:
// the engine sent them so, and will get them back so.
func deepCopy[T any](v *T) *T {
	if v == nil {
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic("checks: settings do not marshal: " + err.Error())
	}
	c := new(T)
	if err := json.Unmarshal(data, c); err != nil {
		panic("checks: settings do not unmarshal: " + err.Error())
	}
	return c
}
