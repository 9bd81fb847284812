package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/checks"
	"plimsoll/fixes/private"
)

// A shelter is the private file of a secret that left the environment of a
// container. The value is not noted: the original has it.
type shelter struct {
	Path     string `json:"path"`
	Variable string `json:"variable"`
}

// mountSecrets chooses a file for each secret that a fix has taken out of the
// environment, and mounts it.
func (w *world) mountSecrets(want *checks.Settings) {
	for i := range want.Secrets {
		s := &want.Secrets[i]
		if s.Path != "" {
			continue
		}
		s.Path = filepath.Join(w.secrets, short(w.inspect().ID)+"-"+s.Name)
		want.Host.Mounts = append(want.Host.Mounts, mount.Mount{Type: mount.TypeBind, Source: s.Path, Target: s.Target, ReadOnly: true})
	}
}

// unmountable says why a file with a secret cannot be mounted.
func (pl *planner) unmountable() checks.Message {
	secrets := pl.d.want.Secrets
	if len(secrets) == 0 {
		return checks.Message{}
	}
	if !filepath.IsAbs(pl.w.secrets) {
		return checks.Msg("there is no private place for secrets")
	}
	if !pl.w.local() {
		return checks.Msg("the engine does not see the files of this machine: run plimsoll where the engine runs")
	}
	taken := map[string]bool{}
	for _, m := range pl.w.inspect().Mounts {
		taken[m.Destination] = true
	}
	for _, s := range secrets {
		if taken[s.Target] {
			return checks.Msg("something is mounted at %s already: give the secret another name", clean(s.Target))
		}
		taken[s.Target] = true
	}
	return checks.Message{}
}

// keepSecret writes the file that this step names.
func (t *transaction) keepSecret() error {
	for _, s := range t.d.want.Secrets {
		if clean(s.Path) != t.plan.Steps[t.step].Target {
			continue
		}
		dir := private.Dir{Path: filepath.Dir(s.Path)}
		err := dir.Create(filepath.Base(s.Path), []byte(s.Value.Reveal()))
		if errors.Is(err, fs.ErrExist) {
			t.j.Secrets = slices.DeleteFunc(t.j.Secrets, func(k shelter) bool { return k.Path == s.Path }) // not ours
			return errdefs.ErrAlreadyExists.WithMessage(fmt.Sprintf("%s exists already and is not overwritten: give the secret another name", clean(s.Path)))
		}
		if err == nil && s.Readable {
			err = os.Chmod(s.Path, 0o644) // its directory lets nobody in
		}
		if err != nil {
			return fmt.Errorf("keep the secret %s: %w", clean(s.Name), err)
		}
	}
	return nil
}

// dropSecrets removes the files of secrets that are back in the environment of
// the original, unless they hold something else by now.
func (m *Mechanic) dropSecrets(ctx context.Context, j *journal) {
	if len(j.Secrets) == 0 {
		return
	}
	old, err := m.find(ctx, j.Old)
	if err != nil || old == nil {
		return
	}
	for _, s := range j.Secrets {
		dir, name := private.Dir{Path: filepath.Dir(s.Path)}, filepath.Base(s.Path)
		if held, err := dir.Read(name); err == nil && slices.Contains(old.Config.Env, s.Variable+"="+string(held)) {
			_ = dir.Remove(name) // it stays private otherwise
		}
	}
}

// secretsGone proves that the replacement shows no secret that was moved, and
// says what is left to a person.
func (t *transaction) secretsGone(now *api.InspectResponse) (proof, reminders []checks.Message, err error) {
	for _, s := range t.d.want.Secrets {
		if slices.Contains(now.Config.Env, s.Variable+"="+s.Value.Reveal()) {
			return nil, nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("the engine still shows the value of %s", clean(s.Variable)))
		}
		proof = append(proof,
			checks.Msg("docker inspect no longer shows the value of %s", clean(s.Variable)),
			checks.Msg("the secret %s is in %s, for you alone", clean(s.Name), clean(s.Path)))
		reminders = append(reminders, checks.Msg("the old value of %s is still in the kept original, and known to whoever inspected it: replace it at its issuer", clean(s.Variable)))
	}
	return proof, reminders, nil
}
