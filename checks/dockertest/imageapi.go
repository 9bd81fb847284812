package dockertest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/storage"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func (s *Server) listImages(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	if err := f.known("dangling", "label", "before", "since", "reference", "until"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []image.Summary{}
	for _, i := range s.images {
		dangling := "false"
		if len(i.Tags) == 0 {
			dangling = "true"
		}
		if !f.exact("dangling", dangling, map[string]string{"true": "1", "false": "0"}[dangling]) || !f.labels(i.Config.Labels) || !f.reference(i) {
			continue
		}
		one := image.Summary{
			ID: i.ID, RepoTags: i.Tags, RepoDigests: i.Digests, Created: i.Created.Unix(),
			Labels: i.Config.Labels, Size: i.Size, SharedSize: -1, Containers: -1,
		}
		if len(i.Tags) == 0 && len(i.Digests) == 0 && !requested(r).atLeast(1, 43) {
			one.RepoTags, one.RepoDigests = []string{"<none>:<none>"}, []string{"<none>@<none>"}
		}
		if len(i.Tags) == 0 && len(i.Digests) > 0 && !requested(r).atLeast(1, 43) {
			one.RepoTags = []string{repository(i.Digests[0]) + ":<none>"}
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b image.Summary) int {
		return cmp.Or(-cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID))
	})
	return answer(w, http.StatusOK, list)
}

func (f filters) reference(i *img) bool {
	patterns, ok := f["reference"]
	if !ok {
		return true
	}
	for _, pattern := range patterns {
		for _, tag := range slices.Concat(i.Tags, i.Digests) {
			named, err := reference.ParseNormalizedNamed(tag)
			if err != nil {
				continue
			}
			if match, err := reference.FamiliarMatch(pattern, named); err == nil && match {
				return true
			}
		}
	}
	return false
}

func (s *Server) inspectImage(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.imageByRef(r.PathValue("name"))
	if err != nil {
		return err
	}
	out := image.InspectResponse{
		ID: i.ID, Comment: i.comment, RepoTags: orEmpty(i.Tags), RepoDigests: orEmpty(i.Digests), Created: i.Created.UTC().Format(time.RFC3339Nano),
		Config: &i.Config, Architecture: "amd64", Os: "linux", Size: i.Size,
		GraphDriver: &storage.DriverData{Name: s.info.Driver, Data: map[string]string{}},
		RootFS:      image.RootFS{Type: "layers", Layers: i.Layers},
		Metadata:    image.Metadata{LastTagTime: i.tagged},
	}
	if i.from == nil || requested(r).atLeast(1, 45) {
		return answer(w, http.StatusOK, out)
	}
	return answer(w, http.StatusOK, struct {
		image.InspectResponse
		Container       string
		ContainerConfig *container.Config
	}{out, i.from.ID, i.as})
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (s *Server) imageHistory(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.imageByRef(r.PathValue("name"))
	if err != nil {
		return err
	}
	history := slices.Clone(i.History)
	if len(history) > 0 {
		history[0].ID, history[0].Tags = i.ID, i.Tags
	}
	return answer(w, http.StatusOK, history)
}

func (s *Server) tagImage(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.imageByRef(r.PathValue("name"))
	if err != nil {
		return err
	}
	repo, tag := r.FormValue("repo"), r.FormValue("tag")
	ref := repo
	if tag != "" {
		ref += ":" + tag
	}
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return badRequest("%v", err)
	}
	s.moveTag(ref, i)
	s.emitImage(i, events.ActionTag, familiar(ref))
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *Server) removeImage(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref, force := r.PathValue("name"), truth(r, "force")
	i, err := s.imageByRef(ref)
	if err != nil {
		return err
	}
	var by *ctr // a container made of it, a running one before others
	for _, c := range s.order {
		if c.Image == i.ID && (by == nil || !by.running()) {
			by = c
		}
	}
	byID := strings.HasPrefix(i.ID, "sha256:"+strings.TrimPrefix(ref, "sha256:")) && s.tags[familiar(ref)] != i
	var gone []image.DeleteResponse
	untag := func(tag string) {
		delete(s.tags, tag)
		i.Tags = slices.DeleteFunc(slices.Clone(i.Tags), func(t string) bool { return t == tag })
		gone = append(gone, image.DeleteResponse{Untagged: tag})
		s.emitImage(i, events.ActionUnTag, i.ID)
	}
	short := func(id string) string { return strings.TrimPrefix(id, "sha256:")[:12] }
	if !byID {
		if strings.Contains(ref, "@") {
			i.Digests = slices.DeleteFunc(slices.Clone(i.Digests), func(d string) bool { return d == familiar(ref) })
			gone = append(gone, image.DeleteResponse{Untagged: familiar(ref)})
			return answer(w, http.StatusOK, gone)
		}
		last := len(i.Tags) == 1
		if last && by != nil && !force {
			return conflict("conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s", ref, short(by.ID), short(i.ID))
		}
		untag(familiar(ref))
		if !last || by != nil && by.running() {
			return answer(w, http.StatusOK, gone)
		}
	} else {
		switch {
		case by != nil && by.running():
			return conflict("conflict: unable to delete %s (cannot be forced) - image is being used by running container %s", short(i.ID), short(by.ID))
		case by != nil && !force:
			return conflict("conflict: unable to delete %s (must be forced) - image is being used by stopped container %s", short(i.ID), short(by.ID))
		case len(i.Tags) > 1 && !force:
			return conflict("conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories", short(i.ID))
		}
		for _, tag := range slices.Clone(i.Tags) {
			untag(tag)
		}
	}
	for _, d := range i.Digests {
		gone = append(gone, image.DeleteResponse{Untagged: d})
	}
	delete(s.images, i.ID)
	gone = append(gone, image.DeleteResponse{Deleted: i.ID})
	s.events.emit(events.ImageEventType, events.ActionDelete, i.ID, map[string]string{"name": i.ID})
	return answer(w, http.StatusOK, gone)
}

// pullImage is also how clients import; that is not served.
func (s *Server) pullImage(w http.ResponseWriter, r *http.Request) error {
	name, tag := r.FormValue("fromImage"), r.FormValue("tag")
	if name == "" {
		return badRequest("only pulling is supported: fromImage is missing")
	}
	ref := name
	switch {
	case strings.Contains(tag, ":"):
		ref += "@" + tag
	case tag != "":
		ref += ":" + tag
	}
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return badRequest("%v", err)
	}
	ref = familiar(ref)
	s.mu.Lock()
	fresh, ok := s.published[ref]
	if !ok && strings.Contains(ref, "@") {
		for tag, i := range s.published {
			if manifest(tag, i) == ref {
				fresh, ok = i, true
			}
		}
	}
	have := s.tags[ref]
	s.mu.Unlock()
	if !ok {
		return notFound("pull access denied for %s, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", repository(ref))
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	say := func(m jsonstream.Message) {
		out.Encode(m)
		http.NewResponseController(w).Flush()
	}
	_, label, _ := strings.Cut(strings.TrimPrefix(ref, repository(ref)), ":")
	say(jsonstream.Message{Status: "Pulling from " + strings.TrimPrefix(name, "docker.io/"), ID: label})
	same := have != nil && have.ID == fresh.ID
	short := func(layer string) string {
		id := strings.TrimPrefix(layer, "sha256:")
		return id[:min(12, len(id))]
	}
	for _, layer := range fresh.Layers {
		if same {
			say(jsonstream.Message{Status: "Already exists", ID: short(layer)})
		} else {
			say(jsonstream.Message{Status: "Pulling fs layer", ID: short(layer)})
		}
	}
	for _, layer := range fresh.Layers {
		if same {
			break
		}
		id := short(layer)
		share := fresh.Size / int64(len(fresh.Layers))
		for part := int64(1); part <= 4; part++ {
			if !s.pause(r, s.pullStep()) {
				return nil
			}
			say(jsonstream.Message{Status: "Downloading", ID: id, Progress: &jsonstream.Progress{Current: share * part / 4, Total: share}})
		}
		say(jsonstream.Message{Status: "Pull complete", ID: id})
	}
	s.mu.Lock()
	with := manifest(ref, fresh)
	if !strings.Contains(ref, "@") {
		fresh.Tags = []string{ref}
	}
	i := s.addImage(fresh)
	if !slices.Contains(i.Digests, with) {
		i.Digests = append(slices.Clone(i.Digests), with)
	}
	s.events.emit(events.ImageEventType, events.ActionPull, ref, map[string]string{"name": repository(ref)})
	s.mu.Unlock()
	_, sum, _ := strings.Cut(with, "@")
	say(jsonstream.Message{Status: "Digest: " + sum})
	if same {
		say(jsonstream.Message{Status: "Status: Image is up to date for " + ref})
	} else {
		say(jsonstream.Message{Status: "Status: Downloaded newer image for " + ref})
	}
	return nil
}

// manifest returns the digest that a registry would give to an image.
func manifest(ref string, i Image) string {
	return repository(ref) + "@" + string(digest.FromString("manifest of "+i.ID))
}

// SetPullStep sets how long each quarter of a layer takes to arrive.
func (s *Server) SetPullStep(d time.Duration) { s.pullDelay.Store(int64(d)) }

func (s *Server) pullStep() time.Duration { return time.Duration(s.pullDelay.Load()) }

// pause waits for d and reports whether the client is still there.
func (s *Server) pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return r.Context().Err() == nil
	}
	over := make(chan struct{})
	defer s.clock.AfterFunc(d, func() { close(over) })()
	select {
	case <-over:
		return true
	case <-r.Context().Done():
	case <-closing(r):
	}
	return false
}

func (s *Server) distribution(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref := familiar(r.PathValue("name"))
	i, ok := s.published[ref]
	if !ok {
		return notFound("manifest unknown: %s", ref)
	}
	_, sum, _ := strings.Cut(manifest(ref, i), "@")
	return answer(w, http.StatusOK, registry.DistributionInspect{
		Descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(sum), Size: 1234},
		Platforms:  []ocispec.Platform{{OS: "linux", Architecture: "amd64"}},
	})
}
