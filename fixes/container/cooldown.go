package container

import (
	"time"

	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/fixes"
)

// Values of the choice about an image that is younger than the project wants.
const (
	freshKey = "fresh"
	waiting  = "wait"
	atOnce   = "now"
)

// cool holds back the plan to move to target while that is younger than the
// project wants an update to be, unless the user decides otherwise. What was
// only built here is nobody's release.
func (m *Mechanic) cool(p *fixes.Plan, target *image.InspectResponse, values checks.Values) {
	if m.o.CoolDown <= 0 || target == nil || len(target.RepoDigests) == 0 {
		return
	}
	made, err := time.Parse(time.RFC3339Nano, target.Created)
	ready := made.Add(m.o.CoolDown)
	if err != nil || made.Year() <= 1980 || !m.o.Now().Before(ready) {
		return
	}
	choice := fixes.Choice{Value: waiting, Choice: checks.Choice{
		Key: freshKey, Label: checks.Msg("an update this young"), Default: waiting, Options: []string{waiting, atOnce},
		Why: checks.Msg("new releases may be broken or hijacked, which shows within days: the project wants them to have been out for %d days", int(m.o.CoolDown/(24*time.Hour))),
	}}
	if values[freshKey] == atOnce {
		choice.Value = atOnce
		p.Notes = append(p.Notes, checks.Msg("it was built on %s, later than cool-down in the configuration allows", made.Format(time.DateOnly)))
	} else if p.Blocked.IsZero() {
		p.Blocked = checks.Msg("it was built on %s: the project wants to wait until %s (cool-down)", made.Format(time.DateOnly), ready.Format(time.DateOnly))
	}
	p.Choices = append(p.Choices, choice)
}
