package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A candidate is an image that the archive may hold.
type candidate struct {
	config string   // name of the file
	layers []string // names of the files
}

// join puts the layers that were read together as the manifest says.
func (a *archive) join() (*Contents, error) {
	candidates := a.listed()
	if len(candidates) == 0 {
		candidates = a.indexed("index.json", 0)
	}
	if len(candidates) == 0 {
		return nil, errors.New("the archive has no manifest")
	}
	var first *Contents
	var failed error
	for _, c := range candidates {
		contents, err := a.image(c)
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case contents.matches(a.options.DiffIDs):
			return contents, nil
		case first == nil:
			first = contents
		}
	}
	switch {
	case first == nil:
		return nil, failed
	case len(a.options.DiffIDs) > 0:
		return nil, errors.New("the archive holds another image than was asked for")
	}
	return first, nil
}

func (c *Contents) matches(diffIDs []string) bool {
	return slices.EqualFunc(c.Manifest.Layers, diffIDs, func(r Ref, id string) bool { return r.DiffID == id })
}

// listed returns the images of manifest.json, which all engines write.
func (a *archive) listed() []candidate {
	var list []struct {
		Config string
		Layers []string
	}
	if json.Unmarshal(a.documents["manifest.json"], &list) != nil {
		return nil
	}
	var out []candidate
	for _, m := range list[:min(len(list), mostImages)] {
		out = append(out, candidate{path.Clean(m.Config), m.Layers})
	}
	return out
}

const (
	deepestIndex = 4
	mostImages   = 64
)

// indexed returns the images that an index of the OCI layout leads to.
func (a *archive) indexed(name string, depth int) []candidate {
	var index ocispec.Index
	if depth > deepestIndex || json.Unmarshal(a.documents[name], &index) != nil {
		return nil
	}
	var out []candidate
	for _, d := range index.Manifests[:min(len(index.Manifests), mostImages)] {
		if d.Annotations["vnd.docker.reference.type"] != "" {
			continue // about an image, not one
		}
		var m ocispec.Manifest
		at := blobName(d.Digest)
		if json.Unmarshal(a.documents[at], &m) != nil {
			continue
		}
		if m.Config.Digest == "" {
			out = append(out, a.indexed(at, depth+1)...)
		} else {
			c := candidate{config: blobName(m.Config.Digest)}
			for _, l := range m.Layers {
				c.layers = append(c.layers, blobName(l.Digest))
			}
			out = append(out, c)
		}
		if len(out) > mostImages {
			break
		}
	}
	return out
}

func blobName(d digest.Digest) string {
	algorithm, hex, _ := strings.Cut(string(d), ":")
	return path.Join("blobs", algorithm, hex)
}

// mostLayers is more than engines allow.
const mostLayers = 512

// image returns the contents of one image.
func (a *archive) image(c candidate) (*Contents, error) {
	var config struct {
		RootFS  ocispec.RootFS    `json:"rootfs"`
		History []ocispec.History `json:"history"`
	}
	if err := json.Unmarshal(a.documents[c.config], &config); err != nil {
		return nil, fmt.Errorf("reading the configuration of the image: %w", err)
	}
	if len(config.RootFS.DiffIDs) != len(c.layers) || len(c.layers) > mostLayers {
		return nil, fmt.Errorf("the image has %d layers and its configuration %d", len(c.layers), len(config.RootFS.DiffIDs))
	}
	steps := steps(config.History, len(c.layers))
	contents := &Contents{}
	for i, name := range c.layers {
		ref := Ref{DiffID: config.RootFS.DiffIDs[i].String(), Name: path.Clean(name), Step: steps[i]}
		b := a.find(ref.Name)
		if b == nil {
			b = &blob{layer: &Layer{Incomplete: "the layer is not in the archive"}}
		}
		ref.Packed = b.packed
		contents.Manifest.Layers = append(contents.Manifest.Layers, ref)
		contents.Layers = append(contents.Layers, b.layer)
	}
	return contents, nil
}

// find follows the links by which an archive repeats a layer.
func (a *archive) find(name string) *blob {
	for range 8 {
		if b := a.layers[name]; b != nil {
			return b
		}
		name = a.links[name]
	}
	return nil
}

// steps returns the index in the history of what made each of n layers.
func steps(history []ocispec.History, n int) []int {
	var made []int
	for i, h := range history {
		if !h.EmptyLayer {
			made = append(made, i)
		}
	}
	if len(made) != n {
		made = slices.Repeat([]int{-1}, n)
	}
	return made
}
