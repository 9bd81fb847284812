package dockertest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
)

// A ctr is a container. Its InspectResponse is the truth; the rest is what an
// engine keeps to itself.
type ctr struct {
	container.InspectResponse
	created time.Time
	image   *img
	mac     string // as configured, below API 1.44

	manual    bool // stopped by hand: "unless-stopped" leaves it alone
	removing  bool
	started   time.Time
	finished  time.Time
	failures  int // in a row, for the delay of the restart policy
	run       int // counts starts, so that late timers are recognised
	behaviour *Behaviour
	doing     Behaviour // of the present run
	timers    []func()
	waiters   []chan struct{}
	gone      chan struct{} // closed when removed
	anonymous []string      // volumes made for it
	links     []link
	log       []logLine
	layer     map[string]*entry // what it has beside its image, by path; see Behaviour.Changes too

	summary     []byte // encoded list entry, nil when out of date
	summaryText string // "Up 5 minutes" in it
}

// A link is to a container on the default bridge. It follows the container
// through renames.
type link struct {
	to    *ctr
	alias string
}

// linked returns the links of c as they are shown: "/src:/user/alias".
func (c *ctr) linked() []string {
	var all []string
	for _, l := range c.links {
		all = append(all, l.to.Name+":"+c.Name+"/"+l.alias)
	}
	return all
}

func (c *ctr) name() string { return strings.TrimPrefix(c.Name, "/") }

func (c *ctr) running() bool { return c.State.Running }

// touch is called after every change.
func (c *ctr) touch() { c.summary = nil }

func (c *ctr) stopTimers() {
	for _, stop := range c.timers {
		stop()
	}
	c.timers = nil
}

// An nw is a network.
type nw struct {
	network.Network
	endpoints  map[*ctr]*network.EndpointSettings // of running containers
	configured bool                               // the subnet was given by the user
	names      bool                               // names of endpoints are kept apart from aliases
}

// A vol is a volume.
type vol struct {
	volume.Volume
	content map[string]string // path → text
}

// id returns a new, well spread and yet reproducible identity.
func (s *Server) id(kind string) string {
	s.serial++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, s.serial))
	return hex.EncodeToString(sum[:])
}

// find returns the container that ref names: by id, name, or the beginning of
// an id.
func (s *Server) find(ref string) (*ctr, error) {
	if c := s.containers[ref]; c != nil {
		return c, nil
	}
	if c := s.names[strings.TrimPrefix(ref, "/")]; c != nil {
		return c, nil
	}
	var found *ctr
	if ref != "" && strings.Trim(ref, "0123456789abcdef") == "" {
		for id, c := range s.containers {
			if strings.HasPrefix(id, ref) {
				if found != nil {
					return nil, badRequest("Multiple IDs found with provided prefix: %s", ref)
				}
				found = c
			}
		}
	}
	if found == nil {
		return nil, notFound("No such container: %s", ref)
	}
	return found, nil
}

func (s *Server) forget(c *ctr) {
	delete(s.containers, c.ID)
	delete(s.names, c.name())
	s.order = slices.DeleteFunc(s.order, func(o *ctr) bool { return o == c })
}

// networkByRef returns the network with that id, name, or beginning of an id.
func (s *Server) networkByRef(ref string) (*nw, error) {
	if n := s.networks[ref]; n != nil {
		return n, nil
	}
	for _, n := range s.networks {
		if n.Name == ref {
			return n, nil
		}
	}
	var found *nw
	for id, n := range s.networks {
		if ref != "" && strings.HasPrefix(id, ref) {
			if found != nil {
				return nil, badRequest("network %s is ambiguous", ref)
			}
			found = n
		}
	}
	if found == nil {
		return nil, notFound("network %s not found", ref)
	}
	return found, nil
}

// users returns the names of containers that have a volume mounted.
func (s *Server) users(name string) []string {
	var ids []string
	for _, c := range s.order {
		for _, m := range c.Mounts {
			if m.Type == mount.TypeVolume && m.Name == name {
				ids = append(ids, c.ID)
			}
		}
	}
	return ids
}
