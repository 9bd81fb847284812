package container

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"

	"plimsoll/fixes"
)

// mostLayers is how many layers are followed; no image that an engine runs has more.
const mostLayers = 200

// A transfer follows what the engine says while it pulls.
type transfer struct {
	now fixes.Transfer
	at  map[string]int // index in now.Layers by id
}

// heard takes in a message and reports whether it changed the state of a layer;
// that another part of one has come is no change.
func (t *transfer) heard(message jsonstream.Message) (changed bool) {
	state, ok := layerState(message.Status)
	if !ok || message.ID == "" {
		return false
	}
	i, known := t.at[message.ID]
	if !known {
		if len(t.now.Layers) == mostLayers {
			return false
		}
		if t.at == nil {
			t.at = map[string]int{}
		}
		i = len(t.now.Layers)
		t.at[message.ID] = i
		t.now.Layers = append(t.now.Layers, fixes.Layer{ID: clean(message.ID)})
	}
	l := &t.now.Layers[i]
	before := *l
	l.State = state
	if p := message.Progress; p != nil && state == fixes.Downloading {
		l.Done, l.Total = max(0, p.Current), max(0, p.Total)
	}
	if state >= fixes.Downloaded {
		l.Done = l.Total
	}
	t.now.Done += l.Done - before.Done
	t.now.Total += l.Total - before.Total
	return !known || l.State != before.State
}

// snapshot returns what is known now.
func (t *transfer) snapshot() *fixes.Transfer {
	out := t.now
	out.Layers = slices.Clone(t.now.Layers)
	t.now.Ratio = max(t.now.Ratio, ratio(t.now.Layers))
	out.Ratio = t.now.Ratio
	return &out
}

// layerState reads the state of a layer from how the engine says it.
func layerState(status string) (fixes.LayerState, bool) {
	for _, s := range []struct {
		begins string
		state  fixes.LayerState
	}{
		{"Pulling fs layer", fixes.Waiting},
		{"Waiting", fixes.Waiting},
		{"Retrying", fixes.Waiting},
		{"Downloading", fixes.Downloading},
		{"Verifying Checksum", fixes.Downloaded},
		{"Download complete", fixes.Downloaded},
		{"Extracting", fixes.Unpacking},
		{"Pull complete", fixes.Complete},
		{"Already exists", fixes.Present},
	} {
		if strings.HasPrefix(status, s.begins) {
			return s.state, true
		}
	}
	return 0, false
}

// ratio returns which part of the work is done, by bytes where all are known,
// -1 while nothing is known of it.
func ratio(layers []fixes.Layer) float64 {
	done, all := 0.0, 0.0
	sized := true
	for _, l := range layers {
		sized = sized && (l.Total > 0 || l.State == fixes.Present)
	}
	for _, l := range layers {
		weight := 1.0
		switch {
		case l.State == fixes.Present:
			continue // no work
		case sized:
			weight = float64(l.Total)
		}
		all += weight
		done += weight * share(l)
	}
	switch {
	case len(layers) == 0:
		return -1
	case all == 0:
		return 1
	}
	return done / all
}

// unpack is the part of the work that comes after the download.
const unpack = 0.1

func share(l fixes.Layer) float64 {
	switch {
	case l.State >= fixes.Complete:
		return 1
	case l.State >= fixes.Downloaded:
		return 1 - unpack
	case l.Total > 0:
		return (1 - unpack) * min(1, float64(l.Done)/float64(l.Total))
	}
	return 0
}
