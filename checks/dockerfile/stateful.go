package dockerfile

import (
	"path"
	"slices"
	"strings"

	"plimsoll/checks"
)

var statefulServiceAsRoot = check(checks.Check{
	ID:       "stateful-service-as-root",
	Title:    "Service with data runs as root",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.1 (v1.6.0)", "CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	u := f.userOf(s)
	if u.in == nil && (u.known && !u.isRoot() || nonRootByName(parseReference(s.Root().Image))) || u.in != nil && (!u.isRoot() || u.unset != "") {
		return
	}
	base := parseReference(s.Root().Image)
	if f.dropsPrivileges(s) != "" || startsAsRoot[base.official()] || base.official() == "php" && !strings.Contains(base.tag, "cli") && (strings.Contains(base.tag, "fpm") || strings.Contains(base.tag, "apache")) {
		return // leaves root by itself
	}
	var in *Instruction
	var dirs []string
	for _, stage := range s.Chain() {
		for _, other := range stage.Instructions {
			if other.Keyword != "VOLUME" {
				continue
			}
			if in == nil {
				in = other
			}
			for _, dir := range other.operands() {
				if dir = path.Clean(strings.Trim(dir, `"'`)); !slices.Contains(dirs, dir) && !sensitiveVolume(dir) && !engineSocket(dir) {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	if in == nil || len(dirs) == 0 {
		return
	}
	finding := f.finding(in, "", checks.Msg("the service keeps its data in %s and runs as root, so its files on the host are root's", strings.Join(dirs, ", ")))
	f.offerUser(&finding, s, u)
	finding.Severity = 0
	f.ownDirs(&finding, s, in, dirs)
	report(finding)
})

// ownDirs makes the fix of finding give dirs to the new user, where a step can
// do that: a volume that starts empty takes the owner of what is there.
func (f *File) ownDirs(finding *checks.Finding, s *Stage, volume *Instruction, dirs []string) {
	if len(finding.Fixes) != 1 {
		return
	}
	user := f.userAt(volume)
	if !f.hasShellTools(s) || volume.Stage != s || user.in != nil && !user.isRoot() {
		finding.Fixes = nil
		return
	}
	for _, dir := range dirs {
		if !strings.HasPrefix(dir, "/") || strings.ContainsAny(dir, "$ \t\"'\\;&|<>(){}*?[]#~`!") || sensitiveVolume(dir) {
			finding.Fixes = nil
			return
		}
	}
	fix := &finding.Fixes[0]
	fix.ID, fix.Title = "nonroot-service", checks.Msg("run as a user without privileges who owns the data")
	inner := fix.Edit
	fix.Edit = func(v checks.Values) ([]checks.Edit, error) {
		edits, err := inner(v)
		if err != nil {
			return nil, err
		}
		list := strings.Join(dirs, " ")
		own := "mkdir -p " + list + " && chown -R " + v["user"] + " " + list
		reason := checks.Msg("a new volume begins with what is in the image, owner included")
		if i := slices.Index(s.Instructions, volume); i > 0 && s.Instructions[i-1].Keyword == "RUN" {
			if edit, ok := f.appendEdit(s.Instructions[i-1], own, reason); ok {
				return append(edits, edit), nil
			}
		}
		return append(edits, f.insertBefore(volume, "RUN "+own, reason)), nil
	}
}

// hasShellTools reports whether RUN works in s, as a step of the file shows, or
// the distribution that s begins with.
func (f *File) hasShellTools(s *Stage) bool {
	if linuxOnly[parseReference(s.Root().Image).official()] {
		return true
	}
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword == "RUN" && !in.IsExec && in.posix {
				return true
			}
		}
	}
	return false
}
