// Package registrytest starts real registries for tests, on this machine.
package registrytest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Start starts docker-registry, the Distribution registry as Debian packages it,
// and returns its host and port. Where it is not installed the test is skipped,
// and fails in CI. more is added to its configuration.
func Start(tb testing.TB, more ...string) string {
	tb.Helper()
	path, err := exec.LookPath("docker-registry")
	if err != nil {
		if os.Getenv("PLIMSOLL_REQUIRE_ENGINE") != "" {
			tb.Fatalf("no registry to test with (apt-get install docker-registry): %v", err)
		}
		tb.Skipf("no registry to test with (apt-get install docker-registry): %v", err)
	}
	host := freePort(tb)
	dir := tb.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q}\n%s\n", dir, host, strings.Join(more, "\n"))
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	var log bytes.Buffer
	server := exec.Command(path, "serve", file)
	server.Stdout, server.Stderr = &log, &log
	server.WaitDelay = time.Second
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for range 200 {
		if r, err := http.Get("http://" + host + "/v2/"); err == nil {
			r.Body.Close()
			return host
		}
		time.Sleep(25 * time.Millisecond)
	}
	tb.Fatalf("the registry does not answer: %s", log.String())
	return ""
}

func freePort(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A Repository is one on a registry, for pushing to it what no engine makes.
type Repository struct {
	TB   testing.TB
	Host string
	Name string
	User string // "user:password", "" without
}

// Digest returns that of data.
func Digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// Blob pushes data and returns its descriptor.
func (r Repository) Blob(mediaType string, data []byte) map[string]any {
	r.TB.Helper()
	response := r.do(http.MethodPost, "blobs/uploads/", "", nil)
	location := response.Header.Get("Location")
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	if strings.HasPrefix(location, "/") {
		location = "http://" + r.Host + location
	}
	r.send(http.MethodPut, location+separator+"digest="+Digest(data), "application/octet-stream", data)
	return map[string]any{"mediaType": mediaType, "digest": Digest(data), "size": len(data)}
}

// Manifest pushes a manifest or index under a tag, or its digest when that is "",
// and returns its descriptor.
func (r Repository) Manifest(tag, mediaType string, manifest any) map[string]any {
	r.TB.Helper()
	data, err := json.Marshal(manifest)
	if err != nil {
		r.TB.Fatal(err)
	}
	name := tag
	if name == "" {
		name = Digest(data)
	}
	r.do(http.MethodPut, "manifests/"+name, mediaType, data)
	return map[string]any{"mediaType": mediaType, "digest": Digest(data), "size": len(data)}
}

// Image pushes an image for linux/amd64 with this text in its configuration and
// in its layer, and returns the descriptor of its manifest.
func (r Repository) Image(tag, text string, created time.Time) map[string]any {
	r.TB.Helper()
	config, err := json.Marshal(map[string]any{"os": "linux", "architecture": "amd64", "created": created, "config": map[string]any{"Labels": map[string]string{"text": text}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{Digest([]byte(text))}}})
	if err != nil {
		r.TB.Fatal(err)
	}
	return r.Manifest(tag, "application/vnd.oci.image.manifest.v1+json", map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": r.Blob("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{r.Blob("application/vnd.oci.image.layer.v1.tar", []byte(text))},
	})
}

func (r Repository) do(method, path, mediaType string, body []byte) *http.Response {
	r.TB.Helper()
	return r.send(method, "http://"+r.Host+"/v2/"+r.Name+"/"+path, mediaType, body)
}

func (r Repository) send(method, address, mediaType string, body []byte) *http.Response {
	r.TB.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, address, bytes.NewReader(body))
	if err != nil {
		r.TB.Fatal(err)
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	if user, password, ok := strings.Cut(r.User, ":"); ok {
		request.SetBasicAuth(user, password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.TB.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode >= 300 {
		r.TB.Fatalf("%s %s: %s", method, address, response.Status)
	}
	return response
}
