package container

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/moby/moby/api/types/swarm"

	"plimsoll/fixes/ledger"
	"plimsoll/fixes/private"
)

// A serviceJournal is what the ledger keeps of the change of a service. Its
// specifications may hold secrets: they are in a file of the private folder.
type serviceJournal struct {
	Tx      string   `json:"tx"`
	Service string   `json:"service"` // id
	Name    string   `json:"name"`
	Stage   stage    `json:"stage"`
	Secrets []string `json:"secrets,omitempty"` // names of those that are made for it in the swarm
	Network string   `json:"network,omitempty"` // made for it

	// Listening are the published ports that a task listened on before.
	Listening []uint16 `json:"listening,omitempty"`
}

// begun reports whether the service may have been touched.
func (j *serviceJournal) begun() bool {
	return !slices.Contains([]stage{keeping, networking}, j.Stage)
}

func decodeService(entry ledger.Entry) (serviceJournal, error) {
	var j serviceJournal
	if err := json.Unmarshal(entry.Inverse, &j); err != nil {
		return j, fmt.Errorf("ledger entry %s: %w", entry.ID, err)
	}
	if j.Tx != entry.ID || j.Service == "" || j.Name == "" {
		return j, fmt.Errorf("ledger entry %s is not the journal of a change of a service", entry.ID)
	}
	return j, nil
}

// Specs are a service before and after a change.
type specs struct {
	Before swarm.ServiceSpec `json:"before"`
	After  swarm.ServiceSpec `json:"after"`
}

func (j *serviceJournal) file() string { return "service-" + j.Tx + ".json" }

func (m *Mechanic) folder() private.Dir { return private.Dir{Path: m.o.Secrets} }

func (m *Mechanic) keepSpecs(j *serviceJournal, s specs) error {
	data, err := json.Marshal(s)
	if err == nil {
		err = m.folder().Create(j.file(), data)
	}
	if err != nil {
		return fmt.Errorf("keep how the service was: %w", err)
	}
	return nil
}

// specs returns what was kept. The error wraps [fs.ErrNotExist] when nothing is.
func (m *Mechanic) specs(j *serviceJournal) (specs, error) {
	var s specs
	data, err := m.folder().Read(j.file())
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return s, fmt.Errorf("how the service %s was: %w", clean(j.Name), err)
	}
	return s, nil
}

// changedSince returns the first setting in which now differs from then, "" for
// none. How many tasks there are, and whether all were made anew since, is the
// business of whoever runs them.
func changedSince(then, now swarm.ServiceSpec) string {
	steady := func(spec swarm.ServiceSpec) view {
		spec.Mode, spec.TaskTemplate.ForceUpdate = swarm.ServiceMode{}, 0
		return viewOfService(&spec)
	}
	if d := steady(then).differences(steady(now)); len(d) > 0 {
		return d[0]
	}
	return ""
}

// scaledAs returns spec with as many tasks as other.
func scaledAs(spec, other swarm.ServiceSpec) swarm.ServiceSpec {
	spec.Mode, spec.TaskTemplate.ForceUpdate = other.Mode, other.TaskTemplate.ForceUpdate
	return spec
}
