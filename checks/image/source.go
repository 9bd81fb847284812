package image

import (
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
)

// Reference returns the name by which a build finds i for good: with its digest
// where a registry gave it one. "" when it has no name.
func (i *Image) Reference() string {
	for _, tag := range i.Inspect.RepoTags {
		if strings.Contains(tag, "<none>") {
			continue
		}
		repository := tag[:strings.LastIndexByte(tag, ':')]
		for _, digest := range i.Inspect.RepoDigests {
			if rest, ok := strings.CutPrefix(digest, repository+"@"); ok {
				return tag + "@" + rest
			}
		}
		return tag
	}
	for _, digest := range i.Inspect.RepoDigests {
		if !strings.Contains(digest, "<none>") {
			return digest
		}
	}
	return ""
}

// atSource returns the fix that puts a problem of i right in the Dockerfile that
// builds it. Where none is known, and one more layer is enough, it writes one that
// builds on i.
func (i *Image) atSource(layer bool) []checks.Fix {
	switch {
	case len(i.Builds) > 0:
		return []checks.Fix{{ID: "dockerfile", Title: checks.Msg("put it right in what builds it: %s", terminal.Line(i.Builds[0].Name)), Source: true}}
	case layer && i.Reference() != "":
		return []checks.Fix{{ID: "dockerfile", Title: checks.Msg("write a Dockerfile that builds on it and puts this right"), Source: true}}
	}
	return nil
}

// sourced are the checks whose problem is put right where the image is built, and
// whether a layer on top of the image is enough.
var sourced = map[string]bool{
	"image-user-root":                    true,
	"image-healthcheck-missing":          true,
	"image-secret-in-env":                false,
	"image-secret-in-history":            false,
	"image-shell-form-entrypoint":        false,
	"image-sudo-present":                 false,
	"image-history-sudo":                 false,
	"image-history-add":                  false,
	"image-history-update-alone":         false,
	"image-history-cache-left":           false,
	"image-history-tls-or-signature-off": false,
	"image-exposes-admin-port":           false,
	"image-exposes-privileged-port":      false,
	"image-volume-sensitive-path":        false,
	"image-setuid-setgid-files":          false,
	"image-world-writable-files":         false,
	"image-private-key":                  false,
	"image-credential-file":              false,
	"image-secret-in-file":               false,
	"image-eol-os":                       false,
	"image-vulnerable-from-base":         false,
}
