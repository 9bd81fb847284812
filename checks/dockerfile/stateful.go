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
	if severity, _ := f.leavesRoot(s); severity != 0 {
		return
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
				if dir = path.Clean(strings.Trim(dir, `"'`)); !slices.Contains(dirs, dir) && holdsData(dir) && !f.givenAway(s, dir) {
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

// holdsData reports whether a volume at dir is for the data of a service: not
// for its configuration, for what lasts no longer than the container, or for a
// part of the system.
func holdsData(dir string) bool {
	for _, other := range []string{"/etc", "/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"} {
		if dir == other || strings.HasPrefix(dir, other+"/") {
			return false
		}
	}
	return !sensitiveVolume(dir) && !engineSocket(dir)
}

// givenAway reports whether a step makes dir somebody else's than root's, which
// a new volume there takes over.
func (f *File) givenAway(s *Stage, dir string) bool {
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			switch in.Keyword {
			case "COPY", "ADD":
				if owner := in.Flag("chown"); len(owner) == 1 && !rootOwner(owner[0]) {
					if _, dest, certain, _ := f.destination(in); certain && path.Clean(dest) == dir {
						return true
					}
				}
			case "RUN":
				if !f.mentions(in, "chown", "install") {
					continue
				}
				for _, c := range f.script(in).commands {
					if owner, targets := ownerGiven(c); owner != "" && !rootOwner(owner) && slices.ContainsFunc(targets, func(w shellWord) bool { return path.Clean(strings.Trim(w.text, `"'`)) == dir }) {
						return true
					}
				}
			}
		}
	}
	return false
}

// ownerGiven returns whom c, a chown or an install, gives its targets to.
func ownerGiven(c *command) (owner string, targets []shellWord) {
	args := c.args()
	switch c.program() {
	case "chown":
		for _, w := range args {
			switch {
			case strings.HasPrefix(w.text, "-"):
			case owner == "":
				owner = w.text
			default:
				targets = append(targets, w)
			}
		}
	case "install":
		for i := 0; i < len(args); i++ {
			w := args[i].text
			switch {
			case strings.HasPrefix(w, "--owner="):
				owner = strings.TrimPrefix(w, "--owner=")
			case strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.IndexByte("mogtS", w[len(w)-1]) >= 0 && i+1 < len(args):
				if i++; w[len(w)-1] == 'o' {
					owner = args[i].text
				}
			case !strings.HasPrefix(w, "-"):
				targets = append(targets, args[i])
			}
		}
	}
	return owner, targets
}

// rootOwner reports whether user[:group] is root by name or number.
func rootOwner(owner string) bool {
	name, _, _ := strings.Cut(strings.Trim(owner, `"'`), ":")
	return name == "" || name == "root" || strings.Trim(name, "0") == ""
}

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
