package dockertest

import (
	"encoding/json"
	"net/http"
	"slices"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
)

// commit makes an image of a container: of what is in its own layer, without
// volumes, and of its configuration, as far as the request names no other.
func (s *Server) commit(w http.ResponseWriter, r *http.Request) error {
	var config container.Config
	if err := read(r, &config); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(r.FormValue("container"))
	if err != nil {
		return err
	}
	was, err := specOf(c.Config)
	if err != nil {
		return err
	}
	merge(&config, was)
	as, err := specOf(&config)
	if err != nil {
		return err
	}
	then := *c.Config
	layer := s.root(c)
	base := Image{}
	if c.image != nil {
		base = c.image.Image
	}
	made := s.addImage(Image{
		Config: *as, Layers: append(slices.Clone(base.Layers), sha("layer of "+s.id("commit"))), Created: s.clock.Now(), Size: base.Size + 4096*int64(len(s.changed(c))),
		Run: base.Run, Behave: base.Behave,
		History: append([]image.HistoryResponseItem{{Created: s.clock.Now().Unix(), CreatedBy: command(c), Comment: r.FormValue("comment")}}, base.History...),
	})
	made.whole, made.comment, made.from, made.as = layer, r.FormValue("comment"), c, &then
	ref := ""
	if repo := r.FormValue("repo"); repo != "" {
		ref = repo
		if tag := r.FormValue("tag"); tag != "" {
			ref += ":" + tag
		}
		ref = familiar(ref)
		s.moveTag(ref, made)
		s.emitImage(made, events.ActionTag, ref)
	}
	s.emitContainer(c, events.ActionCommit, map[string]string{"comment": made.comment, "imageID": made.ID, "imageRef": ref})
	return answer(w, http.StatusCreated, container.CommitResponse{ID: made.ID})
}

// specOf returns what an image says of the configuration of a container.
func specOf(c *container.Config) (*v1.DockerOCIImageConfig, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var out v1.DockerOCIImageConfig
	return &out, json.Unmarshal(data, &out)
}
