package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"plimsoll/checks"
	"plimsoll/fixes/private"
)

// placeBeside finds the file of the project for a secret that what runs reads.
// It writes nothing, and never chooses a file that exists.
func (p *patch) placeBeside(project *project, s checks.MovedSecret) (deposit, error) {
	d := deposit{MovedSecret: s, file: filepath.Clean(s.Path)}
	if !filepath.IsLocal(d.file) {
		return d, refuse(checks.Msg("%s is outside of the project: nothing there is changed", s.Path))
	}
	if _, err := project.root.Lstat(d.file); err == nil {
		return d, refuse(checks.Msg("%s exists already and is not overwritten: give the secret another name", s.Path))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	dir := filepath.Dir(d.file)
	info, err := project.root.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.makes = true
	case err != nil:
		return d, err
	case !info.IsDir():
		return d, refuse(checks.Msg("%s is not a directory, where the secret is to be kept", dir))
	case !mayOwn(info):
		return d, refuse(checks.Msg("%s belongs to another user: run plimsoll as its owner", dir))
	case s.Readable && info.Mode().Perm()&0o011 != 0:
		return d, refuse(checks.Msg("others may enter %s, and the program has to read the secret as a user of its own: chmod 700 it first", dir))
	}
	return d, nil
}

// keep puts the secret of d where it belongs.
func (p *patch) keep(project *project, d deposit, inv inverse) error {
	if d.Path == "" {
		return p.vault.keep(d.file, d.Value.Reveal())
	}
	at := slices.IndexFunc(inv.Kept, func(k kept) bool { return k.Name == d.file })
	dir := filepath.Dir(d.file)
	switch err := project.root.Mkdir(dir, 0o700); {
	case err == nil:
		if os.Geteuid() == 0 {
			if err := project.root.Chown(dir, p.owner.UID, p.owner.GID); err != nil {
				return err
			}
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	mode := fs.FileMode(0o600)
	if d.Readable {
		mode = 0o644
	}
	temp := inv.Kept[at].Temp
	if err := project.prepare(temp, []byte(d.Value.Reveal()), attributes{Mode: mode, UID: p.owner.UID, GID: p.owner.GID}); err != nil {
		return err
	}
	if err := project.put(temp, identity{Name: d.file}); err != nil {
		return errors.Join(err, project.discard(temp))
	}
	return project.sync(dir)
}

// takeBack removes the secrets that were put into the project, but for those
// that somebody has changed since, which it returns.
func (inv *inverse) takeBack(project *project) (changed []string) {
	vault := private.Dir{Path: inv.Vault}
	for _, k := range inv.Kept {
		data, now, err := project.read(k.Name)
		if err == nil && !now.Exists {
			continue
		}
		was, failed := vault.Read(k.Private)
		if err != nil || failed != nil || string(was) != string(data) || project.remove(now) != nil {
			changed = append(changed, k.Name)
		}
	}
	for _, k := range inv.Kept {
		if k.Made {
			_ = project.root.Remove(filepath.Dir(k.Name)) // unless something is left in it
		}
	}
	return changed
}
