package compose

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/yamledit"
)

// secretInEnvID is the check of containers for secrets in variables.
const secretInEnvID = "container-secret-in-env"

// rootfsID is the check of containers for a root file system that can be written.
const rootfsID = "container-rootfs-writable"

// secretsFolder holds the files of secrets, beside the compose file.
const secretsFolder = "secrets"

// secretFixes returns the ways to hand the secret over as a file that finding f
// of a service is about.
func (f *File) secretFixes(service *container.Container, found checks.Finding) []checks.Fix {
	if _, written := service.Compose.Keys["environment."+found.Key]; !written {
		return nil
	}
	h, ok := service.Handover(found.Key)
	if !ok {
		return f.outsideFixes(service, found.Key)
	}
	name := service.Compose.Service
	fix := h.Fix(f.freeSecret(h.Name()))
	fix.Choices = prefixed(name, fix.Choices)
	fix.Brings = []string{driftID}
	fix.Edit = func(values checks.Values) ([]checks.Edit, error) {
		secret, variable, err := h.Chosen(unprefixed(name, values))
		if err != nil {
			return nil, err
		}
		return f.handOver(service, h, source{}, secret, variable, fix.Title)
	}
	return []checks.Fix{fix}
}

// freeSecret returns name, with a number where the file has such a secret.
func (f *File) freeSecret(name string) string {
	text, err := yamledit.Parse(f.Source)
	if err != nil {
		return name
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(text.Roots, func(root *yaml.Node) bool {
			_, all := yamledit.Get(root, "secrets")
			_, one := yamledit.Get(all, name)
			return one != nil
		})
	}
	for base, n := name, 2; taken(name); n++ {
		name = base + "_" + strconv.Itoa(n)
	}
	return name
}

// handOver returns the edits by which service finds the path of secret in
// variable, instead of the secret itself.
func (f *File) handOver(service *container.Container, h container.Handover, from source, secret, variable string, reason checks.Message) ([]checks.Edit, error) {
	name := service.Compose.Service
	text, err := yamledit.Parse(f.Source)
	if err != nil {
		return nil, err
	}
	if len(text.Roots) != 1 {
		return nil, refused(checks.Msg("%s is not written as a list of keys in one place", name))
	}
	node, err := written(text, name)
	if err != nil {
		return nil, err
	}
	e := yamledit.Editor{File: text}
	inside := container.SecretsDir + secret
	moved := []checks.MovedSecret{{
		ID: secret, Value: checks.Sensitive(h.Value), Path: path.Join(secretsFolder, secret), Readable: h.Readable,
	}}
	for _, step := range []struct {
		key    string
		why    checks.Message
		change func() error
	}{
		{"environment", reason, func() error {
			err := replaceVariable(&e, node, h.Variable, variable, inside, from.reference != "")
			if err == nil && from.reference == "" {
				e.Edits[len(e.Edits)-1].Moved = moved
			}
			return err
		}},
		{"secrets", checks.Msg("the service may read it"), func() error { return useSecret(&e, node, secret) }},
		{"secrets", checks.Msg("where the secret is on this machine"), func() error { return declareSecret(&e, text.Roots[0], secret, from) }},
	} {
		e.Reason = step.why
		if err := step.change(); err != nil {
			return nil, refused(checks.Msg("%s of %s cannot be changed here: %s", step.key, name, because(err)))
		}
	}
	// The service may end where the file does: what is declared goes behind it.
	slices.SortStableFunc(e.Edits, func(a, b checks.Edit) int { return a.Start - b.Start })

	want := service.Settings.Clone()
	want.Config.Env = slices.DeleteFunc(want.Config.Env, func(entry string) bool { return strings.HasPrefix(entry, h.Variable+"=") })
	want.Config.Env = append(want.Config.Env, variable+"="+inside)
	slices.Sort(want.Config.Env)
	if err := f.holds(e.Edits, name, want); err != nil {
		return nil, err
	}
	if from.line != nil {
		line := *from.line
		line.Reason, line.Moved = checks.Msg("the secret is in a file of its own"), moved
		return append(e.Edits, line), nil
	}
	return e.Edits, nil
}

// replaceVariable writes another variable in the place of one, which may have its
// value from outside where that is known.
func replaceVariable(e *yamledit.Editor, service *yaml.Node, old, variable, value string, outside bool) error {
	_, env := yamledit.Get(service, "environment")
	if env == nil {
		return errMerged
	}
	switch env.Kind {
	case yaml.MappingNode:
		_, n := yamledit.Get(env, old)
		switch {
		case n == nil:
			return errMerged
		case refers(n.Value) && !outside:
			return errVariable
		}
		return e.Rename(env, old, variable, yamledit.Scalar(yamledit.Quote(value)))
	case yaml.SequenceNode:
		for _, item := range env.Content {
			name, written, _ := strings.Cut(item.Value, "=")
			switch {
			case name != old:
			case refers(written) && !outside:
				return errVariable
			default:
				return e.Replace(item, yamledit.Scalar(yamledit.Quote(variable+"="+value)))
			}
		}
	}
	return errMerged
}

// refers reports whether a value is made from variables; $$ stands for a dollar.
func refers(value string) bool { return strings.Contains(strings.ReplaceAll(value, "$$", ""), "$") }

// useSecret gives the service the secret.
func useSecret(e *yamledit.Editor, service *yaml.Node, secret string) error {
	_, list := yamledit.Get(service, "secrets")
	switch {
	case list == nil || list.Kind == yaml.ScalarNode && list.Tag == "!!null":
		return e.Set(service, "secrets", yamledit.List{secret})
	case list.Kind != yaml.SequenceNode:
		return yamledit.ErrLayout
	}
	return e.Append(list, secret)
}

// declareSecret says where the secret comes from.
func declareSecret(e *yamledit.Editor, root *yaml.Node, secret string, from source) error {
	key, value := from.definition(secret)
	source := yamledit.Map{{Key: key, Value: yamledit.Scalar(value)}}
	if k, all := yamledit.Get(root, "secrets"); k != nil && all.Kind == yaml.MappingNode {
		return e.Set(all, secret, source)
	}
	return addSection(e, root, "secrets", yamledit.Map{{Key: secret, Value: source}})
}

// addSection writes a top-level section that there is not yet.
func addSection(e *yamledit.Editor, root *yaml.Node, key string, value yamledit.Map) error {
	before := len(e.Edits)
	if err := e.Set(root, key, value); err != nil {
		return err
	}
	// Sections of a file that leaves lines between them keep doing so.
	added := &e.Edits[before]
	lines := bytes.Split(e.Source, []byte("\n"))
	for i := 2; i+1 < len(root.Content); i += 2 {
		line := root.Content[i].Line
		if len(bytes.TrimSpace(lines[line-2])) == 0 && strings.HasPrefix(strings.TrimLeft(added.New, "\r"), "\n") {
			added.New = added.New[:strings.IndexByte(added.New, '\n')+1] + added.New
			break
		}
	}
	return nil
}
