package falco

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of what is received: an attacker may write to the address, too.
const (
	perSecond = 50
	burst     = 200
	slowest   = 10 * time.Second
	atOnce    = 16 // connections
)

// Listen opens the address that Falco's http_output sends to, or unix:PATH for a
// program_output. Only addresses of this machine are accepted: alerts are not
// meant for others, and are not encrypted.
func Listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(path)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q for Falco: %w", address, err)
	}
	ip := net.ParseIP(host)
	if host == "localhost" {
		ip = net.IPv4(127, 0, 0, 1)
	}
	if ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("address %q for Falco: use one of this machine only, such as 127.0.0.1:2801", address)
	}
	return net.Listen("tcp", address)
}

// Receive hands each alert that is sent to l to take, until ctx ends.
func Receive(ctx context.Context, l net.Listener, take func(alert []byte)) error {
	if l.Addr().Network() == "unix" {
		return receiveLines(ctx, &few{Listener: l, slots: make(chan struct{}, atOnce)}, take)
	}
	rate := bucket{tokens: burst, last: time.Now()}
	server := &http.Server{
		ReadHeaderTimeout: slowest, ReadTimeout: slowest, WriteTimeout: slowest, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { receive(w, r, &rate, take) }),
	}
	end := context.AfterFunc(ctx, func() { server.Close() })
	defer end()
	if err := server.Serve(&few{Listener: l, slots: make(chan struct{}, atOnce)}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listening for Falco: %w", err)
	}
	return nil
}

func receive(w http.ResponseWriter, r *http.Request, rate *bucket, take func([]byte)) {
	refuse := func(status int) { http.Error(w, http.StatusText(status), status) }
	if r.Method != http.MethodPost {
		refuse(http.StatusMethodNotAllowed)
		return
	}
	// A page in a browser can send text anywhere, but JSON only to who asked
	// for it, and only by the name that it knows us by.
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if host, _, err := net.SplitHostPort(r.Host); kind != "application/json" || err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		refuse(http.StatusForbidden)
		return
	}
	if !rate.take(time.Now()) {
		refuse(http.StatusTooManyRequests)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MostBytes))
	if err != nil {
		refuse(http.StatusRequestEntityTooLarge)
		return
	}
	take(body)
	w.WriteHeader(http.StatusNoContent)
}

// A bucket holds tokens, one for each request, and fills with time.
type bucket struct {
	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(burst, b.tokens+now.Sub(b.last).Seconds()*perSecond)
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// few accepts a few connections at a time.
type few struct {
	net.Listener
	slots chan struct{}
}

func (f *few) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case f.slots <- struct{}{}:
		return &one{Conn: c, free: sync.OnceFunc(func() { <-f.slots })}, nil
	default:
		c.Close() // whoever has them all may wait for a timeout
		return &one{Conn: c, free: func() {}}, nil
	}
}

type one struct {
	net.Conn
	free func()
}

func (c *one) Close() error {
	c.free()
	return c.Conn.Close()
}
