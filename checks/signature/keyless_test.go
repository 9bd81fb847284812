package signature

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

var acme = Identity{Issuer: login, Subject: releases}

// TestIdentities has an identity sign images, in truth and not, in the form of
// older and of newer versions of cosign.
func TestIdentities(t *testing.T) {
	s := newSigstore(newWorld(t, ecKey(t)))
	trusted := s.root(true, false)
	strange := newSigstore(s.world).root(true, false)
	other := s.signer.repo.Image("other", "other", time.Now())["digest"].(string)
	const by = releases + ", by " + login
	named := func(who string) string { return "signed-by does not name who has signed it: " + who }
	for name, c := range map[string]struct {
		trusted  []byte // other than the true one
		identity Identity
		forgery
		want string
	}{
		"right":              {identity: acme, want: "verified " + by},
		"regexp":             {identity: Identity{Issuer: login, SubjectRegexp: `.*@acme\.example`}, want: "verified " + by},
		"both regexps":       {identity: Identity{IssuerRegexp: `https://login\..*`, SubjectRegexp: `^release@acme\.example$`}, want: "verified " + by},
		"part of subject":    {identity: Identity{Issuer: login, SubjectRegexp: `release@acme`}, want: "failed " + named(by)},
		"another's subject":  {identity: acme, forgery: forgery{subject: "mallory@acme.example"}, want: "failed " + named("mallory@acme.example, by "+login)},
		"another's login":    {identity: acme, forgery: forgery{issuer: "https://evil.example"}, want: "failed " + named(releases+", by https://evil.example")},
		"subject in another": {identity: Identity{Issuer: login, SubjectRegexp: `release@acme\.example`}, forgery: forgery{subject: "release@acme.example.evil.example"}, want: "failed " + named("release@acme.example.evil.example, by "+login)},
		"other image":        {identity: acme, forgery: forgery{claimed: other}, want: "failed " + whyOther},
		"changed":            {identity: acme, forgery: forgery{changed: true}, want: "failed " + whyLog},
		"not logged":         {identity: acme, forgery: forgery{unlogged: true}, want: "failed " + whyLog},
		"logged too late":    {identity: acme, forgery: forgery{later: time.Hour, unstamped: true}, want: "failed " + whyLog},
		"other root":         {identity: acme, trusted: strange, want: "failed " + whyLog},
		"not to say when":    {identity: acme, trusted: s.root(false, false), forgery: forgery{unstamped: true}, want: "failed " + whyTime},
		"stamped":            {identity: acme, trusted: s.root(false, false), forgery: forgery{unlogged: true}, want: "verified " + by},
		"changed, stamped":   {identity: acme, trusted: s.root(false, false), forgery: forgery{changed: true, unlogged: true}, want: "failed " + whyIssuer},
		"no such issuer":     {identity: acme, trusted: mixed(t, s, newSigstore(s.world)), want: "failed " + whyIssuer},
		"certificate hidden": {identity: acme, trusted: s.root(true, true), want: "failed " + whyIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			if c.trusted == nil {
				c.trusted = trusted
			}
			p := s.trusts(c.trusted, c.identity)
			want := "cosign " + c.want
			if !strings.HasPrefix(c.want, "verified") {
				want += "; refused"
			}
			old, now := s.signer.repo.Image("old", "old"+name, time.Now()), s.signer.repo.Image("new", "new"+name, time.Now())
			s.pushSimple(old["digest"].(string), c.forgery)
			s.expect(p, "old", want)
			s.signer.attach(now, s.pushBundle(now, s.bundle(now["digest"].(string), predicateSigned, c.forgery)))
			s.expect(p, "new", want)
		})
	}
}

// mixed is the root of trust of one sigstore with the certificates of another.
func mixed(t *testing.T, one, other sigstore) []byte {
	t.Helper()
	field := func(data []byte, name string) (from, to int) {
		from = bytes.Index(data, []byte(`"`+name+`":`))
		depth := 0
		for to = from; to < len(data); to++ {
			switch data[to] {
			case '[':
				depth++
			case ']':
				if depth--; depth == 0 {
					return from, to + 1
				}
			}
		}
		t.Fatalf("no %s in %s", name, data)
		return 0, 0
	}
	a, b := one.root(true, false), other.root(true, false)
	from, to := field(a, "certificateAuthorities")
	first, last := field(b, "certificateAuthorities")
	return bytes.Join([][]byte{a[:from], b[first:last], a[to:]}, nil)
}

// TestPromise has entries of a log without what makes their time trustworthy.
func TestPromise(t *testing.T) {
	s := newSigstore(newWorld(t, ecKey(t)))
	p := s.trusts(s.root(true, false), acme)
	image := s.signer.repo.Image("1", "one", time.Now())
	// Older bundles are nothing without the promise; newer ones prove that the
	// log has the entry, but nobody has signed the time.
	s.pushSimple(image["digest"].(string), forgery{unpromised: true})
	s.expect(p, "1", "cosign failed "+whyForm+"; refused")
	image = s.signer.repo.Image("2", "two", time.Now())
	s.signer.attach(image, s.pushBundle(image, s.bundle(image["digest"].(string), predicateSigned, forgery{unpromised: true, unstamped: true})))
	s.expect(p, "2", "cosign failed "+whyTime+"; refused")
	s.signer.attach(image, s.pushBundle(image, s.bundle(image["digest"].(string), predicateSigned, forgery{unpromised: true})))
	s.expect(p, "2", "cosign verified "+releases+", by "+login)
}

// TestIdentityKeys has keys of each kind that certificates are given for.
func TestIdentityKeys(t *testing.T) {
	w := newWorld(t, ecKey(t))
	for _, kind := range []protocommon.PublicKeyDetails{protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384, protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512, protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256} {
		v, err := ca.NewVirtualSigstoreWithSigningAlg(kind)
		if err != nil {
			t.Fatal(err)
		}
		s := sigstore{w, v}
		s.pushSimple(s.signer.repo.Image("1", kind.String(), time.Now())["digest"].(string), forgery{})
		s.expect(s.trusts(s.root(true, false), acme), "1", "cosign verified "+releases+", by "+login)
		s.pushSimple(s.signer.repo.Image("2", "changed"+kind.String(), time.Now())["digest"].(string), forgery{changed: true})
		s.expect(s.trusts(s.root(true, false), acme), "2", "cosign failed "+whyLog+"; refused")
	}
}

// TestIdentityStatements has attestations of an identity, in both forms.
func TestIdentityStatements(t *testing.T) {
	const provenance, spdx, cyclone = "https://slsa.dev/provenance/v1", "https://spdx.dev/Document", "https://cyclonedx.org/bom"
	s := newSigstore(newWorld(t, ecKey(t)))
	p := s.trusts(s.root(true, false), acme)
	image := s.signer.repo.Image("1", "one", time.Now())
	digest := image["digest"].(string)
	true1, stranger, copied := s.bundle(digest, provenance, forgery{}), s.bundle(digest, spdx, forgery{subject: "mallory@acme.example"}), s.bundle(digest, cyclone, forgery{claimed: "sha256:" + strings.Repeat("0", 64)})
	const by = releases + ", by " + login
	// None of them is a signature, and that of another image is nothing.
	want := provenance + " verified " + by + "; " + spdx + " failed ; provenance; refused"
	s.pushAttestations(digest, true1, stranger, copied)
	s.expect(p, "1", want)
	image = s.signer.repo.Image("2", "two", time.Now())
	digest = image["digest"].(string)
	s.signer.attach(image, s.pushBundle(image, s.bundle(digest, provenance, forgery{})), s.pushBundle(image, s.bundle(digest, spdx, forgery{subject: "mallory@acme.example"})), s.pushBundle(image, copied))
	s.expect(p, "2", want)
	s.signer.attach(image, s.pushBundle(image, s.bundle(digest, predicateSigned, forgery{kind: "text/x-review-comment"})), s.pushBundle(image, s.bundle(digest, cyclone, forgery{})))
	s.expect(p, "2", "cosign failed "+whyKind+"; "+cyclone+" verified "+by+"; sbom; refused")
}

// TestOneSuffices has rules with keys and identities about the same images.
func TestOneSuffices(t *testing.T) {
	s := newSigstore(newWorld(t, ecKey(t)))
	image := s.signer.repo.Image("1", "one", time.Now())
	digest := image["digest"].(string)
	s.pushSimple(digest, forgery{})
	s.signer.attach(image, s.signer.bundle(image, predicateSigned))
	const by = releases + ", by " + login
	s.expect(s.policy, "1", "cosign found "+whyNoIdentity+"; cosign verified acme.pub")
	p := s.trusts(s.root(true, false), Identity{Issuer: login, Subject: "nobody@acme.example"}, acme)
	s.expect(p, "1", "cosign verified "+by+"; cosign found "+whyNoKey)
	s.expect(nil, "1", "cosign found "+whyNoRule+"; cosign found "+whyNoRule)
	strange := newSigstore(s.world)
	p.rules = append(strange.trusts(strange.root(true, false), acme).rules, p.rules...)
	for i := range p.rules {
		p.rules[i].root = ""
	}
	s.expect(p, "1", "cosign verified "+by+"; cosign found "+whyNoKey)
	// What nobody can judge now is not refuted by who cannot have made it.
	p.rules[1].authorities[0].root = nil
	s.expect(p, "1", "cosign found "+whyNoPublic+"; cosign found "+whyNoKey+"; refused")
}

// TestHostileBundles has a registry serve what no tool has made.
func TestHostileBundles(t *testing.T) {
	s := newSigstore(newWorld(t, ecKey(t)))
	p := s.trusts(s.root(true, false), acme)
	image := s.signer.repo.Image("1", "one", time.Now())
	digest := image["digest"].(string)
	many := s.bundle(digest, predicateSigned, forgery{})
	for range 10 {
		many.VerificationMaterial.TlogEntries = append(many.VerificationMaterial.TlogEntries, many.VerificationMaterial.TlogEntries...)
	}
	s.signer.attach(image, s.pushBundle(image, many))
	s.expect(p, "1", "cosign failed "+whyForm+"; refused")
	empty := s.bundle(digest, predicateSigned, forgery{})
	empty.VerificationMaterial.GetCertificate().RawBytes = nil
	later := s.bundle(digest, predicateSigned, forgery{})
	later.MediaType = typeBundle + ".v7+json"
	s.signer.attach(image, s.pushBundle(image, empty), s.pushBundle(image, later))
	s.expect(p, "1", "cosign failed "+whyLog+"; cosign found "+whyForm+"; refused")
	for name, raw := range map[string]string{
		"garbage": "\x00\xff{", "no object": "[]", "deep": strings.Repeat(`{"verificationMaterial":`, 100_000), "deep, unknown": `{"x":` + strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000) + `,"dsseEnvelope":7}`,
		"twice": `{"dsseEnvelope":{},"dsseEnvelope":{}}`, "long": `{"mediaType":"` + strings.Repeat("x", 3<<20) + `","x":}`,
	} {
		begun := time.Now()
		s.signer.attach(image, s.pushRaw(image, []byte(raw)))
		s.expect(p, "1", "cosign failed "+whyForm+"; refused")
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	hostile := s.bundle(digest, predicateSigned, forgery{issuer: "https://evil.example/\x1b[2J\u202e" + strings.Repeat("x", 10_000)})
	s.signer.attach(image, s.pushBundle(image, hostile))
	if got := s.looked(p, "1"); strings.ContainsAny(got, "\x1b\u202e") || len(got) > 1000 || !strings.Contains(got, "https://evil.example/␛") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// TestHostileAnnotations is the same for what is beside older signatures.
func TestHostileAnnotations(t *testing.T) {
	s := newSigstore(newWorld(t, ecKey(t)))
	p := s.trusts(s.root(true, false), acme)
	image := s.signer.repo.Image("1", "one", time.Now())["digest"].(string)
	certificate := certificatePEM([]byte("no certificate"))
	for _, c := range []struct {
		annotations map[string]string
		want        string
	}{
		{map[string]string{annotationCertificate: "…"}, "failed " + whyForm},
		{map[string]string{annotationCertificate: certificate}, "failed " + whyLog},
		{map[string]string{annotationCertificate: certificate, annotationBundle: "["}, "failed " + whyForm},
		{map[string]string{annotationCertificate: certificate, annotationBundle: "{}"}, "failed " + whyForm},
		{map[string]string{annotationCertificate: certificate, annotationBundle: `{"Payload":{"logID":"xyz"}}`}, "failed " + whyForm},
		{map[string]string{annotationCertificate: certificate, annotationBundle: `{"SignedEntryTimestamp":"AAAA","Payload":{"body":"eyJraW5kIjoiaW50b3RvIiwiYXBpVmVyc2lvbiI6IjAuMC4xIn0=","logID":"00"}}`}, "found " + whyForm},
		{map[string]string{annotationCertificate: certificate, annotationBundle: `{"SignedEntryTimestamp":"AAAA","Payload":{"body":"eyJraW5kIjoiZHNzZSIsImFwaVZlcnNpb24iOiIwLjAuMSJ9","logID":"00"}}`}, "failed " + whyForm},
		{map[string]string{annotationCertificate: certificate, annotationTime: "7"}, "failed " + whyForm},
	} {
		s.signer.classic(image, image, c.annotations)
		s.expect(p, "1", "cosign "+c.want+"; refused")
	}
}

// TestPublicGood verifies what Sigstore's public services once vouched for, the
// log of certificates among them, with their root of trust.
func TestPublicGood(t *testing.T) {
	trusted, b := data.TrustedRoot(t, "public-good.json"), data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json")
	if len(trusted.CTLogs()) == 0 || len(trusted.RekorLogs()) == 0 {
		t.Fatal("the root of trust has no logs")
	}
	m, err := Identity{Issuer: "https://token.actions.githubusercontent.com", SubjectRegexp: `https://github\.com/sigstore/sigstore-js/\.github/workflows/release\.yml@.*`}.matcher()
	if err != nil {
		t.Fatal(err)
	}
	a := authority{trusted, verify.CertificateIdentities{m}}
	if s := a.verify(t.Context(), nil, b, verify.WithoutArtifactUnsafe()); s.State != Verified || !strings.HasPrefix(s.By, "https://github.com/sigstore/sigstore-js/") {
		t.Errorf("%+v", s)
	}
	if s := a.verify(t.Context(), nil, b, over([]byte("another text"))); s.State != Failed {
		t.Errorf("%+v", s)
	}
}

func TestLoadIdentities(t *testing.T) {
	s := newSigstore(newWorld(t, ecKey(t)))
	dir := t.TempDir()
	for name, content := range map[string][]byte{"root.json": s.root(true, false), "text": []byte("hello"), "empty.json": []byte("{}"), "no-root.json": []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one := []Identity{acme}
	for _, c := range []struct {
		rule Rule
		want string // "": it is good
	}{
		{Rule{Identities: one}, ""},
		{Rule{Identities: one, TrustedRoot: "root.json"}, ""},
		{Rule{Identities: one, TrustedRoot: "absent"}, "no such file"},
		{Rule{Identities: one, TrustedRoot: "text"}, "no root of trust"},
		{Rule{Identities: one, TrustedRoot: "empty.json"}, "no root of trust"},
		{Rule{Identities: one, TrustedRoot: "no-root.json"}, "no root of trust"},
		{Rule{Keys: []string{"absent"}, TrustedRoot: "root.json"}, "no such file"},
		{Rule{TrustedRoot: "root.json"}, "needs images, and"},
		{Rule{Identities: []Identity{{Subject: "x"}}}, "needs issuer"},
		{Rule{Identities: []Identity{{Issuer: "x"}}}, "needs subject"},
		{Rule{Identities: []Identity{{Issuer: "x", IssuerRegexp: "x", Subject: "x"}}}, "not both"},
		{Rule{Identities: []Identity{{Issuer: "x", Subject: "https://github.com/acme/*"}}}, "use subject-regexp"},
		{Rule{Identities: []Identity{{Issuer: "x", SubjectRegexp: "a)|(b"}}}, "subject-regexp"},
		{Rule{Identities: []Identity{{IssuerRegexp: "(", Subject: "x"}}}, "issuer-regexp"},
	} {
		c.rule.Root, c.rule.Images = dir, []string{"acme"}
		switch _, err := Load([]Rule{c.rule}); {
		case err == nil && c.want == "":
		case err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "signed-by"):
			t.Errorf("%+v: %v, want %q", c.rule, err, c.want)
		}
	}
}
