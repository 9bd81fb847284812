package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var copyRootOwnedAfterUser = check(checks.Check{
	ID:       "copy-root-owned-after-user",
	Title:    "Files copied after USER belong to root",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-732"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || in.Stage == nil || in.Stage.windows || !f.Shipped(in.Stage) || in.user == nil {
			continue
		}
		// What comes from another stage keeps its owner.
		if len(in.Flag("chown")) > 0 || len(in.Flag("from")) > 0 || len(in.operands()) < 2 {
			continue
		}
		u := f.resolveUser(in.user)
		if !u.known || u.isRoot() || u.unset != "" {
			continue
		}
		words := in.operands()
		finding := f.finding(in, in.Stage.label()+"/"+words[len(words)-1], checks.Msg("%s ignores USER: %s will belong to root, and %s cannot change it", in.Keyword, words[len(words)-1], u.written()))
		finding.Evidence = append(finding.Evidence, f.lineEvidence(in.user, in.user.Line))
		if owner := u.written(); validOwner(owner) {
			at := in.Args.Offset(0)
			finding.Fixes = []checks.Fix{{
				ID: "chown", Title: checks.Msg("give the files to %s", owner),
				Caution: checks.Msg("right for files that the program writes; code is safer when it cannot change itself"),
				Edit:    fixed(checks.Edit{Start: at, End: at, New: "--chown=" + owner + " ", Reason: checks.Msg("COPY and ADD write as root whatever USER says")}),
			}}
		}
		report(finding)
	}
})

func validOwner(owner string) bool {
	return owner != "" && !strings.ContainsAny(owner, " \t\"'\\`#,") && !strings.HasPrefix(owner, "-")
}

var copyCodeOwnedByRuntimeUser = check(checks.Check{
	ID:       "copy-code-owned-by-runtime-user",
	Title:    "Program files that the program can change",
	Severity: checks.Info,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-732"},
}, func(f *File, report func(checks.Finding)) {
	final := f.Final()
	if final == nil || final.windows {
		return
	}
	runtime := f.userOf(final)
	if runtime.isRoot() || runtime.in == nil && !runtime.known {
		// Who it should run as, and will once that is fixed.
		runtime.name, _ = f.suggestUser(final)
	} else if !runtime.known {
		return
	}
	for _, in := range f.Instructions {
		if in.Keyword != "COPY" && in.Keyword != "ADD" || !f.Shipped(in.Stage) || len(in.operands()) < 2 {
			continue
		}
		// After USER everything else that is made is the user's too.
		if u := f.userAt(in); u.known && !u.isRoot() {
			continue
		}
		flag, ok := chownFlag(in)
		if !ok {
			continue
		}
		owner, _ := f.expand(flag.Value, f.variablesAt(in))
		name, _, _ := strings.Cut(owner, ":")
		runs, _, _ := strings.Cut(runtime.name, ":")
		words := in.operands()
		destination := words[len(words)-1]
		if name == "" || f.number(final, name) != f.number(final, runs) || f.holdsData(destination) {
			continue
		}
		finding := f.findingAt(in, flag.Start, flag.End, in.Stage.label()+"/"+destination, checks.Msg("%s gives %s to %s: a program that runs as this user can rewrite itself", in.Keyword, destination, name))
		finding.Fixes = []checks.Fix{{
			ID: "root-owned", Title: checks.Msg("leave the files to root"),
			Caution: checks.Msg("folders that the program writes to need their own owner: start the new image and try it"),
			Edit:    fixed(in.dropFlag(flag, checks.Msg("the program can read its files but not change them"))),
		}}
		report(finding)
	}
})

// number returns the uid of a user of s, or the name where that is not known.
func (f *File) number(s *Stage, user string) string {
	if uid, _ := f.uidOfUser(s, user); uid != "" {
		return uid
	}
	return user
}

func chownFlag(in *Instruction) (Flag, bool) {
	for _, flag := range in.Flags {
		if flag.Name == "chown" {
			return flag, true
		}
	}
	return Flag{}, false
}

// holdsData reports whether dir is by its name, or by a VOLUME, where a
// program keeps what it writes.
func (f *File) holdsData(dir string) bool {
	switch path.Base(strings.TrimSuffix(dir, "/")) {
	case "data", "uploads", "upload", "cache", "logs", "log", "tmp", "storage", "db", "spool", "media":
		return true
	}
	if strings.HasPrefix(dir, "/var/lib/") || strings.HasPrefix(dir, "/var/cache/") || strings.HasPrefix(dir, "/var/log/") || strings.HasPrefix(dir, "/tmp/") {
		return true
	}
	for _, in := range f.Instructions {
		if in.Keyword == "VOLUME" {
			for _, v := range in.operands() {
				if path.Clean(v) == path.Clean(dir) || strings.HasPrefix(path.Clean(dir), path.Clean(v)+"/") {
					return true
				}
			}
		}
	}
	return false
}
