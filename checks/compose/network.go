package compose

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/yamledit"
)

// Checks of containers that a file answers by its networks.
const (
	flatID   = "container-network-flat"
	egressID = "container-egress-open"
)

// backNetwork is what the network is called on which data stores are.
const backNetwork = "back"

// mentions returns the services that each service names: in what it waits for or
// is linked to, and in its variables and its command.
func mentions(project *types.Project) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for name, s := range project.Services {
		said := map[string]bool{}
		read := func(text string) {
			for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !isHostRune(r) }) {
				said[word] = true
				host, _, _ := strings.Cut(word, ".") // db.shop_default is db
				said[host] = true
			}
		}
		for _, value := range s.Environment {
			if value != nil {
				read(*value)
			}
		}
		for _, text := range slices.Concat(s.Links, s.Command, s.Entrypoint) {
			read(text)
		}
		for other := range s.DependsOn {
			said[other] = true
		}
		delete(said, name)
		all[name] = map[string]bool{}
		for other := range said {
			if _, ok := project.Services[other]; ok {
				all[name][other] = true
			}
		}
	}
	return all
}

func isHostRune(r rune) bool {
	return r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// splitFixes returns the way to put the data stores of a project on a network of
// their own, with those services only that use them.
func (f *File) splitFixes(service *container.Container) []checks.Fix {
	var stores, others, clients []string
	for _, s := range f.Services {
		switch name := s.Compose.Service; {
		case !maps.EqualFunc(s.Settings.Networks, service.Settings.Networks, same):
			continue
		case container.KeepsData(s.Settings.Image):
			stores = append(stores, name)
		default:
			others = append(others, name)
		}
	}
	for _, name := range others {
		if slices.ContainsFunc(stores, func(store string) bool { return f.mentions[name][store] }) {
			clients = append(clients, name)
		}
	}
	if len(clients) == len(others) {
		return nil // every service uses the data: there is nothing to keep apart
	}
	all := strings.Join(stores, ", ")
	names := func(value string) []string {
		return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
	}
	valid := func(value string) error {
		chosen := names(value)
		for _, name := range chosen {
			if !slices.Contains(others, name) {
				return refused(checks.Msg("%s is none of the services beside %s: %s", name, all, strings.Join(others, ", ")))
			}
		}
		if len(chosen) >= len(others) {
			return refused(checks.Msg("with all services on it the network keeps nothing apart"))
		}
		return nil
	}
	choice := checks.Choice{
		Key: "uses-" + stores[0], Label: checks.Msg("services that use %s, with commas between them", all), Valid: valid,
		Default: strings.Join(clients, ","), Why: checks.Msg("they wait for it, or name it in their variables or their command"),
	}
	if len(clients) == 0 {
		choice.Example, choice.Why = others[0], checks.Msg("no service names it in the file")
	}
	title := checks.Msg("put %s on a network of its own with the services that use it", all)
	return []checks.Fix{{
		ID: "split", Title: title, Brings: []string{driftID, egressID},
		Caution: checks.Msg("services that are not named no longer reach %s", all),
		Choices: []checks.Choice{choice},
		Edit: func(values checks.Values) ([]checks.Edit, error) {
			chosen := names(values[choice.Key])
			if err := valid(values[choice.Key]); err != nil {
				return nil, err
			}
			return f.split(stores, chosen, title)
		},
	}}
}

func same[T any](T, T) bool { return true }

// split moves stores to a network that clients join.
func (f *File) split(stores, clients []string, reason checks.Message) ([]checks.Edit, error) {
	e, root, err := f.editor(reason)
	if err != nil {
		return nil, err
	}
	_, declared := yamledit.Get(root, "networks")
	if _, taken := yamledit.Get(declared, backNetwork); taken != nil {
		return nil, refused(checks.Msg("the file has a network %s already: put the data stores there by hand", backNetwork))
	}
	for _, name := range slices.Concat(stores, clients) {
		node, err := written(e.File, name)
		if err == nil {
			err = joinNetwork(&e, node, slices.Contains(stores, name))
		}
		if err != nil {
			return nil, refused(checks.Msg("%s of %s cannot be changed here: %s", "networks", name, because(err)))
		}
	}
	if declared != nil && declared.Kind == yaml.MappingNode {
		err = e.Set(declared, backNetwork, yamledit.Map{})
	} else {
		err = addSection(&e, root, "networks", yamledit.Map{{Key: backNetwork, Value: yamledit.Map{}}})
	}
	if err != nil {
		return nil, refused(checks.Msg("%s cannot be changed here: %s", "networks", because(err)))
	}
	slices.SortStableFunc(e.Edits, func(a, b checks.Edit) int { return a.Start - b.Start })
	return e.Edits, f.connects(e.Edits, stores, clients)
}

// joinNetwork puts a service on the network for data, instead of its only one
// or besides.
func joinNetwork(e *yamledit.Editor, service *yaml.Node, instead bool) error {
	k, n := yamledit.Get(service, "networks")
	switch {
	case k == nil && instead:
		return e.Set(service, "networks", yamledit.List{backNetwork})
	case k == nil:
		return e.Set(service, "networks", yamledit.List{"default", backNetwork})
	case n.Kind == yaml.SequenceNode && instead && len(n.Content) == 1:
		return e.Replace(n.Content[0], yamledit.Scalar(backNetwork))
	case n.Kind == yaml.SequenceNode && !instead:
		return e.Append(n, backNetwork)
	case n.Kind == yaml.MappingNode && !instead:
		return e.Set(n, backNetwork, yamledit.Map{})
	}
	return yamledit.ErrLayout
}

// connects tries edits on a copy: networks must be as intended, and all else as before.
func (f *File) connects(edits []checks.Edit, stores, clients []string) error {
	next, err := f.edited(edits)
	if err != nil {
		return err
	}
	for i, s := range next.Services {
		was, name := f.Services[i], s.Compose.Service
		want := map[string]bool{}
		for network := range was.Settings.Networks {
			want[f.networks[network]] = !slices.Contains(stores, name)
		}
		if slices.Contains(stores, name) || slices.Contains(clients, name) {
			want[backNetwork] = true
		}
		for network := range s.Settings.Networks {
			if !want[next.networks[network]] {
				want["wrong"] = true
			}
			delete(want, next.networks[network])
		}
		expected := was.Settings.Clone()
		expected.Networks, expected.Host.NetworkMode = s.Settings.Networks, s.Settings.Host.NetworkMode
		if slices.Contains(slices.Collect(maps.Values(want)), true) || !equalSettings(&s.Settings, expected) {
			return refused(checks.Msg("%s would not read as intended: something else in the file, or a file that it extends, decides", name))
		}
	}
	return nil
}

// closeFixes returns the way to cut the network of a data store off from what is
// outside. It is not offered where a port would stop being reachable.
func (f *File) closeFixes(service *container.Container) []checks.Fix {
	if len(service.Settings.Networks) != 1 {
		return nil
	}
	name := slices.Collect(maps.Keys(service.Settings.Networks))[0]
	key, known := f.networks[name]
	if !known {
		return nil
	}
	var cut []string
	for _, s := range f.Services {
		if _, on := s.Settings.Networks[name]; !on || len(s.Settings.Networks) > 1 {
			continue
		}
		if len(s.Settings.Host.PortBindings) > 0 || s.Settings.Host.PublishAllPorts {
			return nil
		}
		cut = append(cut, s.Compose.Service)
	}
	title := checks.Msg("cut the network %s off from outside", key)
	return []checks.Fix{{
		ID: "internal", Title: title, Brings: []string{driftID, "container-bridges-zones"}, Alone: len(f.Running) > 0,
		Caution: checks.Msg("%s reach nothing outside any more, no updates, mail or other hosts; what runs has to be taken down first (docker compose down, volumes stay)", strings.Join(cut, ", ")),
		Edit: func(checks.Values) ([]checks.Edit, error) {
			return f.closeNetwork(service, key, title)
		},
	}}
}

// closeNetwork makes the network called key an internal one.
func (f *File) closeNetwork(service *container.Container, key string, reason checks.Message) ([]checks.Edit, error) {
	e, root, err := f.editor(reason)
	if err != nil {
		return nil, err
	}
	internal := yamledit.Map{{Key: "internal", Value: yamledit.Scalar("true")}}
	_, all := yamledit.Get(root, "networks")
	_, own := yamledit.Get(all, key)
	switch {
	case all == nil || all.Kind != yaml.MappingNode:
		err = addSection(&e, root, "networks", yamledit.Map{{Key: key, Value: internal}})
	case own != nil && own.Kind == yaml.MappingNode && len(own.Content) > 0:
		err = e.Set(own, "internal", internal[0].Value)
	default:
		err = e.Set(all, key, internal)
	}
	if err != nil {
		return nil, refused(checks.Msg("%s cannot be changed here: %s", "networks", because(err)))
	}
	return e.Edits, f.holds(e.Edits, service.Compose.Service, &service.Settings)
}
