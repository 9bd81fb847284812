package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"

	"plimsoll/checks"
)

// A guard sends the requests of the client of one registry. It keeps
// credentials with those they are for, and keeps quiet when the registry asked
// for that.
type guard struct {
	host string // of the registry, with port
	next http.RoundTripper

	mu     sync.Mutex
	until  time.Time // before which the registry wants no requests
	failed int       // requests in a row that did not arrive
	err    error     // of the last of them
	again  time.Time // when the next is worth trying
}

// Bounds of waiting for a registry.
const (
	defaultPause = time.Minute // when a registry does not say how long
	longestPause = 6 * time.Hour
	mostFailures = 2 // in a row, before nothing is sent for a while
	unreachable  = 5 * time.Minute
)

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if wait := g.pause(); wait > 0 {
		return nil, limited(g.host, wait)
	}
	if err := g.lost(); err != nil {
		return nil, err
	}
	if !g.trusts(r.URL) {
		if r.Body != nil && r.Body != http.NoBody {
			return nil, fmt.Errorf("%s wants credentials sent to %s, which is another's", g.host, r.URL.Host)
		}
		if r.Header.Get("Authorization") != "" {
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
		}
	}
	response, err := g.next.RoundTrip(r)
	if r.URL.Host == g.host && r.Context().Err() != context.Canceled {
		g.arrived(err)
	}
	if err != nil {
		return response, err
	}
	// Where it has put its blobs or issues tokens may have had enough, too.
	limits := response.StatusCode == http.StatusTooManyRequests
	if limits || r.URL.Host == g.host {
		g.heed(response)
	}
	if limits {
		response.Body.Close()
		return nil, limited(g.host, g.pause())
	}
	return response, nil
}

// trusts reports whether credentials for the registry may go to u: to itself,
// or to where its own people issue tokens ("auth.docker.io"), encrypted.
func (g *guard) trusts(u *url.URL) bool {
	if u.Host == g.host || u.Port() == "" && u.Scheme == "https" && u.Host+":443" == g.host {
		return true
	}
	if u.Scheme != "https" {
		return false
	}
	own, _, err := net.SplitHostPort(g.host)
	if err != nil {
		own = g.host
	}
	mine, err := publicsuffix.EffectiveTLDPlusOne(own)
	if err != nil {
		return false
	}
	theirs, err := publicsuffix.EffectiveTLDPlusOne(u.Hostname())
	return err == nil && strings.EqualFold(mine, theirs)
}

// lost returns why nothing is sent: the registry could not be reached again and
// again. On a machine without a network that spares waiting for every image.
func (g *guard) lost() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed >= mostFailures && time.Now().Before(g.again) {
		return g.err
	}
	return nil
}

func (g *guard) arrived(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err = err; err == nil {
		g.failed = 0
		return
	}
	g.failed++
	g.again = time.Now().Add(unreachable)
}

func (g *guard) pause() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Until(g.until)
}

// heed notes from a response how long the registry wants to be left alone.
func (g *guard) heed(r *http.Response) {
	var wait time.Duration
	// Docker Hub: "0;w=21600" says that nothing is left of the window.
	left, _, _ := strings.Cut(r.Header.Get("RateLimit-Remaining"), ";")
	switch {
	case r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusServiceUnavailable:
		wait = defaultPause
		text := r.Header.Get("Retry-After")
		if seconds, err := strconv.Atoi(text); err == nil {
			wait = time.Duration(min(seconds, int(longestPause/time.Second))) * time.Second
		} else if at, err := http.ParseTime(text); err == nil {
			wait = time.Until(at)
		}
	case left == "0":
		wait = 15 * time.Minute
	default:
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = time.Now().Add(max(time.Second, min(wait, longestPause)))
}

func limited(host string, wait time.Duration) error {
	return &checks.Problem{What: checks.Msg("%s wants no more questions for %d seconds", host, int(wait/time.Second)+1)}
}
