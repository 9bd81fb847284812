package container

import (
	"context"
	"strings"
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
)

// killed is the exit code of a program that got SIGKILL.
const killed = 137

// receipt proves the replacement by what the engine says about it now.
func (t *transaction) receipt(ctx context.Context) (*fixes.Receipt, error) {
	now, err := t.m.inspect(ctx, t.j.New)
	if err != nil {
		return nil, err
	}
	r := &fixes.Receipt{Proof: t.proof(now)}
	r.Cured, r.Left = t.cured(now)
	proof, reminders, err := t.secretsGone(now)
	if err != nil {
		return nil, err
	}
	r.Proof, r.Reminders = append(r.Proof, proof...), reminders
	r.Proof = append(r.Proof, t.copied()...)
	if proof, reminders, err = t.bakedIn(ctx); err != nil {
		return nil, err
	}
	r.Proof, r.Reminders = append(r.Proof, proof...), append(r.Reminders, reminders...)
	if t.j.File != "" {
		r.Files = append(r.Files, t.j.File)
	}
	if !t.down.IsZero() {
		r.Away, r.Stopping = t.up.Sub(t.down), t.stopped.Sub(t.down)
		if old, err := t.m.find(ctx, t.j.Old); err == nil && old != nil && old.State.ExitCode == killed {
			r.Proof = append(r.Proof, checks.Msg("the original did not obey its stop signal in time and was killed"))
		}
		r.Proof = append(r.Proof, checks.Msg("it was away for %s, of which its program took %s to stop", r.Away.Round(10*time.Millisecond).String(), r.Stopping.Round(10*time.Millisecond).String()))
	}
	r.Proof = append(r.Proof, checks.Msg("the original is kept as %s", clean(t.j.shelf())))
	return r, nil
}

// cured returns what is gone and what is left by the checks' word on the
// replacement itself.
func (t *transaction) cured(now *api.InspectResponse) (cured, left []checks.Finding) {
	c := *t.d.world.container
	fresh := subject.New(*now, t.image, "", t.m.o.Now())
	c.Settings, c.Inspect, c.Image, c.Now = fresh.Settings, fresh.Inspect, fresh.Image, fresh.Now
	if t.d.update || t.j.Image != nil {
		c.TagID = t.image.ID // the tag names it now
	}
	return verdict(&c, t.plan)
}

// verdict returns which of the findings that p was to cure c does not have, and
// which it has.
func verdict(c *subject.Container, p *fixes.Plan) (cured, left []checks.Finding) {
	left = checks.Run(c, subject.Checks(), &checks.Policy{Profile: checks.All}).Findings
	type key struct{ check, key string }
	still := map[key]bool{}
	for _, f := range left {
		still[key{f.Check.ID, f.Key}] = true
	}
	for _, f := range p.Cures {
		if !still[key{f.Check.ID, f.Key}] {
			cured = append(cured, f)
		}
	}
	return cured, left
}

func (t *transaction) proof(now *api.InspectResponse) []checks.Message {
	old := t.d.world.inspect()
	var proof []checks.Message
	say := func(m checks.Message) { proof = append(proof, m) }
	was, is := created(old), created(now)
	for _, part := range parts {
		if equalPart(was, is, part.prefix) {
			say(part.same)
		}
	}
	if now.Image != old.Image {
		say(checks.Msg("it runs the image %s instead of %s", shortImage(now.Image), shortImage(old.Image)))
	} else {
		say(checks.Msg("it runs the same image %s", shortImage(now.Image)))
	}
	for _, c := range t.plan.Changes {
		if value, ok := is[c.Field]; ok && c.Field != "Image" {
			say(checks.Msg("read back: %s is %s", c.Field, shown(c.Field, value)))
		}
	}
	switch {
	case health(now) == api.Healthy:
		say(checks.Msg("its health check succeeds"))
	case t.j.Baseline.Running:
		say(checks.Msg("it kept running for %s without a restart", t.m.o.Grace.String()))
	}
	if n := len(t.j.Baseline.Listening); n > 0 {
		say(checks.Msg("it listens on the same %d ports as before", n))
	}
	for _, w := range t.warnings {
		say(checks.Msg("the engine says: %s", clean(w)))
	}
	return proof
}

// parts are what people fear to lose.
var parts = []struct {
	prefix string // of fields
	same   checks.Message
}{
	{"Config.Env", checks.Msg("the environment is the same")},
	{"Mounts[", checks.Msg("the mounts and volumes are the same")},
	{"Networks[", checks.Msg("networks, addresses and aliases are the same")},
	{"Config.Labels", checks.Msg("the labels are the same")},
	{"HostConfig.PortBindings", checks.Msg("the published ports are the same")},
	{"HostConfig.RestartPolicy", checks.Msg("the restart policy is the same")},
}

func equalPart(a, b view, prefix string) bool {
	for _, f := range a.differences(b) {
		if strings.HasPrefix(f, prefix) {
			return false
		}
	}
	return true
}
