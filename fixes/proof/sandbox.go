package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/fixes"
	"plimsoll/fixes/build"
)

// Labels of everything that a proof makes on an engine.
const (
	ownerLabel = "plimsoll.proof"       // Options.Owner
	untilLabel = "plimsoll.proof.until" // Unix time after which nobody needs it
)

// A sandbox is one proof on an engine.
type sandbox struct {
	*Prover
	builder  builder
	run      string // tells its names from those of others
	progress func(fixes.Progress)
}

func (b *sandbox) labels() map[string]string {
	until := time.Now().Add(4*b.o.Build + time.Hour)
	return map[string]string{ownerLabel: b.o.Owner, untilLabel: strconv.FormatInt(until.Unix(), 10)}
}

func (b *sandbox) name(s *side) string { return "plimsoll-proof-" + b.run + "-" + s.name }

// sweep removes what proofs of this user have left, and what those of others
// have left long ago. The caller holds the lock.
func (b *sandbox) sweep(ctx context.Context) error {
	marked := client.Filters{}.Add("label", ownerLabel)
	containers, err := b.o.Engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: marked})
	if err != nil {
		return err
	}
	var errs []error
	keep := func(err error) {
		if err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	for _, c := range containers.Items {
		if b.leftOver(c.Labels) {
			_, err := b.o.Engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			keep(err)
		}
	}
	images, err := b.o.Engine.ImageList(ctx, client.ImageListOptions{Filters: marked})
	keep(err)
	for _, i := range images.Items {
		if b.leftOver(i.Labels) {
			_, err := b.o.Engine.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			keep(err)
		}
	}
	return errors.Join(errs...)
}

func (b *sandbox) leftOver(labels map[string]string) bool {
	until, err := strconv.ParseInt(labels[untilLabel], 10, 64)
	return labels[ownerLabel] == b.o.Owner || err == nil && time.Now().Unix() > until
}

// A mode is a way to build both files.
type mode struct {
	network string // of the steps
	builtIn bool   // by the frontend that the engine has, whatever "# syntax" asks for
}

// modes are tried one after the other until both files build: first without
// anything from outside, then as docker build does it.
var modes = []mode{{"none", true}, {"", false}}

// build builds both files into c.
func (b *sandbox) build(ctx context.Context, jobs [2]job, c *comparison) error {
	c.builder = b.builder.name
	secrets, err := b.secrets(jobs, c.edits)
	if err != nil {
		return err
	}
	if b.builder.classic && len(secrets) > 0 {
		c.notes = append(c.notes, checks.Msg("%s takes no build secrets through the engine's API: steps that need one fail", b.builder.name))
		secrets = nil
	}
	for i, mode := range modes {
		first := [2]side{c.before, c.after}
		c.before, c.after = side{name: "before"}, side{name: "after"}
		if err := b.buildOne(ctx, jobs[0], mode, secrets, &c.before, checks.Msg("building the file as it is")); err != nil {
			return err
		}
		if err := b.buildOne(ctx, jobs[1], mode, secrets, &c.after, checks.Msg("building the file as it would be")); err != nil {
			return err
		}
		switch {
		case c.before.failure == nil && c.after.failure == nil:
			c.offline = i == 0
			return nil
		case i == 0:
			b.progress(fixes.Progress{Ratio: -1, Message: checks.Msg("it does not build without a network: once more with one")})
		case first[0].failure == nil && c.before.failure != nil || first[1].failure == nil && c.after.failure != nil:
			// The network is at fault: what was seen without it says more.
			c.before, c.after, c.offline = first[0], first[1], true
		case first[0].failure != nil && c.before.failure != nil:
			c.notes = append(c.notes, checks.Msg("without a network the file as it is does not build either: %s", reason(first[0].failure)))
		}
	}
	return nil
}

// buildOne builds one file. A build that fails is known from the side; the
// error is for what has nothing to do with the file.
func (b *sandbox) buildOne(ctx context.Context, j job, m mode, secrets map[string]checks.Sensitive, s *side, doing checks.Message) error {
	b.progress(fixes.Progress{Ratio: -1, Message: doing})
	text := j.text
	if m.builtIn {
		text = withoutFrontend(text)
	}
	changed := map[string][]byte{j.file: text}
	for name, data := range j.changed {
		changed[name] = data
	}
	files, err := build.Pack(j.dir, j.file, changed)
	if err != nil {
		return err
	}
	defer files.Close()
	limited, stop := context.WithTimeout(ctx, b.o.Build)
	defer stop()
	id, err := build.Run(limited, b.o.Engine, build.Options{
		Context: files, Dockerfile: j.file, Tag: b.name(s) + ":latest", Labels: b.labels(), Network: m.network,
		Secrets: secrets, Classic: b.builder.classic,
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		s.failure = fmt.Errorf("the build took longer than %s and was ended", b.o.Build)
		return nil
	case err != nil:
		var failed *build.Failure
		if !errors.As(err, &failed) && !errdefs.IsInvalidArgument(err) && !errdefs.IsInternal(err) && !errdefs.IsUnknown(err) {
			return err
		}
		s.failure = err
		return nil
	}
	inspected, err := b.o.Engine.ImageInspect(ctx, id)
	if err != nil {
		return err
	}
	s.image, s.size = &image.Image{Inspect: inspected.InspectResponse}, inspected.Size
	return nil
}

// withoutFrontend returns text without the line that has Docker's own frontend
// pulled, of which every engine has one built in. A line, not its contents: the
// directives after it would be comments.
func withoutFrontend(text []byte) []byte {
	syntax, _, where, ok := parser.DetectSyntax(text)
	reference, _, _ := strings.Cut(syntax, "@")
	name, _, _ := strings.Cut(reference, ":")
	if !ok || len(where) == 0 || strings.TrimPrefix(name, "docker.io/") != "docker/dockerfile" {
		return text
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	n := where[0].Start.Line - 1
	if n < 0 || n >= len(lines) {
		return text
	}
	return bytes.Join(append(lines[:n:n], lines[n+1:]...), nil)
}
