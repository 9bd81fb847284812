package inventory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
	"plimsoll/checks/image"
	"plimsoll/checks/registry"
)

// reader takes snapshots of subjects.
type reader struct {
	client   *client.Client // nil without an engine
	endpoint string
	local    bool // the engine runs on this machine
	site     Site // its root is nil for a demo, which has no files
	images   *images
	contexts *contexts
	registry *registries
	direct   *registry.Client // nil: only the engine asks
	verdicts *verdicts
	thorough func(id string) bool // looks what is remembered of an image; nil: that was done, or is done later
	ask      registry.Mode
	samples  *atomic.Int32 // of stats that were taken; nil: only what an inspection shows

	lists   lists
	facts   func() engineFacts // zero where the engine does not tell
	project dockerfile.Rules   // what the user decided about Dockerfiles
	rules   image.Rules        // and about images

	known *host.Host // what is known of the host; nil: nothing
	parts hostParts  // what of it is read again
	keys  keyRecord
}

// engineFacts are what the engine says of itself that decides what settings of
// containers mean.
type engineFacts struct {
	*container.Engine        // nil when it was not asked
	noNewPrivileges   bool   // it denies new privileges to every container
	arch              string // as in GOARCH
}

func factsOf(info engine.Info) engineFacts {
	return engineFacts{
		noNewPrivileges: hasOption(info.Info, "no-new-privileges"),
		arch:            goarch(info.Architecture),
		Engine: &container.Engine{
			AppArmor:       hasOption(info.Info, "apparmor"),
			SELinux:        hasOption(info.Info, "selinux"),
			UserNamespaces: hasOption(info.Info, "userns"),
			Rootless:       hasOption(info.Info, "rootless"),
			DefaultRuntime: info.DefaultRuntime,
			Podman:         info.Podman,
			CgroupVersion:  info.CgroupVersion,
			Memory:         info.MemTotal,
		},
	}
}

// hasOption reports whether docker info names a security option.
func hasOption(info system.Info, name string) bool {
	return slices.ContainsFunc(info.SecurityOptions, func(opt string) bool {
		first, _, _ := strings.Cut(opt, ",")
		return first == "name="+name
	})
}

// maxFile is the size in bytes above which a file is not a Dockerfile or a
// compose file that anybody wrote.
const maxFile = 1 << 20

// read returns a fresh snapshot of the subject called ref. The error of a
// subject that is gone satisfies [errdefs.IsNotFound] or [os.ErrNotExist].
func (r reader) read(ctx context.Context, ref checks.Ref) (checks.Subject, error) {
	switch ref.Kind {
	case checks.Dockerfile:
		return r.dockerfile(ctx, ref)
	case checks.Compose:
		return r.compose(ctx, ref)
	}
	if r.client == nil {
		return nil, fmt.Errorf("%s %s: no Docker Engine is connected", ref.Kind, ref.Name)
	}
	switch ref.Kind {
	case checks.Container:
		return r.container(ctx, ref.ID)
	case checks.Image:
		return r.image(ctx, ref.ID)
	case checks.Host:
		return r.host(ctx)
	}
	return nil, fmt.Errorf("unknown kind of subject %q", ref.Kind)
}

func (r reader) container(ctx context.Context, id string) (checks.Subject, error) {
	result, err := r.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, err
	}
	facts := r.facts()
	if facts.Engine != nil && facts.Podman {
		asDocker(&result.Container)
	}
	c := container.New(result.Container, nil, "", time.Now())
	c.TagID = r.images.resolve(c.Settings.Image)
	if c.Image, err = r.images.inspect(ctx, r.client, c.Inspect.Image); err != nil {
		return nil, err
	}
	c.NoNewPrivileges, c.Engine = facts.noNewPrivileges || r.deniesNewPrivileges(c), facts.Engine
	if c.Inspect.State != nil && c.Inspect.State.Running && c.Settings.Config != nil {
		c.Passwd = r.account(ctx, c)
	}
	return c, nil
}

// account returns the line of /etc/passwd that says which number the named
// user of a running container has; nil when it cannot tell. The engine looks at
// the first process: nothing in the container runs for it, and no file of a
// running container, which may be hostile, is read.
func (r reader) account(ctx context.Context, c *container.Container) []byte {
	user := c.Settings.Config.User
	if user == "" && c.Image != nil && c.Image.Config != nil {
		user = c.Image.Config.User
	}
	name, _, _ := strings.Cut(user, ":")
	if _, known := checks.UID(user, nil); known {
		return nil
	}
	top, err := r.client.ContainerTop(ctx, c.Inspect.ID, client.ContainerTopOptions{Arguments: []string{"-eo", "pid,uid"}})
	if err != nil || len(top.Processes) == 0 || len(top.Processes[0]) < 2 {
		return nil
	}
	uid, err := strconv.Atoi(top.Processes[0][1])
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, "%s:x:%d:::/:\n", name, uid)
}

func (r reader) image(ctx context.Context, id string) (checks.Subject, error) {
	i, err := r.images.inspect(ctx, r.client, id)
	if err != nil {
		return nil, err
	}
	if i == nil {
		return nil, fmt.Errorf("image %s: %w", image.ShortID(id), errdefs.ErrNotFound)
	}
	history, err := r.client.ImageHistory(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &image.Image{Inspect: *i, History: history.Items, Now: time.Now(), Arch: r.facts().arch, Rules: r.rules}
	if out.Base, err = r.base(ctx, i); err != nil {
		return nil, err
	}
	if r.local {
		out.Trust = contentTrust(i.RepoTags)
	}
	return out, nil
}

func name(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n // the others are aliases through links
		}
	}
	return ""
}

func (r reader) dockerfile(ctx context.Context, ref checks.Ref) (checks.Subject, error) {
	src, err := readFile(ref.ID)
	if err != nil {
		return nil, err
	}
	return r.parsed(ctx, ref, src)
}

// parsed returns the Dockerfile src with what is known of its surroundings.
func (r reader) parsed(ctx context.Context, ref checks.Ref, src []byte) (*dockerfile.File, error) {
	f := dockerfile.Parse(ref.ID, ref.Name, src)
	f.Context, f.Rules = r.contexts.of(ref.ID), r.project
	f.Bases = map[string]dockerfile.Base{}
	if r.client == nil {
		return f, nil
	}
	for _, base := range f.BaseImages() {
		id := r.images.resolve(base)
		if id == "" {
			continue
		}
		i, err := r.images.inspect(ctx, r.client, id)
		if err != nil {
			return nil, err
		}
		if i != nil {
			b := baseFacts(i)
			r.remembered(base, i, &b)
			if err := r.vulnerable(ctx, base, &b); err != nil {
				return nil, err
			}
			f.Bases[base] = b
		}
	}
	return f, nil
}

func (r reader) compose(ctx context.Context, ref checks.Ref) (checks.Subject, error) {
	src, err := readFile(ref.ID)
	if err != nil {
		return nil, err
	}
	f, err := compose.Parse(ref.ID, ref.Name, src)
	if err != nil {
		return nil, err
	}
	if r.client == nil {
		return f, nil
	}
	for _, service := range f.Services {
		service.TagID = r.images.resolve(service.Settings.Image)
		if service.TagID == "" {
			continue
		}
		if service.Image, err = r.images.inspect(ctx, r.client, service.TagID); err != nil {
			return nil, err
		}
	}
	f.Running, err = r.started(ctx, f.Path)
	return f, err
}

// started returns the containers of the compose file at path.
func (r reader) started(ctx context.Context, path string) ([]*container.Container, error) {
	list, err := r.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", container.ComposeFilesLabel)})
	if err != nil {
		return nil, err
	}
	var all []*container.Container
	for _, summary := range list.Items {
		if container.ComposeFiles(summary.Labels) != path {
			continue
		}
		subject, err := r.container(ctx, summary.ID)
		if errdefs.IsNotFound(err) {
			continue // it has gone since
		}
		if err != nil {
			return nil, err
		}
		if c := subject.(*container.Container); compose.Runs(c, path) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *container.Container) int { return strings.Compare(a.Settings.Name, b.Settings.Name) })
	return all, nil
}

// readFile reads a regular file of a size that people write.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	b.Grow(int(min(info.Size(), maxFile)) + bytes.MinRead) // so that it never grows
	_, err = b.ReadFrom(io.LimitReader(f, maxFile+1))
	src := b.Bytes()
	if err == nil && len(src) > maxFile {
		err = fmt.Errorf("%s: larger than 1 MiB, which no Dockerfile or compose file is", path)
	}
	return src, err
}
