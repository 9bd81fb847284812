package signature

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/registry"
)

// A State is what is known of a signature.
type State int

const (
	Found    State = iota // and not verified: there is nothing to verify it with
	Verified              // with something that the project trusts
	Failed                // with everything that the project trusts
)

// A Signature is one of an image.
type Signature struct {
	Kind  string // "cosign", "Notation"
	State State
	By    string // the key, certificate or identity that verified it; "" unless Verified
	Why   string // why it was not verified, in English; "" when it was
}

// A Statement is what somebody attests of an image.
type Statement struct {
	Predicate string // "https://slsa.dev/provenance/v1"
	State     State
	By        string
	Why       string // why it was not verified, in English; "" when it was
}

// A Status is what a registry has beside an image.
type Status struct {
	Signatures []Signature
	Statements []Statement
}

// Provenance reports whether anything says how the image was built.
func (s *Status) Provenance() bool { return slices.ContainsFunc(s.Statements, Statement.provenance) }

// SBOM reports whether anything lists what is in the image.
func (s *Status) SBOM() bool { return slices.ContainsFunc(s.Statements, Statement.sbom) }

func (s Statement) provenance() bool { return s.counts("provenance") }

func (s Statement) sbom() bool { return s.counts("spdx", "cyclonedx") }

// counts reports whether s says one of words, and is not by a stranger where it
// is known who is none.
func (s Statement) counts(words ...string) bool {
	predicate := strings.ToLower(s.Predicate)
	return s.State != Failed && slices.ContainsFunc(words, func(word string) bool { return strings.Contains(predicate, word) })
}

// mostArtifacts bounds what is read beside one image.
const mostArtifacts = 32

const (
	typeSimple      = "application/vnd.dev.cosign.simplesigning.v1+json"
	typeDSSE        = "application/vnd.dsse.envelope.v1+json"
	typeBundle      = "application/vnd.dev.sigstore.bundle"
	typeNotation    = "application/vnd.cncf.notary.signature"
	predicateSigned = "https://sigstore.dev/cosign/sign/v1"
	typeLegacy      = "application/vnd.dev.cosign.artifact." // sig.v1+json, att.v1+json: what is else under a tag
)

// Inspect looks for what is attached to the manifest or index d of name. The
// error is that not everything could be read; what could be is in the status.
func (p *Policy) Inspect(ctx context.Context, c *registry.Client, name reference.Named, d ocispec.Descriptor) (Status, error) {
	i := inspection{client: c, name: reference.TrimNamed(name), target: d, trust: p.of(name)}
	if p != nil {
		i.public = p.Public
	}
	i.tags(ctx)
	i.referrers(ctx, d)
	i.buildkit(ctx, d)
	return i.status, errors.Join(i.errs...)
}

type inspection struct {
	client *registry.Client
	name   reference.Named
	target ocispec.Descriptor // what has to be signed
	trust  *trust             // nil: nothing can be verified
	public *Public            // root of trust
	status Status
	errs   []error
}

// failed keeps err unless it says that there is nothing.
func (i *inspection) failed(err error) bool {
	if err != nil && !registry.IsNotFound(err) {
		i.errs = append(i.errs, err)
	}
	return err != nil
}

// tags reads what older versions of cosign push: tags with the digest as name.
func (i *inspection) tags(ctx context.Context) {
	for _, suffix := range []string{".sig", ".att"} {
		tag, err := reference.WithTag(i.name, strings.Replace(i.target.Digest.String(), ":", "-", 1)+suffix)
		if i.failed(err) {
			continue
		}
		d, err := i.client.Head(ctx, tag)
		if i.failed(err) {
			continue
		}
		i.layers(ctx, d)
	}
}

// layers reads the signatures of older versions of cosign in the manifest d.
func (i *inspection) layers(ctx context.Context, d ocispec.Descriptor) {
	m, err := i.client.Manifest(ctx, i.name, d)
	if i.failed(err) {
		return
	}
	for _, layer := range m.Layers[:min(len(m.Layers), mostArtifacts)] {
		if layer.MediaType != typeSimple && layer.MediaType != typeDSSE {
			continue
		}
		data, err := i.client.Blob(ctx, i.name, layer)
		switch {
		case i.failed(err):
		case layer.MediaType == typeSimple:
			i.signed("cosign", i.simple(ctx, data, layer.Annotations))
		default:
			i.attestation(ctx, data, layer.Annotations)
		}
	}
}

func (i *inspection) signed(kind string, s Signature) {
	s.Kind = kind
	i.status.Signatures = append(i.status.Signatures, s)
}

// referrers reads what points to the image.
func (i *inspection) referrers(ctx context.Context, d ocispec.Descriptor) {
	all, err := i.client.Referrers(ctx, i.name, d)
	if i.failed(err) {
		return
	}
	for _, r := range all[:min(len(all), mostArtifacts)] {
		if strings.HasPrefix(r.ArtifactType, typeLegacy) {
			i.layers(ctx, r)
			continue
		}
		bundle, notation := strings.HasPrefix(r.ArtifactType, typeBundle), r.ArtifactType == typeNotation
		if !bundle && !notation {
			continue
		}
		m, err := i.client.Manifest(ctx, i.name, r)
		if i.failed(err) || len(m.Layers) == 0 {
			continue
		}
		data, err := i.client.Blob(ctx, i.name, m.Layers[0])
		if i.failed(err) {
			continue
		}
		if notation {
			i.signed("Notation", i.notation(m.Layers[0].MediaType, data))
			continue
		}
		i.bundled(ctx, data)
	}
}

// buildkit reads what docker build --provenance and --sbom put into the index.
// Nobody signs it.
func (i *inspection) buildkit(ctx context.Context, d ocispec.Descriptor) {
	manifests, err := i.client.Index(ctx, i.name, d)
	if i.failed(err) {
		return
	}
	for _, m := range manifests[:min(len(manifests), mostArtifacts)] {
		if m.Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
			continue
		}
		manifest, err := i.client.Manifest(ctx, i.name, m)
		if i.failed(err) {
			continue
		}
		for _, layer := range manifest.Layers {
			if predicate := layer.Annotations["in-toto.io/predicate-type"]; predicate != "" {
				i.status.Statements = append(i.status.Statements, Statement{Predicate: predicate})
			}
		}
	}
}
