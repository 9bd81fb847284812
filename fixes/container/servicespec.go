package container

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client/pkg/versions"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
)

// A dial is a setting of containers that services have too.
type dial struct {
	fields []string // of a container, with all that is below them
	since  string   // version of the API, "" for all that are spoken

	// set makes a task of the service what want is. It says why it cannot.
	set func(w *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message
}

// dials are all settings by which a service can be hardened.
var dials = []dial{
	{fields: []string{"Config.User"}, set: func(w *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		c := spec.TaskTemplate.ContainerSpec
		for i, s := range c.Secrets { // a file that only the old user could read follows to the new one
			if f := s.File; f != nil && f.Mode&0o004 == 0 && f.UID == userID(w.inspect().Config.User, 0) {
				file := *f
				file.UID, file.GID = userID(want.Config.User, 0), userID(want.Config.User, 1)
				c.Secrets[i] = &swarm.SecretReference{File: &file, SecretID: s.SecretID, SecretName: s.SecretName}
			}
		}
		c.User = want.Config.User
		return checks.Message{}
	}},
	{fields: []string{"Config.Env"}, set: setVariables},
	{fields: []string{"Config.Healthcheck"}, set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		spec.TaskTemplate.ContainerSpec.Healthcheck = want.Config.Healthcheck
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.CapAdd", "HostConfig.CapDrop"}, since: "1.41", set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		c := spec.TaskTemplate.ContainerSpec
		c.CapabilityAdd, c.CapabilityDrop = kernelNames(want.Host.CapAdd), kernelNames(want.Host.CapDrop)
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.Memory", "HostConfig.MemorySwap"}, set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		if swap := want.Host.MemorySwap; swap != 0 && swap != 2*want.Host.Memory {
			return checks.Msg("tasks may swap as much as their memory limit, whatever is asked for")
		}
		limitsOfService(spec).MemoryBytes = want.Host.Memory
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.NanoCpus"}, set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		limitsOfService(spec).NanoCPUs = want.Host.NanoCPUs
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.PidsLimit"}, since: "1.41", set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		limitsOfService(spec).Pids = pids(want.Host)
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.ReadonlyRootfs"}, set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		spec.TaskTemplate.ContainerSpec.ReadOnly = want.Host.ReadonlyRootfs
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.Tmpfs", "HostConfig.Mounts"}, set: func(w *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		c := spec.TaskTemplate.ContainerSpec
		c.Mounts = slices.DeleteFunc(c.Mounts, func(m mount.Mount) bool {
			return !slices.ContainsFunc(want.Host.Mounts, func(n mount.Mount) bool { return n.Target == m.Target })
		})
		for _, m := range want.Host.Mounts {
			if i := slices.IndexFunc(c.Mounts, func(n mount.Mount) bool { return n.Target == m.Target }); i >= 0 {
				c.Mounts[i] = m
			} else if !slices.ContainsFunc(w.inspect().HostConfig.Mounts, func(n mount.Mount) bool { return n.Target == m.Target }) {
				c.Mounts = append(c.Mounts, m)
			}
		}
		c.Mounts = append(c.Mounts, inMemory(want.Host.Tmpfs)...)
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.LogConfig"}, set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		spec.TaskTemplate.LogDriver = &swarm.Driver{Name: want.Host.LogConfig.Type, Options: maps.Clone(want.Host.LogConfig.Config)}
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.SecurityOpt"}, set: setSecurity},
	{fields: []string{"HostConfig.Init"}, set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		spec.TaskTemplate.ContainerSpec.Init = want.Host.Init
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.Ulimits"}, since: "1.41", set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		spec.TaskTemplate.ContainerSpec.Ulimits = want.Host.Ulimits
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.Sysctls"}, set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		spec.TaskTemplate.ContainerSpec.Sysctls = want.Host.Sysctls
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.OomScoreAdj"}, since: "1.46", set: func(_ *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
		spec.TaskTemplate.ContainerSpec.OomScoreAdj = int64(want.Host.OomScoreAdj)
		return checks.Message{}
	}},
	{fields: []string{"HostConfig.NetworkMode", "Networks"}, set: setNetwork},
	{fields: []string{"HostConfig.PortBindings", "HostConfig.PublishAllPorts"}, set: func(*world, *swarm.ServiceSpec, *checks.Settings) checks.Message {
		return checks.Msg("a service publishes on every address of its nodes: only their firewall can narrow that")
	}},
}

// covers reports whether the dial is for a field of a container.
func (d dial) covers(field string) bool {
	return slices.ContainsFunc(d.fields, func(f string) bool {
		rest, ok := strings.CutPrefix(field, f)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// noNewPrivileges is the security option of containers.
const noNewPrivileges = "no-new-privileges"

func setSecurity(w *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
	denied := slices.ContainsFunc(want.Host.SecurityOpt, func(o string) bool { return strings.HasPrefix(o, noNewPrivileges) })
	if versions.LessThan(w.api, "1.44") {
		if denied {
			return checks.Msg("services can ask for no-new-privileges from version 1.44 of the API on, and this engine speaks %s: set it in daemon.json, where it holds for all containers of the node", w.api)
		}
		return checks.Msg("services have security options from version 1.44 of the API on, and this engine speaks %s", w.api)
	}
	c := spec.TaskTemplate.ContainerSpec
	p := &swarm.Privileges{}
	if c.Privileges != nil {
		copied := *c.Privileges
		p = &copied
	}
	p.NoNewPrivileges = denied
	has := func(option string) bool { return slices.Contains(want.Host.SecurityOpt, option) }
	if p.Seccomp != nil && p.Seccomp.Mode == swarm.SeccompModeUnconfined && !has("seccomp=unconfined") {
		p.Seccomp = &swarm.SeccompOpts{Mode: swarm.SeccompModeDefault}
	}
	if p.AppArmor != nil && p.AppArmor.Mode == swarm.AppArmorModeDisabled && !has("apparmor=unconfined") {
		p.AppArmor = &swarm.AppArmorOpts{Mode: swarm.AppArmorModeDefault}
	}
	if p.SELinuxContext != nil && p.SELinuxContext.Disable && !has("label=disable") {
		p.SELinuxContext = nil
	}
	c.Privileges = p
	return checks.Message{}
}

// setVariables changes the service's own variables. Those of the image, and what
// a template makes of one, are not among them.
func setVariables(w *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
	c := spec.TaskTemplate.ContainerSpec
	env := slices.Clone(c.Env)
	was := w.inspect().Config.Env
	for i, entry := range was {
		if slices.Contains(want.Config.Env, entry) {
			continue
		}
		at := slices.Index(env, entry)
		if at < 0 {
			return checks.Msg("%s is not among the variables of the service: its image or a template sets it", clean(variable(entry)))
		}
		if i < len(want.Config.Env) && !slices.Contains(was, want.Config.Env[i]) {
			env[at] = want.Config.Env[i]
		} else {
			env = slices.Delete(env, at, at+1)
		}
	}
	for _, entry := range want.Config.Env {
		if !slices.Contains(was, entry) && !slices.Contains(env, entry) {
			env = append(env, entry)
		}
	}
	c.Env = env
	return checks.Message{}
}

// setNetwork moves the tasks off the default bridge.
func setNetwork(w *world, spec *swarm.ServiceSpec, want *checks.Settings) checks.Message {
	if len(spec.TaskTemplate.Networks) > 0 {
		return checks.Msg("the service is in networks of its own already")
	}
	for _, name := range sortedKeys(want.Networks) {
		if _, was := w.container.Settings.Networks[name]; was {
			continue
		}
		if strings.Contains(name, ".") || len(name) > 63 {
			return checks.Msg("%s cannot name a network of a swarm: use letters, digits and dashes", clean(name))
		}
		for _, n := range w.networks {
			if n.Name == name && n.Scope != "swarm" {
				return checks.Msg("the network %s is one of this machine alone: name another", clean(name))
			}
		}
		spec.TaskTemplate.Networks = append(spec.TaskTemplate.Networks, swarm.NetworkAttachmentConfig{Target: networkID(w, name)})
	}
	return checks.Message{}
}

// networkID returns the id of a network, by which the swarm gives it back, its name
// where it is to be made.
func networkID(w *world, name string) string {
	for _, n := range w.networks {
		if n.Name == name {
			return n.ID
		}
	}
	return name
}

// limitsOfService returns the limits of spec for changing them.
func limitsOfService(spec *swarm.ServiceSpec) *swarm.Limit {
	r := &spec.TaskTemplate.Resources
	if *r == nil {
		*r = &swarm.ResourceRequirements{}
	}
	if (*r).Limits == nil {
		(*r).Limits = &swarm.Limit{}
	}
	return (*r).Limits
}

// kernelNames returns capabilities as engines write those of services.
func kernelNames(names []string) []string {
	out := capabilities(names)
	for i, n := range out {
		if n != "ALL" {
			out[i] = "CAP_" + n
		}
	}
	return out
}

// inMemory returns what HostConfig.Tmpfs asks for as mounts, which have no owner:
// what belongs to one user is open to all there.
func inMemory(tmpfs map[string]string) []mount.Mount {
	var out []mount.Mount
	for _, path := range sortedKeys(tmpfs) {
		o := &mount.TmpfsOptions{}
		owned := false
		for option := range strings.SplitSeq(tmpfs[path], ",") {
			name, value, _ := strings.Cut(option, "=")
			switch name {
			case "size":
				o.SizeBytes, _ = units.RAMInBytes(value) // a fix has written it
			case "mode":
				mode, _ := strconv.ParseUint(value, 8, 32)
				o.Mode = os.FileMode(mode)
			case "uid":
				owned = true
			}
		}
		if owned || o.Mode == 0 {
			o.Mode = 0o1777
		}
		out = append(out, mount.Mount{Type: mount.TypeTmpfs, Target: path, TmpfsOptions: o})
	}
	return out
}

// userID returns the user (0) or group (1) of "1000:1000" for the owner of a
// file, root's where that is not a number.
func userID(user string, part int) string {
	parts := strings.Split(user, ":")
	if part < len(parts) {
		if _, err := strconv.ParseUint(parts[part], 10, 32); err == nil {
			return parts[part]
		}
	}
	return "0"
}

// changedBy returns spec as a task of it is want, where fields of the container
// differ from what it is. It says why that cannot be expressed.
func (w *world) changedBy(fields []string, want *checks.Settings) (*swarm.ServiceSpec, checks.Message) {
	spec := cloned(&w.service.Spec)
	if spec.TaskTemplate.ContainerSpec == nil {
		return spec, checks.Message{}
	}
	done := map[int]bool{}
	for _, field := range fields {
		i := slices.IndexFunc(dials, func(d dial) bool { return d.covers(field) })
		if i < 0 {
			return nil, checks.Msg("a Swarm service has no setting for %s", clean(field))
		}
		if since := dials[i].since; since != "" && versions.LessThan(w.api, since) {
			return nil, checks.Msg("services have %s from version %s of the API on, and this engine speaks %s", clean(field), since, w.api)
		}
		if done[i] {
			continue
		}
		done[i] = true
		if why := dials[i].set(w, spec, want); !why.IsZero() {
			return nil, why
		}
	}
	return spec, checks.Message{}
}

// inService completes the plan by the service as it is to be.
func (pl *planner) inService(target *image.InspectResponse) {
	after, why := pl.w.changedBy(pl.fields, pl.d.want)
	if !why.IsZero() { // each fix was asked by itself before
		panic("fixes/container: settings that no service has: " + why.String())
	}
	pl.p.Members, pl.p.Fingerprint = []checks.Ref{pl.w.service.ref()}, pl.w.service.fingerprint()
	pl.d.after, pl.d.names = after, map[string]string{}
	if after.TaskTemplate.ContainerSpec != nil {
		pl.references(after)
		pl.newImage(after, target)
	}
	u := swarm.UpdateConfig{Parallelism: 1, Order: swarm.UpdateOrderStopFirst}
	if after.UpdateConfig != nil {
		u = *after.UpdateConfig
	}
	u.FailureAction, u.Monitor = swarm.UpdateFailureActionRollback, max(u.Monitor, pl.w.grace)
	after.UpdateConfig = &u
	pl.describeService()
}

// references makes the service hand over secrets that left its environment.
func (pl *planner) references(after *swarm.ServiceSpec) {
	c, w := after.TaskTemplate.ContainerSpec, pl.w
	taken := maps.Clone(w.service.secrets)
	for _, s := range pl.d.want.Secrets {
		base := w.service.Spec.Name + "_" + s.Name
		base = base[max(0, len(base)-60):] // a swarm takes 64
		name := strings.TrimLeft(base, "_.-")
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		taken[name], pl.d.names[s.Name] = true, name
		file := &swarm.SecretReferenceFileTarget{Name: strings.TrimPrefix(s.Target, subject.SecretsDir), UID: "0", GID: "0", Mode: 0o400}
		if user := userID(pl.d.want.Config.User, 0); user != "0" {
			file.UID, file.GID = user, userID(pl.d.want.Config.User, 1)
		} else if s.Readable {
			file.Mode = 0o444
		}
		c.Secrets = append(c.Secrets, &swarm.SecretReference{File: file, SecretName: name})
	}
}

// newImage makes the service run target by its digest: all nodes have to get the
// same, and going back has to lead to the one that runs now.
func (pl *planner) newImage(after *swarm.ServiceSpec, target *image.InspectResponse) {
	if target == nil || target.ID == pl.w.inspect().Image {
		return
	}
	c, ref := after.TaskTemplate.ContainerSpec, pl.w.reference()
	digest := digestOf(target, ref)
	if digest == "" || !strings.Contains(c.Image, "@") {
		pl.p.Blocked = checks.Msg("nodes of a swarm get images from a registry, by a digest where that has to be certain, and one of the two has none: run docker service update --image %s %s",
			clean(fixes.Quote(ref)), clean(fixes.Quote(pl.w.service.Spec.Name)))
		return
	}
	c.Image = ref + "@" + digest
}

// digestOf returns the digest under which the registry of ref has i, "" for none.
func digestOf(i *image.InspectResponse, ref string) string {
	for _, d := range i.RepoDigests {
		if name, digest, ok := strings.Cut(d, "@"); ok && repository(name) == repository(ref) {
			return digest
		}
	}
	return ""
}

// repository returns ref in full without its tag.
func repository(ref string) string {
	named := full(ref)
	if i := strings.LastIndexByte(named, ':'); i > strings.LastIndexByte(named, '/') {
		return named[:i]
	}
	return named
}

// describeService lists what changes of the service instead of its container.
func (pl *planner) describeService() {
	before, after := viewOfService(&pl.w.service.Spec), viewOfService(pl.d.after)
	why := map[string]checks.Message{}
	for _, field := range pl.fields {
		spec, _ := pl.w.changedBy([]string{field}, pl.d.want)
		for _, changed := range before.differences(viewOfService(spec)) {
			why[changed] = pl.why[field]
		}
	}
	pl.p.Changes = nil
	for _, field := range before.differences(after) {
		reason := why[field]
		switch {
		case strings.HasPrefix(field, "UpdateConfig."):
			reason = checks.Msg("this update, and each after it, goes back by itself when it fails")
		case strings.HasSuffix(field, ".Secrets") && reason.IsZero():
			reason = why["TaskTemplate.ContainerSpec.Env"]
		case strings.HasSuffix(field, ".Image"):
			reason = checks.Msg("move to the newest image of its tag")
		}
		pl.p.Changes = append(pl.p.Changes, serviceChange(field, before[field], after[field], reason))
	}
}

// viewOfService returns spec by field.
func viewOfService(spec *swarm.ServiceSpec) view {
	f := view{}
	f.flatten("", spec)
	out := view{}
	for k, v := range f {
		out[strings.TrimPrefix(k, ".")] = v
	}
	return out
}

// asTask returns want as a task of the service shows it.
func (w *world) asTask(want *checks.Settings, target *image.InspectResponse) *checks.Settings {
	s := want.Clone()
	if target != nil && target.ID != w.inspect().Image {
		rebase(s.Config, w.inspect().Config, w.container.Image, target)
	}
	s.Host.Mounts, s.Host.Tmpfs = append(s.Host.Mounts, inMemory(s.Host.Tmpfs)...), nil
	if s.Host.Memory > 0 && s.Host.MemorySwap == 0 {
		s.Host.MemorySwap = 2 * s.Host.Memory
	}
	if w.container.Settings.Networks[network.NetworkBridge] != nil && s.Networks[network.NetworkBridge] == nil {
		s.Host.NetworkMode = w.inspect().HostConfig.NetworkMode // a swarm does not say otherwise
	}
	return s
}

// cloned returns a deep copy of a specification: it came as JSON and goes as that.
func cloned(spec *swarm.ServiceSpec) *swarm.ServiceSpec {
	data, err := json.Marshal(spec)
	copied := &swarm.ServiceSpec{}
	if err == nil {
		err = json.Unmarshal(data, copied)
	}
	if err != nil {
		panic("fixes/container: the specification of a service does not marshal: " + err.Error())
	}
	return copied
}
