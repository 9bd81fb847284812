package signature

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for [crypto.Hash.New]
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-core-go/testhelper"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/registry"
	"plimsoll/checks/registry/registrytest"
)

// A signer signs images in a real registry, the way the tools do.
type signer struct {
	t    *testing.T
	repo registrytest.Repository
	key  crypto.Signer
	hash crypto.Hash // 0: SHA-256
}

func (s signer) sign(message []byte) []byte {
	s.t.Helper()
	var sig []byte
	var err error
	if k, ok := s.key.(ed25519.PrivateKey); ok {
		sig = ed25519.Sign(k, message)
	} else {
		hash := cmp.Or(s.hash, crypto.SHA256)
		h := hash.New()
		h.Write(message)
		sig, err = s.key.Sign(rand.Reader, h.Sum(nil), hash)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return sig
}

func tagOf(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// classic pushes what cosign 2 pushes: claimed is the digest in the payload.
func (s signer) classic(digest, claimed string, more map[string]string) {
	s.classicOf(kindSimple, digest, claimed, more)
}

// classicOf is classic with a payload that calls itself kind.
func (s signer) classicOf(kind, digest, claimed string, more map[string]string) {
	s.manifest(tagOf(digest)+".sig", s.layer(kind, claimed, more), nil)
}

// layer is a payload with its signature.
func (s signer) layer(kind, claimed string, more map[string]string) map[string]any {
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, s.repo.Host+"/"+s.repo.Name, claimed, kind)
	layer := s.repo.Blob(typeSimple, payload)
	annotations := map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(s.sign(payload))}
	for key, value := range more {
		annotations[key] = value
	}
	layer["annotations"] = annotations
	return layer
}

// manifest pushes one around layer; more is put into it.
func (s signer) manifest(tag string, layer map[string]any, more map[string]any) map[string]any {
	m := map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "config": s.repo.Blob("application/vnd.oci.image.config.v1+json", []byte("{}")), "layers": []any{layer}}
	for key, value := range more {
		m[key] = value
	}
	return s.repo.Manifest(tag, ocispec.MediaTypeImageManifest, m)
}

// dsse returns an envelope about digest, with a payload of a kind and a type.
func (s signer) dsse(digest, predicate, kind, statement string) []byte {
	payload, err := json.Marshal(map[string]any{"_type": statement, "predicateType": predicate, "predicate": map[string]any{},
		"subject": []any{map[string]any{"digest": map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	sig := s.sign(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload))
	data, _ := json.Marshal(map[string]any{"payload": payload, "payloadType": kind, "signatures": []any{map[string]any{"sig": sig}}})
	return data
}

// attach makes artifacts referrers of the image, by the tag that stands in for
// the API, which this registry does not have.
func (s signer) attach(image map[string]any, artifacts ...map[string]any) {
	s.repo.Manifest(tagOf(image["digest"].(string)), ocispec.MediaTypeImageIndex, map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": artifacts})
}

// bundle pushes what cosign 3 pushes.
func (s signer) bundle(image map[string]any, predicate string) map[string]any {
	return s.bundled(image, s.dsse(image["digest"].(string), predicate, kindStatement, statements[1]), `{"publicKey": {"hint": "x"}}`)
}

// bundled pushes an envelope with what it is to be verified with.
func (s signer) bundled(image map[string]any, envelope []byte, material string) map[string]any {
	data, _ := json.Marshal(map[string]any{"mediaType": typeBundle + ".v0.3+json", "dsseEnvelope": json.RawMessage(envelope), "verificationMaterial": json.RawMessage(material)})
	d := s.manifest("", s.repo.Blob(typeBundle+".v0.3+json", data), map[string]any{"artifactType": typeBundle + ".v0.3+json", "subject": image})
	d["artifactType"] = typeBundle + ".v0.3+json"
	return d
}

// notation pushes what notation sign pushes, by a certificate of root; change
// is what is different about it.
func (s signer) notation(image map[string]any, digest string, leaf testhelper.RSACertTuple, root testhelper.RSACertTuple, change func(*signature.SignRequest)) map[string]any {
	s.t.Helper()
	local, err := signature.NewLocalSigner([]*x509.Certificate{leaf.Cert, root.Cert}, leaf.PrivateKey)
	if err != nil {
		s.t.Fatal(err)
	}
	payload, _ := json.Marshal(map[string]any{"targetArtifact": map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": digest, "size": image["size"]}})
	request := signature.SignRequest{
		Payload: signature.Payload{ContentType: kindNotation, Content: payload},
		Signer:  local, SigningTime: time.Now().Add(time.Second), SigningScheme: signature.SigningSchemeX509, SigningAgent: "test",
	}
	if change != nil {
		change(&request)
	}
	data, err := jws.NewEnvelope().Sign(&request)
	if err != nil {
		s.t.Fatal(err)
	}
	d := s.manifest("", s.repo.Blob(jws.MediaTypeEnvelope, data), map[string]any{"artifactType": typeNotation, "subject": image})
	d["artifactType"] = typeNotation
	return d
}

// world is a registry, and a policy that trusts the key of each signer and one
// root certificate.
type world struct {
	t      *testing.T
	host   string
	client *registry.Client
	policy *Policy
	signer signer
}

func newWorld(t *testing.T, key crypto.Signer) *world {
	t.Helper()
	host := registrytest.Start(t)
	w := &world{t: t, host: host, client: registry.New(registry.Keychain{}, registry.Cache{})}
	w.signer = signer{t, registrytest.Repository{TB: t, Host: host, Name: "acme/shop"}, key, 0}
	dir := t.TempDir()
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"acme.pub": {Type: "PUBLIC KEY", Bytes: public}, "root.pem": {Type: "CERTIFICATE", Bytes: testhelper.GetRSARootCertificate().Cert.Raw}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if w.policy, err = Load([]Rule{{Root: dir, Images: []string{host + "/acme"}, Keys: []string{"acme.pub"}, Certificates: []string{"root.pem"}}}); err != nil {
		t.Fatal(err)
	}
	return w
}

func ecKey(t *testing.T) crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// looked says what Inspect finds under tag.
func (w *world) looked(p *Policy, tag string) string {
	w.t.Helper()
	named, err := reference.ParseNormalizedNamed(w.host + "/" + w.signer.repo.Name + ":" + tag)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := w.client.Head(w.t.Context(), named)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := p.Inspect(w.t.Context(), w.client, named, d)
	if err != nil {
		w.t.Errorf("%s: %v", tag, err)
	}
	var out []string
	for _, one := range s.Signatures {
		out = append(out, fmt.Sprintf("%s %s%s%s", one.Kind, [...]string{"found ", "verified ", "failed "}[one.State], one.By, one.Why))
	}
	for _, one := range s.Statements {
		out = append(out, fmt.Sprintf("%s %s%s", one.Predicate, [...]string{"found ", "verified ", "failed "}[one.State], one.By))
	}
	if s.Provenance() {
		out = append(out, "provenance")
	}
	if s.SBOM() {
		out = append(out, "sbom")
	}
	_, required := p.Require(w.t.Context(), w.client, named)
	if required != nil {
		out = append(out, "refused")
	}
	return strings.Join(out, "; ")
}

func (w *world) expect(p *Policy, tag, want string) {
	w.t.Helper()
	if got := w.looked(p, tag); got != want {
		w.t.Errorf("%s: %q, want %q", tag, got, want)
	}
}

func TestCosignTags(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ecdsa": ecKey(t), "rsa": rsaKey, "ed25519": edKey} {
		w := newWorld(t, key)
		s := w.signer
		image := s.repo.Image("signed", "signed", time.Now())["digest"].(string)
		s.classic(image, image, nil)
		w.expect(w.policy, "signed", "cosign verified acme.pub")
		if name != "ecdsa" {
			continue
		}
		w.expect(nil, "signed", "cosign found "+whyNoRule)
		s.repo.Image("unsigned", "unsigned", time.Now())
		w.expect(w.policy, "unsigned", "refused")
		other := s.repo.Image("copied", "copied", time.Now())["digest"].(string)
		s.classic(other, image, nil) // a true signature, of another image
		w.expect(w.policy, "copied", "cosign failed "+whyOther+"; refused")
		stranger := s
		stranger.key = ecKey(t)
		wrong := s.repo.Image("stranger", "stranger", time.Now())["digest"].(string)
		stranger.classic(wrong, wrong, nil)
		w.expect(w.policy, "stranger", "cosign failed "+whyWrong+"; refused")
		keyless := s.repo.Image("keyless", "keyless", time.Now())["digest"].(string)
		stranger.classic(keyless, keyless, map[string]string{"dev.sigstore.cosign/certificate": "…"})
		w.expect(w.policy, "keyless", "cosign found "+whyNoIdentity+"; refused")
	}
}

// TestCurves has keys on each curve: cosign signs with the hash of the strength of
// the curve since 2.6.0, and did with SHA-256 before. No other will do.
func TestCurves(t *testing.T) {
	for _, c := range []struct {
		curve elliptic.Curve
		good  []crypto.Hash
	}{
		{elliptic.P256(), []crypto.Hash{crypto.SHA256}},
		{elliptic.P384(), []crypto.Hash{crypto.SHA256, crypto.SHA384}},
		{elliptic.P521(), []crypto.Hash{crypto.SHA256, crypto.SHA512}},
	} {
		key, err := ecdsa.GenerateKey(c.curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, key)
		s := w.signer
		for _, s.hash = range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			tag := strings.ToLower(strings.ReplaceAll(s.hash.String(), "-", ""))
			image := s.repo.Image(tag, tag, time.Now())
			digest := image["digest"].(string)
			want := "cosign failed " + whyWrong + "; cosign failed " + whyWrong + "; refused"
			if slices.Contains(c.good, s.hash) {
				want = "cosign verified acme.pub; cosign verified acme.pub"
			}
			s.classic(digest, digest, nil)
			s.attach(image, s.bundle(image, predicateSigned))
			w.expect(w.policy, tag, want)
		}
	}
}

// TestCosignReferrers has what cosign 2 pushes with --registry-referrers-mode
// oci-1-1: the layers that are else under a tag, as a referrer.
func TestCosignReferrers(t *testing.T) {
	w := newWorld(t, ecKey(t))
	s := w.signer
	const kind = "application/vnd.dev.cosign.artifact.sig.v1+json"
	image, other := s.repo.Image("1", "one", time.Now()), s.repo.Image("2", "two", time.Now())
	d := s.manifest("", s.layer(kindSimple, image["digest"].(string), nil), map[string]any{"artifactType": kind, "subject": image})
	d["artifactType"] = kind
	s.attach(image, d)
	w.expect(w.policy, "1", "cosign verified acme.pub")
	s.attach(other, d)
	w.expect(w.policy, "2", "cosign failed "+whyOther+"; refused")
}

func TestBundlesAndAttestations(t *testing.T) {
	w := newWorld(t, ecKey(t))
	s := w.signer
	image := s.repo.Image("1", "one", time.Now())
	stranger := s
	stranger.key = ecKey(t)
	s.attach(image, s.bundle(image, predicateSigned), s.bundle(image, "https://slsa.dev/provenance/v1"), stranger.bundle(image, "https://spdx.dev/Document"))
	w.expect(w.policy, "1", "cosign verified acme.pub; https://slsa.dev/provenance/v1 verified acme.pub; https://spdx.dev/Document failed ; provenance")
	// A bundle that was attached to another image than it speaks of.
	other := s.repo.Image("2", "two", time.Now())
	s.attach(other, s.bundle(image, predicateSigned))
	w.expect(w.policy, "2", "cosign failed "+whyOther+"; refused")
	// What docker build leaves in an index is signed by nobody.
	built := s.repo.Image("", "built", time.Now())
	built["platform"] = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	layer := s.repo.Blob("application/vnd.in-toto+json", []byte("{}"))
	layer["annotations"] = map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
	attestation := s.manifest("", layer, nil)
	attestation["annotations"] = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": built["digest"].(string)}
	attestation["platform"] = ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	s.repo.Manifest("3", ocispec.MediaTypeImageIndex, map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": []any{built, attestation}})
	w.expect(nil, "3", "https://slsa.dev/provenance/v0.2 found ; provenance")
}

// TestKeyless has bundles that an identity has signed: they are found, and no
// sign of fraud. An envelope that nobody has signed is neither.
func TestKeyless(t *testing.T) {
	w := newWorld(t, ecKey(t))
	s := w.signer
	s.key = ecKey(t) // that was made for this signature, and thrown away
	image := s.repo.Image("1", "one", time.Now())
	envelope := s.dsse(image["digest"].(string), predicateSigned, kindStatement, statements[1])
	for _, material := range []string{`{"certificate": {"rawBytes": "AA=="}, "tlogEntries": []}`, `{"x509CertificateChain": {"certificates": [{"rawBytes": "AA=="}]}}`} {
		s.attach(image, s.bundled(image, envelope, material))
		w.expect(w.policy, "1", "cosign found "+whyNoIdentity+"; refused")
	}
	s.attach(image, s.bundled(image, envelope, `{"publicKey": {"hint": "x"}}`))
	w.expect(w.policy, "1", "cosign failed "+whyWrong+"; refused")
	var unsigned map[string]any
	if err := json.Unmarshal(envelope, &unsigned); err != nil {
		t.Fatal(err)
	}
	unsigned["signatures"] = []any{}
	envelope, _ = json.Marshal(unsigned)
	s.attach(image, s.bundled(image, envelope, `{"publicKey": {"hint": "x"}}`))
	w.expect(w.policy, "1", "cosign failed "+whyForm+"; refused")
}

// TestOtherTexts has the key of a project sign what are no signatures of an
// image, though they name its digest: a review, a statement of another format.
func TestOtherTexts(t *testing.T) {
	w := newWorld(t, ecKey(t))
	s := w.signer
	image := s.repo.Image("1", "one", time.Now())
	digest := image["digest"].(string)
	s.classicOf("review comment", digest, digest, nil)
	w.expect(w.policy, "1", "cosign failed "+whyKind+"; refused")
	image = s.repo.Image("2", "two", time.Now())
	digest = image["digest"].(string)
	s.attach(image,
		s.bundled(image, s.dsse(digest, predicateSigned, "text/x-review-comment", statements[1]), "{}"),
		s.bundled(image, s.dsse(digest, predicateSigned, kindStatement, "https://example.com/Comment/v1"), "{}"),
		s.bundled(image, s.dsse(digest, "https://slsa.dev/provenance/v1", "text/x-review-comment", statements[1]), "{}"),
		s.bundled(image, s.dsse(registrytest.Digest([]byte("another")), "https://slsa.dev/provenance/v1", kindStatement, statements[1]), "{}"))
	w.expect(w.policy, "2", "cosign failed "+whyKind+"; cosign failed "+whyKind+"; refused")
	s.attach(image, s.bundled(image, s.dsse(digest, predicateSigned, kindStatement, statements[0]), "{}"))
	w.expect(w.policy, "2", "cosign verified acme.pub")
}

// limited returns a signer whose certificate has a critical extension that says
// what it is for in a way that nobody here understands, and its root.
func limited(t *testing.T) (signature.Signer, *x509.Certificate) {
	key := ecKey(t)
	create := func(c, parent *x509.Certificate) *x509.Certificate {
		c.NotBefore, c.NotAfter, c.SerialNumber, c.BasicConstraintsValid = time.Now().Add(-time.Hour), time.Now().Add(time.Hour), big.NewInt(1), true
		der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	root := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	root = create(root, root)
	leaf := create(&x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}}, root)
	out, err := signature.NewLocalSigner([]*x509.Certificate{leaf, root}, key)
	if err != nil {
		t.Fatal(err)
	}
	return out, root
}

func TestNotation(t *testing.T) {
	w := newWorld(t, ecKey(t))
	s := w.signer
	leaf, root := testhelper.GetRSALeafCertificate(), testhelper.GetRSARootCertificate()
	image := s.repo.Image("1", "one", time.Now())
	s.attach(image, s.notation(image, image["digest"].(string), leaf, root, nil))
	if got := w.looked(w.policy, "1"); !strings.HasPrefix(got, "Notation verified CN=") || strings.Contains(got, "refused") {
		t.Errorf("%q", got)
	}
	w.expect(nil, "1", "Notation found "+whyNoRule)
	other := s.repo.Image("2", "two", time.Now())
	s.attach(other, s.notation(other, image["digest"].(string), leaf, root, nil))
	w.expect(w.policy, "2", "Notation failed "+whyOther+"; refused")
	for _, c := range []struct {
		want   string
		change func(*signature.SignRequest)
	}{
		{"failed " + whyKind, func(r *signature.SignRequest) { r.Payload.ContentType = "text/x-review-comment" }},
		{"found " + whyMore, func(r *signature.SignRequest) { r.SigningScheme = signature.SigningSchemeX509SigningAuthority }},
		{"found " + whyMore, func(r *signature.SignRequest) {
			r.ExtendedSignedAttributes = []signature.Attribute{{Key: "com.example.limits", Critical: true, Value: "x"}}
		}},
		{"found " + whyMore, func(r *signature.SignRequest) { // which has to be critical
			r.ExtendedSignedAttributes = []signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Value: "com.example"}}
		}},
		{"failed " + whyOther, func(r *signature.SignRequest) {
			r.Payload.Content = bytes.Replace(r.Payload.Content, []byte(ocispec.MediaTypeImageManifest), []byte(ocispec.MediaTypeImageIndex), 1)
		}},
		{"failed " + whyLimit, func(r *signature.SignRequest) {
			var trusted *x509.Certificate
			r.Signer, trusted = limited(t)
			w.policy.rules[0].roots = append(w.policy.rules[0].roots, trusted)
		}},
	} {
		s.attach(other, s.notation(other, other["digest"].(string), leaf, root, c.change))
		w.expect(w.policy, "2", "Notation "+c.want+"; refused")
	}
	s.attach(other, s.notation(other, other["digest"].(string), leaf, root, func(r *signature.SignRequest) {
		r.ExtendedSignedAttributes = []signature.Attribute{{Key: "com.example.note", Value: "not critical"}}
	}))
	if got := w.looked(w.policy, "2"); !strings.HasPrefix(got, "Notation verified CN=") || strings.Contains(got, "refused") {
		t.Errorf("%q", got)
	}
	strange := testhelper.GetRSASelfSignedSigningCertTuple("stranger")
	third := s.repo.Image("3", "three", time.Now())
	foreign, err := signature.NewLocalSigner([]*x509.Certificate{strange.Cert}, strange.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(map[string]any{"targetArtifact": third})
	data, err := jws.NewEnvelope().Sign(&signature.SignRequest{Payload: signature.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: payload}, Signer: foreign, SigningTime: time.Now().Add(time.Second), SigningScheme: signature.SigningSchemeX509})
	if err != nil {
		t.Fatal(err)
	}
	push := func(tag string, image map[string]any, data []byte) {
		d := s.manifest("", s.repo.Blob(jws.MediaTypeEnvelope, data), map[string]any{"artifactType": typeNotation, "subject": image})
		d["artifactType"] = typeNotation
		s.attach(image, d)
	}
	push("3", third, data)
	w.expect(w.policy, "3", "Notation failed "+whyWrong+"; refused")
	fourth := s.repo.Image("4", "four", time.Now())
	push("4", fourth, []byte(strings.Replace(string(data), `"payload":"`, `"payload":"e`, 1)))
	if got := w.looked(w.policy, "4"); !strings.HasPrefix(got, "Notation failed ") || !strings.HasSuffix(got, "refused") {
		t.Errorf("%q", got)
	}
}

func TestRequire(t *testing.T) {
	w := newWorld(t, ecKey(t))
	image := w.signer.repo.Image("1", "one", time.Now())["digest"].(string)
	w.signer.classic(image, image, nil)
	require := func(text string) (string, error) {
		named, err := reference.ParseNormalizedNamed(text)
		if err != nil {
			t.Fatal(err)
		}
		return w.policy.Require(t.Context(), w.client, named)
	}
	if digest, err := require(w.host + "/acme/shop:1"); err != nil || digest != image {
		t.Errorf("%s, %v", digest, err)
	}
	if digest, err := require(w.host + "/acme/shop@" + image); err != nil || digest != image {
		t.Errorf("%s, %v", digest, err)
	}
	if digest, err := require("elsewhere.example/thing:1"); err != nil || digest != "" {
		t.Errorf("asked about what no rule is about: %s, %v", digest, err)
	}
	// Not to know is not to trust.
	for _, text := range []string{w.host + "/acme/absent:1", w.host + "/acme/shop:9"} {
		if _, err := require(text); err == nil || !strings.Contains(err.Error(), "signed-by") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "odd.pem"), pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte("x")}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Rule{{}, {Images: []string{"x"}}, {Keys: []string{"text"}}, {Images: []string{"x"}, Keys: []string{"absent"}}, {Images: []string{"x"}, Keys: []string{"text"}},
		{Images: []string{"x"}, Keys: []string{"odd.pem"}}, {Images: []string{"x"}, Certificates: []string{"odd.pem"}}} {
		r.Root = dir
		if _, err := Load([]Rule{r}); err == nil || !strings.Contains(err.Error(), "signed-by") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestPlaces has images that a project names in other ways than its user, and
// rules that no image could ever match.
func TestPlaces(t *testing.T) {
	p := &Policy{rules: []trust{{images: []string{"ghcr.io/acme", "acme"}}}}
	for _, name := range []string{"ghcr.io/acme/shop", "GHCR.IO/acme/shop", "ghcr.io:443/acme/shop", "acme/shop", "registry-1.docker.io/acme/shop", "index.docker.io/acme/shop:1"} {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Demands(named) {
			t.Errorf("%s needs no signature", name)
		}
	}
	for place, want := range map[string]bool{
		"ghcr.io": true, "ghcr.io/acme": true, "GHCR.io/Acme/*": true, "acme": true, "*": true, "*/acme": true, "*.example.com": true, "*:5000": true, "[::1]:5000/acme": true, "localhost": true,
		"": false, " ": false, "/": false, "https://ghcr.io/acme": false, "ghcr.io/acme/shop:1": false, "ghcr.io/acme/*-prod": false, "ghcr.*/acme": false, "ghcr.io/acme/shop@sha256:0": false,
	} {
		if got := matches(place); got != want {
			t.Errorf("%q: %v", place, got)
		}
	}
	if _, err := Load([]Rule{{Images: []string{"https://ghcr.io/acme"}, Keys: []string{"absent"}}}); err == nil || !strings.Contains(err.Error(), "no registry") {
		t.Errorf("%v", err)
	}
}

// TestProjectCannotWeaken has a project trust another key for the same images.
func TestProjectCannotWeaken(t *testing.T) {
	w := newWorld(t, ecKey(t))
	w.policy.rules = append(w.policy.rules, trust{root: "/project", images: []string{w.host}, keys: []key{{"evil.pub", ecKey(t).Public()}}})
	named, err := reference.ParseNormalizedNamed(w.host + "/acme/shop:1")
	if err != nil {
		t.Fatal(err)
	}
	if all := w.policy.of(named); len(all.keys) != 1 || all.keys[0].name != "acme.pub" {
		t.Errorf("%d keys are trusted", len(all.keys))
	}
}
