package container

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/disk"
	"plimsoll/checks/secret"
	"plimsoll/fixes"
)

// What a container wrote outside of volumes goes with it. Where it wrote
// something the user decides what becomes of that.

// A fate is what becomes of it.
type fate string

const fateKey = "written"

const (
	left  fate = "leave"  // it is only in the kept original
	moved fate = "carry"  // it is copied into the replacement
	saved fate = "save"   // it is in a file of the user
	baked fate = "commit" // it is in an image that the replacement is made from
)

func (f fate) name() checks.Message {
	switch f {
	case moved:
		return checks.Msg("copy it into the replacement")
	case saved:
		return checks.Msg("save it in a tar file")
	case baked:
		return checks.Msg("make an image of it")
	}
	return checks.Msg("leave it in the kept original")
}

// mostPlaces is how many paths are asked for one by one, while the container is
// away: each takes the engine some hundredths of a second.
const mostPlaces = 1000

// layer returns what the container wrote, as far as its replacement can have it.
func (w *world) layer(want *checks.Settings) ownLayer {
	after := mountPoints(w.inspect())
	for _, m := range want.Host.Mounts {
		after[m.Target] = true
	}
	for _, b := range want.Host.Binds {
		after[bindTarget(b)] = true
	}
	for p := range want.Host.Tmpfs {
		after[p] = true
	}
	return layerOf(w.container.Changed, mountPoints(w.inspect()), after)
}

// decide offers what can become of what the container wrote, and plans what
// values ask for.
func (pl *planner) decide(values checks.Values) error {
	if len(pl.w.written()) == 0 || !pl.p.Blocked.IsZero() {
		return nil
	}
	choice := fixes.Choice{Value: string(left), Choice: checks.Choice{
		Key: fateKey, Label: checks.Msg("what it wrote outside of volumes"), Default: string(left),
		Why: checks.Msg("data belongs in a volume, programs in the image: what is in neither goes with the container"),
	}}
	pl.refused = map[fate]checks.Message{}
	pl.d.layer = pl.w.layer(pl.d.want)
	for _, f := range []fate{left, moved, saved, baked} {
		if pl.refused[f] = pl.refuses(f); pl.refused[f].IsZero() {
			choice.Options, choice.Names = append(choice.Options, string(f)), append(choice.Names, f.name())
		}
	}
	pl.d.written = left
	given, ok := values[fateKey]
	reason, known := pl.refused[fate(given)]
	switch {
	case !ok || given == string(left):
	case !known:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s=%s: use one of %s", fateKey, clean(given), strings.Join(choice.Options, ", ")))
	case reason.IsZero():
		choice.Value, pl.d.written = given, fate(given)
	case pl.w.together != nil:
		pl.d.refused = reason
	default:
		choice.Value, pl.p.Blocked = given, reason
	}
	pl.p.Choices = append(pl.p.Choices, choice)
	return nil
}

// refuses says why what was written cannot become f.
func (pl *planner) refuses(f fate) checks.Message {
	l := &pl.d.layer
	many := len(l.places) > mostPlaces
	switch {
	case f == moved && pl.d.want.Host.ReadonlyRootfs:
		return checks.Msg("what it wrote cannot be copied into the replacement: its root is read-only")
	case f == moved && len(l.files) == 0:
		return checks.Msg("what it wrote cannot be copied into the replacement: something is mounted there")
	case f == moved && many, f == saved && many:
		return checks.Msg("what it wrote is in %d places, too many to copy while it is away", len(l.places))
	case f == saved && !filepath.IsAbs(pl.w.saved):
		return checks.Msg("what it wrote cannot be saved: there is no folder for that")
	case f == saved:
		return noRoom(pl.w.saved, pl.w.size)
	case f == baked && pl.w.together != nil && !pl.d.want.Update:
		return checks.Msg("an image of what it wrote is made of one container at a time")
	case f == baked && pl.d.want.Update:
		return checks.Msg("an image of what it wrote would keep the old image below it, which is to be replaced")
	case f == baked && len(pl.d.want.Secrets) > 0:
		return checks.Msg("an image of what it wrote would hold the secret that is to leave its environment")
	}
	return checks.Message{}
}

// spare is what a file for what was written leaves free on its disk.
const spare = 64 << 20

// noRoom says that a folder, or the one in which it will be made, has no room for
// size bytes.
func noRoom(folder string, size int64) checks.Message {
	for dir := folder; ; dir = filepath.Dir(dir) {
		room, known := disk.Free(dir)
		switch {
		case known && room < uint64(size)+spare:
			return checks.Msg("what it wrote cannot be saved in %s: %s are needed, %s are free", clean(folder), bytes(size+spare), bytes(int64(min(room, 1<<62))))
		case known || dir == filepath.Dir(dir):
			return checks.Message{}
		}
	}
}

// tellWritten says what becomes of what was written, and what cannot.
func (pl *planner) tellWritten() {
	w, l := pl.w, &pl.d.layer
	note := func(m checks.Message) { pl.p.Notes = append(pl.p.Notes, m) }
	paths := w.written()
	if len(paths) == 0 {
		return
	}
	size, shown := bytes(w.size), some(paths)
	switch pl.d.written {
	case left, "":
		note(checks.Msg("what it wrote outside of volumes is not in the replacement, only in the kept original: %d paths, %s: %s", len(paths), size, shown))
	case moved:
		note(checks.Msg("what it wrote outside of volumes is copied into the replacement: %d paths, %s: %s", len(l.files), size, some(l.files)))
		note(checks.Msg("that is done while it is away: with owners, modes and times; sockets stay behind, and hard links between folders become files"))
		if pl.d.want.Update {
			note(checks.Msg("files that the new image has too are those of the original again"))
		}
		if l.covered > 0 {
			note(checks.Msg("%d paths are not copied: something is mounted there in the replacement", l.covered))
		}
	case saved:
		note(checks.Msg("what it wrote outside of volumes is saved in a file that only you may read, and is not in the replacement: %d paths, %s: %s", len(paths), size, shown))
	case baked:
		note(checks.Msg("what it wrote outside of volumes is in an image that the replacement is made from, volumes excepted: %d paths, %s: %s", len(paths), size, shown))
		note(checks.Msg("that image keeps the files of the old one, with their vulnerabilities: the replacement does not follow %s any more", clean(w.reference())))
		if names := w.secretNames(); len(names) > 0 {
			note(checks.Msg("values of %s are left out of its configuration; engines before version 26 keep them in it all the same: do not push it", clean(strings.Join(names, ", "))))
		}
	}
	if len(l.deleted) > 0 && pl.d.written != baked {
		note(checks.Msg("what it deleted of its image is in the replacement again: %d paths: %s", len(l.deleted), some(l.deleted)))
	}
	if (pl.d.written == moved || pl.d.written == saved) && !strings.HasPrefix(w.host, "unix://") {
		note(checks.Msg("it goes through this machine, as the engine is on another one: that takes longer"))
	}
	told := ""
	for _, f := range []fate{moved, saved, baked} {
		why := pl.refused[f]
		asked := f != baked || why.String() == pl.d.refused.String()
		if !why.IsZero() && pl.p.Blocked.IsZero() && asked && why.String() != told {
			note(why)
			told = why.String()
		}
	}
	if pl.d.written != left && pl.p.Downtime > 0 {
		pl.p.Downtime += (time.Duration(w.size>>20)*10 + time.Duration(len(l.places))*30) * time.Millisecond
	}
}

// becomes says what becomes of what a member of a group wrote.
func (d *detail) becomes() checks.Message {
	w := d.world
	paths, name, size := w.written(), clean(w.name()), bytes(w.size)
	switch {
	case len(paths) == 0:
		return checks.Message{}
	case d.written == moved:
		return checks.Msg("%s: what it wrote outside of volumes is copied into the replacement: %d paths, %s", name, len(d.layer.files), size)
	case d.written == saved:
		return checks.Msg("%s: what it wrote outside of volumes is saved in a file that only you may read: %d paths, %s", name, len(paths), size)
	}
	return checks.Msg("%s: what it wrote outside of volumes is only in the kept original: %d paths, %s", name, len(paths), size)
}

// mark has the replacement say what becomes of what the original wrote, where
// that is part of making it: whoever recovers it without a journal has to know.
func (d *detail) mark(b body) {
	if d.written == moved || d.written == baked {
		b.options.Config.Labels[labelWritten] = string(d.written)
	}
}

// some returns the first of paths, as they may be shown.
func some(paths []string) string {
	return clean(strings.Join(paths[:min(maxPaths, len(paths))], " "))
}

// secretNames returns the names of variables of the container that hold secrets.
func (w *world) secretNames() []string {
	var out []string
	for _, entry := range w.inspect().Config.Env {
		if name, value, ok := strings.Cut(entry, "="); ok && secret.Variable(name, value) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// savedFile returns where what the container called name wrote is saved.
func savedFile(folder, name, tx string) string { return filepath.Join(folder, name+"-"+tx+".tar") }

// imageRepository is where the images are that are made of containers.
const imageRepository = "plimsoll-written"

// bakedRef returns what the image is called that is made of the container called
// name. Names of containers are good for tags, but for their length.
func bakedRef(name, tx string) string {
	return imageRepository + ":" + name[:min(90, len(name))] + "-" + tx
}

// mostNamed is how many paths a command names.
const mostNamed = 24

// writtenSteps are the steps between stopping the original and its giving up its
// name.
func (pl *planner) writtenSteps(b body, target *image.InspectResponse, temporary string) {
	w, l := pl.w, &pl.d.layer
	name := w.name()
	switch pl.d.written {
	case moved:
		pl.step(carrying, "copy", temporary, checks.Msg("what it wrote comes along: %d paths, %s", len(l.files), bytes(w.size)), copyCommand(l, name, temporary)...)
	case saved:
		file := savedFile(w.saved, name, "ID")
		pl.step(saving, "save", file, checks.Msg("what it wrote is in a file for you: %d paths, about %s", len(l.files), bytes(w.size)),
			"sh", "-c", `umask 077 && mkdir -p "${1%/*}" && docker export "$0" > "$1"`, name, file)
	case baked:
		ref := bakedRef(name, "ID")
		command := []string{"docker", "commit"}
		for _, variable := range w.secretNames() {
			command = append(command, "--change", "ENV "+variable+"=")
		}
		pl.step(baking, "commit", ref, checks.Msg("make an image of what it wrote: %d paths, %s", len(w.written()), bytes(w.size)), append(command, name, ref)...)
		pl.step(clearing, "remove", temporary, checks.Msg("this one was a trial: nothing else differs, and the engine takes it"), "docker", "rm", temporary)
		b.options.Config.Image = ref
		pl.step(remaking, "create", temporary, checks.Msg("make the replacement anew, from this image"), createCommand(b, imageConfig(target))...)
		for _, e := range b.connect {
			pl.step(connecting, "connect", e.network, checks.Msg("connect it to the other networks of the original"), connectCommand(e, temporary)...)
		}
		pl.step(comparing, "compare", temporary, checks.Msg("nothing but the intended change may differ; else it ends here"), "docker", "inspect", name, temporary)
	}
}

// copyCommand returns the command that copies what l has, nil where that would
// be too long.
func copyCommand(l *ownLayer, from, to string) []string {
	if len(l.places) > mostNamed {
		return nil
	}
	command := []string{"sh", "-c", `for p do docker cp "$0:$p" - | docker cp - "` + to + `:${p%/*}/"; done`, from}
	for _, p := range l.places {
		if p.whole || slices.Contains(l.files, p.path) {
			command = append(command, p.path)
		}
	}
	return command
}
