package container

import (
	"plimsoll/checks"
	subject "plimsoll/checks/container"
	"plimsoll/fixes"
)

// oneOfEach makes what is asked of several tasks of one service into what is asked
// of the first of them: they are made from the same, and changed as one.
func oneOfEach(asks []fixes.Ask) []fixes.Ask {
	var out []fixes.Ask
	at := map[string]int{}
	for _, ask := range asks {
		service := ""
		c, ok := ask.Subject.(*subject.Container)
		if ok && !ask.Request.Quarantine {
			service, _ = c.Service()
		}
		i, known := at[service]
		if service == "" || !known {
			at[service] = len(out)
			out = append(out, ask)
			continue
		}
		first := out[i].Subject.(*subject.Container) // or it would not be known
		moved := ask.Request
		moved.Findings, moved.Fix = nil, map[checks.FindingID]string{}
		for _, f := range ask.Request.Findings {
			same, ok := again(first, f)
			if !ok {
				continue
			}
			moved.Findings = append(moved.Findings, same)
			if id, chosen := ask.Request.Fix[f.ID()]; chosen {
				moved.Fix[same.ID()] = id
			}
		}
		out[i].Request = out[i].Request.And(moved)
	}
	return out
}
