package scanner

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/docker/go-units"

	"plimsoll/checks"
	"plimsoll/checks/program"
)

// A cause is why a scanner found nothing, where that is known.
type cause int

const (
	unknown cause = iota
	noDatabase
	oldDatabase
	notLoggedIn
	noNetwork
	noMemory
)

// A sign is what a scanner writes in such a case, in lower case.
type sign struct {
	text  string
	cause cause
}

// common are the words of the Go runtime and its network code, by which every
// one of the scanners is known to fail.
var common = []sign{
	{"out of memory", noMemory}, {"cannot allocate memory", noMemory},
	{"no such host", noNetwork}, {"connection refused", noNetwork}, {"network is unreachable", noNetwork}, {"no route to host", noNetwork},
	{"i/o timeout", noNetwork}, {"tls handshake timeout", noNetwork}, {"temporary failure in name resolution", noNetwork},
}

// trouble explains why a run of a scanner brought nothing.
func (i Installed) trouble(out program.Output, err error) *checks.Problem {
	k, name := kinds[i.Name], string(i.Name)
	p := &checks.Problem{Err: err}
	switch {
	case errors.Is(err, program.ErrTime):
		p.What = checks.Msg("%s was ended: it took longer than %d minutes", name, int(longestScan/time.Minute))
		return p
	case errors.Is(err, program.ErrOutput):
		p.What = checks.Msg("%s was ended: it wrote more than %s", name, units.BytesSize(mostOutput))
		return p
	}
	complaint := strings.ToLower(string(out.Stderr) + "\n" + string(out.Stdout[:min(len(out.Stdout), 4096)]))
	for _, s := range append(k.signs, common...) {
		if !strings.Contains(complaint, s.text) {
			continue
		}
		switch s.cause {
		case noDatabase:
			p.What, p.Do = checks.Msg("%s has no advisories on this machine", name), checks.Msg("download them with %s", k.update)
		case oldDatabase:
			p.What, p.Do = checks.Msg("the advisories of %s are too old for it", name), checks.Msg("download them with %s", k.update)
		case notLoggedIn:
			p.What, p.Do = checks.Msg("%s works only for those who are logged in to Docker", name), checks.Msg("log in with docker login")
		case noNetwork:
			p.What = checks.Msg("%s could not reach its server", name)
		case noMemory:
			p.What = checks.Msg("%s needs more than the %s of memory that it is given", name, units.BytesSize(memory))
		}
		return p
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && out.Code < 0:
		p.What = checks.Msg("%s crashed (%s)", name, exit.Error())
	case errors.As(err, &exit):
		p.What = checks.Msg("%s failed with exit code %d: %s", name, out.Code, lastLine(out.Stderr))
	default:
		p.What = checks.Msg("%s could not be run: %s", name, fmt.Sprint(err))
	}
	return p
}

// lastLine returns the end of what a program complained of: that is why it
// stopped.
func lastLine(complaints []byte) string {
	lines := strings.Split(strings.TrimSpace(string(complaints)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if line := strings.TrimSpace(lines[i]); line != "" {
			return shortened(line, 200)
		}
	}
	return "…"
}
