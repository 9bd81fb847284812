// Package source finds the file that a container is made from. What belongs to
// docker compose is changed there: the next start would undo anything else.
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
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
)

// Of returns a way to ask for the changes of containers in the files that they
// are made from, which read reads. Files of an engine elsewhere are not here.
func Of(read fixer.Reader) fixer.Source {
	return func(ctx context.Context, s checks.Subject, request fixes.Request) (checks.Subject, fixes.Request, error) {
		c, ok := s.(*container.Container)
		if !ok {
			return nil, request, nil
		}
		path, service, ok := compose.MadeFrom(c)
		if !ok {
			return nil, request, nil
		}
		made, err := read.Read(ctx, checks.Ref{Kind: checks.Compose, ID: path, Name: path})
		if err != nil {
			return nil, request, err
		}
		file, ok := made.(*compose.File)
		if !ok || !slices.ContainsFunc(file.Services, func(s *container.Container) bool { return s.Compose.Service == service }) {
			return nil, request, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("%s has no service %s", terminal.Line(path), terminal.Line(service)))
		}
		return file, translated(file, service, c.Settings.Name, request), nil
	}
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
