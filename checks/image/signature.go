package image

import (
	"slices"

	"plimsoll/checks"
)

// signedRule makes a check of what a registry has beside an image.
func signedRule(c checks.Check, run func(*Image, Signed, func(checks.Finding))) *checks.Check {
	return upstream(c, func(i *Image, u *Upstream, report func(checks.Finding)) {
		for _, s := range u.Signed {
			run(i, s, report)
		}
	})
}

func (s Signed) verified() bool {
	return slices.ContainsFunc(s.Signatures, func(one Signature) bool { return one.Verified != "" })
}

func (s Signed) failed() bool {
	return slices.ContainsFunc(s.Signatures, func(one Signature) bool { return one.Failed })
}

// evidenceOf names what is beside the image name, and why it does not count.
func evidenceOf(name string, all []Signature) []checks.Evidence {
	evidence := []checks.Evidence{{Source: "registry", Detail: name}}
	for _, one := range all {
		evidence = append(evidence, checks.Evidence{Source: one.Kind, Detail: one.Why})
	}
	return evidence
}

var signatureMissing = signedRule(checks.Check{
	ID:       "image-signature-missing",
	Title:    "Image is not signed by anybody who is trusted",
	Severity: checks.Medium,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.5 (v1.6.0)", "CIS 4.12 (v1.6.0)", "OWASP Docker rule 13", "CWE-347"},
}, func(i *Image, s Signed, report func(checks.Finding)) {
	f := checks.Finding{Key: s.Name, Evidence: evidenceOf(s.Name, s.Signatures)}
	switch {
	case s.verified() || s.failed():
		return
	case len(s.Signatures) == 0:
		f.Message = checks.Msg("%s has no signature in its registry", i.Ref().Name)
	case s.Demanded:
		f.Message = checks.Msg("%s has a signature, but none that could be verified", i.Ref().Name)
	default:
		return // found, and nobody has said whom to trust
	}
	if !s.Demanded {
		f.Severity = checks.Info
	}
	report(f)
})

var signatureInvalid = signedRule(checks.Check{
	ID:       "image-signature-invalid",
	Title:    "Signature is by none of those who are trusted",
	Severity: checks.High,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"CIS 4.12 (v1.6.0)", "CWE-347"},
}, func(i *Image, s Signed, report func(checks.Finding)) {
	if s.failed() && !s.verified() {
		report(checks.Finding{
			Key:      s.Name,
			Message:  checks.Msg("no signature of %s is by a key, certificate or identity that the project trusts", i.Ref().Name),
			Evidence: evidenceOf(s.Name, s.Signatures),
		})
	}
})

var provenanceMissing = signedRule(checks.Check{
	ID:       "image-provenance-missing",
	Title:    "Nothing says how the image was built",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"OWASP Docker rule 13", "SLSA Build L1"},
}, func(i *Image, s Signed, report func(checks.Finding)) {
	if !s.Provenance {
		m := checks.Msg("nothing in the registry says from what and by whom %s was built", i.Ref().Name)
		if len(s.Doubted) > 0 {
			m = checks.Msg("nobody who is trusted says from what and by whom %s was built", i.Ref().Name)
		}
		report(checks.Finding{Key: s.Name, Message: m, Evidence: evidenceOf(s.Name, s.Doubted)})
	}
})

var sbomMissing = signedRule(checks.Check{
	ID:       "image-sbom-missing",
	Title:    "No list of packages comes with the image",
	Severity: checks.Low,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"OWASP Docker rule 13"},
}, func(i *Image, s Signed, report func(checks.Finding)) {
	if !s.SBOM {
		m := checks.Msg("no list of packages (SBOM) of %s is in the registry", i.Ref().Name)
		if len(s.Doubted) > 0 {
			m = checks.Msg("no list of packages (SBOM) of %s is by anybody who is trusted", i.Ref().Name)
		}
		report(checks.Finding{Key: s.Name, Message: m, Evidence: evidenceOf(s.Name, s.Doubted)})
	}
})
