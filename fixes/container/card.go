package container

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	imagechecks "plimsoll/checks/image"
	"plimsoll/checks/secret"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes"
)

// card compares the image of the container with target.
func (pl *planner) card(target *image.InspectResponse) *fixes.Card {
	w := pl.w
	old := w.container.Image
	if target == nil || old == nil || target.ID == old.ID {
		return nil
	}
	was, now := w.inspect().Config, w.moved(pl.d.want, target).Config
	c := &fixes.Card{Image: clean(w.reference())}
	say := func(name checks.Message, before, after string) {
		if before != after {
			c.Facts = append(c.Facts, fixes.Fact{Name: name, Before: before, After: after})
		}
	}
	say(checks.Msg("user"), user(was.User), user(now.User))
	say(checks.Msg("entry point"), words(was.Entrypoint), words(now.Entrypoint))
	say(checks.Msg("command"), words(was.Cmd), words(now.Cmd))
	say(checks.Msg("health check"), words(probe(was)), words(probe(now)))
	set := func(name checks.Message, before, after map[string]string) {
		if f := compared(before, after); len(f.Lost)+len(f.Gained)+len(f.Changed) > 0 {
			f.Name = name
			c.Facts = append(c.Facts, f)
		}
	}
	set(checks.Msg("environment"), environment(was.Env), environment(now.Env))
	set(checks.Msg("ports of the image"), plainSet(imageConfig(old).ExposedPorts), plainSet(imageConfig(target).ExposedPorts))
	set(checks.Msg("volumes of the image"), plainSet(imageConfig(old).Volumes), plainSet(imageConfig(target).Volumes))
	c.Facts = append(c.Facts,
		fixes.Fact{Name: checks.Msg("size"), Before: bytes(old.Size), After: bytes(target.Size)},
		fixes.Fact{Name: checks.Msg("built"), Before: built(old), After: built(target)},
		fixes.Fact{Name: checks.Msg("layers"), Before: strconv.Itoa(len(old.RootFS.Layers)), After: strconv.Itoa(len(target.RootFS.Layers))},
	)
	return c
}

// moved returns want as it is with the image target.
func (w *world) moved(want *checks.Settings, target *image.InspectResponse) *checks.Settings {
	s := want.Clone()
	if target != nil && target.ID != w.inspect().Image {
		rebase(s.Config, w.inspect().Config, w.container.Image, target)
	}
	return s
}

// compareImages adds to the card of p what the checks say of both images, with what
// their layers hold where that can be read. They are judged under one name: what
// is wrong with names alone is no difference.
func (m *Mechanic) compareImages(ctx context.Context, w *world, p *fixes.Plan) {
	c := p.Card
	target := w.target(p.Detail.(*detail))
	if m.o.Images == nil {
		c.Unknown = checks.Msg("known vulnerabilities were not compared")
		return
	}
	old, err := m.o.Images(ctx, w.inspect().Image)
	var new *imagechecks.Image
	if err == nil {
		new, err = m.o.Images(ctx, target.ID)
	}
	if err != nil {
		c.Unknown = checks.Msg("what is in the images was not compared: %s", clean(err.Error()))
		return
	}
	judged := func(i *imagechecks.Image) []checks.Finding {
		named := *i
		named.Inspect.RepoTags, named.Upstream, named.Use = []string{w.reference()}, nil, nil
		return checks.Run(&named, imagechecks.Checks(), &checks.Policy{Profile: checks.All}).Findings
	}
	gone, appeared := differing(judged(old), judged(new))
	c.Gone, c.New = append(c.Gone, gone...), append(c.New, appeared...)
	if old.Known == nil || new.Known == nil || len(old.Known.Sources)+len(new.Known.Sources) == 0 {
		c.Unknown = checks.Msg("known vulnerabilities were not compared: plimsoll db update gets the advisories")
		return
	}
	if n := len(old.Known.NoData) + len(new.Known.NoData); n > 0 {
		c.Unknown = checks.Msg("nothing is known of the vulnerabilities of %s", noData(append(slices.Clone(old.Known.NoData), new.Known.NoData...)))
	}
	c.Compared = true
	c.Repaired, c.Brought = vulnerability.Differing(old.Vulnerabilities(), new.Vulnerabilities())
}

// noData names that for which there are no advisories, each once.
func noData(all []vulnerability.NoData) string {
	var out []string
	for _, n := range all {
		if name := clean(n.What); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// differing returns the findings that only before, and only after has.
func differing(before, after []checks.Finding) (gone, new []checks.Finding) {
	only := func(some, others []checks.Finding) []checks.Finding {
		var out []checks.Finding
		for _, f := range some {
			if !slices.ContainsFunc(others, func(o checks.Finding) bool { return o.Check == f.Check && o.Key == f.Key }) {
				out = append(out, f)
			}
		}
		return out
	}
	return only(before, after), only(after, before)
}

// compared returns the difference of two sets with values, by names only.
func compared(before, after map[string]string) (f fixes.Fact) {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if value, ok := after[name]; !ok {
			f.Lost = append(f.Lost, clean(name))
		} else if value != before[name] {
			f.Changed = append(f.Changed, clean(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[name]; !ok {
			f.Gained = append(f.Gained, clean(name))
		}
	}
	return f
}

func environment(env []string) map[string]string {
	out := map[string]string{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		out[name] = value
	}
	return out
}

func plainSet(set map[string]struct{}) map[string]string {
	out := map[string]string{}
	for name := range set {
		out[name] = ""
	}
	return out
}

func user(s string) string {
	if s == "" {
		return "root"
	}
	return clean(s)
}

// words returns a command as it may be shown.
func words(command []string) string {
	if len(command) == 0 {
		return "–"
	}
	shown := make([]any, len(command))
	for i, w := range command {
		shown[i] = w
	}
	var out []string
	for i := range shown {
		if before, ok := precedes(shown, i); ok && secret.Variable(before, command[i]) {
			out = append(out, secret.Mask)
			continue
		}
		out = append(out, fixes.Quote(masked(command[i])))
	}
	return strings.Join(out, " ")
}

func probe(c *api.Config) []string {
	if c.Healthcheck == nil {
		return nil
	}
	return c.Healthcheck.Test
}

// built returns when an image was built, "?" when it does not say. Reproducible
// builds have a date of long ago.
func built(i *image.InspectResponse) string {
	t, err := time.Parse(time.RFC3339Nano, i.Created)
	if err != nil || t.Year() <= 1980 {
		return "?"
	}
	return t.Format(time.DateOnly)
}
