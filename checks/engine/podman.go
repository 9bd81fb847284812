package engine

import (
	"context"
	"strings"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
)

// Info is what an engine says of itself, and which engine it is.
type Info struct {
	system.Info
	Parts    []system.ComponentVersion // what it consists of; nil when it does not say
	Platform string                    // who built it: "Docker Engine - Community"; often ""
	Podman   bool                      // it is Podman, which speaks the language of Docker's engine
}

// Ask asks an engine what it is. An engine that hides its version is taken for
// Docker's. Podman makes up another ID for each answer: it gets one that lasts,
// of its machine and the place of its data, which tells apart the engines of
// several users.
func Ask(ctx context.Context, c *client.Client) (Info, error) {
	answer, err := c.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Info{}, err
	}
	info := Info{Info: answer.Info}
	version, err := c.ServerVersion(ctx, client.ServerVersionOptions{})
	if err == nil {
		info.Parts, info.Platform = version.Components, version.Platform.Name
	}
	return info.steady(), nil
}

// Again asks the same engine once more, but not which one it is.
func (i Info) Again(ctx context.Context, c *client.Client) (Info, error) {
	answer, err := c.Info(ctx, client.InfoOptions{})
	i.Info = answer.Info
	return i.steady(), err
}

func (i Info) steady() Info {
	if i.Podman = IsPodman(i.Parts); i.Podman {
		i.ID = "podman:" + i.Name + ":" + i.DockerRootDir
	}
	return i
}

// IsPodman reports whether an engine of these parts is Podman.
func IsPodman(parts []system.ComponentVersion) bool {
	for _, p := range parts {
		if strings.Contains(p.Name, "Podman") {
			return true
		}
	}
	return false
}
