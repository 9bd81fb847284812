package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var volumeSensitivePath = check(checks.Check{
	ID:       "volume-sensitive-path",
	Title:    "Volume over a system folder",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"dockle DKL-DI-0002", "CWE-732"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "VOLUME" || in.Stage == nil || in.Stage.windows {
			continue
		}
		for _, dir := range in.operands() {
			if !sensitiveVolume(dir) {
				continue
			}
			finding := f.finding(in, dir, checks.Msg("VOLUME %s puts a part of the system where it outlives the container and can be shared", dir))
			finding.Fixes = f.dropVolumes(in, sensitiveVolume)
			report(finding)
		}
	}
})

// sensitiveVolume reports whether dir belongs to the system rather than to the
// service.
func sensitiveVolume(dir string) bool {
	dir = path.Clean(strings.Trim(dir, `"'`))
	switch dir {
	case "/", "/etc", "/root", "/boot", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/bin", "/dev", "/proc", "/sys", "/var", "/etc/ssl", "/etc/ssh", "/etc/passwd", "/etc/shadow", "/etc/sudoers", "/etc/sudoers.d", "/root/.ssh":
		return true
	}
	return strings.HasPrefix(dir, "/proc/") || strings.HasPrefix(dir, "/sys/") || strings.HasPrefix(dir, "/dev/") && !strings.HasPrefix(dir, "/dev/shm")
}

// dropVolumes takes the paths out of a VOLUME that unwanted names.
func (f *File) dropVolumes(in *Instruction, unwanted func(string) bool) []checks.Fix {
	if in.open {
		return nil
	}
	reason := checks.Msg("what is here stays part of the image")
	var kept []string
	paths := in.operands()
	for _, p := range paths {
		if !unwanted(p) {
			kept = append(kept, p)
		}
	}
	fix := checks.Fix{
		ID: "drop-volume", Title: checks.Msg("take the path out of VOLUME"),
		Caution: checks.Msg("what the program writes there goes away with the container"),
	}
	switch {
	case len(kept) == 0:
		fix.Edit = fixed(f.remove(in, reason))
	case in.IsExec:
		start, end := in.Args.Range(0, len(in.Args.String))
		fix.Edit = fixed(checks.Edit{Start: start, End: end, New: execForm(kept), Reason: reason})
	default:
		var edits []checks.Edit
		words := in.Words()
		for i, w := range words {
			if unwanted(w.Text) {
				edits = append(edits, removeWord(words, i, reason))
			}
		}
		fix.Edit = fixed(edits...)
	}
	return []checks.Fix{fix}
}
