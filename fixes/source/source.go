// Package source finds the file that a container or an image is made from. What
// belongs to docker compose is changed there, since the next start would undo
// anything else; what is wrong in an image is put right where it is built.
package source

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// A World is what is asked for the files that things are made from.
type World interface {
	fixer.Reader
	Draft(ctx context.Context, ref checks.Ref, source []byte) (*dockerfile.File, error)
	BuiltOn(ctx context.Context, i *image.Image) (*image.Image, error)
}

// Options say where files are.
type Options struct {
	// Dir is where a new Dockerfile is written; "" for the working directory.
	Dir string

	// Remote says that the engine is elsewhere: the files that its containers
	// name are not here.
	Remote bool
}

// Of returns a way to ask for the changes of containers and images in the files
// that they are made from, or would be.
func Of(world World, o Options) fixer.Source {
	return func(ctx context.Context, s checks.Subject, request fixes.Request) (checks.Subject, fixes.Request, error) {
		switch s := s.(type) {
		case *container.Container:
			if o.Remote {
				return nil, request, nil
			}
			return ofContainer(ctx, world, s, request)
		case *image.Image:
			return ofImage(ctx, world, o.Dir, s, request)
		}
		return nil, request, nil
	}
}

// ofContainer returns the compose file that c was made from.
func ofContainer(ctx context.Context, world World, c *container.Container, request fixes.Request) (checks.Subject, fixes.Request, error) {
	path, service, ok := compose.MadeFrom(c)
	if !ok {
		return nil, request, nil
	}
	made, err := world.Read(ctx, checks.Ref{Kind: checks.Compose, ID: path, Name: path})
	if err != nil {
		return nil, request, err
	}
	file, ok := made.(*compose.File)
	if !ok || !slices.ContainsFunc(file.Services, func(s *container.Container) bool { return s.Compose.Service == service }) {
		return nil, request, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("%s has no service %s", terminal.Line(path), terminal.Line(service)))
	}
	return file, translated(file, service, c.Settings.Name, request), nil
}

// translated returns request in terms of file: findings of its service, values
// for that service, and the fixes of the same name.
func translated(file *compose.File, service, container string, request fixes.Request) fixes.Request {
	out := request
	out.Findings, out.Fix, out.WriteBack, out.Values = nil, map[checks.FindingID]string{}, false, checks.Values{}
	for key, value := range request.Values {
		// What was answered in terms of the file came later.
		if _, later := request.Values[service+"."+key]; !strings.HasPrefix(key, service+".") && !later {
			key = service + "." + key
		}
		out.Values[key] = value
	}
	found := checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings
	for _, f := range found {
		if request.WriteBack && f.Check.ID == compose.NotPersisted && strings.HasPrefix(f.Key, container+"/") {
			out.Findings = append(out.Findings, f)
		}
	}
	for _, asked := range request.Findings {
		key := strings.TrimSuffix(service+"/"+asked.Key, "/")
		for _, f := range found {
			if f.Check.ID == asked.Check.ID && f.Key == key {
				out.Findings = append(out.Findings, f)
				if id := request.Fix[asked.ID()]; id != "" {
					out.Fix[f.ID()] = id
				}
			}
		}
	}
	return out
}
