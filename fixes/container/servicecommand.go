package container

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/fixes"
)

// serviceCommand returns the command that makes a service what after is. It has
// no option for what docker service update has none for.
func serviceCommand(before, after *swarm.ServiceSpec) []string {
	a := &arguments{"docker", "service", "update"}
	old, new := before.TaskTemplate.ContainerSpec, after.TaskTemplate.ContainerSpec
	if old == nil || new == nil {
		return append(*a, before.Name)
	}
	differs(a, "--image", old.Image, new.Image)
	differs(a, "--user", old.User, new.User)
	a.variables(old.Env, new.Env)
	for _, s := range new.Secrets {
		if s.File != nil && !slices.ContainsFunc(old.Secrets, func(o *swarm.SecretReference) bool {
			return o.SecretName == s.SecretName && o.File != nil && *o.File == *s.File
		}) {
			if slices.ContainsFunc(old.Secrets, func(o *swarm.SecretReference) bool { return o.SecretName == s.SecretName }) {
				a.add("--secret-rm", s.SecretName)
			}
			a.add("--secret-add", fmt.Sprintf("source=%s,target=%s,uid=%s,gid=%s,mode=%04o", s.SecretName, s.File.Name, s.File.UID, s.File.GID, s.File.Mode))
		}
	}
	a.taskLimits(limitsOfService(cloned(before)), limitsOfService(cloned(after)))
	if old.ReadOnly != new.ReadOnly {
		a.add("--read-only=" + strconv.FormatBool(new.ReadOnly))
	}
	if new.Init != nil && (old.Init == nil || *old.Init != *new.Init) {
		a.add("--init=" + strconv.FormatBool(*new.Init))
	}
	a.changedMounts(old.Mounts, new.Mounts)
	a.each("--cap-drop", added(new.CapabilityAdd, old.CapabilityAdd))
	a.each("--cap-drop", added(old.CapabilityDrop, new.CapabilityDrop))
	a.each("--cap-add", added(old.CapabilityAdd, new.CapabilityAdd))
	if d := after.TaskTemplate.LogDriver; d != nil && (before.TaskTemplate.LogDriver == nil || viewOfDriver(before.TaskTemplate.LogDriver) != viewOfDriver(d)) {
		a.text("--log-driver", d.Name)
		a.pairs("--log-opt", d.Options)
	}
	for _, u := range new.Ulimits {
		if !slices.ContainsFunc(old.Ulimits, func(o *api.Ulimit) bool { return *o == *u }) {
			a.add("--ulimit-add", u.String())
		}
	}
	for _, n := range after.TaskTemplate.Networks {
		if !slices.ContainsFunc(before.TaskTemplate.Networks, func(o swarm.NetworkAttachmentConfig) bool { return o.Target == n.Target }) {
			a.add("--network-add", n.Target)
		}
	}
	if new.Healthcheck != nil && old.Healthcheck == nil {
		a.health(new.Healthcheck)
	}
	a.update(before.UpdateConfig, after.UpdateConfig)
	return append(*a, before.Name)
}

func viewOfDriver(d *swarm.Driver) string { return fmt.Sprint(d.Name, d.Options) }

func differs(a *arguments, option, old, new string) {
	if old != new {
		a.add(option, new)
	}
}

// added returns what of new is not in old.
func added(old, new []string) []string {
	return slices.DeleteFunc(slices.Clone(new), func(s string) bool { return slices.Contains(old, s) })
}

func (a *arguments) variables(old, new []string) {
	for _, entry := range added(new, old) {
		if !slices.ContainsFunc(new, func(n string) bool { return variable(n) == variable(entry) }) {
			a.add("--env-rm", variable(entry))
		}
	}
	for _, entry := range added(old, new) {
		if name, value, ok := strings.Cut(entry, "="); ok && secret.Variable(name, value) {
			entry = name + "=" + secret.Mask
		}
		a.add("--env-add", entry)
	}
}

func (a *arguments) taskLimits(old, new *swarm.Limit) {
	if old.MemoryBytes != new.MemoryBytes {
		a.size("--limit-memory", new.MemoryBytes)
	}
	if old.NanoCPUs != new.NanoCPUs {
		a.add("--limit-cpu", strconv.FormatFloat(float64(new.NanoCPUs)/1e9, 'f', -1, 64))
	}
	if old.Pids != new.Pids {
		a.add("--limit-pids", strconv.FormatInt(new.Pids, 10))
	}
}

func (a *arguments) changedMounts(old, new []mount.Mount) {
	for _, m := range old {
		if !slices.ContainsFunc(new, func(n mount.Mount) bool { return mountOption(n) == mountOption(m) }) {
			a.add("--mount-rm", m.Target)
		}
	}
	for _, m := range new {
		if !slices.ContainsFunc(old, func(o mount.Mount) bool { return mountOption(o) == mountOption(m) }) {
			a.add("--mount-add", mountOption(m))
		}
	}
}

func (a *arguments) update(old, new *swarm.UpdateConfig) {
	var none swarm.UpdateConfig
	if old == nil {
		old = &none
	}
	differs(a, "--update-failure-action", string(old.FailureAction), string(new.FailureAction))
	if old.Monitor != new.Monitor {
		a.add("--update-monitor", new.Monitor.String())
	}
}

// serviceChange returns the change of one setting of a service, as it is shown.
func serviceChange(field, before, after string, why checks.Message) fixes.Change {
	return fixes.Change{Field: clean(field), Before: shownInService(field, before), After: shownInService(field, after), Why: why}
}

// shownInService is [shown] for a setting of a service.
func shownInService(field, value string) string {
	last := field[strings.LastIndexByte(field, '.')+1:]
	number, _ := strconv.ParseFloat(value, 64)
	switch {
	case value == "":
		switch last {
		case "MemoryBytes", "NanoCPUs", "Pids":
			return "unlimited"
		case "ReadOnly", "Init", "NoNewPrivileges":
			return "false"
		}
		return "–"
	case last == "MemoryBytes":
		return bytes(int64(number))
	case last == "NanoCPUs":
		return strconv.FormatFloat(number/1e9, 'f', -1, 64) + " CPUs"
	case last == "Monitor" || last == "Delay":
		return time.Duration(number).String()
	case last == "Secrets":
		var list []swarm.SecretReference
		return shownList(value, &list, func(s swarm.SecretReference) string {
			if s.File == nil {
				return s.SecretName
			}
			return fmt.Sprintf("%s as %s, %04o of %s:%s", s.SecretName, s.File.Name, s.File.Mode, s.File.UID, s.File.GID)
		})
	case last == "Mounts":
		var list []mount.Mount
		return shownList(value, &list, mountOption)
	case last == "Networks":
		var list []swarm.NetworkAttachmentConfig
		return shownList(value, &list, func(n swarm.NetworkAttachmentConfig) string { return n.Target })
	}
	return shown(field, value)
}

func shownList[T any](value string, list *[]T, show func(T) string) string {
	_ = json.Unmarshal([]byte(value), list) // it is what a list was made into
	var out []string
	for _, one := range *list {
		out = append(out, masked(show(one)))
	}
	return strings.Join(out, "; ")
}
