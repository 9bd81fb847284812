package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"
)

// Who signs in these tests.
const (
	releases = "release@acme.example"
	login    = "https://login.acme.example"
)

// A sigstore is one in memory: it gives certificates, has a log and stamps
// times. What is signed with it is pushed to the registry of a world.
type sigstore struct {
	*world
	ca *ca.VirtualSigstore
}

func newSigstore(w *world) sigstore {
	w.t.Helper()
	v, err := ca.NewVirtualSigstore()
	if err != nil {
		w.t.Fatal(err)
	}
	return sigstore{w, v}
}

// root is its root of trust as a file, with a log or without, and with a log of
// certificates when one is wanted, which has none of them.
func (s sigstore) root(logs, certificates bool) []byte {
	s.t.Helper()
	named := func(in map[string]*root.TransparencyLog) map[string]*root.TransparencyLog {
		for id, log := range in {
			raw, err := hex.DecodeString(id)
			if err != nil {
				s.t.Fatal(err)
			}
			log.ID = raw
		}
		return in
	}
	rekor, ct := map[string]*root.TransparencyLog{}, map[string]*root.TransparencyLog{}
	if logs {
		rekor = named(s.ca.RekorLogs())
	}
	if certificates {
		ct = named(s.ca.CTLogs())
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01, s.ca.FulcioCertificateAuthorities(), ct, s.ca.TimestampingAuthorities(), rekor)
	if err != nil {
		s.t.Fatal(err)
	}
	data, err := r.MarshalJSON()
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// trusts returns a policy for the images of the world.
func (s sigstore) trusts(trusted []byte, identities ...Identity) *Policy {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "root.json"), trusted, 0o600); err != nil {
		s.t.Fatal(err)
	}
	p, err := Load([]Rule{{Root: dir, Images: []string{s.host + "/acme"}, Identities: identities, TrustedRoot: "root.json"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// promised is an entry of the log with the promise of the log to keep it.
func (s sigstore) promised(e *tlog.Entry, kind string) *protorekor.TransparencyLogEntry {
	s.t.Helper()
	t := e.TransparencyLogEntry()
	promise, err := s.ca.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(t.CanonicalizedBody), IntegratedTime: t.IntegratedTime, LogIndex: t.LogIndex, LogID: hex.EncodeToString(t.LogId.KeyId),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	t.KindVersion = &protorekor.KindVersion{Kind: kind, Version: "0.0.1"}
	t.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	return t
}

// annotation is an entry as older versions of cosign write it.
func (s sigstore) annotation(e *protorekor.TransparencyLogEntry) string {
	data, err := json.Marshal(map[string]any{
		"SignedEntryTimestamp": e.InclusionPromise.SignedEntryTimestamp,
		"Payload":              map[string]any{"body": e.CanonicalizedBody, "integratedTime": e.IntegratedTime, "logIndex": e.LogIndex, "logID": hex.EncodeToString(e.LogId.KeyId)},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

func certificatePEM(raw []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

// A forgery changes what was signed truly, before it is pushed.
type forgery struct {
	subject, issuer string        // other than releases and login
	later           time.Duration // when the log has it, after the certificate was given
	kind            string        // of the payload of an envelope, other than a statement
	claimed         string        // digest in what is signed, other than that of the image
	changed         bool          // what was signed is another text
	unlogged        bool
	unpromised      bool
	unstamped       bool // no authority says when it was
}

func (f *forgery) fill(digest string) {
	set := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	set(&f.subject, releases)
	set(&f.issuer, login)
	set(&f.kind, kindStatement)
	set(&f.claimed, digest)
	if f.later == 0 {
		f.later = time.Minute
	}
}

// pushSimple pushes a signature as cosign 2 does, as a tag.
func (s sigstore) pushSimple(digest string, f forgery) {
	s.t.Helper()
	f.fill(digest)
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"acme/shop"},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, f.claimed, kindSimple)
	e, err := s.ca.SignAtTime(f.subject, f.issuer, payload, time.Now().Add(f.later))
	if err != nil {
		s.t.Fatal(err)
	}
	certified, _ := e.VerificationContent()
	content, _ := e.SignatureContent()
	entries, _ := e.TlogEntries()
	stamps, _ := e.Timestamps()
	if f.changed {
		payload = append(payload, '\n')
	}
	entry := s.promised(entries[0], "hashedrekord")
	if f.unpromised {
		entry.InclusionPromise.SignedEntryTimestamp = nil
	}
	layer := s.signer.repo.Blob(typeSimple, payload)
	annotations := map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(content.Signature()), annotationCertificate: certificatePEM(certified.Certificate().Raw), annotationBundle: s.annotation(entry)}
	if !f.unstamped {
		stamp, _ := json.Marshal(map[string]any{"SignedRFC3161Timestamp": stamps[0]})
		annotations[annotationTime] = string(stamp)
	}
	if f.unlogged {
		delete(annotations, annotationBundle)
	}
	layer["annotations"] = annotations
	s.signer.manifest(tagOf(digest)+".sig", layer, nil)
}

// bundle returns an envelope with a statement about digest and all proofs.
func (s sigstore) bundle(digest, predicate string, f forgery) *protobundle.Bundle {
	s.t.Helper()
	f.fill(digest)
	payload, err := json.Marshal(map[string]any{"_type": statements[1], "predicateType": predicate, "predicate": map[string]any{},
		"subject": []any{map[string]any{"digest": map[string]string{"sha256": strings.TrimPrefix(f.claimed, "sha256:")}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	leaf, key, err := s.ca.GenerateLeafCert(f.subject, f.issuer)
	if err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256(dsse.PAE(f.kind, payload))
	sig, err := key.(*ecdsa.PrivateKey).Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		s.t.Fatal(err)
	}
	envelope := &dsse.Envelope{PayloadType: f.kind, Payload: base64.StdEncoding.EncodeToString(payload), Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sig)}}}
	logged, err := s.ca.GenerateTlogEntry(leaf, envelope, sig, time.Now().Add(f.later).Unix(), true)
	if err != nil {
		s.t.Fatal(err)
	}
	stamp, err := s.ca.TimestampResponse(sig)
	if err != nil {
		s.t.Fatal(err)
	}
	if f.changed {
		payload = []byte(strings.Replace(string(payload), `"predicate":{}`, `"predicate":{"x":1}`, 1))
	}
	entry := s.promised(logged, "dsse")
	if f.unpromised {
		entry.InclusionPromise = nil
	}
	material := &protobundle.VerificationMaterial{
		Content:                   &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: leaf.Raw}},
		TlogEntries:               []*protorekor.TransparencyLogEntry{entry},
		TimestampVerificationData: &protobundle.TimestampVerificationData{Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp}}},
	}
	if f.unlogged {
		material.TlogEntries = nil
	}
	if f.unstamped {
		material.TimestampVerificationData = nil
	}
	return &protobundle.Bundle{MediaType: typeBundle + ".v0.3+json", VerificationMaterial: material,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{Payload: payload, PayloadType: f.kind, Signatures: []*protodsse.Signature{{Sig: sig}}}}}
}

// pushBundle pushes an envelope as cosign 3 does, as a referrer of image.
func (s sigstore) pushBundle(image map[string]any, b *protobundle.Bundle) map[string]any {
	s.t.Helper()
	data, err := protojson.Marshal(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.pushRaw(image, data)
}

// pushRaw pushes anything in the place of a bundle.
func (s sigstore) pushRaw(image map[string]any, data []byte) map[string]any {
	s.t.Helper()
	const kind = typeBundle + ".v0.3+json"
	d := s.signer.manifest("", s.signer.repo.Blob(kind, data), map[string]any{"artifactType": kind, "subject": image})
	d["artifactType"] = kind
	return d
}

// pushAttestations pushes envelopes as cosign 2 does, as layers of one tag.
func (s sigstore) pushAttestations(digest string, bundles ...*protobundle.Bundle) {
	s.t.Helper()
	var layers []any
	for _, b := range bundles {
		e := b.GetDsseEnvelope()
		data, _ := json.Marshal(map[string]any{"payload": e.Payload, "payloadType": e.PayloadType, "signatures": []any{map[string]any{"sig": e.Signatures[0].Sig}}})
		layer := s.signer.repo.Blob(typeDSSE, data)
		layer["annotations"] = map[string]string{annotationCertificate: certificatePEM(b.VerificationMaterial.GetCertificate().RawBytes), annotationBundle: s.annotation(b.VerificationMaterial.TlogEntries[0])}
		layers = append(layers, layer)
	}
	s.signer.manifest(tagOf(digest)+".att", nil, map[string]any{"layers": layers})
}
