package proof

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	spec "github.com/moby/docker-image-spec/specs-go/v1"

	"plimsoll/checks"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
	"plimsoll/fixes/build"
)

// A comparison is everything that is known of both files and both images.
type comparison struct {
	file, patched *dockerfile.File
	edits         []checks.Edit // of file
	before, after side
	builder       string
	offline       bool
	notes         []checks.Message
}

// conclude compares. It is pure.
func (c *comparison) conclude() *Proof {
	p := &Proof{Notes: c.notes}
	if c.offline {
		p.Notes = append(p.Notes, checks.Msg("built by %s without a network; both images were removed again, what is left is the builder's cache", c.builder))
	} else {
		p.Notes = append(p.Notes, checks.Msg("built by %s with a network, since it did not build without one; both images were removed again, what is left is the builder's cache", c.builder))
	}
	c.builds(p)
	if c.after.failure != nil {
		return p
	}
	if c.before.failure == nil {
		c.starts(p)
	} else {
		c.startsNow(p)
	}
	c.user(p)
	if c.before.failure == nil {
		c.settings(p)
		c.weight(p)
		c.findings(p)
	}
	return p
}

func (p *Proof) fact(name, before, after checks.Message, v Verdict) {
	p.Facts = append(p.Facts, Fact{name, before, after, v})
}

func (p *Proof) wrong(m checks.Message) { p.Wrong = append(p.Wrong, m) }

var nothing = checks.Msg("–")

// builds says which of the files builds.
func (c *comparison) builds(p *Proof) {
	say := func(s *side) checks.Message {
		if s.failure == nil {
			return checks.Msg("builds")
		}
		return checks.Msg("does not build")
	}
	verdict := Same
	switch {
	case c.before.failure != nil && c.after.failure != nil:
		p.wrong(checks.Msg("neither file can be built here, so nothing can be proved: %s", reason(c.before.failure)))
	case c.after.failure != nil:
		verdict = NotWell
		p.wrong(checks.Msg("the patched file cannot be built: %s", reason(c.after.failure)))
	case c.before.failure != nil:
		verdict = Better
		p.Notes = append(p.Notes, checks.Msg("the file as it is cannot be built here: %s", reason(c.before.failure)))
	}
	var failed *build.Failure
	if errors.As(c.after.failure, &failed) || errors.As(c.before.failure, &failed) {
		p.Log = failed.Log
	}
	p.fact(checks.Msg("build"), say(&c.before), say(&c.after), verdict)
}

func reason(err error) string {
	var failed *build.Failure
	if errors.As(err, &failed) {
		return terminal.Line(failed.Reason)
	}
	return terminal.Line(secret.Redact(err.Error()))
}

// say describes a start.
func (s *start) say() checks.Message {
	switch s.class {
	case runs:
		return checks.Msg("runs")
	case ends:
		return checks.Msg("runs and ends with 0")
	case fails:
		return checks.Msg("ends with %d", s.code)
	case outOfMemory:
		return checks.Msg("ran out of memory")
	}
	return checks.Msg("does not start")
}

// starts compares how both images start.
func (c *comparison) starts(p *Proof) {
	before, after := &c.before.start, &c.after.start
	verdict := Same
	switch {
	case before.class == after.class && before.code == after.code:
	case after.class > before.class || before.class == fails && after.class == fails:
		verdict = NotWell
		switch after.class {
		case ends:
			p.wrong(checks.Msg("it builds, but the image ends by itself, and the other keeps running"))
		case fails:
			p.wrong(checks.Msg("it builds, but the image ends with code %d, and the other does not", after.code))
		case outOfMemory:
			p.wrong(checks.Msg("it builds, but the image runs out of memory, and the other does not"))
		case never:
			p.wrong(checks.Msg("it builds, but the image does not start: %s", after.reason))
		}
	default:
		verdict = Better
	}
	p.fact(checks.Msg("start"), before.say(), after.say(), verdict)
	if before.class == never && after.class == never {
		p.Notes = append(p.Notes, checks.Msg("neither image starts by itself, so how it runs is not proved: %s", after.reason))
	}
	if before.health == unasked && after.health == unasked {
		return
	}
	verdict = Same
	switch {
	case before.health == after.health:
	case after.health == unhealthy:
		verdict = NotWell
		p.wrong(checks.Msg("it builds and runs, but the health check fails in it: the program that it calls may be missing"))
	default:
		verdict = Better
	}
	p.fact(checks.Msg("health check"), before.health.say(), after.health.say(), verdict)
}

// startsNow says how the patched image starts, which has nothing to be
// compared with.
func (c *comparison) startsNow(p *Proof) {
	s := &c.after.start
	p.fact(checks.Msg("start"), nothing, s.say(), Meant)
	if s.class == never {
		p.wrong(checks.Msg("it builds, but the image does not start: %s", s.reason))
	}
}

func (h health) say() checks.Message {
	switch h {
	case healthy:
		return checks.Msg("passes")
	case unhealthy:
		return checks.Msg("fails")
	}
	return nothing
}

// user compares who runs, and holds the patched file at its word: a USER can be
// swallowed by the line before it or come out empty, and all builds well.
func (c *comparison) user(p *Proof) {
	before, after := configOf(&c.before), configOf(&c.after)
	say := func(s *side, user string) checks.Message {
		switch {
		case s.image == nil:
			return nothing
		case !s.start.known:
			return checks.Msg("%s", terminal.Line(user))
		case user == "":
			return checks.Msg("uid %d (no USER)", s.start.uid)
		}
		return checks.Msg("uid %d (USER %s)", s.start.uid, terminal.Line(user))
	}
	verdict := Same
	promised, literal := c.promisedUser()
	switch {
	case promised != "" && after.User == "":
		verdict = NotWell
		p.wrong(checks.Msg("it builds, but USER %s came to nothing: the image runs as root", terminal.Line(promised)))
	case literal && promised != after.User:
		verdict = NotWell
		p.wrong(checks.Msg("it builds, but the image runs as %s and not as %s", terminal.Line(after.User), terminal.Line(promised)))
	case c.before.image == nil || before.User == after.User:
	case c.before.start.uid == 0 && c.after.start.known && c.after.start.uid != 0:
		verdict = Better
	case c.announced("USER"):
		verdict = Meant
	default:
		verdict = NotWell
		p.wrong(checks.Msg("the user is another than before, and nothing in the patch says so"))
	}
	p.fact(checks.Msg("user"), say(&c.before, before.User), say(&c.after, after.User), verdict)
}

// promisedUser returns the user that the patch promises: that of the edits as
// they were written, else that of the patched file; "" when it says nothing.
// It is literal without variables.
func (c *comparison) promisedUser() (user string, literal bool) {
	final := c.file.Final()
	for _, e := range c.edits {
		if final == nil || e.Start < final.From.Start {
			continue
		}
		for line := range strings.Lines(e.New) {
			word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			if strings.EqualFold(word, "USER") {
				user = strings.TrimSpace(rest)
			}
		}
	}
	if user == "" {
		user = lastUser(c.patched)
	}
	return user, user != "" && !strings.ContainsAny(user, "$\\\"'")
}

// lastUser returns the argument of the USER that the final stage of f ends
// with, "" without one.
func lastUser(f *dockerfile.File) string {
	final := f.Final()
	if final == nil {
		return ""
	}
	for _, s := range final.Chain() {
		for _, in := range slices.Backward(s.Instructions) {
			if in.Keyword == "USER" {
				return strings.TrimSpace(in.Args.String)
			}
		}
	}
	return ""
}

// configOf returns the configuration of an image, empty when there is none.
func configOf(s *side) spec.DockerOCIImageConfig {
	if s.image == nil || s.image.Inspect.Config == nil {
		return spec.DockerOCIImageConfig{}
	}
	return *s.image.Inspect.Config
}

// settings compares the rest of the configuration. What differs must be what
// the patch changes.
func (c *comparison) settings(p *Proof) {
	b, a := configOf(&c.before), configOf(&c.after)
	for _, f := range []struct {
		name          checks.Message
		before, after any
		keywords      []string
	}{
		{checks.Msg("entrypoint"), b.Entrypoint, a.Entrypoint, []string{"ENTRYPOINT"}},
		{checks.Msg("command"), b.Cmd, a.Cmd, []string{"CMD", "ENTRYPOINT"}},
		{checks.Msg("directory"), b.WorkingDir, a.WorkingDir, []string{"WORKDIR"}},
		{checks.Msg("variables"), variables(b.Env), variables(a.Env), []string{"ENV", "ARG"}},
		{checks.Msg("ports"), keys(b.ExposedPorts), keys(a.ExposedPorts), []string{"EXPOSE"}},
		{checks.Msg("volumes"), keys(b.Volumes), keys(a.Volumes), []string{"VOLUME"}},
		{checks.Msg("health check command"), test(b.Healthcheck), test(a.Healthcheck), []string{"HEALTHCHECK"}},
		{checks.Msg("stop signal"), b.StopSignal, a.StopSignal, []string{"STOPSIGNAL"}},
		{checks.Msg("shell"), b.Shell, a.Shell, []string{"SHELL"}},
	} {
		same := reflect.DeepEqual(f.before, f.after)
		verdict := Same
		switch {
		case same:
		case c.announced(f.keywords...):
			verdict = Meant
		default:
			verdict = NotWell
			p.wrong(checks.Msg("%s of the image is another than before, and nothing in the patch says so", f.keywords[0]))
		}
		before, after := words(f.before), words(f.after)
		if before == "" && after == "" {
			continue
		}
		if v, ok := f.before.(map[string]string); ok && !same {
			before, after = differing(v, f.after.(map[string]string))
		}
		p.fact(f.name, text(before), text(after), verdict)
	}
}

func text(s string) checks.Message {
	if s == "" {
		return nothing
	}
	return checks.Msg("%s", s)
}

// words returns a setting as it may be shown.
func words(v any) string {
	out := ""
	switch v := v.(type) {
	case string:
		out = v
	case []string:
		out = strings.Join(v, " ")
	case map[string]string:
		out = strings.Join(slices.Sorted(maps.Keys(v)), " ")
	}
	return terminal.Line(secret.Redact(out))
}

// variables returns the environment of an image by name.
func variables(env []string) map[string]string {
	out := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		out[name] = value
	}
	return out
}

// differing returns the names of the variables that are not the same in both.
func differing(before, after map[string]string) (was, is string) {
	var b, a []string
	for name, value := range before {
		if other, ok := after[name]; !ok || other != value {
			b = append(b, name)
		}
	}
	for name, value := range after {
		if other, ok := before[name]; !ok || other != value {
			a = append(a, name)
		}
	}
	slices.Sort(b)
	slices.Sort(a)
	return terminal.Line(strings.Join(b, " ")), terminal.Line(strings.Join(a, " "))
}

func keys(m map[string]struct{}) []string { return slices.Sorted(maps.Keys(m)) }

func test(h *spec.HealthcheckConfig) []string {
	if h == nil {
		return nil
	}
	return h.Test
}

// announced reports whether the patch changes instructions of these keywords in
// what is shipped, or the base image, which brings its own.
func (c *comparison) announced(keywords ...string) bool {
	for _, keyword := range append(keywords, "FROM") {
		if !slices.Equal(c.shipped(c.file, keyword), c.shipped(c.patched, keyword)) {
			return true
		}
	}
	return false
}

// shipped returns the arguments of the instructions called keyword in the final
// stage and those that it is built on.
func (c *comparison) shipped(f *dockerfile.File, keyword string) []string {
	var out []string
	final := f.Final()
	if final == nil {
		return nil
	}
	for _, s := range final.Chain() {
		if keyword == "FROM" && s.From != nil {
			out = append(out, s.Base.Text)
		}
		for _, in := range s.Instructions {
			if in.Keyword == keyword {
				out = append(out, in.Args.String)
			}
		}
	}
	return out
}

// weight compares size and layers.
func (c *comparison) weight(p *Proof) {
	verdict := Same
	switch b, a := c.before.size, c.after.size; {
	case a < b:
		verdict = Better
	case a > b:
		verdict = Meant
	}
	p.fact(checks.Msg("size"), size(c.before.size), size(c.after.size), verdict)
	b, a := len(c.before.image.Inspect.RootFS.Layers), len(c.after.image.Inspect.RootFS.Layers)
	verdict = Same
	if b != a {
		verdict = Meant
	}
	p.fact(checks.Msg("layers"), checks.Msg("%d", b), checks.Msg("%d", a), verdict)
}

func size(n int64) checks.Message {
	if n < 1e6 {
		return checks.Msg("%.1f KB", float64(n)/1e3)
	}
	return checks.Msg("%.1f MB", float64(n)/1e6)
}

// findings compares what the checks of images say.
func (c *comparison) findings(p *Proof) {
	type key struct{ check, key string }
	had, has := map[key]bool{}, map[key]bool{}
	for _, f := range c.before.report.Findings {
		had[key{f.Check.ID, f.Key}] = true
	}
	for _, f := range c.after.report.Findings {
		has[key{f.Check.ID, f.Key}] = true
		if !had[key{f.Check.ID, f.Key}] {
			p.wrong(checks.Msg("the patched image has a finding that the other has not: %s", f.Check.ID))
		}
	}
	for _, f := range c.before.report.Findings {
		if !has[key{f.Check.ID, f.Key}] {
			p.Cured = append(p.Cured, f)
		}
	}
	verdict := Same
	switch b, a := len(c.before.report.Findings), len(c.after.report.Findings); {
	case a < b:
		verdict = Better
	case a > b:
		verdict = NotWell
	}
	p.fact(checks.Msg("findings of the image"), checks.Msg("%d", len(c.before.report.Findings)), checks.Msg("%d", len(c.after.report.Findings)), verdict)
}
