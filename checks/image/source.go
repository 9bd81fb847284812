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

// A remedy is what puts a problem of an image right where no Dockerfile of it is known.
type remedy int

const (
	rebuild remedy = iota // nothing but another build
	layer                 // a Dockerfile that builds on it
	newer                 // the same, where its distribution has newer packages
)

// atSource returns the fix that puts a problem of i right in the Dockerfile that
// builds it. Where none is known, and one more layer is enough, it writes one that
// builds on i.
func (i *Image) atSource(r remedy) []checks.Fix {
	if len(i.Builds) > 0 {
		return []checks.Fix{{ID: "dockerfile", Title: checks.Msg("put it right in what builds it: %s", terminal.Line(i.Builds[0].Name)), Source: true}}
	}
	if r == newer {
		repairs, _ := i.Repairs()
		if r = rebuild; repairs.Manager != "" {
			r = layer
		}
	}
	if r == layer && i.Reference() != "" {
		return []checks.Fix{{ID: "dockerfile", Title: checks.Msg("write a Dockerfile that builds on it and puts this right"), Source: true}}
	}
	return nil
}

// sourced are the checks whose problem is put right where the image is built.
var sourced = map[string]remedy{
	"image-user-root":                    layer,
	"image-healthcheck-missing":          layer,
	"image-vulnerable-critical":          newer,
	"image-vulnerable-known-exploited":   newer,
	"image-vulnerable-likely-exploited":  newer,
	"image-vulnerable-from-base":         newer,
	"image-secret-in-env":                rebuild,
	"image-secret-in-history":            rebuild,
	"image-shell-form-entrypoint":        rebuild,
	"image-sudo-present":                 rebuild,
	"image-history-sudo":                 rebuild,
	"image-history-add":                  rebuild,
	"image-history-update-alone":         rebuild,
	"image-history-cache-left":           rebuild,
	"image-history-tls-or-signature-off": rebuild,
	"image-exposes-admin-port":           rebuild,
	"image-exposes-privileged-port":      rebuild,
	"image-volume-sensitive-path":        rebuild,
	"image-setuid-setgid-files":          rebuild,
	"image-world-writable-files":         rebuild,
	"image-private-key":                  rebuild,
	"image-credential-file":              rebuild,
	"image-secret-in-file":               rebuild,
	"image-eol-os":                       rebuild,
}
