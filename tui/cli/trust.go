package cli

import (
	"context"

	"github.com/distribution/reference"

	"plimsoll/checks"
	"plimsoll/checks/registry"
	"plimsoll/checks/signature"
)

// asks says about which images registries are asked.
func (a *app) asks() (registry.Mode, error) {
	if a.offline {
		return registry.Off, nil
	}
	return registry.ParseMode(a.config.Ask)
}

// signatures reads which images have to be signed, and by whom. Who vouches for
// identities is asked for where registries are.
func (a *app) signatures(asks registry.Mode) (*signature.Policy, error) {
	p, err := signature.Load(a.config.Signed)
	if err == nil && asks != registry.Off && !a.demo {
		p.Public = signature.UserPublic()
	}
	return p, err
}

// trusting returns what is asked before an image is pulled: whether it is signed
// as the configuration demands. What cannot be found out is refused.
func trusting(policy *signature.Policy, offline bool) func(context.Context, string) (string, error) {
	return func(ctx context.Context, ref string) (string, error) {
		named, err := reference.ParseDockerRef(ref)
		if err != nil || !policy.Demands(named) {
			return "", nil // the engine says what is wrong with it
		}
		if offline {
			return "", &checks.Problem{What: checks.Msg("whether %s is signed cannot be found out offline", ref), Do: checks.Msg("the configuration demands a signature: signed-by")}
		}
		// What was remembered may be hours old: this has to be true now.
		return policy.Require(ctx, registry.New(registry.UserKeychain(), registry.Cache{}), named)
	}
}
