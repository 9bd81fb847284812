package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// A mirror serves a root of trust as Sigstore's does, by TUF.
type mirror struct {
	*httptest.Server
	keys  []byte // the first ones, which a program would have in it
	files map[string][]byte
	asked atomic.Int32
	hangs chan struct{} // an answer waits until it is closed; nil: none does
}

func newMirror(t *testing.T, trusted []byte) *mirror {
	t.Helper()
	m := &mirror{files: map[string][]byte{}}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := metadata.KeyFromPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	must := func(data []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	tomorrow := time.Now().AddDate(0, 0, 1).UTC()
	keys := metadata.Root(tomorrow)
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		if err := keys.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	target, err := metadata.TargetFile().FromBytes("trusted_root.json", trusted, "sha256")
	if err != nil {
		t.Fatal(err)
	}
	targets := metadata.Targets(tomorrow)
	targets.Signed.Targets["trusted_root.json"] = target
	snapshot, timestamp := metadata.Snapshot(tomorrow), metadata.Timestamp(tomorrow)
	for _, sign := range []func(signature.Signer) (*metadata.Signature, error){keys.Sign, targets.Sign, snapshot.Sign, timestamp.Sign} {
		if _, err := sign(signer); err != nil {
			t.Fatal(err)
		}
	}
	m.keys = must(keys.ToBytes(false))
	m.files["/1.targets.json"], m.files["/1.snapshot.json"], m.files["/timestamp.json"] = must(targets.ToBytes(false)), must(snapshot.ToBytes(false)), must(timestamp.ToBytes(false))
	m.files[fmt.Sprintf("/targets/%x.trusted_root.json", sha256.Sum256(trusted))] = trusted
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.asked.Add(1)
		if m.hangs != nil {
			<-m.hangs
		}
		data, ok := m.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(data)
	}))
	t.Cleanup(m.Close)
	return m
}

// public is a root of trust that is had from m and remembered in dir.
func (m *mirror) public(dir string) *Public {
	return &Public{options: tuf.Options{Root: m.keys, RepositoryBaseURL: m.URL, CachePath: dir, CacheValidity: 1}}
}

// TestPublic has rules without a file, and the root of trust somewhere else.
func TestPublic(t *testing.T) {
	s := newSigstore(newWorld(t, ecKey(t)))
	p, err := Load([]Rule{{Images: []string{s.host + "/acme"}, Identities: []Identity{acme}}})
	if err != nil {
		t.Fatal(err)
	}
	s.pushSimple(s.signer.repo.Image("1", "one", time.Now())["digest"].(string), forgery{})
	const refused, verified = "cosign found " + whyNotHad + "; refused", "cosign verified " + releases + ", by " + login
	s.expect(p, "1", "cosign found "+whyNoPublic+"; refused")
	named, err := reference.ParseNormalizedNamed(s.host + "/acme/shop:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Require(t.Context(), s.client, named); err == nil || !strings.Contains(err.Error(), whyNoPublic) {
		t.Errorf("an image is refused for %v", err)
	}
	m, dir := newMirror(t, s.root(true, false)), t.TempDir()
	p.Public = m.public(dir)
	if m.asked.Load() != 0 {
		t.Error("asked before anybody wanted to know")
	}
	s.expect(p, "1", verified)
	asked := m.asked.Load()
	s.expect(p, "1", verified)
	if m.asked.Load() != asked {
		t.Error("asked again in one process")
	}
	p.Public = m.public(dir) // another process
	s.expect(p, "1", verified)
	if m.asked.Load() != asked {
		t.Errorf("asked %d times again on one day", m.asked.Load()-asked)
	}

	forged := newMirror(t, s.root(true, false))
	p.Public = forged.public(t.TempDir())
	p.Public.options.Root = m.keys
	s.expect(p, "1", refused)

	long := newMirror(t, s.root(true, false))
	long.files["/timestamp.json"] = make([]byte, 64<<20)
	p.Public = long.public(t.TempDir())
	s.expect(p, "1", refused)
	asked = long.asked.Load()
	s.expect(p, "1", refused)
	if long.asked.Load() != asked {
		t.Error("asked again at once after a failure")
	}

	empty := newMirror(t, []byte("{}"))
	p.Public = empty.public(t.TempDir())
	s.expect(p, "1", refused)

	gone := newMirror(t, s.root(true, false))
	gone.Close()
	p.Public = gone.public(t.TempDir())
	s.expect(p, "1", refused)

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Public = m.public(file) // there is no place to keep it
	s.expect(p, "1", verified)
}

// TestPublicHangs has the mirror accept a question and not answer.
func TestPublicHangs(t *testing.T) {
	m := newMirror(t, newSigstore(newWorld(t, ecKey(t))).root(true, false))
	m.hangs = make(chan struct{})
	t.Cleanup(func() { close(m.hangs) }) // before the server waits for its answers
	p := m.public(t.TempDir())
	p.patience = 300 * time.Millisecond
	begun := time.Now()
	if _, err := p.root(t.Context()); err == nil || err.Error() != whyNotHad {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("waited %v", took)
	}
}
