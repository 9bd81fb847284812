package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/cli/cli/config"
	"github.com/moby/moby/client"
)

// cliConfig makes a docker CLI configuration with a context called far whose
// engine is at host.
func cliConfig(t *testing.T, current, host string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"} {
		t.Setenv(name, "")
	}
	before := config.Dir()
	config.SetDir(dir)
	t.Cleanup(func() { config.SetDir(before) })
	id := sha256.Sum256([]byte("far"))
	meta := filepath.Join(dir, "contexts", "meta", hex.EncodeToString(id[:]))
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(dir, "config.json"): `{"currentContext":"` + current + `"}`,
		filepath.Join(meta, "meta.json"):  `{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"` + host + `","SkipTLSVerify":false}}}`,
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolve(t *testing.T) {
	const far = "ssh://me@far.example"
	for _, test := range []struct {
		name, flag, env, envContext, current string
		host, context                        string
		remote                               bool
	}{
		{name: "default", host: client.DefaultDockerHost, context: "default"},
		{name: "current context", current: "far", host: far, context: "far", remote: true},
		{name: "context of the environment", envContext: "far", host: far, context: "far", remote: true},
		{name: "DOCKER_HOST wins over contexts", env: "unix:///run/other.sock", current: "far", host: "unix:///run/other.sock"},
		{name: "the flag wins over DOCKER_HOST", flag: "tcp://box:2376", env: "unix:///run/other.sock", host: "tcp://box:2376", remote: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cliConfig(t, test.current, far)
			t.Setenv("DOCKER_HOST", test.env)
			t.Setenv("DOCKER_CONTEXT", test.envContext)
			got, err := Resolve(test.flag)
			if err != nil {
				t.Fatal(err)
			}
			if got.Host != test.host || got.Context != test.context || got.Remote() != test.remote {
				t.Errorf("got %q of context %q, remote %v; want %q, %q, %v", got.Host, got.Context, got.Remote(), test.host, test.context, test.remote)
			}
			if _, err := got.Client(); err != nil {
				t.Errorf("no client: %v", err)
			}
		})
	}
}

func TestResolveSaysWhatIsWrong(t *testing.T) {
	cliConfig(t, "missing", "unix:///x")
	if _, err := Resolve(""); err == nil || !strings.Contains(err.Error(), `"missing"`) {
		t.Errorf("error %v, want one that names the context", err)
	}
	if _, err := Resolve("box:2376"); err == nil || !strings.Contains(err.Error(), "tcp://") {
		t.Errorf("error %v, want one that names the schemes", err)
	}
}

func TestList(t *testing.T) {
	cliConfig(t, "far", "ssh://me@far.example")
	t.Setenv("DOCKER_HOST", "tcp://box:2376")
	broken := filepath.Join(config.ContextStoreDir(), "meta", strings.Repeat("ab", 32))
	if err := os.MkdirAll(broken, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "meta.json"), []byte(`{"Name":"broken","Metadata":{},"Endpoints":{}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range all {
		got = append(got, k.Name+" "+k.Title())
		if (k.Err != nil) != (k.Name == "broken") {
			t.Errorf("%s: %v", k.Name, k.Err)
		}
	}
	want := "tcp://box:2376 tcp://box:2376, default default, broken , far far"
	if strings.Join(got, ", ") != want {
		t.Errorf("listed %q, want %q", strings.Join(got, ", "), want)
	}
}

func TestPlain(t *testing.T) {
	cliConfig(t, "", "unix:///x")
	for host, want := range map[string]bool{"tcp://box:2375": true, "http://box": true, "ssh://me@box": false, "unix:///x": false} {
		got, err := Resolve(host)
		if err != nil {
			t.Fatal(err)
		}
		if got.Plain() != want {
			t.Errorf("%s plain: %v, want %v", host, got.Plain(), want)
		}
	}
}

// The words for an unreachable engine come from real failures of the client.
func TestExplain(t *testing.T) {
	cliConfig(t, "", "unix:///x")
	dir := t.TempDir()
	deaf := filepath.Join(dir, "deaf.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: deaf})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for host, says := range map[string]string{
		"unix://" + filepath.Join(dir, "none.sock"): "install or start Docker",
		"unix://" + deaf:       "nobody listens",
		"tcp://127.0.0.1:1":    "nobody listens",
		"tcp://name.invalid:1": "does not resolve",
	} {
		target, err := Resolve(host)
		if err != nil {
			t.Fatal(err)
		}
		c, err := target.Client()
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Ping(t.Context(), client.PingOptions{})
		problem := target.Explain(err)
		if !strings.Contains(problem.Error(), says) || !errors.Is(problem, err) {
			t.Errorf("%s: %q, want it to say %q and to wrap %v", host, problem, says, err)
		}
	}
}
