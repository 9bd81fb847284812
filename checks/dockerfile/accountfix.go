package dockerfile

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"plimsoll/checks"
)

// offerAccount adds the alternative to create a user with a name, for programs
// that look themselves up: with the commands that the distribution has.
func (f *File) offerAccount(finding *checks.Finding, s *Stage, u user) {
	if len(finding.Fixes) != 1 || len(f.accounts(s)) > 0 {
		return
	}
	create := f.accountCommand(s)
	if name, _ := f.suggestUser(s); create == nil || name != unprivileged {
		return // there is a user already, or no way to make one
	}
	run, ok := f.runAsRoot(s, u)
	if !ok {
		return
	}
	edit, ok := f.userEdit(s, u)
	if !ok {
		return
	}
	finding.Fixes = append(finding.Fixes, checks.Fix{
		ID: "created-user", Title: checks.Msg("create a user without privileges and run as it"),
		Caution: checks.Msg("files that the program writes must belong to that user: start the new image and try it"),
		Choices: []checks.Choice{{
			Key: "user-name", Label: checks.Msg("name of the user"), Default: "app", Valid: validAccount,
			Why: checks.Msg("for programs that look up who they are, such as ssh, git and databases; its number is %s", unprivileged),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validAccount(v["user-name"]); err != nil {
				return nil, err
			}
			return []checks.Edit{run(create(v["user-name"])), edit(unprivileged)}, nil
		},
	})
}

// accountCommand returns the command that creates a user in s; nil where no
// tool for it is known to be there, so that only a number works.
func (f *File) accountCommand(s *Stage) func(name string) string {
	uid, gid, _ := strings.Cut(unprivileged, ":")
	shadow := func(name string) string {
		return "groupadd --system --gid " + gid + " " + name + " && useradd --system --uid " + uid + " --gid " + name + " --no-create-home --shell /usr/sbin/nologin " + name
	}
	busybox := func(name string) string {
		return "addgroup -S -g " + gid + " " + name + " && adduser -S -D -H -u " + uid + " -G " + name + " -s /bin/false " + name
	}
	image := s.Root().Image
	r := parseReference(image)
	switch {
	case f.installed(s, "shadow") || f.installed(s, "shadow-utils"):
		return shadow
	case r.official() == "busybox" || alpineFamily(image) || f.calls(s, "apk"):
		return busybox
	case debianFamily(image) || f.calls(s, "apt-get") || slices.Contains(withShadow, r.official()) && !strings.Contains(r.tag, "minimal"):
		return shadow
	}
	return nil
}

// withShadow are distributions of RPM whose images have useradd; those of
// Amazon, and all called minimal, have not.
var withShadow = []string{"fedora", "rockylinux", "almalinux", "centos", "oraclelinux"}

// calls reports whether a step of s calls the program.
func (f *File) calls(s *Stage, program string) bool {
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword == "RUN" && f.mentions(in, program) && slices.ContainsFunc(f.script(in).commands, func(c *command) bool { return c.program() == program }) {
				return true
			}
		}
	}
	return false
}

// runAsRoot returns how a command gets into s where root still is the user: at
// the end of the step above the place where the user changes, or as a new one.
func (f *File) runAsRoot(s *Stage, u user) (func(command string) checks.Edit, bool) {
	reason := checks.Msg("the user, with its name in /etc/passwd")
	above := s.tail()
	if u.in != nil && u.in.Stage == s && !buildsAfter(s, u.in) {
		if before := f.userAt(u.in); before.known && !before.isRoot() {
			return nil, false
		}
		above = s.From
		if i := slices.Index(s.Instructions, u.in); i > 0 {
			above = s.Instructions[i-1]
		}
	}
	if above.Keyword == "RUN" {
		if _, ok := f.appendEdit(above, "true", reason); !ok {
			return nil, false
		}
		return func(command string) checks.Edit {
			edit, _ := f.appendEdit(above, command, reason)
			return edit
		}, true
	}
	if _, ok := f.insertAfter(above, "", reason); !ok {
		return nil, false
	}
	return func(command string) checks.Edit {
		edit, _ := f.insertAfter(above, "RUN "+command, reason)
		return edit
	}, true
}

// accountName matches what useradd and adduser take everywhere.
var accountName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`) })

func validAccount(name string) error {
	if !accountName().MatchString(name) || name == "root" {
		return &checks.Problem{What: checks.Msg("a name of lower-case letters, digits, - and _, and not root")}
	}
	return nil
}
