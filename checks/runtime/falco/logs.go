package falco

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
)

// A LogEngine is the part of the Docker client that reading logs needs.
type LogEngine interface {
	ContainerList(context.Context, client.ContainerListOptions) (client.ContainerListResult, error)
	ContainerInspect(context.Context, string, client.ContainerInspectOptions) (client.ContainerInspectResult, error)
	ContainerLogs(context.Context, string, client.ContainerLogsOptions) (client.ContainerLogsResult, error)
}

// Logs say what to follow. Engine and Take are required.
type Logs struct {
	Engine    LogEngine
	Container string // name or id; "": the one that runs Falco, if any does

	Take    func(line []byte)
	Trouble func(error)       // why nothing is read, nil once it is; may be nil
	Found   func(name string) // which container is read, "" for none; may be nil

	Again time.Duration // between looking for one; 30 s when 0
}

// images are called like this in whatever registry they are.
var images = []string{"falco", "falco-no-driver", "falco-distroless", "falco-debian"}

// runs reports whether a container is made from an image of Falco, or says that
// it runs it.
func runs(s *container.Summary) bool {
	for _, label := range []string{"org.opencontainers.image.title", "app.kubernetes.io/name"} {
		if strings.EqualFold(s.Labels[label], "falco") {
			return true
		}
	}
	named, err := reference.ParseNormalizedNamed(s.Image)
	return err == nil && slices.Contains(images, path.Base(reference.Path(named)))
}

// Follow hands each alert that Falco prints to Take until ctx ends: also when
// its container is restarted or replaced, or the engine is. What it had printed
// before is history; what it prints while nobody listens is not.
func (l Logs) Follow(ctx context.Context) {
	if l.Trouble == nil {
		l.Trouble = func(error) {}
	}
	if l.Found == nil {
		l.Found = func(string) {}
	}
	l.Again = cmp.Or(l.Again, 30*time.Second)
	f := logs{Logs: l, rate: bucket{tokens: burst, last: time.Now()}}
	for tries := 0; ctx.Err() == nil; tries++ {
		began := time.Now()
		found, err := f.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.Trouble(err)
		}
		if time.Since(began) > l.Again {
			tries = 0
		}
		wait := l.Again
		if found || l.Container != "" {
			wait = min(l.Again, time.Second<<min(tries, 5))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// logs is how far the logs were read.
type logs struct {
	Logs
	begun bool      // somebody has looked for a container
	id    string    // of the one that was read last
	since time.Time // from when on its lines are of interest
	last  time.Time // of the last line that was read, by the engine's clock
	again bool      // the engine repeats what was read
	rate  bucket
}

// session reads the logs of the container until they end. It reports whether
// there is one.
func (l *logs) session(ctx context.Context) (found bool, err error) {
	first := !l.begun
	id, name, err := l.find(ctx)
	if err != nil {
		return false, err
	}
	l.begun = true
	if l.Found(name); id == "" {
		if l.Container == "" {
			return false, nil
		}
		return false, &checks.Problem{What: checks.Msg("no container %s runs, whose logs would be read", l.Container)}
	}
	inspected, err := l.Engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return true, err
	}
	o := client.ContainerLogsOptions{ShowStdout: true, Follow: true, Timestamps: true}
	switch i := inspected.Container; {
	case first:
		o.Tail, l.since = "0", time.Now()
	case id != l.id && i.State != nil: // it has printed all of it while nobody listened
		o.Since, l.last = i.State.StartedAt, time.Time{}
	default:
		o.Since = l.since.UTC().Format(time.RFC3339Nano)
	}
	l.id, l.again = id, !l.last.IsZero()
	stream, err := l.Engine.ContainerLogs(ctx, id, o)
	if err != nil {
		return true, err
	}
	defer stream.Close()
	l.Trouble(nil)
	lines := &tail{take: l.line}
	to := writer(func(p []byte) { lines.lines(p) })
	if c := inspected.Container.Config; c != nil && c.Tty {
		_, err = io.Copy(to, stream)
	} else {
		_, err = stdcopy.StdCopy(to, io.Discard, stream)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // the engine is restarted; asking it again tells more
	}
	return true, err
}

// find returns the container that is meant, "" when it does not run.
func (l *logs) find(ctx context.Context) (id, name string, err error) {
	list, err := l.Engine.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return "", "", err
	}
	for _, s := range list.Items { // the newest first
		called := ""
		for _, n := range s.Names {
			if n = strings.TrimPrefix(n, "/"); called == "" || n == l.Container {
				called = n
			}
		}
		if l.Container == "" && runs(&s) || l.Container != "" && (called == l.Container || len(l.Container) >= 12 && strings.HasPrefix(s.ID, l.Container)) {
			return s.ID, called, nil
		}
	}
	return "", "", nil
}

// plain is how Falco prints alerts without json_output.
var plain = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d+: [A-Z][a-z]+ `)

// line takes one line with its time.
func (l *logs) line(line []byte) {
	stamp, text, _ := bytes.Cut(line, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return
	}
	if l.again = l.again && !at.After(l.last); l.again {
		return
	}
	l.last, l.since = at, at
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		if l.rate.take(time.Now()) {
			l.Take(text)
		}
	case plain.Match(text):
		l.Trouble(&checks.Problem{What: checks.Msg("Falco prints alerts that are not JSON"), Do: checks.Msg("set json_output: true in falco.yaml")})
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
