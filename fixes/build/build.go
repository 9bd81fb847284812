// Package build has the engine build an image: for a proof that a patched
// Dockerfile still makes one, and what it makes.
//
// It speaks to the engine's own builders only and pulls no frontend. BuildKit
// asks its client for build secrets through a session, which is a gRPC server
// on a connection that the client opens; the little of it that secrets need is
// here, since the library for it brings a tracing system along.
package build

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// Options say what is built and how.
type Options struct {
	Context    io.Reader // a tar with everything that the build may read
	Dockerfile string    // its path in Context
	Tag        string    // of the image; "" leaves it without one
	Labels     map[string]string
	Target     string // stage to stop at; "" is the last
	Network    string // of the steps: "none", "host", or "" for the engine's default
	Args       map[string]string
	Secrets    map[string]checks.Sensitive // by id; BuildKit only
	Classic    bool                        // without BuildKit
	NoCache    bool
}

// A Failure is a build that the engine began and did not finish.
type Failure struct {
	Reason string // of the engine
	Log    string // the last of what the steps printed
}

// Error returns the reason in a form that is fit to be shown.
func (f *Failure) Error() string { return "building: " + f.Reason }

// Run builds and returns the id of the image. Its error is a [*Failure] when a
// step failed.
func Run(ctx context.Context, engine *client.Client, o Options) (id string, err error) {
	args := map[string]*string{}
	for name, value := range o.Args {
		args[name] = &value
	}
	options := client.ImageBuildOptions{
		Dockerfile: o.Dockerfile, Labels: o.Labels, Target: o.Target, NetworkMode: o.Network, BuildArgs: args,
		NoCache: o.NoCache, Remove: true, ForceRemove: true, Version: build.BuilderBuildKit, BuildID: rand.Text(),
	}
	if o.Tag != "" {
		options.Tags = []string{o.Tag}
	}
	switch {
	case o.Classic && len(o.Secrets) > 0:
		return "", errors.New("building: only BuildKit has build secrets")
	case o.Classic:
		options.Version = build.BuilderV1
	default:
		session, err := openSession(ctx, engine, o.Secrets)
		if err != nil {
			return "", err
		}
		defer session.close()
		options.SessionID = session.id
	}
	result, err := engine.ImageBuild(ctx, o.Context, options)
	if err != nil {
		return "", fmt.Errorf("building: %w", err)
	}
	defer result.Body.Close()
	return follow(result.Body)
}

// kept is how much of a log a failure holds.
const kept = 8 << 10

// follow reads what the engine says until the build is over.
func follow(body io.Reader) (id string, err error) {
	var log tail
	decoder := json.NewDecoder(body)
	for {
		var m struct {
			ID          string
			Stream      string
			Aux         json.RawMessage
			ErrorDetail *struct{ Message string }
		}
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF) && id != "":
			return id, nil
		case errors.Is(err, io.EOF):
			return "", errors.New("building: the engine stopped without an image")
		case err != nil:
			return "", fmt.Errorf("building: reading what the engine says: %w", err)
		}
		switch {
		case m.ErrorDetail != nil:
			return "", &Failure{Reason: shown(m.ErrorDetail.Message), Log: shown(log.String())}
		case m.ID == "moby.buildkit.trace":
			var status []byte
			if json.Unmarshal(m.Aux, &status) == nil {
				printed(status, &log)
			}
		case m.Stream != "":
			log.Write([]byte(m.Stream))
		}
		if len(m.Aux) > 0 && m.ID != "moby.buildkit.trace" {
			var image struct{ ID string }
			if json.Unmarshal(m.Aux, &image) == nil && image.ID != "" {
				id = image.ID
			}
		}
	}
}

// shown returns text of a build as it may be printed, line by line.
func shown(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = terminal.Line(secret.Redact(line))
	}
	return strings.Join(lines, "\n")
}

// A tail keeps the end of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) {
	t.text = append(t.text, p...)
	if n := len(t.text) - kept; n > kept {
		t.text = append([]byte{}, t.text[n:]...)
	}
}

func (t *tail) String() string { return string(t.text[max(0, len(t.text)-kept):]) }
