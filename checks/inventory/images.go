package inventory

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"plimsoll/checks/host"
)

// images knows the engine's images: listed cheaply at once, inspected when
// somebody needs to know more, and then only once.
type images struct {
	mu           sync.Mutex
	listed       map[string]image.Summary          // by id
	ids          map[string]string                 // id by familiar reference
	byRepository map[string]map[string]bool        // references with a tag, by familiar name
	inspected    map[string]*image.InspectResponse // by id
}

// list reads all images and returns the ids of those that are new or have
// other references than before, and of those that are gone.
func (x *images) list(ctx context.Context, c *client.Client) (changed, gone []string, err error) {
	result, err := c.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	before := x.listed
	x.listed, x.ids, x.byRepository = map[string]image.Summary{}, map[string]string{}, map[string]map[string]bool{}
	if x.inspected == nil {
		x.inspected = map[string]*image.InspectResponse{}
	}
	for _, s := range result.Items {
		x.listed[s.ID] = s
		for _, ref := range slices.Concat(s.RepoTags, s.RepoDigests) {
			x.ids[ref] = s.ID
		}
		for _, ref := range s.RepoTags {
			if at := strings.LastIndexByte(ref, ':'); at > 0 {
				if x.byRepository[ref[:at]] == nil {
					x.byRepository[ref[:at]] = map[string]bool{}
				}
				x.byRepository[ref[:at]][ref] = true
			}
		}
		old, known := before[s.ID]
		if !known || !slices.Equal(old.RepoTags, s.RepoTags) || !slices.Equal(old.RepoDigests, s.RepoDigests) {
			changed = append(changed, s.ID)
			delete(x.inspected, s.ID)
		}
	}
	for id := range before {
		if _, still := x.listed[id]; !still {
			gone = append(gone, id)
			delete(x.inspected, id)
		}
	}
	return changed, gone, nil
}

// resolve returns the id that ref, a reference or an id, names now; "" when
// nothing does.
func (x *images) resolve(ref string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.listed[ref]; ok {
		return ref
	}
	if id, ok := x.ids[ref]; ok {
		return id
	}
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ""
	}
	if id, ok := x.ids[reference.FamiliarString(named)]; ok {
		return id
	}
	// name:tag@digest is listed as name@digest
	if digested, ok := named.(reference.Digested); ok {
		return x.ids[reference.FamiliarName(named)+"@"+digested.Digest().String()]
	}
	return ""
}

// all returns the ids of all listed images.
func (x *images) all() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Collect(maps.Keys(x.listed))
}

func (x *images) summary(id string) (image.Summary, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s, ok := x.listed[id]
	return s, ok
}

// inspect returns the details of the image called id; nil without an error
// when it is not there.
func (x *images) inspect(ctx context.Context, c *client.Client, id string) (*image.InspectResponse, error) {
	x.mu.Lock()
	i, ok := x.inspected[id]
	_, listed := x.listed[id]
	x.mu.Unlock()
	if ok || !listed {
		return i, nil
	}
	result, err := c.ImageInspect(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil, nil // it has gone since it was listed
	}
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.inspected[id] = &result.InspectResponse
	return &result.InspectResponse, nil
}

// usage adds to u what the images are and which of them no container, running
// or not, was made from.
func (x *images) usage(u host.Usage, attached []host.Attached) host.Usage {
	used := map[string]bool{}
	for _, a := range attached {
		used[a.ImageID] = true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	u.Images, u.UnusedImages, u.UnusedSize = len(x.listed), 0, 0
	for id, s := range x.listed {
		if !used[id] {
			u.UnusedImages++
			u.UnusedSize += s.Size
		}
	}
	return u
}
