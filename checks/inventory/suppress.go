package inventory

import (
	"bytes"
	"maps"
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/suppress"
)

// Rules returns what people wrote into s about findings that they accept.
func Rules(s checks.Subject, suite []*checks.Check) []suppress.Rule {
	switch s := s.(type) {
	case *dockerfile.File:
		return suppress.Dockerfile(s.Source, spans(s), suppress.NewNames(suite))
	case *compose.File:
		return suppress.YAML(s.Source, suppress.NewNames(suite))
	}
	return nil
}

// spans returns the lines of the instructions of f.
func spans(f *dockerfile.File) []suppress.Span {
	out := make([]suppress.Span, 0, len(f.Instructions))
	for _, in := range f.Instructions {
		s := suppress.Span{First: in.Line, Last: in.EndLine}
		for _, h := range in.Heredocs {
			first := in.Line + bytes.Count(f.Source[in.Start:h.Start], []byte("\n"))
			s.Heredocs = append(s.Heredocs, [2]int{first, first + bytes.Count(f.Source[h.Start:h.End], []byte("\n"))})
		}
		out = append(out, s)
	}
	return out
}

// projectRules returns what policy says about Dockerfiles of the project.
func projectRules(policy *checks.Policy) dockerfile.Rules {
	if policy == nil {
		return dockerfile.Rules{}
	}
	r := dockerfile.Rules{Registries: policy.Registries}
	r.Labels.Strict = policy.OnlyLabels
	r.Labels.Formats = map[string]dockerfile.LabelFormat{}
	for _, key := range slices.Sorted(maps.Keys(policy.Labels)) {
		label := policy.Labels[key]
		if label.Required {
			r.Labels.Required = append(r.Labels.Required, key)
		}
		switch {
		case label.Type != "":
			r.Labels.Formats[key] = dockerfile.LabelFormat(label.Type)
		case !label.Required:
			r.Labels.Formats[key] = dockerfile.LabelText // allowed, whatever it says
		}
	}
	return r
}
