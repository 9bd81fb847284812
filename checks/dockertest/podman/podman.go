// Package podman answers as Podman 4.3.1 of Debian 12 did: what was recorded,
// but for the ID of the engine, which is another each time.
package podman

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
)

//go:embed testdata/answers.json
var recorded []byte

var version = regexp.MustCompile(`^/v\d+\.\d+`)

// Serve answers at a socket until t ends, and returns its address. Nothing
// happens there: it has no events, and what Podman lacks is not found.
func Serve(t testing.TB) (host string) {
	t.Helper()
	var answers map[string]json.RawMessage // by path
	if err := json.Unmarshal(recorded, &answers); err != nil {
		t.Fatal(err)
	}
	var info map[string]any
	if err := json.Unmarshal(answers["/info"], &info); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	dir, err := os.MkdirTemp("", "podman-") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "Libpod/4.3.1 (linux)")
		w.Header().Set("Api-Version", "1.41")
		path := version.ReplaceAllString(r.URL.Path, "")
		answer, known := answers[path]
		switch {
		case path == "/_ping":
			fmt.Fprint(w, "OK")
		case path == "/events":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case !known || r.Method != http.MethodGet:
			http.Error(w, "Not Found", http.StatusNotFound)
		case path == "/info":
			answer := map[string]any{"ID": fmt.Sprintf("%08d-e0e9-4742-aff3-e0516bb16601", asked.Add(1))}
			for key, value := range info {
				if key != "ID" {
					answer[key] = value
				}
			}
			_ = json.NewEncoder(w).Encode(answer)
		default:
			_, _ = w.Write(answer)
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "unix://" + socket
}
