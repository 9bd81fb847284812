// Package compose reads compose files and judges each service by the checks
// of containers.
//
// A file is read as docker compose would: with extends, merges, anchors and
// the variables of .env beside it. Three things differ. Nothing outside the
// folder of the file is read and nothing is fetched. Services of included
// files belong to those files. Variables that are not set do no harm, because
// a check runs where nobody is about to start anything.
package compose

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/compose-spec/compose-go/v2/types"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// A File is a compose file that was loaded.
type File struct {
	Path     string // absolute
	Name     string // shown: relative to where the user looks from
	Source   []byte
	Services []*container.Container // in the order of the file; each has Compose set

	// Uses are the names of networks, volumes, secrets and configs that
	// services use, by these words.
	Uses map[string]map[string]bool

	Builds []Build // what builders are sent for services

	dotenv     []byte                      // the file .env beside it; nil where there is none
	references map[string]map[string]outer // by service and variable

	fed map[string]bool // services that docker compose copies secrets into

	networks map[string]string          // names of networks as the file calls them, by what the engine does
	mentions map[string]map[string]bool // other services that one names: in what it needs, is told or runs

	// Running are the containers of its services, see [Runs]; nil when not known.
	Running []*container.Container

	tried *atomic.Pointer[File] // what [File.With] returned last; nil to forget it
}

// Ref implements [checks.Subject].
func (f *File) Ref() checks.Ref {
	return checks.Ref{Kind: checks.Compose, ID: f.Path, Name: f.Name}
}

// Load reads the compose file at path; see [Parse].
func Load(path, name string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read compose file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &checks.Problem{What: checks.Msg("%s is not a regular file", name)}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read compose file: %w", err)
	}
	defer f.Close()
	source, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read compose file: %w", err)
	}
	return Parse(path, name, source)
}

// errPanic marks files that the loader could not cope with.
var errPanic = errors.New("panic of the compose loader")

// Parse returns the compose file that would be at path, an absolute one, if it
// held source. Files that it names (.env, env_file, extends) are read from the
// folder of path when they are there. An error is a [checks.Problem] that says
// where the file is wrong.
func Parse(path, name string, source []byte) (_ *File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &checks.Problem{What: checks.Msg("%s cannot be read: %s", name, fmt.Sprint(r)), Err: errPanic}
		}
	}()
	doc, err := parseDocument(name, source)
	if err != nil {
		return nil, refuse(path, name, doc, err)
	}
	folder := openFolder(path)
	defer folder.close()
	project, err := load(folder, path, source)
	if err != nil && len(doc.services) == 0 {
		return nil, refuseWithout(name, err)
	}
	if err != nil {
		return nil, refuse(path, name, doc, err)
	}
	file := &File{Path: path, Name: name, Source: source, tried: &atomic.Pointer[File]{}, references: map[string]map[string]outer{}, fed: map[string]bool{}}
	file.dotenv, _ = folder.read(dotenvName) // often there is none
	for _, service := range doc.services {
		config, ok := project.Services[service.name]
		if !ok {
			continue // a reset service, or one that only has extensions
		}
		settings := settings(project, config)
		settings.Config.Env = environment(folder, config, service)
		file.references[service.name] = references(service)
		for _, secret := range config.Secrets {
			file.fed[service.name] = file.fed[service.name] || project.Secrets[secret.Source].Environment != ""
		}
		file.Services = append(file.Services, &container.Container{
			Settings: settings,
			Compose: &container.Position{
				File:       path,
				Service:    service.name,
				Dockerfile: builtFrom(path, config.Build),
				Line:       service.line,
				EndLine:    service.endLine,
				Keys:       service.keys,
			},
		})
	}
	file.Uses, file.Builds = uses(project), builds(path, project)
	file.introduce(project)
	return file, nil
}

// introduce tells the services what stands beside them.
func (f *File) introduce(project *types.Project) {
	fences := map[string]container.Fence{}
	f.networks, f.mentions = map[string]string{}, mentions(project)
	for key, n := range project.Networks {
		f.networks[cmp.Or(n.Name, key)] = key
		if !bool(n.External) {
			fences[cmp.Or(n.Name, key)] = container.FenceOf(n.Internal, n.DriverOpts)
		}
	}
	all := make([]container.Neighbour, len(f.Services))
	for i, s := range f.Services {
		all[i] = container.NeighbourOf(s)
		all[i].Project = f.Path
		for _, name := range all[i].Networks {
			if _, declared := project.Networks[name]; !declared && name == "default" {
				fences[name] = container.Fence{} // compose makes it
			}
		}
	}
	neighbours := container.NewNeighbours(all, fences)
	for _, s := range f.Services {
		s.Around = neighbours.Of(s.Settings.Name)
	}
}

// With returns f with another text, and with the same facts from outside.
func (f *File) With(source []byte) (*File, error) {
	// Who has just tried an edit asks for its result next.
	var next *File
	if f.tried != nil {
		next = f.tried.Load()
	}
	if next == nil || !bytes.Equal(next.Source, source) {
		var err error
		if next, err = Parse(f.Path, f.Name, source); err != nil {
			return nil, err
		}
		next.know(f)
		if f.tried != nil {
			f.tried.Store(next)
		}
	}
	with := *next
	with.Running = f.Running
	return &with, nil
}

// WithBeside is With where the file .env beside f is another one, too.
func (f *File) WithBeside(source, dotenv []byte) (*File, error) {
	next, err := f.With(source)
	if err == nil {
		next.dotenv = dotenv
	}
	return next, err
}

// know takes over what f knows of the images of services.
func (next *File) know(f *File) {
	for _, s := range next.Services {
		if old := f.service(s.Compose.Service); old != nil && old.Settings.Image == s.Settings.Image {
			s.Image, s.TagID, s.Passwd = old.Image, old.TagID, old.Passwd
		}
	}
}
