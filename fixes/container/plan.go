package container

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
)

// A detail is what applying a plan needs beyond what is shown.
type detail struct {
	world    *world
	want     *checks.Settings
	findings []checks.Finding // asked to be cured
	update   bool             // to the image that the reference names
	pull     bool
	stages   []stage  // of Plan.Steps
	layer    ownLayer // what the container wrote; empty where that was not asked
	written  fate     // what becomes of it; "" where there is nothing

	refused checks.Message // why it does not become what was asked for, where others go on

	// Of a task of a Swarm service:
	after *swarm.ServiceSpec // what its service is to be
	names map[string]string  // of the secrets in the swarm, by those of want
}

// a planner makes one plan.
type planner struct {
	w        *world
	p        *fixes.Plan
	d        *detail
	fields   []string // that change
	why      map[string]checks.Message
	requests []checks.Finding
	open     checks.Message // the first choice that only the user can make

	refused map[fate]checks.Message // why what was written cannot become this

	// impossible is why the first fix that cannot be made is left out.
	impossible checks.Message
}

// plan returns what would be done for request. It is a pure function of w.
func (w *world) plan(request fixes.Request) (*fixes.Plan, error) {
	want := w.container.Settings.Clone()
	want.Update, want.Pull = request.Update || request.Pull, request.Pull
	pl := planner{
		w:   w,
		p:   &fixes.Plan{Subject: w.container.Ref(), Fingerprint: fingerprint(w.inspect())},
		d:   &detail{world: w, want: want},
		why: map[string]checks.Message{},
	}
	pl.p.Detail = pl.d
	if err := pl.change(request); err != nil {
		return nil, err
	}
	pl.d.update, pl.d.pull = want.Update, want.Pull && w.fetched == nil
	target := w.target(pl.d)
	moves := target != nil && target.ID != w.inspect().Image
	if why := first(pl.open, pl.impossible); len(pl.fields) == 0 && !moves && !pl.d.pull && !why.IsZero() {
		pl.p.Mechanism, pl.p.Blocked = fixes.Recreate, why
		if w.service != nil {
			pl.p.Mechanism = fixes.Service
		}
		return pl.p, nil
	}
	if len(pl.fields) == 0 && !moves && !pl.d.pull && !w.joins {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s: nothing is left to change", clean(w.name())))
	}
	pl.title()
	pl.describe(target)
	pl.p.Mechanism = fixes.Recreate
	switch {
	case w.service != nil:
		pl.p.Mechanism = fixes.Service
		pl.inService(target)
	case !moves && !pl.d.pull && !w.joins && pl.live():
		pl.p.Mechanism = fixes.Update
	}
	if pl.d.pull {
		pl.p.Fetch = clean(w.reference())
	} else {
		pl.p.Card = pl.card(target)
	}
	pl.prove(request, target)
	pl.block(target)
	switch pl.p.Mechanism {
	case fixes.Service:
		pl.serviceSteps()
		pl.serviceNotes()
	case fixes.Update:
		pl.liveSteps()
		pl.liveNotes()
	default:
		if err := pl.decide(request.Values); err != nil {
			return nil, err
		}
		pl.recreateSteps(target)
		pl.recreateNotes(target)
	}
	return pl.p, nil
}

// target returns the image that the container is to run; nil when it is not here.
func (w *world) target(d *detail) *image.InspectResponse {
	if d.update && w.fetched != nil {
		return w.fetched
	}
	if d.update {
		return w.tag
	}
	return w.container.Image
}

// change applies the fix of each finding of request, one after the other, as
// the container's own state now suggests them.
func (pl *planner) change(request fixes.Request) error {
	want := pl.d.want
	for _, old := range request.Findings {
		f, ok := again(pl.w.container, old)
		if !ok {
			continue
		}
		pl.requests = append(pl.requests, f)
		// What fixes before it changed counts: capabilities that one took away are
		// none to keep for the next.
		now, ok := again(pl.changed(nil), old)
		if !ok {
			continue // another fix cures it as well
		}
		fix, err := pick(now, request)
		if err != nil {
			return err
		}
		values, err := pl.choose(fix, request.Values)
		var open *unanswered
		if errors.As(err, &open) {
			pl.open = checks.Msg("%s waits for an answer: --set %s=…", f.Check.ID, open.key)
			pl.p.Notes, pl.requests = append(pl.p.Notes, pl.open), pl.requests[:len(pl.requests)-1]
			pl.p.Title = fix.Title
			continue
		}
		if err != nil {
			return err
		}
		was := want.Clone()
		before := viewOf(want)
		if err := fix.Change(want, values); err != nil {
			return errdefs.ErrInvalidArgument.WithMessage(err.Error())
		}
		pl.w.settle(want)
		if pl.w.service == nil {
			pl.w.mountSecrets(want)
		} else if _, why := pl.w.changedBy(before.differences(viewOf(want)), want); !why.IsZero() {
			*want = *was
			pl.leaveOut(f, fix, why)
			continue
		}
		for _, field := range before.differences(viewOf(want)) {
			pl.why[field] = fix.Title
		}
		if !fix.Caution.IsZero() {
			pl.p.Notes = append(pl.p.Notes, fix.Caution)
		}
		if pl.p.Title.IsZero() {
			pl.p.Title = fix.Title
		}
	}
	if len(request.Findings) > 0 && len(pl.requests) == 0 && pl.open.IsZero() && pl.impossible.IsZero() {
		return fmt.Errorf("%s: nothing of this is left to fix: %w", clean(pl.w.name()), fixes.ErrChanged)
	}
	pl.d.findings = pl.requests
	pl.fields = viewOf(&pl.w.container.Settings).differences(viewOf(want))
	return nil
}

// leaveOut takes a finding whose fix cannot be made out of the plan, which says why.
func (pl *planner) leaveOut(f checks.Finding, fix checks.Fix, why checks.Message) {
	pl.impossible = first(pl.impossible, why)
	pl.p.Notes = append(pl.p.Notes, checks.Msg("left out, %s: %s", f.Message, why))
	pl.requests = slices.DeleteFunc(pl.requests, func(r checks.Finding) bool { return r.ID() == f.ID() })
	if pl.p.Title.IsZero() {
		pl.p.Title = fix.Title
	}
}

// again returns the finding as a snapshot gives it: its fixes speak of what is
// known now, such as the observed peak.
func again(c *subject.Container, old checks.Finding) (checks.Finding, bool) {
	report := checks.Run(c, []*checks.Check{old.Check}, &checks.Policy{Profile: checks.All})
	for _, f := range report.Findings {
		if f.Key == old.Key {
			f.Severity = old.Severity
			return f, true
		}
	}
	return checks.Finding{}, false
}

// pick returns the fix that request wants for f.
func pick(f checks.Finding, request fixes.Request) (checks.Fix, error) {
	id := request.Fix[f.ID()]
	for _, fix := range f.Fixes {
		if fix.Change != nil && (id == "" || fix.ID == id) {
			return fix, nil
		}
	}
	return checks.Fix{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s has no fix %s", f.Check.ID, id))
}

// choose returns a value for every choice of fix.
func (pl *planner) choose(fix checks.Fix, given checks.Values) (checks.Values, error) {
	values := checks.Values{}
	var open error
	for _, c := range fix.Choices {
		value, ok := given[c.Key]
		if !ok {
			value = c.Default
		}
		if value == "" && c.Example != "" {
			open = &unanswered{c.Key}
			pl.p.Choices = append(pl.p.Choices, fixes.Choice{Choice: c})
			continue
		}
		if len(c.Options) > 0 && !slices.Contains(c.Options, value) {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s=%s: use one of %s", c.Key, clean(value), strings.Join(c.Options, ", ")))
		}
		if c.Valid != nil {
			if err := c.Valid(value); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Key, err)
			}
		}
		values[c.Key] = value
		if !slices.ContainsFunc(pl.p.Choices, func(o fixes.Choice) bool { return o.Key == c.Key }) {
			pl.p.Choices = append(pl.p.Choices, fixes.Choice{Choice: c, Value: value})
		}
	}
	return values, open
}

// unanswered means that a fix needs an answer that only the user can give.
type unanswered struct{ key string }

func (e *unanswered) Error() string { return "no answer for " + e.key }

func (pl *planner) title() {
	name := clean(pl.w.name())
	if s := pl.w.service; s != nil {
		name = clean(s.Spec.Name)
	}
	switch {
	case len(pl.requests) == 1: // the title of its fix
	case len(pl.requests) > 1 && pl.w.service != nil:
		pl.p.Title = checks.Msg("Harden the service %s: %d changes", name, len(pl.requests))
	case len(pl.requests) > 1:
		pl.p.Title = checks.Msg("Harden %s: %d changes", name, len(pl.requests))
	default:
		pl.p.Title = checks.Msg("Update %s to the image that %s names", name, clean(pl.w.reference()))
	}
}

// settle completes what a fix has begun, so that the engine accepts it and the
// container can be started again.
func (w *world) settle(want *checks.Settings) {
	h, old := want.Host, w.inspect().HostConfig
	if h.Memory != old.Memory && h.MemorySwap == old.MemorySwap && old.MemorySwap != swapUnlimited {
		if old.Memory > 0 && old.MemorySwap == old.Memory {
			h.MemorySwap = h.Memory
		} else {
			h.MemorySwap = 2 * h.Memory
		}
	}
	if h.Memory > 0 && h.MemoryReservation > h.Memory {
		h.MemoryReservation = h.Memory
	}
	// The engine refuses one way to limit CPU time where the other is stored.
	if h.NanoCPUs > 0 && (old.CPUQuota > 0 || old.CPUPeriod > 0) {
		if h.CPUPeriod == 0 {
			h.CPUPeriod = 100_000
		}
		h.CPUQuota, h.NanoCPUs = h.NanoCPUs*h.CPUPeriod/1e9, 0
	}
}

// viewOf returns s by field.
func viewOf(s *checks.Settings) view {
	f := view{}
	f.flatten("Config", s.Config)
	f.flatten("HostConfig", s.Host)
	// Emptied is not the same as left to the engine.
	f.emptied("HostConfig.MaskedPaths", s.Host.MaskedPaths)
	f.emptied("HostConfig.ReadonlyPaths", s.Host.ReadonlyPaths)
	for name, e := range s.Networks {
		f["Networks."+name] = "true"
		if e != nil {
			f.flatten("Networks."+name, network.EndpointSettings{IPAMConfig: e.IPAMConfig, Aliases: e.Aliases, DriverOpts: e.DriverOpts})
		}
	}
	return f
}

// describe lists what changes, as it may be shown.
func (pl *planner) describe(target *image.InspectResponse) {
	before, after := viewOf(&pl.w.container.Settings), viewOf(pl.d.want)
	for _, field := range pl.fields {
		pl.p.Changes = append(pl.p.Changes, fixes.Change{
			Field: clean(field), Before: shown(field, before[field]), After: shown(field, after[field]), Why: pl.why[field],
		})
	}
	old := pl.w.inspect().Image
	switch {
	case pl.d.pull:
		pl.p.Changes = append(pl.p.Changes, fixes.Change{Field: "Image", Before: shortImage(old), After: clean(pl.w.reference()), Why: checks.Msg("move to the newest image of its tag")})
	case target != nil && target.ID != old && pl.w.fetched != nil && (pl.w.tag == nil || pl.w.tag.ID != target.ID):
		pl.p.Changes = append(pl.p.Changes, fixes.Change{Field: "Image", Before: shortImage(old), After: shortImage(target.ID), Why: checks.Msg("move to the newest image of its tag")})
	case target != nil && target.ID != old:
		pl.p.Changes = append(pl.p.Changes, fixes.Change{Field: "Image", Before: shortImage(old), After: shortImage(target.ID), Why: checks.Msg("move to the image that the tag names now")})
	}
}

func shortImage(id string) string { return short(strings.TrimPrefix(id, "sha256:")) }

// prove runs the checks on the container as it would be.
func (pl *planner) prove(request fixes.Request, target *image.InspectResponse) {
	before := checks.Run(pl.w.container, subject.Checks(), &checks.Policy{Profile: checks.All})
	changed := pl.changed(target)
	after := checks.Run(changed, subject.Checks(), &checks.Policy{Profile: checks.All})
	pl.p.After = []checks.Subject{changed}
	severity := map[checks.FindingID]checks.Severity{}
	for _, f := range request.Findings {
		severity[f.ID()] = f.Severity
	}
	if pl.p.Card != nil {
		_, pl.p.Card.New = differing(before.Findings, after.Findings)
	}
	left := map[checks.FindingID]bool{}
	for _, f := range after.Findings {
		left[f.ID()] = true
		pl.p.Leaves = append(pl.p.Leaves, f)
	}
	for _, f := range before.Findings {
		if !left[f.ID()] {
			if s := severity[f.ID()]; s != 0 {
				f.Severity = s
			}
			pl.p.Cures = append(pl.p.Cures, f)
		}
	}
	for _, f := range pl.requests {
		if left[f.ID()] && !pl.d.pull {
			pl.p.Blocked = checks.Msg("tried on a copy, this does not cure the finding: %s", f.Message.String())
		}
	}
}

// changed returns the container as the plan would make it.
func (pl *planner) changed(target *image.InspectResponse) *subject.Container {
	before := pl.w.container
	c, i := *before, *pl.w.inspect()
	if pl.w.service != nil {
		c.Settings = *pl.w.asTask(pl.d.want, target)
	} else {
		c.Settings = *pl.w.moved(pl.d.want, target)
	}
	if pl.p.Mechanism == fixes.Update {
		// The engine keeps saying in which network the container was created.
		c.Settings = *pl.d.want.Clone()
		c.Settings.Host.NetworkMode = i.HostConfig.NetworkMode
	}
	i.Config, i.HostConfig = c.Settings.Config, c.Settings.Host
	settings := api.NetworkSettings{Networks: c.Settings.Networks}
	i.NetworkSettings = &settings
	if target != nil {
		i.Image, c.Image = target.ID, target
		if pl.d.update {
			c.TagID = target.ID // the tag will name it
		}
	}
	c.Inspect = &i
	if c.Settings.Config != nil && before.Settings.Config != nil && c.Settings.Config.User != before.Settings.Config.User {
		c.Processes = nil // as another user there will be others
	}
	return &c
}

// block says why the plan cannot be applied, if it cannot.
func (pl *planner) block(target *image.InspectResponse) {
	w := pl.w
	reasons := []checks.Message{w.foreign(), pl.p.Blocked, pl.tooSmall()}
	switch pl.p.Mechanism {
	case fixes.Service:
		reasons = append(reasons, pl.incapable(), pl.unservable(), pl.unavailable(target))
	case fixes.Update:
		reasons = append(reasons, pl.incapable())
	default:
		fields := pl.fields
		if pl.d.update {
			fields = append(slices.Clone(fields), "Image")
		}
		reasons = append(reasons, w.irreplaceable(fields), pl.unavailable(target), pl.unmountable())
	}
	pl.p.Blocked = first(reasons...)
}

// first returns the first of messages that says something.
func first(messages ...checks.Message) checks.Message {
	for _, m := range messages {
		if !m.IsZero() {
			return m
		}
	}
	return checks.Message{}
}

// unavailable says why the target image cannot be used.
func (pl *planner) unavailable(target *image.InspectResponse) checks.Message {
	ref := pl.w.reference()
	switch {
	case pl.d.update && strings.HasPrefix(ref, "sha256:"):
		return checks.Msg("%s was created from an image id, which never names another image: create it from a tag", clean(pl.w.name()))
	case pl.d.pull:
	case target == nil:
		return checks.Msg("%[1]s is not on the engine: run docker pull %[1]s", clean(ref))
	case target.Os != "" && pl.w.container.Image != nil && target.Os != pl.w.container.Image.Os:
		return checks.Msg("%s is an image for %s", clean(ref), clean(target.Os))
	}
	return checks.Message{}
}

// headroom is what a limit has to leave above what is used now: on cgroup v2
// a lower one kills at once.
const headroom = 1.2

// tooSmall says which limit the container already exceeds, or nearly.
func (pl *planner) tooSmall() checks.Message {
	h, old, used := pl.d.want.Host, pl.w.inspect().HostConfig, pl.w.used
	if h.Memory != old.Memory && h.Memory > 0 && float64(h.Memory) < headroom*float64(used.memory) {
		return checks.Msg("it uses %s of memory right now: a limit of %s would get it killed", bytes(used.memory), bytes(h.Memory))
	}
	if n := pids(h); n != pids(old) && n > 0 && float64(n) < headroom*float64(used.pids) {
		return checks.Msg("it has %d threads right now: with a limit of %d the next ones would fail", used.pids, n)
	}
	if limit := int64(pl.w.info.NCPU) * 1e9; h.NanoCPUs != old.NanoCPUs && limit > 0 && h.NanoCPUs > limit {
		return checks.Msg("the engine has %d CPUs, which is less than asked for", pl.w.info.NCPU)
	}
	return checks.Message{}
}

// pids returns the limit of processes, 0 for none.
func pids(h *api.HostConfig) int64 {
	if h.PidsLimit == nil || *h.PidsLimit < 0 {
		return 0
	}
	return *h.PidsLimit
}

// fingerprint returns what identifies the settings of c: when it is the same,
// a plan made from c still holds.
func fingerprint(c *api.InspectResponse) string {
	linked, host := *c, *c.HostConfig
	host.Links = slices.Clone(host.Links)
	for i, l := range host.Links { // they follow a container that is put aside
		source, alias, _ := strings.Cut(l, ":")
		source, _, _ = strings.Cut(source, oldInfix)
		host.Links[i] = source + ":" + alias
	}
	linked.HostConfig = &host
	data, err := json.Marshal([]any{c.ID, c.Name, c.Image, created(&linked), c.State.Running})
	if err != nil {
		panic("fixes/container: fingerprint: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// away is what a recreation usually takes for a program that obeys its stop signal.
const away = 2 * time.Second
