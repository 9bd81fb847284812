// Package registry asks registries what they serve: which digest a tag has now,
// which tags there are, who signed an image. Nothing is pulled. Each answer is
// remembered for hours, few questions are under way at a time, and a registry
// that wants to be left alone is.
//
// The protocol is that of oras-go: it is small (it needs three modules that are
// linked anyway), and minds origins on redirects and the places where tokens are
// issued. go-containerregistry would bring the docker command's configuration,
// and answers no question that this does not.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"plimsoll/checks"
)

// A Client asks registries. Its methods may be called from any goroutine.
type Client struct {
	keys  Keychain
	cache Cache

	turns chan struct{} // for as many questions as may be under way

	mu    sync.Mutex
	hosts map[string]*auth.Client
}

// New returns a client with the credentials of keys.
func New(keys Keychain, cache Cache) *Client {
	return &Client{keys: keys, cache: cache, turns: make(chan struct{}, atOnce), hosts: map[string]*auth.Client{}}
}

const (
	atOnce          = 2
	patience        = 15 * time.Second // for one question
	largestMetadata = 4 << 20          // bytes of a manifest, a list of tags or of referrers
	mostPages       = 20               // of a list of tags
	tagsOfPage      = 1000
)

// errNotFound is that a registry does not have what was asked for.
var errNotFound = errdef.ErrNotFound

// repository returns what talks about the repository of name. Only registries on
// this machine are spoken to in plain text.
func (c *Client) repository(name reference.Named) (*remote.Repository, error) {
	r, err := remote.NewRepository(name.Name())
	if err != nil {
		return nil, err
	}
	host := r.Reference.Host() // that of Docker Hub is not called docker.io
	r.Client, r.PlainHTTP = c.host(host), loopback(host)
	r.MaxMetadataBytes, r.TagListMaxPages, r.ReferrerListMaxPages, r.TagListPageSize = largestMetadata, mostPages, mostPages, tagsOfPage
	return r, nil
}

// host returns the client of one registry, which keeps its tokens.
func (c *Client) host(host string) *auth.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.hosts[host]; ok {
		return known
	}
	h := &auth.Client{
		Client: &http.Client{Transport: &guard{host: host, next: http.DefaultTransport}},
		Header: http.Header{"User-Agent": {"plimsoll"}},
		Cache:  auth.NewCache(),
		Credential: func(ctx context.Context, hostport string) (auth.Credential, error) {
			if hostport != host {
				return auth.EmptyCredential, nil
			}
			return c.keys.Get(ctx, host)
		},
	}
	c.hosts[host] = h
	return h
}

func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// turn waits until another question may be asked, and returns what ends it.
func (c *Client) turn(ctx context.Context) (context.Context, func(), error) {
	select {
	case c.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	return ctx, func() { stop(); <-c.turns }, nil
}

// Head returns what name, a tag or a digest, is now, by a question that does
// not count as a pull.
func (c *Client) Head(ctx context.Context, name reference.Named) (ocispec.Descriptor, error) {
	r, err := c.repository(name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	ctx, done, err := c.turn(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer done()
	d, err := r.Resolve(ctx, identifier(name))
	return d, explained(r.Reference.Registry, err)
}

// identifier is the tag or digest of name.
func identifier(name reference.Named) string {
	if d, ok := name.(reference.Digested); ok {
		return d.Digest().String()
	}
	if t, ok := reference.TagNameOnly(name).(reference.Tagged); ok {
		return t.Tag()
	}
	return ""
}

// fetch reads the manifest or blob that d describes, whose digest is verified.
func (c *Client) fetch(ctx context.Context, r *remote.Repository, d ocispec.Descriptor) ([]byte, error) {
	if d.Size > largestMetadata || d.Size < 0 {
		return nil, fmt.Errorf("%s is said to have %d bytes", d.Digest, d.Size)
	}
	ctx, done, err := c.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	body, err := r.Fetch(ctx, d)
	if err != nil {
		return nil, explained(r.Reference.Registry, err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, d.Size+1))
	if err != nil {
		return nil, explained(r.Reference.Registry, err)
	}
	if err := d.Digest.Validate(); err != nil {
		return nil, err
	}
	if int64(len(data)) != d.Size || d.Digest.Algorithm().FromBytes(data) != d.Digest {
		return nil, fmt.Errorf("%s is not what %s has sent", d.Digest, r.Reference.Registry)
	}
	return data, nil
}

// explained returns err in words that say what is the matter with a registry.
func explained(host string, err error) error {
	if err == nil || errors.Is(err, errNotFound) {
		return err
	}
	var known *checks.Problem
	if errors.As(err, &known) {
		return known
	}
	var answer *errcode.ErrorResponse
	var network *net.OpError
	var lookup *net.DNSError
	p := &checks.Problem{Err: err}
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound) || errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		p.What, p.Do = checks.Msg("%s does not let us ask", host), checks.Msg("log in with docker login %s", host)
	case errors.As(err, &network) || errors.As(err, &lookup) || errors.Is(err, context.DeadlineExceeded):
		p.What = checks.Msg("%s cannot be reached", host)
	default:
		p.What = checks.Msg("%s does not answer as a registry should (%s)", host, err.Error())
	}
	return p
}

// IsNotFound reports whether err says that a registry does not have what it was
// asked for.
func IsNotFound(err error) bool { return errors.Is(err, errNotFound) }
