// Package engine finds the Docker Engine that the user means and connects to
// it: by flag, by DOCKER_HOST, or by the docker CLI's current context.
package engine

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/cli/cli/context/docker"
	"github.com/moby/moby/client"
)

// A Target is an engine that was chosen but not yet reached.
type Target struct {
	Host       string // "unix:///var/run/docker.sock", "ssh://me@box", "tcp://…"
	Context    string // name of the CLI context; "" when Host was given directly
	Unattended bool   // nobody can be asked for a password: such a connection fails instead

	TLS bool // the connection is encrypted and verified by certificates

	endpoint docker.Endpoint
}

// Remote reports whether the engine runs on another machine, as far as the
// address tells.
func (t Target) Remote() bool {
	scheme, _, _ := strings.Cut(t.Host, "://")
	return scheme == "ssh" || scheme == "tcp" || scheme == "http" || scheme == "https"
}

// Plain reports whether everybody on the way can read and change what is sent.
func (t Target) Plain() bool {
	scheme, _, _ := strings.Cut(t.Host, "://")
	return !t.TLS && (scheme == "tcp" || scheme == "http")
}

// Resolve returns the engine that the docker CLI would talk to. The order is
// the CLI's own: host (a flag), DOCKER_HOST, DOCKER_CONTEXT, the current
// context of the CLI's configuration, the default socket.
func Resolve(host string) (Target, error) {
	if host == "" {
		host = os.Getenv(client.EnvOverrideHost)
	}
	if host != "" {
		return direct(host)
	}
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		file, err := config.Load(config.Dir())
		if err != nil {
			return Target{}, fmt.Errorf("reading the docker configuration: %w", err)
		}
		name = file.CurrentContext
	}
	return Context(cmp.Or(name, "default"))
}

// direct is for a host given by itself; certificates come from the environment
// as for the docker CLI.
func direct(host string) (Target, error) {
	if !strings.Contains(host, "://") {
		return Target{}, fmt.Errorf("engine address %q has no scheme: write unix://, ssh://, tcp:// or npipe:// in front", host)
	}
	ep := docker.Endpoint{EndpointMeta: docker.EndpointMeta{Host: host}}
	if dir := os.Getenv(client.EnvOverrideCertPath); dir != "" {
		tls, err := tlsFiles(dir)
		if err != nil {
			return Target{}, err
		}
		ep.TLSData = tls
		ep.SkipTLSVerify = os.Getenv(client.EnvTLSVerify) == ""
	}
	return target("", ep), nil
}

func named(name string) (Target, error) {
	contexts := contexts()
	meta, err := contexts.GetMetadata(name)
	if err != nil {
		return Target{}, fmt.Errorf("docker context %q: %w (docker context ls shows the known ones)", name, err)
	}
	endpoint, err := docker.EndpointFromContext(meta)
	if err != nil {
		return Target{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	ep, err := docker.WithTLSData(contexts, name, endpoint)
	if err != nil {
		return Target{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	return target(name, ep), nil
}

func target(name string, ep docker.Endpoint) Target {
	return Target{Host: ep.Host, Context: name, TLS: ep.TLSData != nil && !ep.SkipTLSVerify, endpoint: ep}
}

// Client returns a client that negotiates its API version on first use.
// Nothing is sent yet.
func (t Target) Client() (*client.Client, error) {
	opts, err := t.endpoint.ClientOpts()
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", t.Host, err)
	}
	if t.Unattended && strings.HasPrefix(t.Host, "ssh://") {
		// Otherwise ssh would ask on the terminal, which the screen has.
		helper, err := connhelper.GetConnectionHelperWithSSHOpts(t.Host, []string{"-o", "BatchMode=yes"})
		if err != nil {
			return nil, fmt.Errorf("engine %s: %w", t.Host, err)
		}
		opts = append(opts, client.WithDialContext(helper.Dialer))
	}
	c, err := client.New(append(opts, client.WithUserAgent("plimsoll"))...)
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", t.Host, err)
	}
	return c, nil
}

func tlsFiles(dir string) (*tlsData, error) {
	var data tlsData
	for name, into := range map[string]*[]byte{"ca.pem": &data.CA, "cert.pem": &data.Cert, "key.pem": &data.Key} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("certificates of %s: %w", client.EnvOverrideCertPath, err)
		}
		*into = b
	}
	return &data, nil
}
