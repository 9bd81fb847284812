package inventory

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/suite"
)

// A counter stands between the inventory and an engine, and writes down what
// is asked.
type counter struct {
	host string
	mu   sync.Mutex
	got  []string // paths, without the version of the API
	last time.Time
}

var apiVersion = regexp.MustCompile(`^/v\d+\.\d+`)

// count puts a counter in front of the engine at a socket.
func count(t *testing.T, socket string) *counter {
	t.Helper()
	dir, err := os.MkdirTemp("", "count-") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	x := &counter{host: "unix://" + filepath.Join(dir, "s")}
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	proxy.FlushInterval = -1 // events come when they happen
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		x.got, x.last = append(x.got, apiVersion.ReplaceAllString(r.URL.Path, "")), time.Now()
		x.mu.Unlock()
		proxy.ServeHTTP(w, r)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return x
}

// still waits until nothing was asked for a while, and returns what was asked
// since the last time.
func (x *counter) still(t *testing.T) []string {
	t.Helper()
	began := time.Now()
	deadline := began.Add(time.Minute)
	for {
		x.mu.Lock()
		if time.Since(x.last) > 4*quiet && time.Since(began) > 4*quiet {
			got := x.got
			x.got = nil
			x.mu.Unlock()
			return got
		}
		x.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the engine is asked without end")
		}
		time.Sleep(quiet / 3)
	}
}

// TestDockerRunInspectsOneSubject counts what an engine is asked when one of
// many containers changes, on an engine in memory and on a real one.
func TestDockerRunInspectsOneSubject(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		s := dockertest.Run(t)
		image := dockertest.Probe("app:1")
		s.AddImage(image)
		testOneChange(t, s.Client(t), s.Host(), 200)
	})
	t.Run("real", func(t *testing.T) {
		c := dockertest.Private(t)
		dockertest.Load(t, c, "app", dockertest.Probe("app:1"))
		testOneChange(t, c, c.DaemonHost(), 20)
	})
}

func testOneChange(t *testing.T, c *client.Client, host string, others int) {
	ctx := t.Context()
	x := count(t, strings.TrimPrefix(host, "unix://"))
	for i := range others {
		if _, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{Name: fmt.Sprintf("other-%03d", i), Image: "app:1"}); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := watch(t, Options{Target: target(t, x.host), Suite: suite.All()})
	v.until("complete", func() bool { return v.done })
	if asked := inspections(x.still(t)); len(asked) < others {
		t.Fatalf("only %d inspections at the start: the counter does not count", len(asked))
	}
	running := func(name string, want bool) func() bool {
		return func() bool {
			i, ok := v.named(checks.Container, name)
			return ok && i.Subject != nil && (i.Status.State == "running") == want
		}
	}
	// What docker run does: create, connect, start.
	created, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{Name: "late", Image: "app:1"})
	if err == nil {
		_, err = c.ContainerStart(ctx, created.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	v.until("the new container runs", running("late", true))
	asked := x.still(t)
	subjects := slices.Compact(slices.Sorted(slices.Values(inspections(asked))))
	if want := []string{"/containers/" + created.ID + "/json"}; !slices.Equal(subjects, want) {
		t.Errorf("after docker run were inspected %q, want %q", subjects, want)
	}
	if n := len(inspections(asked)); n > 3 {
		t.Errorf("it was inspected %d times: its creation, its network and its start cost one each at most", n)
	}
	if rest := slices.DeleteFunc(asked, func(p string) bool { return strings.HasPrefix(p, "/containers/"+created.ID+"/") }); len(rest) > 0 {
		t.Errorf("beyond it the engine was asked %q", rest)
	}
	// A change of one setting is one event, and one inspection.
	id, _ := v.named(checks.Container, "other-007")
	if _, err := c.ContainerUpdate(ctx, id.Ref.ID, client.ContainerUpdateOptions{Resources: &api.Resources{CPUShares: 512}}); err != nil {
		t.Fatal(err)
	}
	if asked := x.still(t); !slices.Equal(asked, []string{"/containers/" + id.Ref.ID + "/json"}) {
		t.Errorf("after docker update the engine was asked %q", asked)
	}
	// What is removed is not asked about.
	if _, err := c.ContainerRemove(ctx, created.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	v.until("it is gone", func() bool { _, there := v.named(checks.Container, "late"); return !there })
	for _, path := range x.still(t) {
		if !strings.HasPrefix(path, "/containers/"+created.ID+"/") { // it ends before it is removed
			t.Errorf("after docker rm the engine was asked %s", path)
		}
	}
}

var inspection = regexp.MustCompile(`^/(?:containers|images|networks|volumes|services|nodes)/.+/json$|^/info$|^/(?:networks|volumes)/[^/]+$`)

// inspections returns those of paths that read one subject.
func inspections(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !inspection.MatchString(p) })
}
