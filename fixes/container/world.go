package container

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
)

// A world is all that a plan is made from. Plans are pure functions of it.
type world struct {
	container *subject.Container // as it is now, with what it was seen to use and to write
	unknown   []string           // settings in the inspection that this program does not know
	mac       string             // configured hardware address, as the engine says it
	size      int64              // bytes of the writable layer
	tag       *image.InspectResponse
	fetched   *image.InspectResponse // for an update
	together  map[string]bool        // ids of those that are replaced with it; nil: it alone
	joins     bool                   // it is replaced in any case, for the sake of the others
	used      usage
	surroundings
	host    string        // address of the engine
	plain   bool          // the address is not protected
	self    string        // id of the container that this program runs in
	secrets string        // directory for what leaves an environment
	saved   string        // folder for what containers wrote
	made    string        // id of the image that was made of the container; "" for none
	missing []string      // sources of bind mounts that are not there
	grace   time.Duration // how long what is new has to run
	service *swarmService // that the container is a task of; nil for others
}

func (w *world) inspect() *api.InspectResponse { return w.container.Inspect }

// name returns the container's name.
func (w *world) name() string { return w.container.Settings.Name }

// short returns the short id that an engine uses as default host name and alias.
func short(id string) string { return id[:min(12, len(id))] }

// look reads what a plan for c needs. It changes nothing.
func (m *Mechanic) look(ctx context.Context, c *subject.Container) (*world, error) {
	around, err := m.survey(ctx)
	if err != nil {
		return nil, err
	}
	return m.lookWithin(ctx, c, around)
}

// lookWithin reads what a plan for c needs beyond what is known of the engine.
func (m *Mechanic) lookWithin(ctx context.Context, c *subject.Container, around surroundings) (*world, error) {
	result, err := m.engine.ContainerInspect(ctx, c.Inspect.ID, client.ContainerInspectOptions{Size: true})
	if err != nil {
		return nil, fmt.Errorf("inspect container: %w", err)
	}
	if result.Container.Config == nil || result.Container.HostConfig == nil || result.Container.State == nil {
		return nil, errdefs.ErrDataLoss.WithMessage("the engine's answer about the container is incomplete")
	}
	now := *c
	fresh := subject.New(result.Container, nil, "", m.o.Now())
	now.Settings, now.Inspect, now.Now = fresh.Settings, fresh.Inspect, fresh.Now
	w := &world{container: &now, surroundings: around, host: m.engine.DaemonHost(), plain: m.o.Plain, self: self(m.o.MountInfo), secrets: m.o.Secrets, saved: m.o.Written, grace: m.o.Grace}
	if size := result.Container.SizeRw; size != nil {
		w.size = *size
	}
	if w.unknown, w.mac, err = unknownSettings(result.Raw, &result.Container); err != nil {
		return nil, err
	}
	if now.Image, err = m.image(ctx, now.Inspect.Image); err != nil {
		return nil, err
	}
	if w.tag, err = m.image(ctx, w.reference()); err != nil {
		return nil, err
	}
	if w.tag != nil {
		now.TagID = w.tag.ID
	}
	if w.local() {
		w.missing = missingSources(w.inspect())
	}
	if w.service, err = m.lookService(ctx, w); err != nil {
		return nil, err
	}
	return w, m.observe(ctx, w)
}

// surroundings are the engine and what is on it.
type surroundings struct {
	info     system.Info
	api      string // version in use
	networks []network.Summary
	all      []api.InspectResponse // every container
}

// survey reads the surroundings.
func (m *Mechanic) survey(ctx context.Context) (surroundings, error) {
	info, err := m.engineInfo(ctx)
	if err != nil {
		return surroundings{}, err
	}
	networks, err := m.engine.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return surroundings{}, fmt.Errorf("list networks: %w", err)
	}
	all, err := m.everyContainer(ctx)
	if err != nil {
		return surroundings{}, err
	}
	return surroundings{info, m.engine.ClientVersion(), networks.Items, all}, nil
}

func (m *Mechanic) engineInfo(ctx context.Context) (system.Info, error) {
	result, err := m.engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return system.Info{}, fmt.Errorf("engine info: %w", err)
	}
	return result.Info, nil
}

// local reports whether paths on the engine's machine are paths here.
func (w *world) local() bool { return strings.HasPrefix(w.host, "unix://") && w.self == "" }

// image returns the inspection of ref, nil when there is no such image.
func (m *Mechanic) image(ctx context.Context, ref string) (*image.InspectResponse, error) {
	if ref == "" {
		return nil, nil
	}
	result, err := m.engine.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspect image: %w", err)
	}
	return &result.InspectResponse, nil
}

// everyContainer inspects all; those that go away meanwhile do not count.
func (m *Mechanic) everyContainer(ctx context.Context) ([]api.InspectResponse, error) {
	list, err := m.engine.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	found := make([]*api.InspectResponse, len(list.Items))
	failed := make([]error, len(list.Items))
	limit := make(chan struct{}, 8)
	var wait sync.WaitGroup
	for i, c := range list.Items {
		wait.Add(1)
		limit <- struct{}{}
		go func() {
			defer func() { <-limit; wait.Done() }()
			result, err := m.engine.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
			if err == nil {
				found[i] = &result.Container
			} else if !errdefs.IsNotFound(err) {
				failed[i] = fmt.Errorf("inspect container %s: %w", short(c.ID), err)
			}
		}()
	}
	wait.Wait()
	var out []api.InspectResponse
	for _, c := range found {
		if c != nil && c.HostConfig != nil && c.State != nil {
			out = append(out, *c)
		}
	}
	return out, errors.Join(failed...)
}

// reference returns the image as the user named it. A replacement that was
// created by id remembers the name in a label, which does not count when the
// image brought it along.
func (w *world) reference() string {
	config := w.inspect().Config
	if id, _ := w.container.Service(); id != "" { // docker service pins what it is given
		if ref, _, pinned := strings.Cut(config.Image, "@"); pinned && movable(ref) {
			return ref
		}
	}
	if ref := config.Labels[labelImage]; strings.HasPrefix(config.Image, "sha256:") && ref != imageLabels(w.container.Image)[labelImage] {
		return ref
	}
	return config.Image
}

// missingSources returns the sources of binds that do not exist here. The
// engine would create an empty directory in their place.
func missingSources(c *api.InspectResponse) []string {
	var out []string
	for _, m := range c.Mounts {
		if m.Type != mount.TypeBind {
			continue
		}
		if _, err := os.Lstat(m.Source); errors.Is(err, fs.ErrNotExist) {
			out = append(out, m.Source)
		}
	}
	return out
}

var ownFile = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) /etc/(?:hostname|hosts|resolv\.conf) `)
})

// self returns the id of the container that this program runs in, "" when it
// runs in none. The engine mounts three files over every container's, and on the
// machine, elsewhere, while files are copied from one.
func self(mountInfo string) string {
	f, err := os.Open(mountInfo)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := ownFile().FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	return ""
}

// unknownSettings returns the settings of a raw inspection that have a value
// and no place in this program's types, so that they would be lost without a
// word, and the hardware address that was asked for, which has its own way.
func unknownSettings(raw json.RawMessage, known *api.InspectResponse) (unknown []string, mac string, err error) {
	var all, read map[string]any
	data, err := json.Marshal(known)
	if err == nil {
		err = errors.Join(json.Unmarshal(raw, &all), json.Unmarshal(data, &read))
	}
	if err != nil {
		return nil, "", fmt.Errorf("inspection: %w", err)
	}
	for _, part := range []string{"Config", "HostConfig"} {
		compareKeys(part, all[part], read[part], &unknown)
	}
	if settings, ok := all["NetworkSettings"].(map[string]any); ok {
		if known, ok := read["NetworkSettings"].(map[string]any); ok {
			compareKeys("Networks", settings["Networks"], known["Networks"], &unknown)
		}
	}
	left := unknown[:0]
	for _, field := range unknown {
		switch field {
		case "Config.MacAddress":
			mac, _ = all["Config"].(map[string]any)["MacAddress"].(string)
		case "HostConfig.KernelMemory", "HostConfig.KernelMemoryTCP":
			// Without effect on every engine that this program talks to.
		default:
			left = append(left, field)
		}
	}
	return left, mac, nil
}

func compareKeys(path string, all, known any, unknown *[]string) {
	switch all := all.(type) {
	case map[string]any:
		byName := map[string]any{}
		if m, ok := known.(map[string]any); ok {
			for k, v := range m {
				byName[strings.ToLower(k)] = v
			}
		}
		for k, v := range all {
			if empty(v) {
				continue
			}
			if other, ok := byName[strings.ToLower(k)]; ok {
				compareKeys(path+"."+k, v, other, unknown)
			} else {
				*unknown = append(*unknown, path+"."+k)
			}
		}
	case []any:
		list, _ := known.([]any)
		for i, v := range all {
			if i < len(list) {
				compareKeys(fmt.Sprintf("%s[%d]", path, i), v, list[i], unknown)
			}
		}
	}
}

// empty reports whether a JSON value says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, v := range v {
			if !empty(v) {
				return false
			}
		}
		return true
	}
	return false
}

// settings returns what an inspected container was created from.
func settings(c *api.InspectResponse) *checks.Settings {
	return subject.New(*c, nil, "", time.Time{}).Settings.Clone()
}

func containerName(c *api.InspectResponse) string { return strings.TrimPrefix(c.Name, "/") }

// swapUnlimited is how the engine writes that swap has no limit.
const swapUnlimited = -1
