package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/private"
)

// placeBeside finds the file of the project for a secret that what runs reads.
// It writes nothing, and never chooses a file that exists.
func (p *patch) placeBeside(project *project, s checks.MovedSecret) (deposit, error) {
	d := deposit{MovedSecret: s, file: filepath.Clean(s.Path)}
	if !filepath.IsLocal(d.file) {
		return d, refuse(checks.Msg("%s is outside of the project: nothing there is changed", s.Path))
	}
	if slices.ContainsFunc(p.deposits, func(other deposit) bool { return other.Path != "" && other.file == d.file }) {
		return d, refuse(checks.Msg("two secrets would be in %s: give one of them another name", s.Path))
	}
	if _, err := project.root.Lstat(d.file); err == nil {
		return d, refuse(checks.Msg("%s exists already and is not overwritten: give the secret another name", s.Path))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	dir := filepath.Dir(d.file)
	info, err := project.root.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.makes = true
		return d, nil
	}
	if err != nil {
		return d, err
	}
	return d, fitFor(s, dir, info)
}

// fitFor fails unless dir, which is as info says, can keep the secret s.
func fitFor(s checks.MovedSecret, dir string, info fs.FileInfo) error {
	switch {
	case !info.IsDir():
		return refuse(checks.Msg("%s is not a directory, where the secret is to be kept", dir))
	case !mayOwn(info):
		return refuse(checks.Msg("%s belongs to another user: run plimsoll as its owner", dir))
	case s.Readable && info.Mode().Perm()&0o011 != 0:
		return refuse(checks.Msg("others may enter %s, and the program has to read the secret as a user of its own: chmod 700 it first", dir))
	}
	return nil
}

// placed fails unless what was found for the deposits when they were planned is
// still so.
func (p *patch) placed(project *project) error {
	again := patch{}
	for _, d := range p.deposits {
		if d.Path == "" {
			continue
		}
		now, err := again.placeBeside(project, d.MovedSecret)
		if err != nil {
			return err
		}
		if now != d {
			return fmt.Errorf("%s: %w", terminal.Line(filepath.Dir(d.file)), fixes.ErrChanged)
		}
	}
	return nil
}

// keep puts the secret of d where it belongs.
func (p *patch) keep(project *project, d deposit, inv inverse) error {
	if d.Path == "" {
		return p.vault.keep(d.file, d.Value.Reveal())
	}
	at := slices.IndexFunc(inv.Kept, func(k kept) bool { return k.Name == d.file })
	dir := filepath.Dir(d.file)
	if err := p.makeDir(project, d, inv.Kept, at); err != nil {
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

// makeDir makes the directory of d, which is number at of all that are kept, or
// finds it as it was when that was planned.
func (p *patch) makeDir(project *project, d deposit, all []kept, at int) error {
	dir := filepath.Dir(d.file)
	within := func(k kept) bool { return filepath.Dir(k.Name) == dir }
	if d.makes && slices.IndexFunc(all, within) == at {
		if err := project.root.Mkdir(dir, 0o700); err != nil {
			for i := range all { // somebody else did
				all[i].Made = all[i].Made && !within(all[i])
			}
			if errors.Is(err, fs.ErrExist) {
				err = fmt.Errorf("%s: %w", terminal.Line(dir), fixes.ErrChanged)
			}
			return err
		}
		if os.Geteuid() == 0 {
			if err := project.root.Chown(dir, p.owner.UID, p.owner.GID); err != nil {
				return err
			}
		}
	}
	info, err := project.root.Lstat(dir)
	if err != nil {
		return err
	}
	return fitFor(d.MovedSecret, dir, info)
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
		if info, err := project.root.Lstat(filepath.Dir(k.Name)); err == nil && k.Made && info.IsDir() {
			_ = project.root.Remove(filepath.Dir(k.Name)) // unless something is left in it
		}
	}
	return changed
}
