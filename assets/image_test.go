package assets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	dockercontainer "github.com/moby/moby/api/types/container"
	dockerimage "github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/registry"
)

// imageOf returns an image from an excerpt of its inspection, alone or with that
// of a container of it or of the image that it was built on, or from its history.
func imageOf(source []byte) (checks.Subject, error) {
	i := exampleImage()
	if bytes.Contains(source, []byte(`"CreatedBy"`)) {
		return i, strict(source, &i.History)
	}
	parts, err := elements(source)
	if err != nil {
		return nil, err
	}
	if err := strict(parts[0], &i.Inspect); err != nil {
		return nil, err
	}
	for _, tag := range i.Inspect.RepoTags {
		if strings.HasPrefix(tag, "signed/") {
			i.Trust = "~/.docker/trust/tuf/docker.io/" + strings.Split(tag, ":")[0]
		}
		if strings.HasPrefix(tag, "shop:") {
			i.Builds = []checks.Ref{{Name: "Dockerfile"}}
		}
	}
	i.Upstream = upstreamOf(i)
	if len(parts) == 1 {
		return i, nil
	}
	var of struct{ Name string }
	if err := json.Unmarshal(parts[1], &of); err != nil {
		return nil, err
	}
	if of.Name != "" {
		var c dockercontainer.InspectResponse
		err := strict(parts[1], &c)
		if c.Image == i.Inspect.ID {
			i.Use.Containers = []string{strings.TrimPrefix(c.Name, "/")}
		}
		return i, err
	}
	var base dockerimage.InspectResponse
	if err := strict(parts[1], &base); err != nil {
		return nil, err
	}
	i.Base = &image.Base{Name: base.RepoTags[0], Layers: base.RootFS.Layers, Date: base.Created, Source: "label"}
	return i, nil
}

// upstreamOf is what the registry of the examples says of i: the digest of twos
// for every tag, built a month ago, or yesterday below fresh; the versions 1.5.0
// and 2.0.0 of everything.
func upstreamOf(i *image.Image) *image.Upstream {
	u := &image.Upstream{}
	if len(i.Inspect.RepoDigests) == 0 {
		return u
	}
	for _, tag := range i.Inspect.RepoTags {
		s := image.Served{Ref: tag, Digest: "sha256:" + strings.Repeat("2", 64), Created: clock.AddDate(0, -1, 0)}
		if strings.HasPrefix(tag, "fresh/") {
			s.Created = clock.AddDate(0, 0, -1)
		}
		s.Newer = !i.Is(s.Digest)
		_, name, _ := strings.Cut(tag, ":")
		s.Same, s.Later = registry.Newer(name, []string{"1.5.0", "2.0.0"})
		u.Tags = append(u.Tags, s)
	}
	for _, name := range i.Inspect.RepoDigests {
		repository, _, _ := strings.Cut(name, "@")
		signed := image.Signed{Name: name, Demanded: strings.HasPrefix(name, "acme/")}
		switch repository {
		case "acme/signed":
			signed.Signatures = []image.Signature{{Kind: "cosign", Verified: "acme.pub"}}
		case "acme/forged":
			signed.Signatures = []image.Signature{{Kind: "cosign", Failed: true, Why: "no trusted key has made it"}}
		}
		signed.Provenance, signed.SBOM = len(signed.Signatures) > 0, len(signed.Signatures) > 0
		u.Signed = append(u.Signed, signed)
	}
	return u
}

// exampleImage is what is left out of an example.
func exampleImage() *image.Image {
	i := &image.Image{Now: clock, Arch: "amd64", Use: &image.Use{}, Builds: []checks.Ref{}}
	i.Inspect.ID = "sha256:" + strings.Repeat("b", 64)
	i.Rules = image.Rules{Registries: []string{"docker.io", "registry.example.com"}, Licenses: []string{"AGPL-*"}, CoolDown: 3 * 24 * time.Hour}
	return i
}

// imageWith returns an image with the layers that source lists, read as any
// other.
func imageWith(source string) (checks.Subject, error) {
	archive, err := archiveOf(source)
	if err != nil {
		return nil, err
	}
	contents, err := layers.Read(context.Background(), bytes.NewReader(archive), layers.Options{})
	if err != nil {
		return nil, err
	}
	return exampleImage().WithFiles(contents.Summary(), nil), nil
}
