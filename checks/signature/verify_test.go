package signature

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"testing"
)

// TestReference verifies what the library has signed that cosign signs with
// (github.com/sigstore/sigstore 1.10.8): by its default for the kind of key, as
// cosign does since 2.6.0, and with SHA-256, as it did before.
func TestReference(t *testing.T) {
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Payload    string
		Signatures []struct {
			Curve, Hash, Key string
			Signature        []byte
		}
	}
	if err := json.Unmarshal(data, &reference); err != nil || len(reference.Signatures) != 6 {
		t.Fatalf("%v: %d signatures", err, len(reference.Signatures))
	}
	for _, s := range reference.Signatures {
		block, _ := pem.Decode([]byte(s.Key))
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !verifies(public, []byte(reference.Payload), s.Signature) {
			t.Errorf("%s, %s: refused", s.Curve, s.Hash)
		}
		if verifies(public, []byte(reference.Payload+" "), s.Signature) {
			t.Errorf("%s, %s: another text is accepted", s.Curve, s.Hash)
		}
		for at := range s.Signature {
			s.Signature[at] ^= 1
			if verifies(public, []byte(reference.Payload), s.Signature) {
				t.Errorf("%s, %s: changed at %d, and accepted", s.Curve, s.Hash, at)
			}
			s.Signature[at] ^= 1
		}
	}
}
