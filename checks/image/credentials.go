package image

import (
	"fmt"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
)

var privateKey = secretRule(checks.Check{
	ID:       "image-private-key",
	Title:    "Private key in an image",
	Severity: checks.Critical,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "dockle CIS-DI-0010", "CWE-321"},
}, layers.PrivateKey, func(name, path string) checks.Message {
	return checks.Msg("everyone who has %s has the private key %s", name, path)
})

var credentialFile = secretRule(checks.Check{
	ID:       "image-credential-file",
	Title:    "File of credentials in an image",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "dockle CIS-DI-0010", "CWE-538"},
}, layers.Credential, func(name, path string) checks.Message {
	return checks.Msg("everyone who has %s can read the credentials in %s", name, path)
})

var secretInFile = secretRule(checks.Check{
	ID:       "image-secret-in-file",
	Title:    "Secret in a file of an image",
	Severity: checks.Critical,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "trivy secret", "CWE-798"},
}, layers.Token, func(name, path string) checks.Message {
	return checks.Msg("everyone who has %s can read the secret in %s", name, path)
})

// secretRule declares a rule that reports each secret of a kind that a
// container sees.
func secretRule(c checks.Check, kind layers.SecretKind, message func(name, path string) checks.Message) *checks.Check {
	return filesRule(c, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
		for _, f := range s.Secrets {
			if f.Kind == kind {
				report(checks.Finding{Key: f.Path, Message: message(i.Ref().Name, "/"+f.Path), Evidence: i.secretEvidence(f)})
			}
		}
	})
}

var secretInHiddenLayer = filesRule(checks.Check{
	ID:       "image-secret-in-hidden-layer",
	Title:    "Secret that was deleted too late",
	Severity: checks.Critical,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "CWE-538", "CWE-212"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	for _, f := range s.Hidden {
		evidence := i.secretEvidence(f)
		evidence = append(evidence, checks.Evidence{Source: i.layer(f.Above), Detail: "deletes or replaces it, which a container sees and a copy of the image does not"})
		evidence = append(evidence, i.made(f.Above)...)
		evidence = append(evidence, checks.Evidence{Source: "to see it", Detail: s.Extract(i.source(), f.Layer, f.Path)})
		report(checks.Finding{
			Key:      fmt.Sprintf("%s@%d", f.Path, f.Layer+1),
			Message:  checks.Msg("%s is gone from containers of %s, but layer %d still holds it for everyone who has the image", "/"+f.Path, i.Ref().Name, f.Layer+1),
			Evidence: evidence,
		})
	}
})

// source returns what to call i in a command.
func (i *Image) source() string {
	if names := i.names(); len(names) > 0 {
		return names[0]
	}
	return ShortID(i.Inspect.ID)
}

// secretEvidence says where a secret stands, never what it is.
func (i *Image) secretEvidence(f layers.FoundSecret) []checks.Evidence {
	where := fmt.Sprintf("/%s, %s", f.Path, size(f.Size))
	if f.Rule != "" {
		where += ", " + f.Rule
	}
	if f.End > f.Start {
		where += fmt.Sprintf(", at byte %d", f.Start)
	}
	return append([]checks.Evidence{{Source: i.layer(f.Layer), Detail: where}}, i.made(f.Layer)...)
}
