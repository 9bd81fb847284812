package dockertest

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
)

// An Image is what a test puts into the engine or into its registry. Fields
// that are left out get plausible values.
type Image struct {
	ID      string // "sha256:…"
	Tags    []string
	Digests []string // "app@sha256:…"
	Config  v1.DockerOCIImageConfig
	History []image.HistoryResponseItem // newest first
	Layers  []string
	Created time.Time
	Size    int64

	// Content are the files of each of Layers, the lowest first, as far as they
	// matter: GET /images/{name}/get serves them.
	Content [][]File

	// Files are what GET /containers/{id}/archive finds, by absolute path.
	Files map[string]string

	Run Behaviour // of its containers

	// Behave decides by the settings of a container; it goes before Run.
	Behave func(*container.Config, *container.HostConfig) Behaviour
}

// A File is an entry of a layer.
type File struct {
	Path    string // "app/.env"; with a slash at its end a directory
	Mode    int64  // 0: 0644, or 0755 of a directory
	Text    string
	Size    int64 // bytes of zeros after Text
	Deleted bool  // of the layers below
}

type img struct {
	Image
	tagged time.Time

	// of an image that was made of a container
	whole   map[string]*entry // all that is in it
	comment string
	from    *ctr
	as      *container.Config // its configuration then
}

// AddImage puts an image into the engine and returns its id. Tags move to it.
func (s *Server) AddImage(i Image) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addImage(i).ID
}

// Publish puts an image into the registry under ref: the next pull of ref
// gets it. Nothing changes in the engine. It returns the image's id.
func (s *Server) Publish(ref string, i Image) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete(&i)
	s.published[familiar(ref)] = i
	return i.ID
}

// complete fills in what an image must have.
func (s *Server) complete(i *Image) {
	if i.ID == "" {
		i.ID = "sha256:" + s.id("image")
	}
	if i.Created.IsZero() {
		i.Created = s.clock.Now().Add(-24 * time.Hour)
	}
	if i.Size == 0 {
		i.Size = 10 << 20
	}
	if i.Layers == nil {
		i.Layers = []string{sha("layer of " + i.ID)}
	}
	if len(i.Config.Entrypoint)+len(i.Config.Cmd) == 0 {
		i.Config.Cmd = []string{"/app"}
	}
	if i.History == nil {
		i.History = []image.HistoryResponseItem{
			{ID: i.ID, Created: i.Created.Unix(), CreatedBy: "/bin/sh -c #(nop)  CMD [\"" + strings.Join(i.Config.Cmd, `" "`) + "\"]"},
			{ID: "<missing>", Created: i.Created.Unix(), CreatedBy: "/bin/sh -c #(nop) COPY file:app in / ", Size: i.Size},
		}
	}
}

func sha(of string) string {
	sum := sha256.Sum256([]byte(of))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *Server) addImage(i Image) *img {
	s.complete(&i)
	have := s.images[i.ID]
	if have == nil {
		tags := i.Tags
		i.Tags = nil
		have = &img{Image: i}
		s.images[i.ID] = have
		i.Tags = tags
	}
	for _, tag := range i.Tags {
		s.moveTag(tag, have)
	}
	return have
}

func (s *Server) moveTag(tag string, to *img) {
	tag = familiar(tag)
	if old := s.tags[tag]; old != nil {
		old.Tags = slices.DeleteFunc(slices.Clone(old.Tags), func(t string) bool { return t == tag })
	}
	s.tags[tag] = to
	to.Tags = append(slices.Clone(to.Tags), tag)
	slices.Sort(to.Tags)
	to.tagged = s.clock.Now()
}

// familiar writes a reference as engines show it: "docker.io/library/app" is
// "app:latest". What is no reference stays as it is.
func familiar(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.FamiliarString(reference.TagNameOnly(named))
}

// repository returns "app" of "app:1" and of "app@sha256:…".
func repository(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.FamiliarName(named)
}

// imageByRef returns the image with that id, beginning of an id, tag or digest.
func (s *Server) imageByRef(ref string) (*img, error) {
	if i := s.images[ref]; i != nil {
		return i, nil
	}
	if i := s.tags[familiar(ref)]; i != nil {
		return i, nil
	}
	if strings.Contains(ref, "@") {
		name, digest, _ := strings.Cut(ref, "@")
		want := repository(name) + "@" + digest // a tag beside it does not count
		for _, i := range s.images {
			if slices.Contains(i.Digests, want) {
				return i, nil
			}
		}
	}
	var found *img
	hexadecimal := strings.TrimPrefix(ref, "sha256:")
	if hexadecimal != "" && strings.Trim(hexadecimal, "0123456789abcdef") == "" {
		for id, i := range s.images {
			if strings.HasPrefix(id, "sha256:"+hexadecimal) {
				if found != nil {
					return nil, notFound("No such image: %s", ref) // ambiguous
				}
				found = i
			}
		}
	}
	if found == nil {
		if strings.HasPrefix(ref, "sha256:") {
			return nil, notFound("No such image: %s", ref)
		}
		return nil, notFound("No such image: %s", familiar(ref))
	}
	return found, nil
}

func (s *Server) emitImage(i *img, action events.Action, name string) {
	attributes := maps.Clone(i.Config.Labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["name"] = name
	s.events.emit(events.ImageEventType, action, i.ID, attributes)
}
