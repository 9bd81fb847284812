package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"plimsoll/checks/program"
)

// A Keychain knows the user's credentials for registries: those of the docker
// command, in its configuration file and in credential helpers.
type Keychain struct {
	dir string // of the configuration; "" for none
}

// UserKeychain returns that of the user who runs this.
func UserKeychain() Keychain {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return Keychain{dir}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return Keychain{}
	}
	return Keychain{filepath.Join(home, ".docker")}
}

const (
	largestConfig  = 1 << 20
	longestHelper  = 20 * time.Second // it may ask a keyring, which may ask the user
	largestAnswer  = 64 << 10
	identityPrefix = "<token>" // in place of a user name, the secret is a token
)

// dockerConfig is what matters of the docker command's configuration.
type dockerConfig struct {
	Auths map[string]struct {
		Auth, Username, Password, IdentityToken, RegistryToken string
	}
	CredsStore  string
	CredHelpers map[string]string
}

// Get returns the credentials for exactly this host; empty ones when there are
// none. No helper is asked about any other host.
func (k Keychain) Get(ctx context.Context, host string) (auth.Credential, error) {
	if k.dir == "" {
		return auth.EmptyCredential, nil
	}
	config, err := k.read()
	if err != nil {
		return auth.EmptyCredential, err
	}
	server := host
	if isDockerHub(host) {
		server = dockerHubKey
	}
	helper := config.CredsStore
	for key, name := range config.CredHelpers {
		if sameServer(key, server) {
			helper, server = name, key
		}
	}
	if helper != "" {
		return askHelper(ctx, helper, server)
	}
	for key, a := range config.Auths {
		if !sameServer(key, server) {
			continue
		}
		c := auth.Credential{Username: a.Username, Password: a.Password, RefreshToken: a.IdentityToken, AccessToken: a.RegistryToken}
		if a.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(a.Auth)
			if err != nil {
				return auth.EmptyCredential, fmt.Errorf("credentials for %s in %s are damaged", host, k.dir)
			}
			c.Username, c.Password, _ = strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
		}
		return c, nil
	}
	return auth.EmptyCredential, nil
}

func (k Keychain) read() (c dockerConfig, err error) {
	f, err := os.Open(filepath.Join(k.dir, "config.json"))
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largestConfig))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		// Its words could repeat what stands in the file.
		return c, fmt.Errorf("%s is not what docker writes", f.Name())
	}
	return c, nil
}

// dockerHubKey is how the docker command files the credentials of Docker Hub.
const dockerHubKey = "https://index.docker.io/v1/"

func isDockerHub(host string) bool {
	return host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io"
}

// sameServer reports whether an entry of the configuration is for server. Older
// docker commands wrote addresses, "https://ghcr.io/v2/".
func sameServer(key, server string) bool {
	return key == server || bare(key) == bare(server)
}

func bare(server string) string {
	if _, rest, ok := strings.Cut(server, "://"); ok {
		server = rest
	}
	server, _, _ = strings.Cut(server, "/")
	return server
}

// askHelper asks docker-credential-NAME, which is found on PATH only.
func askHelper(ctx context.Context, name, server string) (auth.Credential, error) {
	if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return auth.EmptyCredential, fmt.Errorf("%q is no name of a credential helper", name)
	}
	path, err := exec.LookPath("docker-credential-" + name)
	if err != nil {
		return auth.EmptyCredential, err
	}
	out, err := program.Run(ctx, program.Command{Path: path, Args: []string{"get"}, Env: os.Environ(), Stdin: []byte(server)},
		program.Limits{Time: longestHelper, Output: largestAnswer})
	if err != nil {
		if strings.Contains(string(out.Stdout), "credentials not found") {
			return auth.EmptyCredential, nil
		}
		// What it says is not repeated: it deals with secrets.
		return auth.EmptyCredential, fmt.Errorf("docker-credential-%s: %w", name, err)
	}
	var answer struct{ Username, Secret string }
	if json.Unmarshal(out.Stdout, &answer) != nil {
		return auth.EmptyCredential, fmt.Errorf("docker-credential-%s does not answer as it should", name)
	}
	if answer.Username == identityPrefix {
		return auth.Credential{RefreshToken: answer.Secret}, nil
	}
	return auth.Credential{Username: answer.Username, Password: answer.Secret}, nil
}
