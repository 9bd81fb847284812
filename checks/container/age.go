package container

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

const day = 24 * time.Hour

// MutableReference reports whether ref can name another image tomorrow because
// it has no tag, or the tag latest, and no digest.
func MutableReference(ref string) bool {
	if ref == "" || strings.Contains(ref, "@") || strings.HasPrefix(ref, "sha256:") || isImageID(ref) {
		return false
	}
	_, tag, tagged := strings.Cut(ref[strings.LastIndexByte(ref, '/')+1:], ":")
	return !tagged || tag == "latest"
}

// isImageID reports whether ref is what an inspection shows once the tag that
// a container was created from names another image.
func isImageID(ref string) bool {
	return (len(ref) == 12 || len(ref) == 64) && strings.Trim(ref, "0123456789abcdef") == ""
}

var imageMutableRef = stateful(checks.Check{
	ID:       "container-image-mutable-ref",
	Title:    "Created from a tag that moves",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"dockle DKL-DI-0006", "CWE-1357"},
}, func(c *Container, _ *container.InspectResponse, report func(checks.Finding)) {
	if MutableReference(c.Settings.Image) {
		report(checks.Finding{
			Message:  checks.Msg("%s was created from %s, which names another image with every release", c.Settings.Name, c.Settings.Image),
			Evidence: []checks.Evidence{{Source: "Config.Image", Detail: c.Settings.Image}},
			Fixes:    c.Pinned(),
		})
	}
})

// Pinned returns the fix that names the image of c by its digest; none where no
// registry has told that.
func (c *Container) Pinned() []checks.Fix {
	named, err := reference.ParseNormalizedNamed(c.Settings.Image)
	if err != nil || c.Image == nil {
		return nil
	}
	for _, known := range c.Image.RepoDigests {
		other, err := reference.ParseNormalizedNamed(known)
		digested, ok := other.(reference.Digested)
		if err != nil || !ok || other.Name() != named.Name() {
			continue
		}
		image := reference.FamiliarString(reference.TagNameOnly(named)) + "@" + digested.Digest().String()
		return []checks.Fix{{
			ID: "digest", Title: checks.Msg("pin the current digest"),
			Caution: checks.Msg("updates no longer come by themselves: let a bot raise the digest"),
			Change: func(s *checks.Settings, _ checks.Values) error {
				s.Image, s.Config.Image = image, image
				return nil
			},
		}}
	}
	return nil
}

// old is the age from which on a container has missed several updates of most
// images.
const old = 90 * day

var tooOld = stateful(checks.Check{
	ID:       "container-too-old",
	Title:    "Not created anew for months",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 5.28 (v1.6.0)", "CIS 4.4 (v1.6.0)"},
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	age, ok := c.since(i.Created)
	if !ok || age < old || !c.running() {
		return
	}
	f := checks.Finding{
		Message:  checks.Msg("%s was created %d days ago and has had no update since", c.Settings.Name, int(age/day)),
		Evidence: []checks.Evidence{{Source: "Created", Detail: i.Created}},
	}
	if pullable(c.Settings.Image) {
		f.Fixes = []checks.Fix{renew()}
	}
	report(f)
})

// pullable reports whether a registry may have something newer for ref than
// what it named before.
func pullable(ref string) bool {
	return ref != "" && !strings.Contains(ref, "sha256:") && !isImageID(ref)
}

// renew moves a container to what the registry has for its tag.
func renew() checks.Fix {
	return checks.Fix{
		ID:      "renew",
		Title:   checks.Msg("pull its tag and create it anew"),
		Caution: checks.Msg("another version may behave differently or migrate its data"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Update, s.Pull = true, true
			return nil
		},
	}
}

// since returns how long ago stamp is.
func (c *Container) since(stamp string) (time.Duration, bool) {
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil || t.Year() < 2000 { // the zero time stands for never
		return 0, false
	}
	return c.Now.Sub(t), true
}

// leftover is how long a stopped container is likely to be needed again.
const leftover = 7 * day

var stoppedLeftover = stateful(checks.Check{
	ID:       "container-stopped-leftover",
	Title:    "Stopped and left behind",
	Severity: checks.Info,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 6.2 (v1.6.0)"},
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	if i.State == nil {
		return
	}
	stopped := i.State.FinishedAt
	switch i.State.Status {
	case container.StateExited, container.StateDead:
	case container.StateCreated:
		stopped = i.Created
	default:
		return
	}
	age, ok := c.since(stopped)
	if !ok || age < leftover {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("%s has not run for %d days, and keeps its files and its environment", c.Settings.Name, int(age/day)),
		Evidence: []checks.Evidence{
			{Source: "State.Status", Detail: string(i.State.Status)},
			{Source: "State.FinishedAt", Detail: cmp.Or(i.State.FinishedAt, stopped)},
		},
	})
})

var unhealthy = stateful(checks.Check{
	ID:       "container-unhealthy",
	Title:    "Health check fails",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	if !c.running() || i.State.Health == nil || i.State.Health.Status != container.Unhealthy {
		return
	}
	health := i.State.Health
	f := checks.Finding{
		Message: checks.Msg("%s runs, but its health check failed %d times in a row", c.Settings.Name, health.FailingStreak),
		Evidence: []checks.Evidence{
			{Source: "State.Health.Status", Detail: string(health.Status)},
			{Source: "State.Health.FailingStreak", Detail: fmt.Sprint(health.FailingStreak)},
		},
	}
	if n := len(health.Log); n > 0 && health.Log[n-1] != nil {
		last := health.Log[n-1]
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "State.Health.Log", Detail: fmt.Sprintf("exit code %d: %s", last.ExitCode, shortened(last.Output))})
	}
	report(f)
})

// shortened returns the start of what a program printed.
func shortened(output string) string {
	const most = 200
	output = strings.TrimSpace(output)
	if runes := []rune(output); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return output
}

var oomKilled = alerting(checks.Check{
	ID:       "container-oom-killed",
	Title:    "Killed for want of memory",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	if i.State == nil || !i.State.OOMKilled {
		return
	}
	limit := "none"
	if c.Settings.Host != nil && c.Settings.Host.Memory > 0 {
		limit = memorySize(c.Settings.Host.Memory)
	}
	report(checks.Finding{
		Message: checks.Msg("a process of %s was killed because memory ran out", c.Settings.Name),
		Evidence: []checks.Evidence{
			{Source: "State.OOMKilled", Detail: "true"},
			{Source: "HostConfig.Memory", Detail: limit},
			{Source: "RestartCount", Detail: fmt.Sprint(i.RestartCount)},
		},
	})
})
