package signature

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"
)

// bundled reads what newer versions of cosign attach:
// https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
// The envelope that is read is the very one that is verified.
func (i *inspection) bundled(ctx context.Context, data []byte) {
	b := &protobundle.Bundle{}
	lenient := protojson.UnmarshalOptions{DiscardUnknown: true} // of versions to come, of which the key is all that is asked
	if err := lenient.Unmarshal(data, b); err != nil {
		i.signed("cosign", Signature{State: Failed, Why: whyForm})
		return
	}
	envelope := b.GetDsseEnvelope()
	if envelope == nil {
		i.signed("cosign", Signature{Why: whyForm}) // one of a file, over the manifest's bytes
		return
	}
	material := b.GetVerificationMaterial()
	if material.GetCertificate() == nil && material.GetX509CertificateChain() == nil {
		i.envelope(envelope, i.byKey)
		return
	}
	i.envelope(envelope, func([]byte, [][]byte) Signature {
		return i.byIdentity(ctx, func() (*bundle.Bundle, error) { return bundle.NewBundle(b) }, i.digest())
	})
}

// digest demands that a statement is about the image.
func (i *inspection) digest() verify.ArtifactPolicyOption {
	sum, err := hex.DecodeString(i.target.Digest.Encoded())
	if err != nil {
		return func(*verify.PolicyConfig) error { return err }
	}
	return verify.WithArtifactDigest(i.target.Digest.Algorithm().String(), sum)
}

// over demands a signature over these bytes.
func over(payload []byte) verify.ArtifactPolicyOption {
	return verify.WithArtifact(bytes.NewReader(payload))
}

// What older versions of cosign write beside a signature, as annotations of its
// layer: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate" // the signature was made without a key
	annotationBundle      = "dev.sigstore.cosign/bundle"      // what the log has answered
	annotationTime        = "dev.sigstore.cosign/rfc3161timestamp"
)

// annotated makes a bundle of annotations, around content. Certificates between
// that of the signer and the root are those of the root of trust, which the
// registry has no say in.
func annotated(annotations map[string]string, content *protobundle.Bundle) (*bundle.Bundle, error) {
	block, _ := pem.Decode([]byte(annotations[annotationCertificate]))
	if block == nil {
		return nil, errors.New("the certificate is not in PEM form")
	}
	material := &protobundle.VerificationMaterial{Content: &protobundle.VerificationMaterial_X509CertificateChain{
		X509CertificateChain: &protocommon.X509CertificateChain{Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}}},
	}}
	if text := annotations[annotationBundle]; text != "" {
		entry, err := logged([]byte(text))
		if err != nil {
			return nil, err
		}
		material.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := annotations[annotationTime]; text != "" {
		var stamp struct{ SignedRFC3161Timestamp []byte }
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, err
		}
		material.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp.SignedRFC3161Timestamp}},
		}
	}
	mediaType, err := bundle.MediaTypeString("0.1") // the one that needs no more than the promise of the log
	if err != nil {
		return nil, err
	}
	content.MediaType, content.VerificationMaterial = mediaType, material
	return bundle.NewBundle(content)
}

// logged reads the answer of a log, and its promise to keep the entry.
func logged(text []byte) (*protorekor.TransparencyLogEntry, error) {
	var answer struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte
			IntegratedTime int64
			LogIndex       int64
			LogID          string
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(answer.Payload.LogID)
	if err != nil {
		return nil, err
	}
	var kind struct{ Kind, APIVersion string }
	if err := json.Unmarshal(answer.Payload.Body, &kind); err != nil {
		return nil, err
	}
	switch kind.Kind + " " + kind.APIVersion {
	case "hashedrekord 0.0.1", "dsse 0.0.1", "intoto 0.0.2":
	default:
		return nil, fmt.Errorf("%w: an entry of %q %q", bundle.ErrUnsupportedMediaType, kind.Kind, kind.APIVersion)
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex: answer.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id}, IntegratedTime: answer.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: answer.SignedEntryTimestamp},
		CanonicalizedBody: answer.Payload.Body,
	}, nil
}

// ofPayload is a signature over a payload, as a part of a bundle. Its hash is the
// one that the log's answer names: it is as strong as the key, or SHA-256.
func ofPayload(payload, sig []byte, answer string) *protobundle.Bundle {
	var a struct{ Payload struct{ Body []byte } }
	var entry struct {
		Spec struct {
			Data struct{ Hash struct{ Algorithm string } }
		}
	}
	_ = json.Unmarshal([]byte(answer), &a) // which logged judges
	_ = json.Unmarshal(a.Payload.Body, &entry)
	sum := &protocommon.HashOutput{}
	switch entry.Spec.Data.Hash.Algorithm {
	case "sha384":
		digest := sha512.Sum384(payload)
		sum.Algorithm, sum.Digest = protocommon.HashAlgorithm_SHA2_384, digest[:]
	case "sha512":
		digest := sha512.Sum512(payload)
		sum.Algorithm, sum.Digest = protocommon.HashAlgorithm_SHA2_512, digest[:]
	default:
		digest := sha256.Sum256(payload)
		sum.Algorithm, sum.Digest = protocommon.HashAlgorithm_SHA2_256, digest[:]
	}
	return &protobundle.Bundle{Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{MessageDigest: sum, Signature: sig}}}
}

// ofEnvelope is an envelope as a part of a bundle.
func ofEnvelope(e *protodsse.Envelope) *protobundle.Bundle {
	return &protobundle.Bundle{Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: e}}
}
