package compose

import (
	"plimsoll/checks"
	"plimsoll/checks/container"
)

// fixes returns fixes of a container as fixes of the file that service is in:
// what they change of the settings is written in the file.
func (f *File) fixes(service *container.Container, of []checks.Fix) []checks.Fix {
	var out []checks.Fix
	for _, fix := range of {
		if fix.Change == nil {
			continue
		}
		change, title, name := fix.Change, fix.Title, service.Compose.Service
		fix.Change = nil
		fix.Choices = prefixed(name, fix.Choices)
		fix.Brings = []string{driftID} // until docker compose up
		fix.Edit = func(values checks.Values) ([]checks.Edit, error) {
			want := service.Settings.Clone()
			if err := change(want, unprefixed(name, values)); err != nil {
				return nil, err
			}
			return f.Rewrite(name, want, title)
		}
		out = append(out, fix)
	}
	return out
}

// ownFixes returns the fixes that a file has and a container has not: what they
// change is not of one service alone.
func (f *File) ownFixes(check string, service *container.Container, found checks.Finding) []checks.Fix {
	switch check {
	case secretInEnvID:
		return f.secretFixes(service, found)
	case flatID:
		return f.splitFixes(service)
	case egressID:
		return f.closeFixes(service)
	}
	return nil
}

// prefixed returns choices with keys that no other service has: "web.memory".
func prefixed(service string, choices []checks.Choice) []checks.Choice {
	var out []checks.Choice
	for _, c := range choices {
		if c.Key == ownNetwork {
			continue // the network of the project is the one to be on
		}
		c.Key, c.Label = service+"."+c.Key, checks.Msg("%s: %s", service, c.Label)
		out = append(out, c)
	}
	return out
}

// unprefixed returns the values that are for service as its fixes know them.
func unprefixed(service string, values checks.Values) checks.Values {
	out := checks.Values{ownNetwork: service}
	for key, value := range values {
		if n := len(service) + 1; len(key) > n && key[:n] == service+"." {
			out[key[n:]] = value
		}
	}
	return out
}

const (
	ownNetwork = "network" // the choice of a network in fixes of containers
	driftID    = "compose-file-drift"

	// NotPersisted is the check for what a container was hardened with and its
	// file was not. The key of a finding is the name of the container, a slash
	// and a key of the service.
	NotPersisted = "compose-fix-not-persisted"
)
