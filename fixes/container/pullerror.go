package container

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"plimsoll/checks"
)

// pullError says why the engine did not get ref. Engines hand on the words of
// registries and of the network as text, in the middle of a stream that has
// begun well: there is no other way to tell them apart. known says that
// credentials were sent along.
func pullError(ref string, known bool, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	host := ref
	if named, parsed := reference.ParseDockerRef(ref); parsed == nil {
		host = reference.Domain(named)
	}
	text := strings.ToLower(err.Error())
	says := func(any ...string) bool {
		for _, words := range any {
			if strings.Contains(text, words) {
				return true
			}
		}
		return false
	}
	p := &checks.Problem{Err: err}
	switch {
	case says("toomanyrequests", "too many requests", "rate limit"):
		p.What, p.Do = checks.Msg("%s allows no more downloads for now", clean(host)), checks.Msg("wait, or log in: docker login %s", clean(host))
	case says("no matching manifest"):
		p.What = checks.Msg("%s has no image of %s for the platform of the engine", clean(host), clean(ref))
	case says("manifest unknown", "manifest for ", "name unknown"):
		p.What = checks.Msg("%s has no image %s", clean(host), clean(ref))
	case known && says("denied", "unauthorized", "authentication required"):
		p.What, p.Do = checks.Msg("%s does not accept the credentials that docker keeps for it, or they are not enough for %s", clean(host), clean(ref)), checks.Msg("docker login %s", clean(host))
	case says("denied", "unauthorized", "authentication required", "no basic auth credentials"):
		p.What, p.Do = checks.Msg("%s does not exist, or %s gives it only to users that it knows", clean(ref), clean(host)), checks.Msg("docker login %s", clean(host))
	case says("no space left on device"):
		p.What, p.Do = checks.Msg("the disk of the engine is full"), checks.Msg("docker system df shows what takes the space")
	case says("http response to https client"):
		p.What, p.Do = checks.Msg("%s does not encrypt, and the engine talks to no such registry", clean(host)), checks.Msg("give the registry a certificate")
	case says("x509:", "tls: "):
		p.What, p.Do = checks.Msg("the engine does not trust the certificate of %s", clean(host)), checks.Msg("put its authority into /etc/docker/certs.d/%s/ca.crt on the engine's machine", clean(host))
	case says("connection refused", "no such host", "i/o timeout", "network is unreachable", "no route to host", "handshake timeout", "server misbehaving"):
		p.What = checks.Msg("the engine does not reach %s", clean(host))
	default:
		return fmt.Errorf("pull %s: %s", clean(ref), clean(err.Error()))
	}
	return p
}
