package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ledger"
)

// # The way into quarantine
//
// The container is frozen first, if that is wanted, so that nothing in it can
// react; then it is kept from being started anew, because an engine gives a
// container that starts without a network its first one back; evidence is
// collected, and it leaves its networks. Without a pause the networks come
// before the evidence. The journal holds how it was connected.

// The stages of a quarantine.
const (
	freezing   stage = "pause"
	collecting stage = "evidence"
	isolating  stage = "isolate" // from one network
)

// Keys of the choices.
const (
	choicePause    = "pause"
	choiceEvidence = "evidence"
)

// A quarantineJournal is the way back from a quarantine.
type quarantineJournal struct {
	Tx        string            `json:"tx"`
	Container string            `json:"container"`
	Name      string            `json:"name"`
	Stage     stage             `json:"stage"`
	Pause     bool              `json:"pause"`
	Policy    api.RestartPolicy `json:"policy"`
	Networks  []remembered      `json:"networks"`
	Evidence  string            `json:"evidence"` // folder
}

// remembered is how a container was connected to a network.
type remembered struct {
	Network  string                    `json:"network"`
	Address  string                    `json:"address,omitempty"` // that it had, chosen by itself or not
	Settings *network.EndpointSettings `json:"settings"`
}

// A quarantineDetail is what applying the plan needs.
type quarantineDetail struct {
	j        quarantineJournal
	stages   []stage
	networks []string // of the stages that isolate, by stage
}

// planQuarantine plans to isolate a running container.
func (w *world) planQuarantine(request fixes.Request, evidence string) (*fixes.Plan, error) {
	c := w.inspect()
	pause, err := yesOrNo(request.Values, choicePause, "yes")
	if err != nil {
		return nil, err
	}
	if v, ok := request.Values[choiceEvidence]; ok {
		evidence = v
	}
	if err := absolute(evidence); err != nil {
		return nil, err
	}
	d := &quarantineDetail{j: quarantineJournal{Container: c.ID, Name: w.name(), Pause: pause, Policy: c.HostConfig.RestartPolicy, Evidence: evidence}}
	for _, name := range w.networksInOrder() {
		e := w.container.Settings.Networks[name]
		r := remembered{Network: name, Settings: w.request(name, e)}
		if e != nil && e.IPAddress.IsValid() {
			r.Address = e.IPAddress.String()
		}
		d.j.Networks = append(d.j.Networks, r)
	}
	pl := &planner{w: w, d: &detail{}, p: &fixes.Plan{
		Subject: w.container.Ref(), Mechanism: fixes.Quarantine, Fingerprint: fingerprint(c), Detail: d,
		Title: checks.Msg("Quarantine %s", clean(w.name())),
		Choices: []fixes.Choice{
			{Choice: checks.Choice{Key: choicePause, Label: checks.Msg("pause it"), Why: checks.Msg("what is frozen cannot react, and keeps its memory"), Default: "yes", Options: []string{"yes", "no"}}, Value: yesNo(pause)},
			{Choice: checks.Choice{Key: choiceEvidence, Label: checks.Msg("folder for the evidence"), Why: checks.Msg("only you may read it"), Default: evidence, Valid: absolute}, Value: evidence},
		},
	}}
	pl.quarantineSteps(d)
	pl.p.Blocked = w.notIsolated(pause)
	return pl.p, nil
}

func yesOrNo(values checks.Values, key, otherwise string) (bool, error) {
	v, ok := values[key]
	if !ok {
		v = otherwise
	}
	if v != "yes" && v != "no" {
		return false, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s=%s: use yes or no", key, clean(v)))
	}
	return v == "yes", nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func absolute(folder string) error {
	if !filepath.IsAbs(folder) || filepath.Clean(folder) != folder {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("folder for evidence %q: give an absolute path", clean(folder)))
	}
	return nil
}

// networksInOrder returns the networks of the container that it can leave, that
// of its creation first: it is the first to come back.
func (w *world) networksInOrder() []string {
	var names []string
	for _, name := range sortedKeys(w.container.Settings.Networks) {
		switch mode := w.inspect().HostConfig.NetworkMode; {
		case name == network.NetworkHost || name == network.NetworkNone || mode.IsContainer():
		case name == string(mode) || mode.IsDefault() && name == network.NetworkBridge:
			names = slices.Insert(names, 0, name)
		default:
			names = append(names, name)
		}
	}
	return names
}

// notIsolated says why the container cannot be isolated this way.
func (w *world) notIsolated(pause bool) checks.Message {
	mode := w.inspect().HostConfig.NetworkMode
	switch why := w.foreign(); {
	case !why.IsZero():
		return why
	case !w.inspect().State.Running:
		return checks.Msg("%s does not run: there is nothing to isolate", clean(w.name()))
	case (mode.IsHost() || mode.IsContainer()) && !pause:
		return checks.Msg("%s uses the network of the host or of another container, which it cannot leave: only a pause isolates it", clean(w.name()))
	}
	return checks.Message{}
}

func (pl *planner) quarantineSteps(d *quarantineDetail) {
	name := pl.w.name()
	add := func(s stage, op, target, network string, why checks.Message, command ...string) {
		pl.step(s, op, target, why, command...)
		d.networks = append(d.networks, network)
	}
	if d.j.Pause {
		add(freezing, "pause", name, "", checks.Msg("nothing in it can react any more"), "docker", "pause", name)
	}
	if !d.j.Policy.IsNone() {
		add(disarming, "update", name, "", checks.Msg("a restart would connect it again"), "docker", "update", "--restart", "no", name)
	}
	evidence := func() {
		add(collecting, "evidence", d.j.Evidence, "", checks.Msg("keep what it is, what runs in it, what it changed, what it said and what happened; secrets masked"))
	}
	if d.j.Pause {
		evidence()
	}
	for _, n := range d.j.Networks {
		add(isolating, "disconnect", n.Network, n.Network, checks.Msg("nobody reaches it any more, and it reaches nobody"), "docker", "network", "disconnect", n.Network, name)
	}
	if !d.j.Pause {
		evidence()
	}
	add(reading, "verify", name, "", checks.Msg("that it is really cut off"), "docker", "inspect", name)
	d.stages = pl.d.stages
	note := func(m checks.Message) { pl.p.Notes = append(pl.p.Notes, m) }
	note(checks.Msg("what uses it fails until it is back"))
	if mode := pl.w.inspect().HostConfig.NetworkMode; mode.IsHost() || mode.IsContainer() {
		note(checks.Msg("it uses the network of the host or of another container, which it cannot leave: the pause alone isolates it"))
	}
	note(checks.Msg("undo connects it again with its fixed addresses and aliases; an address that the engine chose may be another then"))
	note(checks.Msg("afterwards create it anew from its image, with other secrets: undo brings back what was quarantined"))
}

func (m *Mechanic) applyQuarantine(ctx context.Context, tx string, plan *fixes.Plan, d *quarantineDetail, record fixer.Record, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	now, err := m.unchanged(ctx, d.j.Container, plan.Fingerprint)
	if err != nil {
		return nil, err
	}
	if now.State.Paused { // taking it back would thaw what somebody else froze
		return nil, fixes.ErrChanged
	}
	j, began := d.j, m.o.Now()
	j.Tx, j.Evidence = tx, filepath.Join(d.j.Evidence, d.j.Name+"-"+tx)
	var proof []checks.Message
	for i, s := range d.stages {
		j.Stage = s
		err := record(i, j)
		if err == nil {
			progress(fixes.Progress{Step: i, Message: plan.Steps[i].Why, Ratio: -1})
			var said checks.Message
			if said, err = m.quarantineStep(ctx, s, j, d.networks[i]); !said.IsZero() {
				proof = append(proof, said)
			}
		}
		if err != nil {
			progress(fixes.Progress{Step: i, Message: checks.Msg("it failed: everything is put back"), Ratio: -1, Undoing: true})
			return nil, errors.Join(err, m.release(context.WithoutCancel(ctx), j, nil))
		}
	}
	return &fixes.Receipt{Proof: proof, Left: plan.Leaves, Took: m.o.Now().Sub(began)}, nil
}

func (m *Mechanic) quarantineStep(ctx context.Context, s stage, j quarantineJournal, from string) (said checks.Message, err error) {
	switch s {
	case freezing:
		_, err = m.engine.ContainerPause(ctx, j.Container, client.ContainerPauseOptions{})
	case disarming:
		err = m.restartPolicy(ctx, j.Container, api.RestartPolicy{Name: api.RestartPolicyDisabled})
	case collecting:
		return m.collect(ctx, j), nil // what is missing is named; it is no reason to let the container go
	case isolating:
		_, err = m.engine.NetworkDisconnect(ctx, from, client.NetworkDisconnectOptions{Container: j.Container, Force: true})
	case reading:
		return m.isolated(ctx, j)
	}
	if err != nil {
		return said, fmt.Errorf("%s: %w", s, err)
	}
	return said, nil
}

// isolated fails unless the container is cut off.
func (m *Mechanic) isolated(ctx context.Context, j quarantineJournal) (checks.Message, error) {
	c, err := m.inspect(ctx, j.Container)
	if err != nil {
		return checks.Message{}, err
	}
	for name := range c.NetworkSettings.Networks { // also those that somebody else connects what starts
		if name != network.NetworkHost && name != network.NetworkNone {
			return checks.Message{}, failed("it is still connected to %s", clean(name))
		}
	}
	if p := c.HostConfig.RestartPolicy; !p.IsNone() {
		return checks.Message{}, failed("its restart policy is %s", clean(string(p.Name)))
	}
	if j.Pause && !c.State.Paused {
		return checks.Message{}, failed("it was told to pause and runs")
	}
	return checks.Msg("read back: no network is left of %d, paused: %s", len(j.Networks), yesNo(c.State.Paused)), nil
}

// release takes a quarantine back, as far as it got. It can be repeated.
func (m *Mechanic) release(ctx context.Context, j quarantineJournal, moved func(network, before, now string)) error {
	c, err := m.inspect(ctx, j.Container)
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("the container %s is gone: %w", short(j.Container), fixes.ErrBroken)
	}
	if err != nil {
		return errors.Join(fixes.ErrBroken, err)
	}
	var failures []error
	for _, n := range j.Networks {
		if _, there := c.NetworkSettings.Networks[n.Network]; there {
			continue
		}
		if _, err := m.engine.NetworkConnect(ctx, n.Network, client.NetworkConnectOptions{Container: j.Container, EndpointConfig: n.Settings}); err != nil {
			failures = append(failures, fmt.Errorf("connect to %s again: %w", clean(n.Network), err))
		}
	}
	if !j.Policy.IsNone() && !samePolicy(c.HostConfig.RestartPolicy, j.Policy) {
		if err := m.restartPolicy(ctx, j.Container, j.Policy); err != nil {
			failures = append(failures, err)
		}
	}
	if j.Pause && c.State.Paused {
		if _, err := m.engine.ContainerUnpause(ctx, j.Container, client.ContainerUnpauseOptions{}); err != nil {
			failures = append(failures, fmt.Errorf("unpause: %w", err))
		}
	}
	if len(failures) > 0 {
		return errors.Join(append([]error{fixes.ErrBroken}, failures...)...)
	}
	if c, err = m.inspect(ctx, j.Container); err != nil || moved == nil {
		return err
	}
	for _, n := range j.Networks {
		if e := c.NetworkSettings.Networks[n.Network]; e != nil && e.IPAddress.IsValid() && e.IPAddress.String() != n.Address && n.Address != "" {
			moved(n.Network, n.Address, e.IPAddress.String())
		}
	}
	return nil
}

func (m *Mechanic) restartPolicy(ctx context.Context, id string, p api.RestartPolicy) error {
	if _, err := m.engine.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &p}); err != nil {
		return fmt.Errorf("restart policy: %w", err)
	}
	return nil
}

// undoQuarantine lets the container go.
func (m *Mechanic) undoQuarantine(ctx context.Context, j quarantineJournal, progress func(fixes.Progress)) error {
	progress(fixes.Progress{Message: checks.Msg("connecting it again"), Ratio: -1, Undoing: true})
	return m.release(ctx, j, func(network, before, now string) {
		progress(fixes.Progress{Message: checks.Msg("in %s it has the address %s now, before it was %s", clean(network), now, before), Ratio: 1, Undoing: true})
	})
}

// canUndoQuarantine returns why a container cannot be let go now, or nil.
func (m *Mechanic) canUndoQuarantine(ctx context.Context, j quarantineJournal) error {
	c, err := m.find(ctx, j.Container)
	switch {
	case err != nil:
		return err
	case c == nil:
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("the container %s was removed", short(j.Container)))
	}
	return nil
}

// recoverQuarantine ends a quarantine that a crash interrupted.
func (m *Mechanic) recoverQuarantine(ctx context.Context, j quarantineJournal, finish bool, progress func(fixes.Progress)) (ledger.State, error) {
	if finish {
		for _, s := range []stage{freezing, disarming, isolating} {
			if err := m.finishQuarantine(ctx, s, j); err != nil {
				return "", err
			}
		}
		m.collect(ctx, j)
		if _, err := m.isolated(ctx, j); err == nil {
			return ledger.Applied, nil
		}
	}
	if err := m.undoQuarantine(ctx, j, progress); err != nil {
		return ledger.Broken, err
	}
	return ledger.RolledBack, nil
}

// finishQuarantine does what is left of a stage.
func (m *Mechanic) finishQuarantine(ctx context.Context, s stage, j quarantineJournal) error {
	c, err := m.inspect(ctx, j.Container)
	if err != nil {
		return err
	}
	switch {
	case s == freezing && (!j.Pause || c.State.Paused), s == disarming && c.HostConfig.RestartPolicy.IsNone():
		return nil
	case s != isolating:
		_, err = m.quarantineStep(ctx, s, j, "")
		return err
	}
	for _, n := range j.Networks {
		if _, still := c.NetworkSettings.Networks[n.Network]; still {
			if _, err := m.quarantineStep(ctx, isolating, j, n.Network); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeQuarantine returns the journal of a quarantine.
func decodeQuarantine(entry ledger.Entry) (quarantineJournal, error) {
	var j quarantineJournal
	if err := json.Unmarshal(entry.Inverse, &j); err != nil {
		return j, fmt.Errorf("ledger entry %s: %w", entry.ID, err)
	}
	if j.Tx != entry.ID || j.Container == "" {
		return j, fmt.Errorf("ledger entry %s is not the journal of a quarantine", entry.ID)
	}
	return j, nil
}
