package signature

import (
	"context"
	"errors"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// byIdentity verifies a signature that came with a certificate over artifact,
// with whoever is trusted to sign so: the certificate is of an authority of the
// root of trust, the signature is in a log of it, and was made while the
// certificate was valid. Nobody is asked about it: all of this is in the bundle.
func (i *inspection) byIdentity(ctx context.Context, b func() (*bundle.Bundle, error), artifact verify.ArtifactPolicyOption) Signature {
	switch {
	case i.trust == nil:
		return Signature{Why: whyNoRule}
	case len(i.trust.authorities) == 0:
		return Signature{Why: whyNoIdentity}
	}
	signed, err := b()
	if errors.Is(err, bundle.ErrUnsupportedMediaType) {
		return Signature{Why: whyForm}
	}
	if err != nil {
		return Signature{State: Failed, Why: whyForm}
	}
	// One that some authority cannot judge today is not refuted by the others.
	result := Signature{State: Failed}
	for _, a := range i.trust.authorities {
		s := a.verify(ctx, i.public, signed, artifact)
		if s.State == Verified {
			return s
		}
		if result.Why == "" || s.State == Found {
			result = s
		}
	}
	return result
}

func (a authority) verify(ctx context.Context, public *Public, b *bundle.Bundle, artifact verify.ArtifactPolicyOption) Signature {
	trusted := a.root
	if trusted == nil {
		var err error
		if trusted, err = public.root(ctx); err != nil {
			return Signature{Why: err.Error()}
		}
	}
	verifier, err := verify.NewVerifier(trusted, demands(trusted)...)
	if err != nil {
		return Signature{Why: whyForm}
	}
	// Who signed is compared afterwards, so that it can be said who it was.
	result, err := verifier.Verify(b, verify.NewPolicy(artifact, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return Signature{State: Failed, Why: doubt(verifier, b)}
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return Signature{State: Failed, Why: whyForm}
	}
	who := result.Signature.Certificate
	if _, err := a.identities.Verify(*who); err != nil {
		return Signature{State: Failed, Why: "signed-by does not name who has signed it: " + holder(who)}
	}
	return Signature{State: Verified, By: holder(who)}
}

// demands says what has to be proved: everything for which the root of trust has
// somebody to prove it, and when it was signed in any case.
func demands(trusted *root.TrustedRoot) []verify.VerifierOption {
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(trusted.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	return options
}

// doubt says which of its proofs b lacks.
func doubt(v *verify.Verifier, b *bundle.Bundle) string {
	logged, err := v.VerifyTransparencyLogInclusion(b)
	if err != nil {
		return whyLog
	}
	if _, err := v.VerifyObserverTimestamps(b, logged); err != nil {
		return whyTime
	}
	return whyIssuer
}
