package container

import (
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var crashLooping = alerting(checks.Check{
	ID:       "container-crash-looping",
	Title:    "Crash loop",
	Severity: checks.Medium,
	Chapter:  checks.RuntimeMonitoring,
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	if !c.crashLoops() {
		return
	}
	f := checks.Finding{
		Message: checks.Msg("%s keeps stopping and was restarted %d times, last exit code %d", c.Settings.Name, i.RestartCount, i.State.ExitCode),
		Evidence: []checks.Evidence{
			{Source: "State.Status", Detail: string(i.State.Status)},
			{Source: "RestartCount", Detail: fmt.Sprint(i.RestartCount)},
			{Source: "State.ExitCode", Detail: fmt.Sprint(i.State.ExitCode)},
		},
	}
	if i.State.OOMKilled {
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "State.OOMKilled", Detail: "true"})
	}
	if i.State.Error != "" {
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "State.Error", Detail: i.State.Error})
	}
	report(f)
})

const (
	manyRestarts = 3                // fewer may be a slow dependency at the start
	settled      = 10 * time.Minute // after which earlier restarts are history
)

// crashLoops reports whether c is restarted again and again, or was until its
// restart policy gave up.
func (c *Container) crashLoops() bool {
	if c.Inspect == nil || c.Inspect.State == nil {
		return false
	}
	i, s := c.Inspect, c.Inspect.State
	switch {
	case s.Restarting || s.Status == container.StateRestarting:
		return true
	case i.RestartCount < manyRestarts:
		return false
	case s.Running:
		started, err := time.Parse(time.RFC3339Nano, s.StartedAt)
		return err == nil && c.Now.Sub(started) < settled
	}
	return s.ExitCode != 0 && s.Status != container.StateCreated
}

var imageNotCurrent = stateful(checks.Check{
	ID:       "container-image-not-current-local",
	Title:    "Runs an older image than its tag names",
	Severity: checks.Medium,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 5.28 (v1.6.0)"},
}, func(c *Container, i *container.InspectResponse, report func(checks.Finding)) {
	if c.TagID == "" || i.Image == "" || c.TagID == i.Image || strings.Contains(c.Settings.Image, "sha256:") {
		return
	}
	report(checks.Finding{
		Message: checks.Msg("%s runs an older image than %s names now", c.Settings.Name, c.Settings.Image),
		Evidence: []checks.Evidence{
			{Source: "Image", Detail: i.Image},
			{Source: c.Settings.Image, Detail: c.TagID},
		},
		Fixes: []checks.Fix{{
			ID:      "update",
			Title:   checks.Msg("move to the image that the tag names now"),
			Caution: checks.Msg("another version may behave differently or migrate its data"),
			Change: func(s *checks.Settings, _ checks.Values) error {
				s.Update = true
				return nil
			},
		}},
	})
})
