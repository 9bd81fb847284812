package signature

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
)

const (
	publicPatience = 20 * time.Second // for all questions of an update
	publicFresh    = time.Hour        // for which a process keeps it; on disk it is kept for a day
	publicAgain    = 5 * time.Minute  // after which one that could not be had is tried again
)

// Why the public root of trust is not there. English, for evidence.
const (
	whyNoPublic = "the public root of trust is not fetched, since nobody is to be asked: " + whyFile
	whyNotHad   = "the public root of trust could not be fetched from " + tuf.DefaultMirror + ": " + whyFile
	whyFile     = "write it to a file with cosign trusted-root create --with-default-services --out FILE, and name that under trusted-root"
)

// A Public is the public root of trust of Sigstore, which is fetched when it is
// needed: by TUF, whose first keys are in the program, so that what came in
// between can neither forge it nor pass off an old one as new.
type Public struct {
	options  tuf.Options
	patience time.Duration // other than publicPatience

	mu    sync.Mutex
	known *root.TrustedRoot
	again time.Time // when to ask next
}

// UserPublic returns the public root of trust, remembered in the user's directory
// for caches. Nobody is asked yet.
func UserPublic() *Public {
	p := &Public{options: tuf.Options{RepositoryBaseURL: tuf.DefaultMirror, CacheValidity: 1}}
	dir, err := os.UserCacheDir()
	if err != nil {
		p.options.DisableLocalCache = true
		return p
	}
	p.options.CachePath = filepath.Join(dir, "plimsoll", "sigstore")
	return p
}

// root returns the root of trust. The error says why it is not there.
func (p *Public) root(ctx context.Context) (*root.TrustedRoot, error) {
	if p == nil {
		return nil, errors.New(whyNoPublic)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.again) {
		ctx, stop := context.WithTimeout(ctx, cmp.Or(p.patience, publicPatience))
		defer stop()
		fetched, err := p.fetch(ctx)
		switch {
		case err == nil:
			p.known, p.again = fetched, now.Add(publicFresh)
		case errors.Is(ctx.Err(), context.Canceled): // says nothing about the mirror
			return nil, errors.New(whyNotHad)
		default:
			p.known, p.again = nil, now.Add(publicAgain)
		}
	}
	if p.known == nil {
		return nil, errors.New(whyNotHad)
	}
	return p.known, nil
}

func (p *Public) fetch(ctx context.Context) (*root.TrustedRoot, error) {
	options := p.options
	if options.Root == nil {
		options.Root = tuf.DefaultRoot()
	}
	if !options.DisableLocalCache && os.MkdirAll(options.CachePath, 0o700) != nil {
		options.DisableLocalCache = true // there is no place to keep it
	}
	f := fetcher.NewDefaultFetcher()
	f.SetHTTPUserAgent("plimsoll")
	f.SetHTTPClient(&http.Client{Transport: within{ctx, http.DefaultTransport}})
	options.Fetcher = f
	client, err := tuf.New(&options)
	if err != nil {
		return nil, err
	}
	data, err := client.GetTarget("trusted_root.json")
	if err != nil {
		return nil, err
	}
	return parseRoot(data)
}

// within ends all requests with a context.
type within struct {
	ctx  context.Context
	next http.RoundTripper
}

func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	return w.next.RoundTrip(r.WithContext(w.ctx))
}
