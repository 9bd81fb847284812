package registry

import (
	"context"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// EngineAuth returns the credentials with which an engine is to pull ref, as its
// API takes them; "" without any. They are those for the registry of ref and
// for no other.
func (k Keychain) EngineAuth(ctx context.Context, ref string) (string, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", nil // the engine says what is wrong with it
	}
	host := reference.Domain(named)
	c, err := k.Get(ctx, host)
	if err != nil || c == auth.EmptyCredential {
		return "", err
	}
	if isDockerHub(host) {
		host = dockerHubKey
	}
	return authconfig.Encode(registry.AuthConfig{
		Username: c.Username, Password: c.Password, IdentityToken: c.RefreshToken, RegistryToken: c.AccessToken, ServerAddress: host,
	})
}
