package dockertest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"
)

// addVolume returns the volume that a request asks for, a new one if need be.
func (s *Server) addVolume(want volume.CreateRequest) *vol {
	name := cmp.Or(want.Name, s.id("volume"))
	v := s.volumes[name]
	if v == nil {
		v = &vol{content: map[string]string{}, Volume: volume.Volume{
			Name: name, Driver: cmp.Or(want.Driver, "local"), Labels: want.Labels, Options: want.DriverOpts, Scope: "local",
			CreatedAt:  s.clock.Now().UTC().Format(time.RFC3339),
			Mountpoint: "/var/lib/docker/volumes/" + name + "/_data",
		}}
		s.volumes[name] = v
	}
	// Engines announce every request to create, also of what exists.
	s.events.emit(events.VolumeEventType, events.ActionCreate, name, map[string]string{"driver": v.Driver})
	return v
}

// Volume returns the files of a volume by path in it; nil and false when there
// is no such volume.
func (s *Server) Volume(name string) (files map[string]string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.volumes[name]
	if v == nil {
		return nil, false
	}
	return maps.Clone(v.content), true
}

// WriteVolume writes a file into a volume, which is created when missing.
func (s *Server) WriteVolume(name, path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addVolume(volume.CreateRequest{Name: name}).content[path] = text
}

func (s *Server) listVolumes(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := volume.ListResponse{Volumes: []volume.Volume{}}
	for _, v := range s.volumes {
		dangling := "false"
		if len(s.users(v.Name)) == 0 {
			dangling = "true"
		}
		if f.exact("driver", v.Driver) && f.labels(v.Labels) && f.part("name", v.Name) && f.exact("dangling", dangling, map[string]string{"true": "1", "false": "0"}[dangling]) {
			list.Volumes = append(list.Volumes, v.Volume)
		}
	}
	slices.SortFunc(list.Volumes, func(a, b volume.Volume) int { return cmp.Compare(a.Name, b.Name) })
	return answer(w, http.StatusOK, list)
}

func (s *Server) createVolume(w http.ResponseWriter, r *http.Request) error {
	var want volume.CreateRequest
	if err := read(r, &want); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if want.Name != "" && !validVolume(want.Name) {
		return badRequest("create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", want.Name, want.Name)
	}
	if want.Driver != "" && want.Driver != "local" {
		return notFound("create %s: error looking up volume plugin %s: plugin %q not found", want.Name, want.Driver, want.Driver)
	}
	return answer(w, http.StatusCreated, s.addVolume(want).Volume)
}

func (s *Server) inspectVolume(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.volumes[r.PathValue("name")]
	if v == nil {
		return notFound("get %s: no such volume", r.PathValue("name"))
	}
	return answer(w, http.StatusOK, v.Volume)
}

func (s *Server) removeVolume(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.PathValue("name")
	if s.volumes[name] == nil {
		if truth(r, "force") {
			return done(w)
		}
		return notFound("get %s: no such volume", name)
	}
	if users := s.users(name); len(users) > 0 {
		return conflict("remove %s: volume is in use - [%s]", name, strings.Join(users, ", "))
	}
	s.destroyVolume(name)
	return done(w)
}

func (s *Server) destroyVolume(name string) {
	v := s.volumes[name]
	delete(s.volumes, name)
	s.events.emit(events.VolumeEventType, events.ActionDestroy, name, map[string]string{"driver": v.Driver})
}

func validVolume(name string) bool {
	if len(name) < 2 || strings.ContainsAny(name[:1], "_.-") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r))
	})
}
