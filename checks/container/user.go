package container

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var runsAsRoot = configRule(checks.Check{
	ID:       "container-runs-as-root",
	Title:    "Runs as root",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.1 (v1.6.0)", "OWASP Docker rule 2", "CWE-250"},
}, func(c *Container, config *container.Config, report func(checks.Finding)) {
	user, known := c.user()
	if !known || c.windows() || !checks.IsRoot(user, c.Passwd) {
		return
	}
	f := c.found(setting{"Config.User", []string{"user"}}, strconv.Quote(user), checks.Msg("%s runs as root", c.Settings.Name))
	if config.User == "" && c.Image != nil {
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "image config", Detail: "User " + strconv.Quote(user)})
	}
	if left, p := c.leftRoot(); left {
		f.Severity = checks.Low
		f.Message = checks.Msg("%s starts as root before it switches to another user", c.Settings.Name)
		f.Evidence = append(f.Evidence, topEvidence(p))
	} else if how := c.dropsPrivileges(); how != "" && len(c.Processes) == 0 {
		f.Severity = checks.Low
		f.Message = checks.Msg("%s starts as root before it switches to another user", c.Settings.Name)
		f.Evidence = append(f.Evidence, checks.Evidence{Source: how, Detail: "switches to another user at the start"})
	}
	f.Fixes = []checks.Fix{runAsUser(c)}
	report(f)
})

// leftRoot reports whether nothing in c was seen to run as root any more, and
// a process that shows it.
func (c *Container) leftRoot() (bool, Process) {
	if !c.running() || len(c.Processes) == 0 || !c.numbered() {
		return false, Process{}
	}
	entered := c.entered(c.Processes)
	if slices.ContainsFunc(c.Processes, func(p Process) bool { return p.UID == 0 && !entered(p) }) {
		return false, Process{}
	}
	return true, c.Processes[0]
}

// user returns what decides the user of the first process. It is not known for
// a service that leaves it to an image that is not here.
func (c *Container) user() (user string, known bool) {
	if c.Settings.Config.User != "" {
		return c.Settings.Config.User, true
	}
	if c.Image != nil && c.Image.Config != nil {
		return c.Image.Config.User, true
	}
	return "", c.Inspect != nil
}

// runAsUser changes the user the first process runs as.
func runAsUser(c *Container) checks.Fix {
	user, why := "1000:1000", checks.Message{}
	if name, id, ok := firstAccount(c.Passwd); ok {
		user, why = id, checks.Msg("the image has an account %s with these ids", name)
	}
	return checks.Fix{
		ID:      "user",
		Title:   checks.Msg("run as another user"),
		Caution: c.withoutRoot(),
		Choices: []checks.Choice{{
			Key:     "user",
			Label:   checks.Msg("user and group to run as, in numbers"),
			Why:     why,
			Default: user,
			Valid:   validUser,
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			if err := validUser(values["user"]); err != nil {
				return err
			}
			s.Config.User = values["user"]
			return nil
		},
	}
}

// withoutRoot says what another user than root can no longer do.
func (c *Container) withoutRoot() checks.Message {
	var roots []string
	for _, m := range c.mounts() {
		place := c.Places[m.target]
		for _, below := range place.Roots {
			roots = append(roots, path.Join(m.target, below))
		}
		if more := place.RootCount - len(place.Roots); more > 0 {
			roots = append(roots, fmt.Sprintf("%s (+%d)", m.target, more))
		}
	}
	caution := checks.Msg("files that belong to root can no longer be written, in volumes too")
	if len(roots) > 0 {
		caution = checks.Msg("files that belong to root can no longer be written, such as %s: hand them over first", strings.Join(roots, ", "))
	}
	if port := c.lowPortOfHost(); port != "" {
		caution = checks.Msg("%s; in the network of the host only root opens port %s: let it listen on one from 1024 on", caution, port)
	}
	return caution
}

// lowPortOfHost returns a port below 1024 that c opens in the network of the host,
// where, unlike in one of its own, only root may; "" for none.
func (c *Container) lowPortOfHost() string {
	if c.Settings.Host == nil || !c.Settings.Host.NetworkMode.IsHost() {
		return ""
	}
	for _, port := range c.Listens() {
		if port.Num() < 1024 {
			return port.String()
		}
	}
	return ""
}

// validUser wants numbers because an engine cannot start a name that the image
// does not have, and a group because it is root's otherwise.
func validUser(value string) error {
	uid, gid, ok := strings.Cut(value, ":")
	if !ok {
		return refuse(checks.Msg("%s: give user and group as two numbers, such as 1000:1000", value))
	}
	u, userErr := strconv.ParseUint(uid, 10, 31)
	_, groupErr := strconv.ParseUint(gid, 10, 31)
	switch {
	case userErr != nil:
		return refuse(checks.Msg("%s is not a user id: give a number, such as 1000", uid))
	case groupErr != nil:
		return refuse(checks.Msg("%s is not a group id: give a number, such as 1000", gid))
	case u == 0:
		return refuse(checks.Msg("%s is root itself", value))
	}
	return nil
}

const (
	firstPersonID = 1000  // where distributions start to number people and services of their images
	nobodyID      = 65534 // owns nothing on purpose
)

// firstAccount returns the first account of passwd that was made for a program
// or a person rather than by the distribution.
func firstAccount(passwd []byte) (name, id string, ok bool) {
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 4 {
			continue
		}
		uid, err := strconv.Atoi(fields[2])
		if err != nil || uid < firstPersonID || uid >= nobodyID || validUser(fields[2]+":"+fields[3]) != nil {
			continue
		}
		return fields[0], fields[2] + ":" + fields[3], true
	}
	return "", "", false
}

// steppers are programs that start as root and continue as another user.
var steppers = []string{"gosu", "su-exec", "setpriv", "runuser", "chpst", "s6-setuidgid"}

// dropsPrivileges returns where it shows that the program of c leaves root by
// itself, "" where it does not show.
func (c *Container) dropsPrivileges() string {
	config := c.Settings.Config
	for _, arg := range append(append([]string{}, config.Entrypoint...), config.Cmd...) {
		for _, word := range strings.Fields(arg) {
			for _, s := range steppers {
				if word == s || strings.HasSuffix(word, "/"+s) {
					return s
				}
			}
		}
	}
	environments := [][]string{config.Env}
	if c.Image != nil && c.Image.Config != nil {
		environments = append(environments, c.Image.Config.Env)
	}
	for _, env := range environments {
		for _, v := range env {
			if name, _, _ := strings.Cut(v, "="); name == "GOSU_VERSION" {
				return name
			}
		}
	}
	return ""
}
