package compose

import (
	"bytes"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// Secrets may come from outside of a compose file, from .env beside it or from
// the environment of whoever starts it: PASSWORD: ${PASSWORD}. They are in the
// environment of the container all the same, which everyone can read who may ask
// the engine.

var wholeReference = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\$(?:\{(\w+)\}|(\w+))$`) })

// An outer is the variable from outside that a variable of a service is.
type outer struct {
	name   string
	passed bool // without a value being written: environment: [PASSWORD]
}

// references returns the variables of a service that are one from outside, and
// nothing more than that.
func references(s *service) map[string]outer {
	all := map[string]outer{}
	for name, written := range s.environment {
		if m := wholeReference().FindStringSubmatch(strings.TrimSpace(written)); m != nil {
			all[name] = outer{m[1] + m[2], s.passed[name]}
		}
	}
	return all
}

// outsideFixes returns the ways to hand the secret over as a file that a service
// gets from outside: out of .env as well, where nothing else uses it there, or by
// docker compose, which leaves it where it is.
func (f *File) outsideFixes(service *container.Container, variable string) []checks.Fix {
	name := service.Compose.Service
	ref, ok := f.references[name][variable]
	if !ok {
		return nil
	}
	from := ref.name
	var out []checks.Fix
	offer := func(h container.Handover, fix checks.Fix, s source) {
		fix.Choices, fix.Brings = prefixed(name, fix.Choices), []string{driftID}
		fix.Edit = func(values checks.Values) ([]checks.Edit, error) {
			secret, path, err := h.Chosen(unprefixed(name, values))
			if err != nil {
				return nil, err
			}
			return f.handOver(service, h, s, secret, path, fix.Title)
		}
		out = append(out, fix)
	}
	line, value, alone := f.entry(from)
	if h, ok := service.HandoverOf(variable, value); ok && alone && f.mentioned(from) == 1 {
		fix := h.Fix(f.freeSecret(h.Name()))
		fix.Caution = checks.Msg("%s leaves %s: whatever else reads it there is without it", from, dotenvName)
		offer(h, fix, source{reference: from, line: &line})
	}
	// Compose copies it into the container, which a read-only one does not take.
	if h, ok := service.HandoverOf(variable, ""); ok && !service.Settings.Host.ReadonlyRootfs {
		fix := h.Fix(f.freeSecret(h.Name()))
		fix.ID, fix.Title = "secret-from-environment", checks.Msg("have docker compose hand %s over as a file", variable)
		fix.Caution = checks.Msg("Docker Compose 2.7 and later can do that, docker-compose 1 cannot, and nobody while the root file system is read-only; the value stays where it is set")
		offer(h, fix, source{reference: from})
	}
	return out
}

// A source is where the value of a secret comes from; zero for the compose file.
type source struct {
	reference string       // variable from outside
	line      *checks.Edit // takes it out of .env; nil where it stays
}

// definition returns how the file declares the secret.
func (s source) definition(secret string) (key, value string) {
	if s.reference != "" && s.line == nil {
		return "environment", s.reference
	}
	return "file", "./" + path.Join(secretsFolder, secret)
}

// mentioned counts how often the file uses a variable.
func (f *File) mentioned(variable string) int {
	uses := regexp.MustCompile(`\$\{?` + regexp.QuoteMeta(variable) + `\b`)
	n := len(uses.FindAll(f.Source, -1))
	for _, all := range f.references {
		for _, ref := range all {
			if ref.name == variable && ref.passed {
				n++
			}
		}
	}
	return n
}

// entry returns the edit that takes a variable out of .env, which leaves what is
// said about it, and its value. It is not ok where that is not on one line as it
// is, or more than once.
func (f *File) entry(variable string) (e checks.Edit, value string, ok bool) {
	values, err := dotenv.ParseWithLookup(bytes.NewReader(f.dotenv), func(string) (string, bool) { return "", false })
	value = values[variable]
	if err != nil || value == "" {
		return e, "", false
	}
	lines := regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?`+regexp.QuoteMeta(variable)+`[ \t]*[=:][ \t]*(.*?)[ \t]*(#.*?)?\r?$`).FindAllSubmatchIndex(f.dotenv, -1)
	if len(lines) != 1 {
		return e, "", false
	}
	at := lines[0]
	written := string(f.dotenv[at[2]:at[3]])
	if written != value && written != `"`+value+`"` && written != "'"+value+"'" {
		return e, "", false
	}
	e = checks.Edit{Path: dotenvName, Start: at[0], End: at[1]}
	if at[4] >= 0 {
		e.New = string(f.dotenv[at[4]:at[5]])
	} else if e.End < len(f.dotenv) {
		e.End += bytes.IndexByte(f.dotenv[e.End:], '\n') + 1
	}
	return e, value, true
}
