package dockertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/common"
)

// A failure is an error with the status it is answered with.
type failure struct {
	status  int
	message string
}

func (f *failure) Error() string { return f.message }

func badRequest(format string, args ...any) error {
	return &failure{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}
func forbidden(format string, args ...any) error {
	return &failure{http.StatusForbidden, fmt.Sprintf(format, args...)}
}
func notFound(format string, args ...any) error {
	return &failure{http.StatusNotFound, fmt.Sprintf(format, args...)}
}
func conflict(format string, args ...any) error {
	return &failure{http.StatusConflict, fmt.Sprintf(format, args...)}
}
func internal(format string, args ...any) error {
	return &failure{http.StatusInternalServerError, fmt.Sprintf(format, args...)}
}

// errNotModified is what starting a running container is answered with.
var errNotModified = &failure{status: http.StatusNotModified}

// A version is of the API: {1, 41}.
type version struct{ major, minor int }

func parseVersion(text string) version {
	major, minor, _ := strings.Cut(strings.TrimPrefix(text, "v"), ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if errA != nil || errB != nil {
		return version{}
	}
	return version{a, b}
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v version) atLeast(major, minor int) bool {
	return v.major > major || v.major == major && v.minor >= minor
}

type key int

const (
	versionKey key = iota
	closingKey
)

// requested returns the API version that r was made with.
func requested(r *http.Request) version {
	v, _ := r.Context().Value(versionKey).(version)
	return v
}

// closing returns a channel that is closed when the connections are dropped.
func closing(r *http.Request) <-chan struct{} {
	c, _ := r.Context().Value(closingKey).(chan struct{})
	return c
}

type handler func(http.ResponseWriter, *http.Request) error

// routes are all calls of the API that are served, by the names that the
// engine's documentation gives them.
func (s *Server) routes() map[string]handler {
	return map[string]handler{
		"HEAD /_ping":  s.ping,
		"GET /_ping":   s.ping,
		"GET /version": s.version,
		"GET /info":    s.serveInfo,
		"GET /events":  s.serveEvents,

		"GET /containers/json":           s.listContainers,
		"POST /containers/create":        s.createContainer,
		"GET /containers/{id}/json":      s.inspectContainer,
		"POST /containers/{id}/start":    s.startContainer,
		"POST /containers/{id}/stop":     s.stopContainer,
		"POST /containers/{id}/restart":  s.restartContainer,
		"POST /containers/{id}/kill":     s.killContainer,
		"POST /containers/{id}/pause":    s.pauseContainer,
		"POST /containers/{id}/unpause":  s.unpauseContainer,
		"POST /containers/{id}/wait":     s.waitContainer,
		"POST /containers/{id}/rename":   s.renameContainer,
		"POST /containers/{id}/update":   s.updateContainer,
		"DELETE /containers/{id}":        s.removeContainer,
		"POST /containers/{id}/exec":     s.createExec,
		"POST /exec/{id}/start":          s.serveExecStart,
		"GET /exec/{id}/json":            s.inspectExec,
		"GET /containers/{id}/top":       s.topContainer,
		"GET /containers/{id}/changes":   s.changes,
		"GET /containers/{id}/logs":      s.logs,
		"GET /containers/{id}/stats":     s.stats,
		"GET /containers/{id}/archive":   s.archive,
		"HEAD /containers/{id}/archive":  s.archive,
		"PUT /containers/{id}/archive":   s.extract,
		"POST /commit":                   s.commit,
		"GET /images/json":               s.listImages,
		"POST /images/create":            s.pullImage,
		"GET /images/{name}/json":        s.inspectImage,
		"GET /images/{name}/history":     s.imageHistory,
		"GET /images/{name}/get":         s.saveImage,
		"GET /images/get":                s.saveImages,
		"POST /images/{name}/tag":        s.tagImage,
		"DELETE /images/{name}":          s.removeImage,
		"GET /distribution/{name}/json":  s.distribution,
		"GET /networks":                  s.listNetworks,
		"GET /networks/{id}":             s.inspectNetwork,
		"POST /networks/create":          s.createNetwork,
		"POST /networks/{id}/connect":    s.connectNetwork,
		"POST /networks/{id}/disconnect": s.disconnectNetwork,
		"DELETE /networks/{id}":          s.removeNetwork,
		"GET /volumes":                   s.listVolumes,
		"POST /volumes/create":           s.createVolume,
		"GET /volumes/{name}":            s.inspectVolume,
		"DELETE /volumes/{name}":         s.removeVolume,
	}
}

func (s *Server) handler(closing chan struct{}) http.Handler {
	mux := http.NewServeMux()
	byName := map[string]map[string]handler{} // method → ending of "/images/…", whose names have slashes
	routes := s.routes()
	maps.Copy(routes, s.swarmRoutes())
	for pattern, h := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		if method == "HEAD" && routes["GET "+path] != nil {
			mux.Handle(method+" "+path, s.serve(pattern, h))
			continue
		}
		if rest, ok := strings.CutPrefix(path, "/images/{name}"); ok {
			if byName[method] == nil {
				byName[method] = map[string]handler{}
			}
			byName[method][rest] = h
			continue
		}
		if path == "/distribution/{name}/json" {
			mux.Handle("GET /distribution/{rest...}", s.serve(pattern, ending("/json", h)))
			continue
		}
		mux.Handle(pattern, s.serve(pattern, h))
	}
	for method, endings := range byName {
		mux.HandleFunc(method+" /images/{rest...}", func(w http.ResponseWriter, r *http.Request) {
			for end, h := range endings {
				name, ok := strings.CutSuffix(r.PathValue("rest"), end)
				if ok && end != "" {
					r.SetPathValue("name", name)
					s.serve(method+" /images/{name}"+end, h).ServeHTTP(w, r)
					return
				}
			}
			if h := endings[""]; h != nil {
				r.SetPathValue("name", r.PathValue("rest"))
				s.serve(method+" /images/{name}", h).ServeHTTP(w, r)
				return
			}
			s.unknown(w, r)
		})
	}
	mux.HandleFunc("/", s.unknown)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", s.api.String())
		w.Header().Set("Docker-Experimental", "false")
		w.Header().Set("Ostype", "linux")
		w.Header().Set("Server", "Docker/"+s.engineVersion()+" (linux)")
		v := s.api
		path := r.URL.Path
		if rest, ok := strings.CutPrefix(path, "/v1."); ok {
			number, rest, _ := strings.Cut(rest, "/")
			v, path = parseVersion("1."+number), "/"+rest
		}
		switch {
		case v.minor > s.api.minor:
			answerError(w, badRequest("client version %s is too new. Maximum supported API version is %s", v, s.api))
			return
		case !v.atLeast(1, 24):
			answerError(w, badRequest("client version %s is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version", v))
			return
		}
		ctx := context.WithValue(r.Context(), versionKey, v)
		ctx = context.WithValue(ctx, closingKey, closing)
		r = r.WithContext(ctx)
		r.URL.Path, r.URL.RawPath = path, ""
		mux.ServeHTTP(w, r)
	})
}

func ending(end string, h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, ok := strings.CutSuffix(r.PathValue("rest"), end)
		if !ok {
			return notFound("page not found")
		}
		r.SetPathValue("name", name)
		return h(w, r)
	}
}

func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	s.faults.count(r.Method + " " + r.URL.Path)
	answerError(w, notFound("page not found"))
}

func (s *Server) serve(endpoint string, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := s.faults.meet(endpoint, r)
		if !fault.before(s.clock, w, r) {
			return
		}
		if fault != nil && fault.After {
			// What happened stays unknown to the client.
			h(&nowhere{header: http.Header{}}, r)
			panic(http.ErrAbortHandler)
		}
		if err := h(w, r); err != nil {
			answerError(w, err)
		}
	})
}

// nowhere swallows an answer.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}

func answerError(w http.ResponseWriter, err error) {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{http.StatusInternalServerError, err.Error()}
	}
	if f.status == http.StatusNotModified {
		w.WriteHeader(f.status)
		return
	}
	answer(w, f.status, common.ErrorResponse{Message: f.message})
}

func answer(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return answerJSON(w, status, append(b, '\n'))
}

func answerJSON(w http.ResponseWriter, status int, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
	return nil
}

func done(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func read(r *http.Request, v any) error {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return badRequest("reading the request: %v", err)
	}
	if body.Len() == 0 {
		return nil
	}
	if err := json.Unmarshal(body.Bytes(), v); err != nil {
		return badRequest("invalid JSON: %v", err)
	}
	return nil
}

func truth(r *http.Request, name string) bool {
	switch strings.ToLower(r.FormValue(name)) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}
