package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// mutated changes one place in a tree of JSON, or in one that is in a string.
func mutated(r *rand.Rand, v any) any {
	strange := []any{nil, "", "AA==", "dsse", "0.0.1", 0, -1, 1e19, true, []any{}, []any{nil}, map[string]any{}}
	if r.Intn(12) == 0 {
		return strange[r.Intn(len(strange))]
	}
	switch x := v.(type) {
	case map[string]any:
		if len(x) == 0 {
			break
		}
		key := slices.Sorted(maps.Keys(x))[r.Intn(len(x))]
		if x[key] = mutated(r, x[key]); r.Intn(10) == 0 {
			delete(x, key)
		}
		return x
	case []any:
		if len(x) == 0 {
			break
		}
		i := r.Intn(len(x))
		x[i] = mutated(r, x[i])
		return x
	case string:
		raw, err := base64.StdEncoding.DecodeString(x)
		if err != nil || len(raw) == 0 {
			break
		}
		var inner any
		if json.Unmarshal(raw, &inner) == nil {
			raw, _ = json.Marshal(mutated(r, inner))
		} else {
			raw[r.Intn(len(raw))] ^= byte(1 << r.Intn(8))
			raw = raw[:len(raw)-r.Intn(2)*r.Intn(len(raw))]
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	return strange[r.Intn(len(strange))]
}

// TestMutations damages a true bundle, and what a log has answered, in many
// ways: nothing breaks what reads them, and only what was signed stays good.
func TestMutations(t *testing.T) {
	s := newSigstore(&world{t: t, host: "registry.example"})
	p := s.trusts(s.root(true, false), acme)
	named, err := reference.ParseNormalizedNamed(s.host + "/acme/shop")
	if err != nil {
		t.Fatal(err)
	}
	target := digest.FromString("image")
	signed := s.bundle(target.String(), predicateSigned, forgery{})
	text, err := protojson.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	answer := s.annotation(signed.VerificationMaterial.TlogEntries[0])
	certificate := certificatePEM(signed.VerificationMaterial.GetCertificate().RawBytes)
	envelope, _ := json.Marshal(map[string]any{"payload": signed.GetDsseEnvelope().Payload, "payloadType": kindStatement, "signatures": []any{map[string]any{"sig": signed.GetDsseEnvelope().Signatures[0].Sig}}})
	looks := func() *inspection {
		i := &inspection{name: named, trust: p.of(named)}
		i.target.Digest = target
		return i
	}
	whole := looks()
	whole.bundled(t.Context(), text)
	whole.attestation(t.Context(), envelope, map[string]string{annotationCertificate: certificate, annotationBundle: answer})
	if all := whole.status.Signatures; len(all) != 2 || all[0].State != Verified || all[1].State != Verified {
		t.Fatalf("before anything is changed: %+v", all)
	}
	r := rand.New(rand.NewSource(1))
	failed := 0
	for range 2000 {
		var bundle, log any
		if err := json.Unmarshal(text, &bundle); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(answer), &log); err != nil {
			t.Fatal(err)
		}
		for range 1 + r.Intn(3) {
			bundle, log = mutated(r, bundle), mutated(r, log)
		}
		one, _ := json.Marshal(bundle)
		two, _ := json.Marshal(log)
		i := looks()
		i.bundled(t.Context(), one)
		for _, s := range i.status.Signatures {
			if s.State != Verified {
				failed++
				continue
			}
			var b protobundle.Bundle
			if err := protojson.Unmarshal(one, &b); err != nil || !bytes.Equal(b.GetDsseEnvelope().Payload, signed.GetDsseEnvelope().Payload) {
				t.Errorf("good, though it is another text: %s", one)
			}
		}
		i.attestation(t.Context(), envelope, map[string]string{annotationCertificate: certificate, annotationBundle: string(two)})
	}
	if failed < 1000 {
		t.Errorf("only %d of 2000 changes were noticed", failed)
	}
}
