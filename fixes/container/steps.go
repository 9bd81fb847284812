package container

import (
	"strings"

	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// A stage is what a transaction is about to do, or did last.
type stage string

// The stages of a replacement in order, and those of a live change.
const (
	pulling    stage = "pull"
	keeping    stage = "keep" // a secret in a file of its own
	tagging    stage = "tag"  // the pulled image
	networking stage = "network"
	creating   stage = "create"
	connecting stage = "connect"
	comparing  stage = "compare"
	stopping   stage = "stop"
	carrying   stage = "carry"   // what the original wrote, into the replacement
	saving     stage = "save"    // or into a file
	baking     stage = "bake"    // or into an image
	clearing   stage = "clear"   // the replacement away, which was a trial
	remaking   stage = "remake"  // it, from that image
	shelving   stage = "shelve"  // the original gives up its name
	naming     stage = "name"    // the replacement takes it
	disarming  stage = "disarm"  // the original gives up its restart policy
	starting   stage = "start"   // the replacement
	verifying  stage = "verify"  // the replacement
	committed  stage = "commit"  // nothing is left to do
	updating   stage = "update"  // limits of a running container
	joining    stage = "join"    // another network
	leaving    stage = "leave"   // the default bridge
	reading    stage = "read"    // back what the engine made of it
	serving    stage = "serve"   // the service gets what its tasks are made from
	settling   stage = "settle"  // its tasks are replaced
	forgetting stage = "forget"  // how the service was before
	reverting  stage = "revert"  // going back
	returning  stage = "restore" // the original is brought back by an undo
)

// touched reports whether in stage s something may have happened to the original.
func (s stage) touched() bool {
	switch s {
	case pulling, keeping, tagging, networking, creating, connecting, comparing:
		return false
	}
	return true
}

// settled reports whether in stage s a replacement has all that it is to have
// before it takes over.
func (s stage) settled() bool {
	switch s {
	case shelving, naming, disarming, starting, verifying, committed, reverting, returning:
		return true
	}
	return false
}

func (pl *planner) step(s stage, op, target string, why checks.Message, command ...string) {
	text := ""
	if len(command) > 0 {
		text = shellLine(command)
	}
	pl.p.Steps = append(pl.p.Steps, fixes.Step{Op: op, Target: clean(target), Why: why, Command: text})
	pl.d.stages = append(pl.d.stages, s)
}

// recreateSteps lists the protocol for this container.
func (pl *planner) recreateSteps(target *image.InspectResponse) {
	w, name := pl.w, pl.w.name()
	running := w.inspect().State.Running
	temporary, kept := name+newSuffix, name+oldInfix+"ID"
	if pl.d.pull && w.together == nil {
		pl.step(pulling, "pull", w.reference(), checks.Msg("ask the registry for the newest image of the tag"), "docker", "pull", w.reference())
	}
	if movable(w.reference()) && w.together == nil {
		why := checks.Msg("from here on the tag names what was pulled; it goes back when anything fails")
		switch {
		case pl.d.pull: // which moves it, by hand
			pl.step(tagging, "tag", w.reference(), why)
		case w.fetched != nil && pl.d.update && (w.tag == nil || w.tag.ID != w.fetched.ID):
			pl.step(tagging, "tag", w.reference(), why, "docker", "tag", w.fetched.ID, w.reference())
		}
	}
	for _, s := range pl.d.want.Secrets {
		pl.step(keeping, "keep", s.Path, checks.Msg("the secret %s is in a file of its own, for you alone, before it leaves the environment", clean(s.Name)),
			"sh", "-c", `umask 077 && cat > "$0"`, s.Path)
	}
	if network := pl.newNetwork(); network != "" {
		pl.step(networking, "network", network, checks.Msg("make the network that the container moves to"), "docker", "network", "create", network)
	}
	if target == nil {
		target = w.container.Image
	}
	if target == nil { // blocked; shown all the same
		target = &image.InspectResponse{ID: w.inspect().Image}
	}
	b := w.body(pl.d.want, target, pl.createReference(target), "ID")
	pl.d.mark(b)
	pl.step(creating, "create", temporary, checks.Msg("make the replacement beside the original, which keeps running"), createCommand(b, imageConfig(target))...)
	for _, e := range b.connect {
		pl.step(connecting, "connect", e.network, checks.Msg("connect it to the other networks of the original"), connectCommand(e, temporary)...)
	}
	pl.step(comparing, "compare", temporary, checks.Msg("nothing but the intended change may differ; else it ends here"), "docker", "inspect", name, temporary)
	if running {
		pl.step(stopping, "stop", name, checks.Msg("two containers must not use the same data at once; the downtime begins"), "docker", "stop", name)
	}
	pl.writtenSteps(b, target, temporary)
	pl.step(shelving, "rename", name, checks.Msg("keep the original as the way back"), "docker", "rename", name, kept)
	pl.step(naming, "rename", temporary, checks.Msg("the replacement takes over name and DNS"), "docker", "rename", temporary, name)
	if !w.inspect().HostConfig.RestartPolicy.IsNone() {
		pl.step(disarming, "update", kept, checks.Msg("the original must not come back by itself"), "docker", "update", "--restart", "no", kept)
	}
	if running {
		pl.step(starting, "start", name, checks.Msg("start the replacement; the downtime ends"), "docker", "start", name)
	}
	pl.step(verifying, "verify", name, checks.Msg("it has to work as well as before, else the original comes back"), "docker", "inspect", name)
}

// createReference returns what to create the replacement from. A tag that has
// moved would be an update that nobody asked for.
func (pl *planner) createReference(target *image.InspectResponse) string {
	if ref := pl.d.want.Image; ref != pl.w.container.Settings.Image && strings.Contains(ref, "@") {
		return ref // the same image by its digest
	}
	if pl.d.update || pl.w.tag != nil && pl.w.tag.ID == target.ID {
		return pl.w.reference()
	}
	return target.ID
}

// newNetwork returns the network of the wanted settings that does not exist.
func (pl *planner) newNetwork() string {
	before := pl.w.container.Settings.Networks
	for _, name := range sortedKeys(pl.d.want.Networks) {
		if _, ok := before[name]; !ok && !pl.w.hasNetwork(name, nil) {
			return name
		}
	}
	return ""
}

// maxPaths is how many written paths are named before they are counted.
const maxPaths = 8

// recreateNotes says what the replacement will not have.
func (pl *planner) recreateNotes(target *image.InspectResponse) {
	w, c := pl.w, pl.w.inspect()
	note := func(m checks.Message) { pl.p.Notes = append(pl.p.Notes, m) }
	if c.State.Running {
		pl.p.Downtime = away
		note(checks.Msg("connections to it are cut while it is replaced, for about %s", away.String()))
	} else {
		note(checks.Msg("it is not running, so that the replacement is not started and cannot be proved to work"))
	}
	pl.tellWritten()
	if w.randomPorts() {
		note(checks.Msg("its published ports without a number get other ones"))
	}
	if pl.p.Mechanism == fixes.Recreate && c.State.Health == nil && c.State.Running {
		note(checks.Msg("it has no health check: it is taken to work when it keeps running and listens on the same ports"))
	}
	if target != nil && target.ID != c.Image {
		note(checks.Msg("settings that equal the defaults of the old image follow the new image"))
		if fresh := newVolumes(target, w.container.Image); fresh != "" {
			note(checks.Msg("the new image keeps data in places where the old one did not: %s", clean(fresh)))
		}
	}
	note(checks.Msg("the original is kept, stopped, with its logs; it still holds every old setting"))
}

// newVolumes returns the volumes that image declares and old does not.
func newVolumes(image, old *image.InspectResponse) string {
	var out []string
	for _, path := range sortedKeys(imageConfig(image).Volumes) {
		if _, ok := imageConfig(old).Volumes[path]; !ok {
			out = append(out, path)
		}
	}
	return strings.Join(out, ", ")
}

// randomPorts reports whether the engine chooses the host ports.
func (w *world) randomPorts() bool {
	h := w.inspect().HostConfig
	if h.PublishAllPorts {
		return true
	}
	for _, bindings := range h.PortBindings {
		for _, b := range bindings {
			if b.HostPort == "" || b.HostPort == "0" {
				return true
			}
		}
	}
	return false
}

// written returns the files that the container wrote into its own layer:
// without folders that are there because of what lies in them, and without
// the places of mounts.
func (w *world) written() []string {
	return layerOf(w.container.Changed, mountPoints(w.inspect()), nil).files
}

func parent(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }

// holdsMount reports whether path is a folder on the way to a mount, which the
// engine made.
func holdsMount(path string, mounts map[string]bool) bool {
	for m := range mounts {
		if strings.HasPrefix(m, path+"/") {
			return true
		}
	}
	return false
}
