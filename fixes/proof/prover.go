package proof

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/engine"
	"plimsoll/checks/image"
	"plimsoll/fixes"
)

// Options say what a [Prover] works with.
type Options struct {
	Engine *client.Client

	// Explain says what to do about an engine that does not answer; nil
	// returns the error as it is.
	Explain func(error) error

	// Images reads an image for the checks.
	Images interface {
		Read(ctx context.Context, ref checks.Ref) (checks.Subject, error)
	}

	// Checks judge both images; those of other kinds are ignored.
	Checks []*checks.Check
	Policy *checks.Policy

	// Secret returns a secret that was moved out of the files in dir, by the
	// id of its mount. Its error satisfies [fs.ErrNotExist] when there is none.
	Secret func(dir, id string) (checks.Sensitive, error)

	// Lock keeps a second proof by the same user from the engine: what carries
	// the label while it is held is left over.
	Lock func(name string) (release func(), err error)

	// Owner tells the user from others on the same engine.
	Owner string

	Build time.Duration // that a build may take; 0 means 15 minutes
	Watch time.Duration // that a container is watched for; 0 means 4 seconds
}

// A Prover builds and compares.
type Prover struct{ o Options }

// New returns a prover.
func New(o Options) *Prover {
	o.Checks = slices.DeleteFunc(slices.Clone(o.Checks), func(c *checks.Check) bool { return c.Kind != checks.Image })
	if o.Explain == nil {
		o.Explain = func(err error) error { return err }
	}
	if o.Build == 0 {
		o.Build = 15 * time.Minute
	}
	if o.Watch == 0 {
		o.Watch = 4 * time.Second
	}
	return &Prover{o}
}

// Prove builds file with and without plan, which is for it and has not been
// applied. What the engine refuses to build is a proof that fails; an error
// says that nothing could be tried.
func (p *Prover) Prove(ctx context.Context, file *dockerfile.File, plan *fixes.Plan, progress func(fixes.Progress)) (*Proof, error) {
	began := time.Now()
	if len(plan.Files) == 0 {
		return nil, errdefs.ErrFailedPrecondition.WithMessage("the plan changes no file: there is nothing to prove")
	}
	builder, err := p.builder(ctx)
	if err != nil {
		return nil, err
	}
	release, err := p.o.Lock("proof by building")
	if errdefs.IsConflict(err) {
		err = errdefs.ErrConflict.WithMessage("another plimsoll proves something by building right now: wait for it")
	}
	if err != nil {
		return nil, err
	}
	defer release()
	box := &sandbox{Prover: p, run: strings.ToLower(rand.Text()[:10]), progress: progress, builder: builder}
	if err := box.sweep(ctx); err != nil {
		return nil, fmt.Errorf("removing what is left of an earlier proof: %w", err)
	}
	defer func() {
		progress(fixes.Progress{Ratio: -1, Message: checks.Msg("removing both images")})
		clean, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer stop()
		_ = box.sweep(clean) // what is left is swept before the next proof
	}()
	for _, f := range plan.Files {
		if isDockerfile(f, file) { // it may be older than the plan
			file = dockerfile.Parse(file.Path, file.Name, f.Before)
		}
	}
	jobs, err := p.jobs(file, plan)
	if err != nil {
		return nil, err
	}
	c := &comparison{file: file, patched: dockerfile.Parse(file.Path, file.Name, jobs[1].text), edits: editsOf(file, plan)}
	if err := box.build(ctx, jobs, c); err != nil {
		return nil, err
	}
	progress(fixes.Progress{Ratio: -1, Message: checks.Msg("running both images for a moment, without a network")})
	var group errgroup.Group
	for _, side := range []*side{&c.before, &c.after} {
		if side.failure == nil {
			group.Go(func() error { return box.observe(ctx, side) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	proof := c.conclude()
	proof.Took = time.Since(began)
	return proof, ctx.Err()
}

// A side is what is known of one of the two images.
type side struct {
	name    string // "before" or "after", in names on the engine
	failure error  // why there is no image
	image   *image.Image
	report  checks.Report
	start   start
	size    int64
}

// observe reads, judges and starts an image.
func (b *sandbox) observe(ctx context.Context, s *side) error {
	subject, err := b.o.Images.Read(ctx, checks.Ref{Kind: checks.Image, ID: s.image.Inspect.ID})
	if err != nil {
		return fmt.Errorf("reading an image that was just built: %w", err)
	}
	read, ok := subject.(*image.Image)
	if !ok {
		return fmt.Errorf("reading an image that was just built: got a %T", subject)
	}
	s.image = read
	s.report = checks.Run(read, b.o.Checks, b.o.Policy)
	s.start, err = b.start(ctx, s)
	return err
}

// A job is one of the two builds.
type job struct {
	dir     string
	file    string            // path of the Dockerfile in dir
	text    []byte            // of the Dockerfile
	changed map[string][]byte // other files that differ from those in dir
}

// jobs returns what is built: the files as they are, and as plan leaves them.
func (p *Prover) jobs(file *dockerfile.File, plan *fixes.Plan) ([2]job, error) {
	dir := filepath.Dir(file.Path)
	before := job{dir: dir, file: filepath.Base(file.Path), text: file.Source}
	after := before
	after.changed = map[string][]byte{}
	for _, f := range plan.Files {
		rel, err := filepath.Rel(dir, f.Path)
		if err != nil || !filepath.IsLocal(rel) {
			return [2]job{}, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("the plan writes %s, which is not beside the Dockerfile: that cannot be tried", f.Name))
		}
		if isDockerfile(f, file) {
			after.file, after.text = filepath.ToSlash(rel), f.After
			continue
		}
		after.changed[filepath.ToSlash(rel)] = f.After
	}
	return [2]job{before, after}, nil
}

// isDockerfile reports whether f is the change of file itself, also where that
// goes to a copy beside it.
func isDockerfile(f fixes.FileChange, file *dockerfile.File) bool {
	return f.Path == file.Path || !strings.HasSuffix(f.Path, ".dockerignore") && strings.HasPrefix(f.Path, file.Path+".")
}

// editsOf returns the edits of file in plan.
func editsOf(file *dockerfile.File, plan *fixes.Plan) []checks.Edit {
	for _, f := range plan.Files {
		if isDockerfile(f, file) {
			return f.Edits
		}
	}
	return nil
}

// secrets returns what the RUNs of both files mount: what plan takes out of the
// file, and what earlier changes took. A mount without a value is left to the
// builder, which says what it misses.
func (p *Prover) secrets(jobs [2]job, edits []checks.Edit) (map[string]checks.Sensitive, error) {
	out := map[string]checks.Sensitive{}
	for _, e := range edits {
		for _, m := range e.Moved {
			out[m.ID] = m.Value
		}
	}
	for _, j := range jobs {
		for _, id := range secretIDs(j) {
			if _, known := out[id]; known || p.o.Secret == nil {
				continue
			}
			value, err := p.o.Secret(j.dir, id)
			switch {
			case err == nil:
				out[id] = value
			case !errors.Is(err, fs.ErrNotExist):
				return nil, fmt.Errorf("reading the secret %s: %w", id, err)
			}
		}
	}
	return out, nil
}

func secretIDs(j job) []string {
	var out []string
	for _, in := range dockerfile.Parse(j.file, j.file, j.text).Instructions {
		for _, mount := range in.Flag("mount") {
			fields := strings.Split(mount, ",")
			if !slices.Contains(fields, "type=secret") {
				continue
			}
			for _, f := range fields {
				if id, ok := strings.CutPrefix(f, "id="); ok {
					out = append(out, id)
				}
			}
		}
	}
	return out
}

// A builder is what the engine builds with.
type builder struct {
	name    string
	classic bool // has no session, so no secrets either
}

// builder chooses BuildKit, with which docker build has built since Engine 23
// and which every Engine since 18.09 has, whatever docker build of its time
// used: only it has mounts and secrets, and nothing of it is left between two
// builds but its cache. Podman speaks the language of Docker's classic builder.
func (p *Prover) builder(ctx context.Context) (builder, error) {
	version, err := p.o.Engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return builder{}, p.o.Explain(err)
	}
	if version.Os == "windows" {
		return builder{}, errdefs.ErrNotImplemented.WithMessage("Windows images cannot be proved by building: their containers cannot be kept from the network")
	}
	if engine.IsPodman(version.Components) {
		return builder{"Buildah", true}, nil
	}
	return builder{"BuildKit", false}, nil
}
