package signature

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/jws"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
)

// Why a signature is not verified. English, for evidence.
const (
	whyNoRule = "no rule of signed-by is about this image"
	whyNoKey  = "no key of signed-by is for it"

	whyNoIdentity = "it was made without a key, by an identity, and signed-by names none: cosign verify tells whose"
	whyLog        = "no log of the root of trust vouches for it"
	whyTime       = "nobody in the root of trust vouches for when it was made"
	whyIssuer     = "its certificate is of nobody in the root of trust, or was not valid then, or what was signed was changed"

	whyOther = "it is for another image"
	whyWrong = "no trusted key has made it"
	whyForm  = "its form is not known here"
	whyKind  = "what was signed is no image"
	whyLimit = "a certificate of it must not be used for this"
	whyMore  = "it demands more than is looked at here: notation verify tells"
)

// What the signed text has to call itself. A key signs other things as well: a
// signature of one of those is none of the image, whatever the text repeats.
const (
	kindSimple    = "cosign container image signature"
	kindStatement = "application/vnd.in-toto+json"
	kindNotation  = "application/vnd.cncf.notary.payload.v1+json"
)

var statements = []string{"https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"}

// simple verifies cosign's payload, which names the digest, with the signature
// of its annotations:
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
func (i *inspection) simple(ctx context.Context, payload []byte, annotations map[string]string) Signature {
	var p struct {
		Critical struct {
			Type  string
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			}
		}
	}
	switch {
	case json.Unmarshal(payload, &p) != nil || p.Critical.Type != kindSimple:
		return Signature{State: Failed, Why: whyKind}
	case p.Critical.Image.Digest != i.target.Digest.String():
		return Signature{State: Failed, Why: whyOther}
	}
	sig, err := base64.StdEncoding.DecodeString(annotations[annotationSignature])
	if err != nil || len(sig) == 0 {
		return Signature{State: Failed, Why: whyForm}
	}
	if annotations[annotationCertificate] == "" {
		return i.byKey(payload, [][]byte{sig})
	}
	return i.byIdentity(ctx, func() (*bundle.Bundle, error) {
		return annotated(annotations, ofPayload(payload, sig, annotations[annotationBundle]))
	}, over(payload))
}

// byKey verifies one of sigs over message with a trusted key.
func (i *inspection) byKey(message []byte, sigs [][]byte) Signature {
	switch {
	case len(sigs) == 0:
		return Signature{State: Failed, Why: whyForm}
	case i.trust == nil:
		return Signature{Why: whyNoRule}
	case len(i.trust.keys) == 0:
		return Signature{Why: whyNoKey}
	}
	for _, k := range i.trust.keys {
		for _, sig := range sigs {
			if verifies(k.public, message, sig) {
				return Signature{State: Verified, By: k.name}
			}
		}
	}
	return Signature{State: Failed, Why: whyWrong}
}

// verifies checks a signature the way cosign makes it for this kind of key.
func verifies(public crypto.PublicKey, message, sig []byte) bool {
	sum := sha256.Sum256(message)
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, sum[:], sig) || stronger(k, message, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	}
	return false
}

// stronger checks a signature over the hash that is as strong as the curve of a
// key. Cosign signs so since 2.6.0; before, it took SHA-256 for each curve, which
// its verify takes until 3.1 unless it is told otherwise.
func stronger(k *ecdsa.PublicKey, message, sig []byte) bool {
	switch k.Curve {
	case elliptic.P384():
		sum := sha512.Sum384(message)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	case elliptic.P521():
		sum := sha512.Sum512(message)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	}
	return false
}

// attestation reads an envelope as older versions of cosign push it.
func (i *inspection) attestation(ctx context.Context, data []byte, annotations map[string]string) {
	var e struct {
		Payload     []byte
		PayloadType string
		Signatures  []struct {
			KeyID string
			Sig   []byte
		}
	}
	if err := json.Unmarshal(data, &e); err != nil {
		i.errs = append(i.errs, fmt.Errorf("an attestation of %s: %s", i.name, whyForm))
		return
	}
	envelope := &protodsse.Envelope{Payload: e.Payload, PayloadType: e.PayloadType}
	for _, s := range e.Signatures {
		envelope.Signatures = append(envelope.Signatures, &protodsse.Signature{Sig: s.Sig, Keyid: s.KeyID})
	}
	if annotations[annotationCertificate] == "" {
		i.envelope(envelope, i.byKey)
		return
	}
	i.envelope(envelope, func([]byte, [][]byte) Signature {
		return i.byIdentity(ctx, func() (*bundle.Bundle, error) { return annotated(annotations, ofEnvelope(envelope)) }, i.digest())
	})
}

// envelope reads a DSSE envelope with an in-toto statement, which is a signature
// of cosign 3 or an attestation: https://github.com/secure-systems-lab/dsse
// Verify is given what was signed, and the signatures.
func (i *inspection) envelope(e *protodsse.Envelope, verify func(message []byte, sigs [][]byte) Signature) {
	var statement struct {
		Type          string `json:"_type"`
		PredicateType string
		Subject       []struct{ Digest map[string]string }
	}
	if json.Unmarshal(e.Payload, &statement) != nil {
		i.errs = append(i.errs, fmt.Errorf("an attestation of %s: %s", i.name, whyForm))
		return
	}
	ours := func(s struct{ Digest map[string]string }) bool {
		return s.Digest[i.target.Digest.Algorithm().String()] == i.target.Digest.Encoded()
	}
	about := false // this image
	var result Signature
	switch {
	case e.PayloadType != kindStatement || !slices.Contains(statements, statement.Type):
		result = Signature{State: Failed, Why: whyKind}
	case !slices.ContainsFunc(statement.Subject, ours):
		result = Signature{State: Failed, Why: whyOther}
	default:
		about = true
		var sigs [][]byte
		for _, s := range e.Signatures {
			sigs = append(sigs, s.Sig)
		}
		// The signature is over the type as well, so that a text of another kind
		// cannot be passed off as this.
		message := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
		result = verify(message, sigs)
	}
	switch {
	case statement.PredicateType == predicateSigned:
		i.signed("cosign", result)
	case about:
		i.status.Statements = append(i.status.Statements, Statement{Predicate: statement.PredicateType, State: result.State, By: result.By, Why: result.Why})
	}
}

// notation verifies an envelope of the Notary Project:
// https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md
// Revocation is not looked up: that would ask servers which the signature names.
func (i *inspection) notation(mediaType string, data []byte) Signature {
	if mediaType != jws.MediaTypeEnvelope {
		return Signature{Why: whyForm}
	}
	envelope, err := signature.ParseEnvelope(mediaType, data)
	if err != nil {
		return Signature{State: Failed, Why: whyForm}
	}
	content, err := envelope.Verify()
	if err != nil {
		return Signature{State: Failed, Why: "it is damaged or was changed"}
	}
	var payload struct{ TargetArtifact ocispec.Descriptor }
	switch {
	case content.Payload.ContentType != kindNotation || json.Unmarshal(content.Payload.Content, &payload) != nil:
		return Signature{State: Failed, Why: whyKind}
	case !sameTarget(payload.TargetArtifact, i.target):
		return Signature{State: Failed, Why: whyOther}
	}
	signed := content.SignerInfo.SignedAttributes
	// Roots are those of authorities that issue certificates: those that sign in
	// the name of others, and vouch for the time, would have to be told apart.
	if signed.SigningScheme != signature.SigningSchemeX509 || slices.ContainsFunc(signed.ExtendedAttributes, binding) {
		return Signature{Why: whyMore}
	}
	switch {
	case i.trust == nil:
		return Signature{Why: whyNoRule}
	case len(i.trust.roots) == 0:
		return Signature{Why: whyNoKey}
	}
	if expiry := signed.Expiry; !expiry.IsZero() && time.Now().After(expiry) {
		return Signature{State: Failed, Why: "it expired on " + expiry.Format(time.DateOnly)}
	}
	chain := content.SignerInfo.CertificateChain
	for _, c := range chain {
		if now := time.Now(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return Signature{State: Failed, Why: "a certificate of it is not valid today"}
		}
	}
	root, err := signature.VerifyAuthenticity(&content.SignerInfo, i.trust.roots)
	if err != nil {
		return Signature{State: Failed, Why: whyWrong}
	}
	if err := issued(chain, root); err != nil {
		return Signature{State: Failed, Why: whyLimit}
	}
	return Signature{State: Verified, By: chain[0].Subject.String() + ", by " + root.Subject.String()}
}

// sameTarget reports whether a signature over signed is one over d. Bytes that
// can be read as a manifest and as an index have one digest, and two types.
func sameTarget(signed, d ocispec.Descriptor) bool {
	return signed.Digest == d.Digest && signed.Size == d.Size && signed.MediaType == d.MediaType
}

// binding reports whether a signature must not be accepted by who does not
// understand a: it says so, or is one of the Notary Project's own, like the
// plugin that has to agree.
func binding(a signature.Attribute) bool {
	name, ok := a.Key.(string)
	return a.Critical || !ok || strings.HasPrefix(name, "io.cncf.notary.")
}

// issued verifies what the reference implementation leaves out of a chain of
// certificates: limits on names, and extensions that nobody here understands.
func issued(chain []*x509.Certificate, root *x509.Certificate) error {
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	options.Roots.AddCert(root)
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(options)
	return err
}
