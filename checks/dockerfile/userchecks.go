package dockerfile

import (
	"slices"
	"strconv"
	"strings"

	"plimsoll/checks"
)

var userCreatedNotUsed = check(checks.Check{
	ID:       "user-created-not-used",
	Title:    "User created but never used",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.1 (v1.6.0)", "CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	u := f.userOf(s)
	if u.in == nil && (u.known && !u.isRoot() || nonRootByName(parseReference(s.Root().Image))) || u.in != nil && !u.isRoot() {
		return
	}
	if severity, _ := f.leavesRoot(s); severity != 0 {
		return // so the account may be what it leaves root for
	}
	for _, a := range f.accounts(s) {
		// dockremap owns user namespaces: nobody is meant to run as it.
		if a.name == "" || a.name == "root" || a.name == "dockremap" || a.uid == "0" || f.startMentions(s, a.name) || f.logsIn(s, a.name) {
			continue
		}
		finding := f.findingAt(a.in, a.start, a.end, a.name, checks.Msg("the user %s is created, but no USER makes the container run as it", a.name))
		f.offerUser(&finding, s, u)
		report(finding)
		return
	}
})

// startMentions reports whether what s starts with names the user.
func (f *File) startMentions(s *Stage, name string) bool {
	for _, keyword := range []string{"CMD", "ENTRYPOINT"} {
		in := lastOf(s, keyword)
		if in == nil {
			continue
		}
		for _, w := range strings.FieldsFunc(in.Args.String, func(r rune) bool { return strings.ContainsRune(" \t\"'[],;", r) }) {
			if w == name || strings.HasSuffix(w, "="+name) || strings.HasPrefix(w, name+":") || w == "-u"+name {
				return true
			}
		}
	}
	return false
}

// doors are words without which nothing lets people log in with a password.
var doors = [...]string{"ssh", "dropbear", "ftp", "telnet", "rdp", "vnc", "samba", "dovecot", "rstudio"}

// logsIn reports whether a step of s gives the user a password where something
// asks for it: the account is for people who log in, not for what the container
// starts with.
func (f *File) logsIn(s *Stage, name string) bool {
	open := false
	for _, stage := range s.Chain() {
		open = open || f.mentions(stage.From, doors[:]...) || slices.ContainsFunc(stage.Instructions, func(in *Instruction) bool { return f.mentions(in, doors[:]...) })
	}
	if !open {
		return false
	}
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword != "RUN" || !f.mentions(in, "passwd") {
				continue
			}
			for _, c := range f.script(in).commands {
				for _, w := range c.words {
					if text := strings.Trim(w.text, `"'`); strings.HasPrefix(text, name+":") && c.program() != "chown" || c.program() == "passwd" && text == name {
						return true
					}
				}
			}
		}
	}
	return false
}

// An account is a user that a RUN creates.
type account struct {
	in         *Instruction
	command    *command
	name, uid  string // uid is "" when the system chooses
	start, end int
}

// accounts returns the users that s creates, of the whole chain, in order.
func (f *File) accounts(s *Stage) []account {
	var out []account
	chain := s.Chain()
	slices.Reverse(chain)
	for _, stage := range chain {
		for _, in := range stage.Instructions {
			if in.Keyword != "RUN" || !f.mentions(in, "useradd", "adduser") {
				continue
			}
			for _, c := range f.script(in).commands {
				if c.program() == "useradd" || c.program() == "adduser" {
					if a, ok := accountOf(c); ok {
						a.in = in
						out = append(out, a)
					}
				}
			}
		}
	}
	return out
}

// accountOf returns the user that c, a useradd or an adduser, creates.
func accountOf(c *command) (account, bool) {
	a, operands, literal := readAccount(c)
	if !literal || len(operands) != 1 {
		return a, false // two are a user and a group to join
	}
	a.name = operands[0]
	if _, err := strconv.Atoi(a.uid); err != nil {
		a.uid = ""
	}
	return a, true
}

// readAccount reads the arguments of a useradd or an adduser. literal says that
// no word needs the shell to be known; those that do are left out.
func readAccount(c *command) (a account, operands []string, literal bool) {
	valued := "uhgsGk" // options of busybox's adduser that take a value
	if c.program() == "useradd" {
		valued = "bcdefgGkKpRPsuZ"
	}
	a, literal = account{command: c, start: c.words[c.at].start, end: c.words[len(c.words)-1].end}, true
	args := c.args()
	for i := 0; i < len(args); i++ {
		w := args[i].text
		if !args[i].literal {
			literal = false
			continue
		}
		if strings.HasPrefix(w, "--") {
			option, value, has := strings.Cut(w, "=")
			takes := strings.Contains(" --uid --shell --home --home-dir --gid --ingroup --groups --comment --gecos --base-dir --password --firstuid --lastuid --skel --expiredate --inactive --root ", " "+option+" ")
			if takes && !has && i+1 < len(args) {
				i++
				value = args[i].text
			}
			if option == "--uid" {
				a.uid = value
			}
			continue
		}
		if strings.HasPrefix(w, "-") && len(w) > 1 {
			last := w[len(w)-1]
			if strings.IndexByte(valued, last) >= 0 && i+1 < len(args) {
				i++
				if last == 'u' {
					a.uid = args[i].text
				}
			}
			continue
		}
		operands = append(operands, w)
	}
	return a, operands, literal
}

var userNotNumeric = check(checks.Check{
	ID:       "user-not-numeric",
	Title:    "User by name instead of number",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"hadolint DL3066"},
}, func(f *File, report func(checks.Finding)) {
	s := f.Final()
	if s == nil || s.windows {
		return
	}
	u := f.userOf(s)
	if u.in == nil || !u.known || u.isRoot() || u.unset != "" {
		return
	}
	name, group, grouped := strings.Cut(u.name, ":")
	if _, err := strconv.Atoi(name); err == nil || name == "" || strings.ContainsAny(name, "$ #") {
		return
	}
	finding := f.finding(u.in, "", checks.Msg("USER %s is a name: whoever starts the container cannot tell from it that it is not root", u.written()))
	if uid, from := f.uidOfUser(s, name); uid != "" && !strings.Contains(u.written(), "$") && u.in.Stage == s {
		finding.Evidence = append(finding.Evidence, checks.Evidence{Source: from, Detail: name + " = " + uid})
		number := uid
		if grouped {
			number = uid + ":" + f.gidOfGroup(s, group)
		}
		if !strings.HasSuffix(number, ":") && uid != "0" && (!grouped || len(f.groupsLost(u.in, name, group)) == 0) {
			start, end := u.in.Args.Range(0, len(u.in.Args.String))
			finding.Fixes = []checks.Fix{{
				ID: "numeric-user", Title: checks.Msg("write the number of the user"), Safe: true,
				Edit: fixed(checks.Edit{Start: start, End: end, New: number, Reason: checks.Msg("the same user, and everyone can see that it is not root")}),
			}}
		}
	} else if number, pin, ok := f.pinnedUser(s, name); ok && !grouped && !strings.Contains(u.written(), "$") && u.in.Stage == s {
		start, end := u.in.Args.Range(0, len(u.in.Args.String))
		finding.Fixes = []checks.Fix{{
			ID: "numeric-user", Title: checks.Msg("give the user a number and write it"),
			Caution: checks.Msg("files in volumes that belong to the user's old number have to be given to the new one"),
			Edit: fixed(pin,
				checks.Edit{Start: start, End: end, New: number, Reason: checks.Msg("the same user, and everyone can see that it is not root")}),
		}}
	}
	report(finding)
})

// uidOfUser returns the number of the user name in s, and where it is from.
func (f *File) uidOfUser(s *Stage, name string) (uid, from string) {
	accounts := f.accounts(s)
	for i := len(accounts) - 1; i >= 0; i-- {
		if a := accounts[i]; a.name == name {
			return a.uid, "line " + strconv.Itoa(a.in.Line)
		}
	}
	b, _ := f.base(s)
	if uid := uidOf(b.Passwd, name); uid != "" {
		return uid, "image " + s.Root().Image
	}
	r := parseReference(s.Root().Image)
	switch {
	case name == "node" && r.official() == "node":
		return "1000", "image " + s.Root().Image
	case name == "nonroot" && strings.HasPrefix(r.name, "gcr.io/distroless/"):
		return "65532", "image " + s.Root().Image
	}
	return "", ""
}

// pinnedUser returns a number for a user that s creates without one, and the
// edit that makes it the user's.
func (f *File) pinnedUser(s *Stage, name string) (number string, pin checks.Edit, ok bool) {
	accounts := f.accounts(s)
	number, _, _ = strings.Cut(unprivileged, ":")
	for i := len(accounts) - 1; i >= 0; i-- {
		a := accounts[i]
		if a.uid == number || a.name == name && a.uid != "" {
			return "", pin, false
		}
		if a.name != name || !a.command.exact {
			continue
		}
		option := " --uid "
		if a.command.program() == "useradd" {
			option = " -u "
		}
		at := a.command.words[a.command.at].end
		return number, checks.Edit{Start: at, End: at, New: option + number, Reason: checks.Msg("a number that stays the same whatever else is installed")}, true
	}
	return "", pin, false
}

// numbered returns the number by which a USER should name user, and the edit
// that makes it so where that needs one; a free number where none is known.
func (f *File) numbered(s *Stage, user string) (number string, pin []checks.Edit, same bool) {
	name, group, grouped := strings.Cut(user, ":")
	if _, err := strconv.Atoi(name); err == nil {
		return user, nil, true
	}
	if uid, _ := f.uidOfUser(s, name); uid != "" {
		if gid := f.gidOfGroup(s, group); grouped && gid != "" {
			uid += ":" + gid
		}
		return uid, nil, true
	}
	if number, edit, ok := f.pinnedUser(s, name); ok {
		return number, []checks.Edit{edit}, true
	}
	return unprivileged, nil, false
}

// gidOfGroup returns the number of a group that s creates, "" when unknown.
func (f *File) gidOfGroup(s *Stage, group string) string {
	if _, err := strconv.Atoi(group); err == nil {
		return group
	}
	for _, stage := range s.Chain() {
		for _, in := range stage.Instructions {
			if in.Keyword != "RUN" || !f.mentions(in, "groupadd", "addgroup") {
				continue
			}
			for _, c := range f.script(in).commands {
				if p := c.program(); p != "groupadd" && p != "addgroup" {
					continue
				}
				gid, name := "", ""
				args := c.args()
				for i := 0; i < len(args); i++ {
					w := args[i].text
					value, long := strings.CutPrefix(w, "--gid=")
					switch {
					case long:
						gid = value
					case w == "--gid" || !strings.HasPrefix(w, "--") && strings.HasPrefix(w, "-") && strings.HasSuffix(w, "g"):
						if i++; i < len(args) {
							gid = args[i].text
						}
					case !strings.HasPrefix(w, "-"):
						name = w
					}
				}
				if _, err := strconv.Atoi(gid); err == nil && name == group {
					return gid
				}
			}
		}
	}
	return ""
}

var userUnknownInStage = check(checks.Check{
	ID:       "user-unknown-in-stage",
	Title:    "User name that the stage cannot know",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-250"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		if s.Root().Image != "scratch" || s.windows {
			continue
		}
		for _, in := range s.Instructions {
			var written string
			start, end := -1, -1
			switch in.Keyword {
			case "USER":
				written = in.Args.String
				if written != "" {
					start, end = in.Args.Range(0, len(written))
				}
			case "COPY", "ADD":
				for _, flag := range in.Flags {
					if flag.Name == "chown" {
						written, start, end = flag.Value, flag.Start, flag.End
					}
				}
			}
			if unknown := f.unknownName(in, written); unknown != "" {
				finding := f.findingAt(in, start, end, s.label()+"/"+in.Keyword+"/"+written, checks.Msg("%s is a name, and nothing in the stage says who that is: it has no /etc/passwd", unknown))
				if number := f.numberOf(written); number != "" {
					text := number
					if in.Keyword != "USER" {
						text = "--chown=" + number
					}
					choice := s.choice("uid")
					finding.Fixes = []checks.Fix{{
						ID: "numeric-user", Title: checks.Msg("write a number instead of the name"),
						Caution: checks.Msg("files that the program writes must belong to that number"),
						Choices: []checks.Choice{{
							Key: choice, Label: checks.Msg("user to run as"), Default: number, Valid: validNumber,
							Why: checks.Msg("a number needs no /etc/passwd"),
						}},
						Edit: func(v checks.Values) ([]checks.Edit, error) {
							if err := validNumber(v[choice]); err != nil {
								return nil, err
							}
							return []checks.Edit{{Start: start, End: end, New: strings.TrimSuffix(text, number) + v[choice], Reason: checks.Msg("a number needs no /etc/passwd")}}, nil
						},
					}}
				}
				report(finding)
			}
		}
	}
})

// unknownName returns what in user[:group] is a name that nothing before in
// brought into its stage, which began empty.
func (f *File) unknownName(in *Instruction, written string) string {
	if written == "" || strings.ContainsAny(written, "$\"'\\ #") {
		return ""
	}
	name, group, _ := strings.Cut(written, ":")
	if name == "root" || strings.Trim(name+group, "0123456789") == "" {
		return ""
	}
	if strings.Trim(name, "0123456789") == "" {
		name = group
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other == in {
				break
			}
			if f.mayBringPasswd(other) {
				return ""
			}
		}
	}
	return name
}

// mayBringPasswd reports whether in may put an /etc/passwd into its stage.
func (f *File) mayBringPasswd(in *Instruction) bool {
	switch in.Keyword {
	case "RUN":
		return true
	case "COPY", "ADD":
		words := in.operands()
		if len(words) == 0 {
			return false
		}
		last := strings.Trim(words[len(words)-1], `"'`)
		if last == "/" || last == "." || last == "./" || strings.Contains(last, "etc") || strings.Contains(last, "$") {
			// Single files in the root directory bring nothing with them.
			for _, source := range in.sources() {
				if name := source[strings.LastIndexByte(strings.TrimSuffix(source, "/"), '/')+1:]; in.Keyword == "ADD" && isArchive(source) || strings.Contains(source, "passwd") ||
					strings.HasSuffix(source, "/") || strings.HasSuffix(source, ".") || strings.ContainsAny(name, "*$") || strings.Contains(last, "etc") || strings.Contains(last, "$") || !strings.Contains(name, ".") && len(in.Flag("from")) > 0 {
					return true
				}
			}
		}
	}
	return false
}

// operands returns the words of in in either form.
func (in *Instruction) operands() []string {
	if in.IsExec {
		return in.Exec
	}
	var out []string
	for _, w := range in.Words() {
		out = append(out, w.Text)
	}
	return out
}

// numberOf returns numbers for user[:group]: those of an earlier stage that
// creates the user, else what the name means everywhere, else a free one.
func (f *File) numberOf(written string) string {
	name, _, _ := strings.Cut(written, ":")
	for _, s := range f.Stages {
		for _, a := range f.accounts(s) {
			if a.name == name && a.uid != "" {
				return a.uid + ":" + a.uid
			}
		}
	}
	switch name {
	case "nobody":
		return "65534:65534"
	case "nonroot":
		return "65532:65532"
	}
	return unprivileged
}

func validNumber(user string) error {
	if err := validUser(user); err != nil {
		return err
	}
	if strings.Trim(user, "0123456789:") != "" || strings.Count(user, ":") > 1 || strings.HasPrefix(user, ":") || strings.HasSuffix(user, ":") {
		return &checks.Problem{What: checks.Msg("without /etc/passwd only numbers work, such as %s", unprivileged)}
	}
	return nil
}

var userDropsGroups = check(checks.Check{
	ID:       "user-drops-supplementary-groups",
	Title:    "USER with a group drops all other groups",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-266"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		for _, in := range s.Instructions {
			if in.Keyword != "USER" || s.windows || strings.ContainsAny(in.Args.String, "$\"' ") {
				continue
			}
			name, group, ok := strings.Cut(in.Args.String, ":")
			if !ok || name == "" || name == "root" || name == "0" {
				continue
			}
			lost := f.groupsLost(in, name, group)
			if len(lost) == 0 {
				continue
			}
			finding := f.finding(in, s.label()+"/"+in.Args.String, checks.Msg("USER %s leaves %s out of the group %s, which was given to it", in.Args.String, name, strings.Join(lost, ", ")))
			// The number at once, which another check asks for.
			number, edits, same := f.numbered(s, name)
			if !same {
				number, edits = name, nil
			}
			start, end := in.Args.Range(0, len(in.Args.String))
			finding.Fixes = []checks.Fix{{
				ID: "drop-group", Title: checks.Msg("leave the group to /etc/passwd and /etc/group"),
				Caution: checks.Msg("new files then belong to the user's own group instead of %s", group),
				Edit: fixed(append(edits, checks.Edit{
					Start: start, End: end, New: number, Reason: checks.Msg("without a group here the user is in all of its groups"),
				})...),
			}}
			report(finding)
		}
	}
})

// groupsLost returns the groups of the user that the USER in leaves it out of
// by naming one.
func (f *File) groupsLost(in *Instruction, name, group string) []string {
	var lost []string
	for _, g := range f.groupsGranted(in, name) {
		if g != group && !slices.Contains(lost, g) {
			lost = append(lost, g)
		}
	}
	return lost
}

// groupsGranted returns the groups that steps before in put the user into.
func (f *File) groupsGranted(in *Instruction, user string) []string {
	var out []string
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other == in {
				break
			}
			if other.Keyword != "RUN" || !f.mentions(other, "useradd", "usermod", "adduser", "addgroup", "gpasswd") {
				continue
			}
			for _, c := range f.script(other).commands {
				out = append(out, groupsGivenBy(c, user)...)
			}
		}
	}
	return out
}

func groupsGivenBy(c *command, user string) []string {
	var groups, operands []string
	program := c.program()
	args := c.args()
	for i := 0; i < len(args); i++ {
		w := args[i].text
		if !args[i].literal {
			return nil
		}
		value, long := strings.CutPrefix(w, "--groups=")
		switch {
		case long:
			groups = strings.Split(value, ",")
		case w == "--groups" || (program == "useradd" || program == "usermod") && !strings.HasPrefix(w, "--") && strings.HasPrefix(w, "-") && strings.HasSuffix(w, "G"):
			if i++; i < len(args) {
				groups = strings.Split(args[i].text, ",")
			}
		case strings.HasPrefix(w, "--"):
		case strings.HasPrefix(w, "-"):
			valued := "bcdefgkKpRPsuZ"
			if program == "adduser" || program == "addgroup" {
				valued = "uhgsGk"
			}
			if program != "gpasswd" && strings.IndexByte(valued, w[len(w)-1]) >= 0 {
				i++
			}
		default:
			operands = append(operands, w)
		}
	}
	switch program {
	case "useradd", "usermod":
		if len(operands) == 1 && operands[0] == user {
			return groups
		}
	case "adduser", "addgroup":
		if len(operands) == 2 && operands[0] == user {
			return operands[1:]
		}
	case "gpasswd":
		if len(operands) == 2 && operands[0] == user && len(args) > 0 && args[0].text == "-a" {
			return operands[1:]
		}
	}
	return nil
}
