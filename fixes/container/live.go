package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// liveFields are those that the engine's update call really changes while the
// container runs. It accepts others, and ignores them.
var liveFields = map[string]bool{
	"HostConfig.BlkioWeight": true, "HostConfig.CpuPeriod": true, "HostConfig.CpuQuota": true,
	"HostConfig.CpuShares": true, "HostConfig.CpusetCpus": true, "HostConfig.CpusetMems": true,
	"HostConfig.Memory": true, "HostConfig.MemoryReservation": true, "HostConfig.MemorySwap": true,
	"HostConfig.NanoCpus": true, "HostConfig.PidsLimit": true,
	"HostConfig.RestartPolicy.Name": true, "HostConfig.RestartPolicy.MaximumRetryCount": true,
}

// live reports whether the engine can make the whole change without a restart.
func (pl *planner) live() bool {
	moves := false
	for _, f := range pl.fields {
		switch {
		case liveFields[f]:
			if pl.emptied(f) {
				return false // 0 means no change to the engine: a limit cannot be taken away live
			}
		case f == "HostConfig.NetworkMode" || strings.HasPrefix(f, "Networks."):
			moves = true
		default:
			return false
		}
	}
	if !moves {
		return true
	}
	_, ok := pl.moveOffBridge()
	return ok
}

// emptied reports whether a field that had a limit loses it.
func (pl *planner) emptied(field string) bool {
	if strings.HasPrefix(field, "HostConfig.RestartPolicy") || field == "HostConfig.PidsLimit" {
		return false
	}
	return viewOf(pl.d.want)[field] == ""
}

// moveOffBridge returns the network that the container moves to, if that is
// all that happens to its networks: from the default bridge to one other.
func (pl *planner) moveOffBridge() (string, bool) {
	before, after := pl.w.container.Settings.Networks, pl.d.want.Networks
	if _, on := before[network.NetworkBridge]; !on || len(pl.w.inspect().HostConfig.Links) > 0 {
		return "", false
	}
	if _, still := after[network.NetworkBridge]; still || len(after) != len(before) {
		return "", false
	}
	to := ""
	for name := range after {
		if _, was := before[name]; !was {
			to = name
		}
	}
	return to, to != "" && string(pl.d.want.Host.NetworkMode) == to
}

// incapable says which limit the engine cannot set.
func (pl *planner) incapable() checks.Message {
	old, want, info := limitsOf(pl.w.inspect().HostConfig), limitsOf(pl.d.want.Host), pl.w.info
	var cannot []string
	if old.Memory != want.Memory && !info.MemoryLimit {
		cannot = append(cannot, "memory")
	}
	if (old.NanoCPUs != want.NanoCPUs || old.CPUQuota != want.CPUQuota) && !info.CPUCfsQuota {
		cannot = append(cannot, "cpus")
	}
	if old.Pids != want.Pids && !info.PidsLimit {
		cannot = append(cannot, "pids")
	}
	if len(cannot) == 0 {
		return checks.Message{}
	}
	return checks.Msg("the kernel of this engine cannot limit: %s", strings.Join(cannot, ", "))
}

func (pl *planner) liveSteps() {
	name := pl.w.name()
	old, want := limitsOf(pl.w.inspect().HostConfig), limitsOf(pl.d.want.Host)
	if old != want {
		pl.step(updating, "update", name, checks.Msg("set the limits of the running container, no restart"), updateCommand(name, old.request(want))...)
	}
	if to, ok := pl.moveOffBridge(); ok {
		if pl.newNetwork() != "" {
			pl.step(networking, "network", to, checks.Msg("make the network that the container moves to"), "docker", "network", "create", to)
		}
		e := pl.w.request(to, pl.d.want.Networks[to])
		pl.step(joining, "connect", to, checks.Msg("connect it while it runs"), connectCommand(endpoint{to, e}, name)...)
		pl.step(leaving, "disconnect", network.NetworkBridge, checks.Msg("cut it off from all other containers of the default bridge"), "docker", "network", "disconnect", network.NetworkBridge, name)
	}
	pl.step(reading, "verify", name, checks.Msg("engines accept some values and ignore them"), "docker", "inspect", name)
}

func updateCommand(name string, o client.ContainerUpdateOptions) []string {
	a := &arguments{"docker", "update"}
	h := api.HostConfig{Resources: *o.Resources}
	if p := h.PidsLimit; p != nil && *p == 0 {
		unlimited := int64(-1)
		h.PidsLimit = &unlimited
	}
	a.limits(&h)
	policy := restart(*o.RestartPolicy)
	if policy == "" {
		policy = string(api.RestartPolicyDisabled)
	}
	a.add("--restart", policy, name)
	return *a
}

func (pl *planner) liveNotes() {
	note := func(m checks.Message) { pl.p.Notes = append(pl.p.Notes, m) }
	old, want := limitsOf(pl.w.inspect().HostConfig), limitsOf(pl.d.want.Host)
	if _, exact := want.restorable(old, pl.w.info.MemTotal, pl.w.info.NCPU); !exact {
		note(checks.Msg("a first limit cannot be taken away from a running container: undo raises it to all that the machine has"))
	}
	if project := pl.w.ownLabels()[composeProject]; project != "" {
		note(checks.Msg("docker compose manages it: the change lasts until the next docker compose up, set %s in the compose file to keep it", composeKeys(pl.fields)))
	}
	if to, ok := pl.moveOffBridge(); ok {
		note(checks.Msg("it gets another address, and connections over the default bridge are cut"))
		if pl.w.randomPorts() {
			note(checks.Msg("its published ports without a number get other ones"))
		}
		_ = to
	}
}

// A liveJournal is the way back from a live change.
type liveJournal struct {
	Tx        string `json:"tx"`
	Container string `json:"container"`
	Stage     stage  `json:"stage"`
	Old       limits `json:"old"`
	New       limits `json:"new"`
	Network   string `json:"network,omitempty"` // moved to, from the default bridge
}

func (m *Mechanic) applyLive(ctx context.Context, tx string, plan *fixes.Plan, d *detail, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	w := d.world
	before, err := m.unchanged(ctx, w.inspect().ID, plan.Fingerprint)
	if err != nil {
		return nil, err
	}
	j := liveJournal{Tx: tx, Container: before.ID, Old: limitsOf(before.HostConfig), New: limitsOf(d.want.Host)}
	if to, ok := (&planner{w: w, d: d}).moveOffBridge(); ok {
		j.Network = to
	}
	began := m.o.Now()
	var warnings []string
	for i, s := range d.stages {
		j.Stage = s
		if err = record(i, j); err == nil {
			progress(fixes.Progress{Step: i, Message: plan.Steps[i].Why, Ratio: -1})
			var said []string
			said, err = m.liveStep(ctx, s, j, w.request(j.Network, d.want.Networks[j.Network]))
			warnings = append(warnings, said...)
		}
		if err != nil {
			progress(fixes.Progress{Step: i, Message: checks.Msg("it failed: everything is put back"), Ratio: -1, Undoing: true})
			_, back := m.revertLive(context.WithoutCancel(ctx), j)
			return nil, errors.Join(err, back)
		}
	}
	after, err := m.inspect(context.WithoutCancel(ctx), j.Container)
	if err != nil {
		_, back := m.revertLive(context.WithoutCancel(ctx), j)
		return nil, errors.Join(err, back)
	}
	return &fixes.Receipt{
		Proof: m.liveProof(j, before, after, warnings), Cured: plan.Cures, Left: plan.Leaves, Took: m.o.Now().Sub(began),
	}, nil
}

func (m *Mechanic) liveStep(ctx context.Context, s stage, j liveJournal, e *network.EndpointSettings) (warnings []string, err error) {
	switch s {
	case updating:
		result, err := m.engine.ContainerUpdate(ctx, j.Container, j.Old.request(j.New))
		if err != nil {
			return nil, fmt.Errorf("update: %w", err)
		}
		return result.Warnings, nil
	case networking:
		return m.createNetwork(ctx, j.Network, j.Tx)
	case joining:
		_, err = m.engine.NetworkConnect(ctx, j.Network, client.NetworkConnectOptions{Container: j.Container, EndpointConfig: e})
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	case leaving:
		_, err = m.engine.NetworkDisconnect(ctx, network.NetworkBridge, client.NetworkDisconnectOptions{Container: j.Container})
		if err != nil {
			return nil, fmt.Errorf("disconnect: %w", err)
		}
	case reading:
		return nil, m.readBack(ctx, j)
	}
	return nil, nil
}

// readBack fails when the engine made something else of what it accepted.
func (m *Mechanic) readBack(ctx context.Context, j liveJournal) error {
	c, err := m.inspect(ctx, j.Container)
	if err != nil {
		return err
	}
	info, err := m.engineInfo(ctx)
	if err != nil {
		return err
	}
	if ignored := limitsOf(c.HostConfig).ignored(j.New, info.SwapLimit); len(ignored) > 0 {
		return errdefs.ErrFailedPrecondition.WithMessage("the engine accepted the limits but did not set them: " + strings.Join(ignored, "; "))
	}
	if j.Network != "" {
		_, joined := c.NetworkSettings.Networks[j.Network]
		_, still := c.NetworkSettings.Networks[network.NetworkBridge]
		if !joined || still {
			return errdefs.ErrFailedPrecondition.WithMessage("the networks are not what they were changed to")
		}
	}
	return nil
}

func (m *Mechanic) liveProof(j liveJournal, before, after *api.InspectResponse, warnings []string) []checks.Message {
	proof := []checks.Message{checks.Msg("the container is the same: %s, not restarted", short(after.ID))}
	if before.State.StartedAt != after.State.StartedAt {
		proof = []checks.Message{checks.Msg("the container is the same: %s, but it was restarted meanwhile by something else", short(after.ID))}
	}
	l := limitsOf(after.HostConfig)
	if l.Memory != j.Old.Memory || l.MemorySwap != j.Old.MemorySwap {
		proof = append(proof, checks.Msg("read back: memory %s, with swap %s", shown("HostConfig.Memory", fmt.Sprint(l.Memory)), shown("HostConfig.MemorySwap", fmt.Sprint(l.MemorySwap))))
	}
	if l.NanoCPUs != j.Old.NanoCPUs {
		proof = append(proof, checks.Msg("read back: %s", shown("HostConfig.NanoCpus", fmt.Sprint(l.NanoCPUs))))
	}
	if l.CPUQuota != j.Old.CPUQuota {
		proof = append(proof, checks.Msg("read back: a CPU quota of %d per %d", l.CPUQuota, l.CPUPeriod))
	}
	if l.Pids != j.Old.Pids {
		proof = append(proof, checks.Msg("read back: at most %d processes", l.Pids))
	}
	if l.Restart != j.Old.Restart {
		proof = append(proof, checks.Msg("read back: restart policy %s", restart(l.Restart)))
	}
	if j.Network != "" {
		proof = append(proof, checks.Msg("it is in the network %s and no longer on the default bridge", clean(j.Network)))
	}
	for _, w := range warnings {
		proof = append(proof, checks.Msg("the engine says: %s", clean(w)))
	}
	return proof
}

// revertLive puts back what a live change has changed, as far as it got. It
// can be repeated. It reports whether all is exactly as before.
func (m *Mechanic) revertLive(ctx context.Context, j liveJournal) (exact bool, err error) {
	c, err := m.inspect(ctx, j.Container)
	if errdefs.IsNotFound(err) {
		return false, fmt.Errorf("the container %s is gone: %w", short(j.Container), fixes.ErrBroken)
	}
	if err != nil {
		return false, errors.Join(fixes.ErrBroken, err)
	}
	if exact, err = m.revertLimits(ctx, j, c); err != nil {
		return false, errors.Join(fixes.ErrBroken, err)
	}
	if err := m.revertNetwork(ctx, j, c); err != nil {
		return false, errors.Join(fixes.ErrBroken, err)
	}
	return exact, nil
}

func (m *Mechanic) revertLimits(ctx context.Context, j liveJournal, c *api.InspectResponse) (exact bool, err error) {
	now := limitsOf(c.HostConfig)
	if now == j.Old {
		return true, nil
	}
	info, err := m.engineInfo(ctx)
	if err != nil {
		return false, err
	}
	to, exact := now.restorable(j.Old, info.MemTotal, info.NCPU)
	if _, err := m.engine.ContainerUpdate(ctx, j.Container, now.request(to)); err != nil {
		return false, fmt.Errorf("put the limits back: %w", err)
	}
	return exact, nil
}

func (m *Mechanic) revertNetwork(ctx context.Context, j liveJournal, c *api.InspectResponse) error {
	if j.Network == "" || j.Stage == updating {
		return nil
	}
	if c.NetworkSettings == nil || c.NetworkSettings.Networks[network.NetworkBridge] == nil {
		_, err := m.engine.NetworkConnect(ctx, network.NetworkBridge, client.NetworkConnectOptions{Container: j.Container})
		if err != nil {
			return fmt.Errorf("connect to the default bridge again: %w", err)
		}
	}
	if c.NetworkSettings != nil && c.NetworkSettings.Networks[j.Network] != nil {
		_, err := m.engine.NetworkDisconnect(ctx, j.Network, client.NetworkDisconnectOptions{Container: j.Container})
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("disconnect from %s: %w", clean(j.Network), err)
		}
	}
	m.removeNetwork(ctx, j.Tx)
	return nil
}

// recoverLive ends a live change that a crash interrupted.
func (m *Mechanic) recoverLive(ctx context.Context, j liveJournal, finish bool, progress func(fixes.Progress)) (ledger.State, error) {
	if finish {
		if err := m.readBack(ctx, j); err == nil {
			return ledger.Applied, nil
		}
	}
	return m.undoLive(ctx, j, progress)
}

func (m *Mechanic) undoLive(ctx context.Context, j liveJournal, progress func(fixes.Progress)) (ledger.State, error) {
	exact, err := m.revertLive(ctx, j)
	if err != nil {
		return ledger.Broken, err
	}
	if !exact {
		progress(fixes.Progress{Message: checks.Msg("a first limit cannot be taken away from a running container: it was raised to all that the machine has"), Ratio: 1, Undoing: true})
	}
	return ledger.RolledBack, nil
}

// decodeLive returns the journal of a live change.
func decodeLive(entry ledger.Entry) (liveJournal, error) {
	var j liveJournal
	if err := json.Unmarshal(entry.Inverse, &j); err != nil {
		return j, fmt.Errorf("ledger entry %s: %w", entry.ID, err)
	}
	if j.Tx != entry.ID || j.Container == "" {
		return j, fmt.Errorf("ledger entry %s is not the journal of a live change", entry.ID)
	}
	return j, nil
}
