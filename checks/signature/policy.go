// Package signature says whether an image was signed, by whom, and what is
// attested of it: cosign's signatures, as tags or as bundles, those of Notation,
// SLSA provenance and lists of packages.
//
// Signatures are verified with keys and certificates that the project has
// written down, and for identities that it has; anything else is "found, not
// verified", never good. Signatures of cosign with a key are one ECDSA, Ed25519
// or RSA operation of the standard library over a payload that names the digest.
// Notation's envelopes are parsed and verified by notation-core-go, their
// reference implementation, which costs three small modules. Signatures without
// a key (Fulcio, Rekor, time stamps) are verified by sigstore-go, theirs, against
// a root of trust that is a file or the public one. It is most of the weight of
// this package: 10 MB of program and 0.8 MB allocated before main, as there is no
// way to import it without the models of its logs.
package signature

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"plimsoll/checks"
	"plimsoll/checks/registry"
)

// A Rule is what the project demands: images from these places are signed with
// one of these keys, with a certificate below one of these, or by one of these
// identities.
type Rule struct {
	Images       []string `yaml:"images"`       // registries and folders: "ghcr.io/acme"
	Keys         []string `yaml:"keys"`         // files with public keys of cosign, PEM
	Certificates []string `yaml:"certificates"` // files with root certificates of Notation, PEM

	Identities  []Identity `yaml:"identities"`   // who may sign without a key
	TrustedRoot string     `yaml:"trusted-root"` // file with the root of trust that vouches for them; "": the public one of Sigstore

	Root string `yaml:"-"` // directory that files are told from
}

// A Policy is a set of rules with their keys. Nil demands nothing.
type Policy struct {
	Public *Public // root of trust of identities without a file; nil: nobody may be asked for it

	rules []trust
}

// trust is a rule, read.
type trust struct {
	root   string
	images []string
	keys   []key
	roots  []*x509.Certificate

	authorities []authority
}

type key struct {
	name   string // of the file
	public crypto.PublicKey
}

const largestKey = 64 << 10

// Load reads the keys of rules. Those of the user come before those of a project,
// which cannot weaken them: of rules about the same image only those from the
// same place as the first count.
func Load(rules []Rule) (*Policy, error) {
	p := &Policy{}
	for _, r := range rules {
		t := trust{root: r.Root, images: r.Images}
		if len(r.Images) == 0 || len(r.Keys)+len(r.Certificates)+len(r.Identities) == 0 {
			return nil, errors.New("signed-by: a rule needs images, and keys, certificates or identities")
		}
		for _, place := range r.Images {
			if !matches(place) {
				return nil, fmt.Errorf("signed-by: %q is no registry and no folder of one", place)
			}
		}
		for _, name := range r.Keys {
			block, err := readPEM(r.Root, name)
			if err != nil {
				return nil, err
			}
			public, err := x509.ParsePKIXPublicKey(block[0].Bytes)
			if err != nil {
				return nil, fmt.Errorf("signed-by: %s is no public key: %w", name, err)
			}
			t.keys = append(t.keys, key{filepath.Base(name), public})
		}
		for _, name := range r.Certificates {
			blocks, err := readPEM(r.Root, name)
			if err != nil {
				return nil, err
			}
			for _, block := range blocks {
				c, err := x509.ParseCertificate(block.Bytes)
				if err != nil {
					return nil, fmt.Errorf("signed-by: %s is no certificate: %w", name, err)
				}
				t.roots = append(t.roots, c)
			}
		}
		var err error
		if t.authorities, err = r.authority(); err != nil {
			return nil, err
		}
		p.rules = append(p.rules, t)
	}
	return p, nil
}

// matches reports whether any image can be in place: a rule with a tag, an
// address or a pattern in its middle would demand nothing, and nobody would know.
func matches(place string) bool {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(place), "/*"), "/"))
	if rest, ok := strings.CutPrefix(name, "*"); ok {
		name = "any.example" + rest
	}
	named, err := reference.ParseNormalizedNamed(name + "/any")
	return err == nil && checks.FromRegistry([]string{place}, named.Name())
}

// readFile reads at most limit bytes of a file that a configuration names.
func readFile(dir, name string, limit int64) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	// A project names these files, and to open a pipe waits for whoever writes
	// into it.
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("signed-by: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("signed-by: %s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("signed-by: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("signed-by: %w", err)
	}
	return data, nil
}

func readPEM(dir, name string) ([]*pem.Block, error) {
	data, err := readFile(dir, name, largestKey)
	if err != nil {
		return nil, err
	}
	var blocks []*pem.Block
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		blocks, data = append(blocks, block), rest
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("signed-by: %s is not in PEM form", name)
	}
	return blocks, nil
}

// of returns everything that is trusted for images called name; nil when no rule
// is about them.
func (p *Policy) of(name reference.Named) *trust {
	if p == nil {
		return nil
	}
	var all *trust
	for i := range p.rules {
		if r := &p.rules[i]; checks.FromRegistry(r.images, name.Name()) {
			if all == nil {
				all = &trust{root: r.root}
			}
			if r.root != all.root {
				continue
			}
			all.keys, all.roots, all.authorities = append(all.keys, r.keys...), append(all.roots, r.roots...), append(all.authorities, r.authorities...)
		}
	}
	return all
}

// Demands reports whether images called name have to be signed.
func (p *Policy) Demands(name reference.Named) bool { return p.of(name) != nil }

// Require returns nil when name, a tag or digest that is about to be pulled, is
// signed as p demands, and why it must not be used else. The digest that was
// verified is the one to pull: a tag may move meanwhile.
func (p *Policy) Require(ctx context.Context, c *registry.Client, name reference.Named) (digest string, err error) {
	if !p.Demands(name) {
		return "", nil
	}
	refused := func(why checks.Message, err error) error {
		return &checks.Problem{What: why, Do: checks.Msg("the configuration demands a signature: signed-by"), Err: err}
	}
	d, err := c.Head(ctx, name)
	if err != nil {
		return "", refused(checks.Msg("whether %s is signed cannot be found out (%s)", reference.FamiliarString(name), err.Error()), err)
	}
	s, err := p.Inspect(ctx, c, name, d)
	switch {
	case slices.ContainsFunc(s.Signatures, func(s Signature) bool { return s.State == Verified }):
		return d.Digest.String(), nil
	case err != nil:
		return "", refused(checks.Msg("whether %s is signed cannot be found out (%s)", reference.FamiliarString(name), err.Error()), err)
	case len(s.Signatures) == 0:
		return "", refused(checks.Msg("%s is not signed", reference.FamiliarString(name)), nil)
	case !slices.ContainsFunc(s.Signatures, func(s Signature) bool { return s.State == Failed }):
		return "", refused(checks.Msg("no signature of %s could be verified (%s)", reference.FamiliarString(name), s.Signatures[0].Why), nil)
	}
	return "", refused(checks.Msg("no signature of %s is one of those that are trusted", reference.FamiliarString(name)), nil)
}
