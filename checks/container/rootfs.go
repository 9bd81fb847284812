package container

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var rootfsWritable = hostRule(checks.Check{
	ID:       "container-rootfs-writable",
	Title:    "Root file system is writable",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 5.13 (v1.6.0)", "OWASP Docker rule 8"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.ReadonlyRootfs || c.windows() {
		return
	}
	f := c.found(setting{"HostConfig.ReadonlyRootfs", []string{"read_only"}}, "false",
		checks.Msg("an intruder can change the programs of %s", c.Settings.Name))
	f.Fixes = []checks.Fix{readOnlyRoot(c)}
	report(f)
})

// readOnlyRoot makes the root file system read-only but for temporary folders.
func readOnlyRoot(c *Container) checks.Fix {
	folders, kept := c.temporaryFolders()
	why := checks.Msg("what programs expect to be writable; it was not observed which folders this one uses")
	switch {
	case c.Changed != nil && len(folders) > 0:
		why = checks.Msg("it wrote to these folders, which the image left empty")
	case c.Changed != nil:
		why = checks.Msg("it wrote to no such folder so far")
	}
	caution := checks.Msg("writing elsewhere fails; what lies in temporary folders is lost at every stop")
	if len(kept) > 0 {
		caution = checks.Msg("it also wrote to %s, where files of the image lie: give these folders a volume first", strings.Join(kept, ", "))
	}
	return checks.Fix{
		ID:      "read-only",
		Title:   checks.Msg("make the root file system read-only"),
		Caution: caution,
		Choices: []checks.Choice{{
			Key:     "tmpfs",
			Label:   checks.Msg("folders that stay writable, in memory"),
			Why:     why,
			Default: strings.Join(folders, ","),
			Valid: func(value string) error {
				_, err := parseFolders(value)
				return err
			},
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			folders, err := parseFolders(values["tmpfs"])
			if err != nil {
				return err
			}
			taken := (&Container{Settings: *s, Inspect: c.Inspect}).mounts()
			s.Host.ReadonlyRootfs = true
			for _, folder := range folders {
				if _, ok := s.Host.Tmpfs[folder]; ok || slices.ContainsFunc(taken, func(m hostMount) bool { return path.Clean(m.target) == folder }) {
					continue
				}
				if s.Host.Tmpfs == nil {
					s.Host.Tmpfs = map[string]string{}
				}
				s.Host.Tmpfs[folder] = c.temporaryOptions(folder)
			}
			return nil
		},
	}
}

// emptyFolders are those that images keep for files of running programs. A
// file system put over them hides nothing that is needed.
var emptyFolders = []string{"/tmp", "/run", "/var/tmp", "/var/run", "/var/lock", "/run/lock"}

// temporaryFolders proposes folders to keep writable from what c wrote, and
// returns those where that is not possible because a file system put over them
// would hide files of the image.
func (c *Container) temporaryFolders() (folders, kept []string) {
	if c.Changed == nil {
		return []string{"/run", "/tmp"}, nil
	}
	mounts := c.mounts()
	created := map[string]bool{}
	for _, change := range c.Changed {
		if change.Kind == container.ChangeAdd {
			created[path.Clean(change.Path)] = true
		}
	}
	parents := map[string]bool{}
	for _, change := range c.Changed {
		parents[path.Dir(path.Clean(change.Path))] = true
	}
	for _, change := range c.Changed {
		p := path.Clean(change.Path)
		if parents[p] || slices.ContainsFunc(mounts, func(m hostMount) bool { return within(p, path.Clean(m.target)) }) {
			continue // what was written below it decides, or it is no part of the root file system
		}
		if folder, ok := temporary(p, created); ok {
			folders = append(folders, folder)
		} else {
			kept = append(kept, path.Dir(p))
		}
	}
	return outermost(folders), outermost(kept)
}

// temporary returns the folder to put over p: an empty one of the image, or
// the highest one that did not exist in it.
func temporary(p string, created map[string]bool) (string, bool) {
	for _, folder := range emptyFolders {
		if within(p, folder) {
			return folder, true
		}
	}
	highest, ok := "", false
	for dir := path.Dir(p); dir != "/" && created[dir]; dir = path.Dir(dir) {
		highest, ok = dir, true
	}
	return highest, ok
}

// outermost returns dirs in order without those that lie in another one.
func outermost(dirs []string) []string {
	slices.Sort(dirs)
	var out []string
	for _, d := range dirs {
		if !slices.ContainsFunc(out, func(o string) bool { return within(d, o) }) {
			out = append(out, d)
		}
	}
	return out
}

// temporaryOptions gives the folder to the user of c: the engine would give it
// to root.
func (c *Container) temporaryOptions(folder string) string {
	options := "rw,nosuid,nodev,noexec,size=64m"
	if folder == "/tmp" || folder == "/var/tmp" || c.Settings.Config == nil {
		return options + ",mode=1777"
	}
	user, known := c.user()
	uid, ok := checks.UID(user, c.Passwd)
	switch {
	case !known || !ok:
		return options + ",mode=1777"
	case uid == 0:
		return options + ",mode=0755"
	}
	return fmt.Sprintf("%s,mode=0755,uid=%d", options, uid)
}

// parseFolders reads absolute paths separated by commas; none is fine.
func parseFolders(value string) ([]string, error) {
	var folders []string
	for _, f := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
		switch {
		case !path.IsAbs(f):
			return nil, refuse(checks.Msg("%s is not an absolute path", f))
		case strings.Contains(f, ":") || path.Clean(f) == "/":
			return nil, refuse(checks.Msg("%s cannot be kept in memory", f))
		}
		for _, system := range []string{"/dev", "/proc", "/sys"} {
			if within(path.Clean(f), system) {
				return nil, refuse(checks.Msg("%s belongs to the kernel", f))
			}
		}
		folders = append(folders, path.Clean(f))
	}
	return folders, nil
}
