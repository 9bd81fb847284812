package registry

import (
	"context"
	"encoding/json"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Referrers returns what is attached to the manifest d of name, by the referrers
// API or, where a registry has none, by the tag that stands in for it.
func (c *Client) Referrers(ctx context.Context, name reference.Named, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	r, err := c.repository(name)
	if err != nil {
		return nil, err
	}
	ctx, done, err := c.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var all []ocispec.Descriptor
	err = r.Referrers(ctx, d, "", func(page []ocispec.Descriptor) error {
		all = append(all, page...)
		return nil
	})
	if IsNotFound(err) {
		err = nil
	}
	return all, explained(r.Reference.Registry, err)
}

// Manifest reads the manifest d of name.
func (c *Client) Manifest(ctx context.Context, name reference.Named, d ocispec.Descriptor) (ocispec.Manifest, error) {
	r, err := c.repository(name)
	if err != nil {
		return ocispec.Manifest{}, err
	}
	return c.manifest(ctx, r, d)
}

// Index reads the manifests of the index d of name; none when it is no index.
func (c *Client) Index(ctx context.Context, name reference.Named, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if !isIndex(d.MediaType) {
		return nil, nil
	}
	data, err := c.Blob(ctx, name, d)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	err = json.Unmarshal(data, &index)
	return index.Manifests, err
}

// Blob reads the small blob d of name, whose digest is verified.
func (c *Client) Blob(ctx context.Context, name reference.Named, d ocispec.Descriptor) ([]byte, error) {
	r, err := c.repository(name)
	if err != nil {
		return nil, err
	}
	return c.fetch(ctx, r, d)
}
