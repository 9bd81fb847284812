package signature

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"plimsoll/checks/terminal"
)

// An Identity is somebody who signs without a key that is kept: who logged in,
// and where, as the certificate says that was given for it. They are what cosign
// verify calls --certificate-identity and --certificate-oidc-issuer. Of each
// either the exact text is given, or a regular expression for all of it.
type Identity struct {
	Issuer        string `yaml:"issuer"` // "https://token.actions.githubusercontent.com"
	IssuerRegexp  string `yaml:"issuer-regexp"`
	Subject       string `yaml:"subject"` // of the certificate: an address, a workflow at a ref
	SubjectRegexp string `yaml:"subject-regexp"`
}

// matcher is i as the library compares it.
func (i Identity) matcher() (verify.CertificateIdentity, error) {
	issuer, err := whole("issuer", i.Issuer, i.IssuerRegexp)
	if err != nil {
		return verify.CertificateIdentity{}, err
	}
	subject, err := whole("subject", i.Subject, i.SubjectRegexp)
	if err != nil {
		return verify.CertificateIdentity{}, err
	}
	return verify.NewShortCertificateIdentity(i.Issuer, issuer, i.Subject, subject)
}

// whole returns expr so that it has to match all of a text: one that is found
// somewhere in it can be had from anybody, as a folder of https://evil.example.
func whole(what, exact, expr string) (string, error) {
	switch {
	case (exact == "") == (expr == ""):
		return "", fmt.Errorf("signed-by: an identity needs %s or %s-regexp, and not both", what, what)
	case strings.Contains(exact, "*"):
		return "", fmt.Errorf("signed-by: %s is compared as it is, and %q would match nobody: use %s-regexp", what, exact, what)
	case expr == "":
		return "", nil
	}
	if _, err := regexp.Compile(expr); err != nil {
		return "", fmt.Errorf("signed-by: %s-regexp: %w", what, err)
	}
	return `\A(?:` + expr + `)\z`, nil
}

// An authority is the identities of a rule and the root of trust that vouches
// for them; nil is the public one, which is fetched when it is needed.
type authority struct {
	root       *root.TrustedRoot
	identities verify.CertificateIdentities
}

const largestRoot = 1 << 20

// authority reads the identities of r; none when it has none.
func (r Rule) authority() ([]authority, error) {
	if len(r.Identities) == 0 {
		if r.TrustedRoot != "" {
			return nil, errors.New("signed-by: a trusted-root is for identities, and the rule has none")
		}
		return nil, nil
	}
	a := authority{}
	for _, i := range r.Identities {
		m, err := i.matcher()
		if err != nil {
			return nil, err
		}
		a.identities = append(a.identities, m)
	}
	if r.TrustedRoot != "" {
		data, err := readFile(r.Root, r.TrustedRoot, largestRoot)
		if err != nil {
			return nil, err
		}
		if a.root, err = parseRoot(data); err != nil {
			return nil, fmt.Errorf("signed-by: %s is no root of trust as cosign trusted-root create makes it: %w", r.TrustedRoot, err)
		}
	}
	return []authority{a}, nil
}

// parseRoot reads a root of trust, which has to vouch for somebody.
func parseRoot(data []byte) (*root.TrustedRoot, error) {
	r, err := root.NewTrustedRootFromJSON(data)
	switch {
	case err != nil: // which cites the file, and a project names any
		return nil, errors.New("it does not read so")
	case len(r.FulcioCertificateAuthorities()) == 0:
		return nil, errors.New("no authority is in it that issues certificates")
	case len(r.RekorLogs())+len(r.TimestampingAuthorities()) == 0:
		return nil, errors.New("no log and no authority is in it that says when something was signed")
	}
	return r, nil
}

// holder says whom a certificate is for. Both were typed by somebody.
func holder(c *certificate.Summary) string {
	return shown(c.SubjectAlternativeName) + ", by " + shown(c.Issuer)
}

// shown is text of a certificate, in a length that fits an explanation.
func shown(s string) string {
	const most = 200
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return terminal.Line(s)
}
