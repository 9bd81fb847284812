package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// ofImage returns the Dockerfile that builds i with its findings of the same
// cause. Where none is known it is a new one in dir: one that builds on i, or one
// that is reconstructed from the history of i.
func ofImage(ctx context.Context, world World, dir string, i *image.Image, request fixes.Request) (checks.Subject, fixes.Request, error) {
	for _, builder := range i.Builds {
		file, err := dockerfileOf(ctx, world, i, builder)
		if err != nil {
			return nil, request, err
		}
		there, byHand := sameCause(file, request)
		switch {
		case len(there.Findings) > 0:
			return file, there, nil
		case byHand != "":
			return nil, request, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s has this problem (%s), and a person has to decide how it is put right", terminal.Line(file.Name), byHand))
		}
	}
	if len(i.Builds) > 0 {
		return nil, request, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s has nothing of this to fix: build %s anew with it", terminal.Line(i.Builds[0].Name), terminal.Line(i.Ref().Name)))
	}
	ref, err := newFile(dir, i)
	if err != nil {
		return nil, request, err
	}
	reconstruct := slices.ContainsFunc(request.Findings, func(f checks.Finding) bool { return fixOf(&f, request).ID == "history" })
	source := fmt.Appendf(nil, "FROM %s\n", i.Reference())
	if reconstruct {
		base, err := world.BuiltOn(ctx, i)
		if err != nil {
			return nil, request, err
		}
		source = i.Reconstruct(base)
	}
	file, err := world.Draft(ctx, ref, source)
	if err != nil {
		return nil, request, err
	}
	there, _ := sameCause(file, request)
	if !reconstruct && len(there.Findings) == 0 {
		return nil, request, nil
	}
	return file, there, nil
}

// fixOf returns the fix of f that request asks for.
func fixOf(f *checks.Finding, request fixes.Request) checks.Fix {
	for _, fix := range f.Fixes {
		if id := request.Fix[f.ID()]; fix.Source && (id == "" || id == fix.ID) {
			return fix
		}
	}
	return checks.Fix{}
}

// dockerfileOf returns the Dockerfile that builder is, or that it builds i from;
// nil if it names none.
func dockerfileOf(ctx context.Context, world World, i *image.Image, builder checks.Ref) (*dockerfile.File, error) {
	made, err := world.Read(ctx, builder)
	if err != nil {
		return nil, err
	}
	switch made := made.(type) {
	case *dockerfile.File:
		return made, nil
	case *compose.File:
		if path, _ := inventory.BuiltBy(made, i.Inspect.RepoTags); path != "" {
			return dockerfileOf(ctx, world, i, checks.Ref{Kind: checks.Dockerfile, ID: path, Name: path})
		}
	}
	return nil, nil
}

// sameCause returns request in terms of file: the findings with the causes of
// those that are asked for. byHand is the check of one without a fix.
func sameCause(file *dockerfile.File, request fixes.Request) (there fixes.Request, byHand string) {
	there = fixes.Request{Values: request.Values, Beside: request.Beside}
	if file == nil {
		return there, ""
	}
	for _, f := range checks.Run(file, dockerfile.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		switch same := slices.ContainsFunc(request.Findings, func(asked checks.Finding) bool { return inventory.SameCause(asked.Check, f.Check) }); {
		case same && f.Fixable():
			there.Findings = append(there.Findings, f)
		case same:
			byHand = f.Check.ID
		}
	}
	return there, byHand
}

// newFile returns a Dockerfile in dir that does not exist, named after i.
func newFile(dir string, i *image.Image) (checks.Ref, error) {
	if i.Reference() == "" {
		return checks.Ref{}, errdefs.ErrFailedPrecondition.WithMessage("an image without a name cannot be built on: give it one with docker tag")
	}
	dir, err := filepath.Abs(dir) // "" is the working directory
	if err != nil {
		return checks.Ref{}, err
	}
	repository, _, _ := strings.Cut(i.Reference(), "@")
	name := repository[strings.LastIndexByte(repository, '/')+1:]
	name, _, _ = strings.Cut(name, ":")
	for n := 1; ; n++ {
		file := "Dockerfile." + name
		if n > 1 {
			file = fmt.Sprintf("%s.%d", file, n)
		}
		path := filepath.Join(dir, file)
		switch _, err := os.Lstat(path); {
		case errors.Is(err, fs.ErrNotExist):
			return checks.Ref{Kind: checks.Dockerfile, ID: path, Name: file}, nil
		case err != nil:
			return checks.Ref{}, err
		}
	}
}
