package image

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// Reconstruct returns a Dockerfile that makes an image like i, written from its
// history and configuration. It builds on base, whose layers i begins with; nil
// where no such image is known. What was copied into i is copied out of i, since
// a history names only where to. Secrets are left out.
//
// Where the history does not tell all that was done, the files of the whole image
// are taken over, and its steps are comments.
func (i *Image) Reconstruct(base *Image) []byte {
	d := draft{image: i, reference: i.Reference(), workdir: "/", set: map[string]bool{}}
	d.comment("Reconstructed from the history of %s: a starting point, not the file that it was built from.", i.Ref().Name)
	d.comment("What was copied into the image is copied out of it here, and belongs to root then. Secrets are left out.")
	steps := i.steps()
	if base != nil {
		d.base = configOf(base)
		d.workdir, d.user = cmp.Or(d.base.WorkingDir, d.workdir), d.base.User
		steps = steps[min(len(base.History), len(steps)):]
		d.line("FROM %s", base.Reference())
	} else {
		d.comment("No image here has the layers that it begins with: FROM is to be found out.")
		d.line("FROM scratch")
	}
	if d.whole = base == nil || slices.ContainsFunc(steps, func(s step) bool { return s.instruction == "" && i.size(s) > 0 }); d.whole {
		d.line("COPY --from=%s / /", d.reference)
	}
	for _, s := range steps {
		d.step(s)
	}
	d.configuration()
	return d.Bytes()
}

// size returns how many bytes s put into the file system.
func (i *Image) size(s step) int64 { return i.History[len(i.History)-s.number].Size }

func configOf(i *Image) dockerspec.DockerOCIImageConfig {
	if i.Inspect.Config == nil {
		return dockerspec.DockerOCIImageConfig{}
	}
	return *i.Inspect.Config
}

// A draft is a Dockerfile that is being written.
type draft struct {
	bytes.Buffer
	image     *Image
	reference string // by which the files of the image are found
	base      dockerspec.DockerOCIImageConfig
	workdir   string          // as it stands now
	user      string          // as it stands now
	set       map[string]bool // variables that were set, or left out
	whole     bool            // all files are there already
}

func (d *draft) line(format string, args ...any) {
	fmt.Fprintf(d, format+"\n", args...)
}

func (d *draft) comment(format string, args ...any) {
	d.line("# %s", terminal.Line(secret.Redact(fmt.Sprintf(format, args...))))
}

// step writes one step of the history. What the configuration holds as well is
// taken from there, where it is written in full.
func (d *draft) step(s step) {
	switch s.instruction {
	case "RUN":
		d.run(s.text)
	case "COPY", "ADD":
		d.copy(s)
	case "ENV":
		d.env(s.text)
	case "ARG":
		if text := terminal.Line(s.text); secret.Redact(text) == text {
			d.line("ARG %s", text)
		} else {
			d.line("ARG %s", terminal.Line(strings.SplitN(s.text, "=", 2)[0]))
		}
	case "WORKDIR":
		d.workdir = path.Join(d.workdir, s.text)
		if path.IsAbs(s.text) {
			d.workdir = path.Clean(s.text)
		}
		d.line("WORKDIR %s", terminal.Line(s.text))
	case "USER":
		d.user = s.text
		d.line("USER %s", terminal.Line(s.text))
	case "SHELL":
		if shell := configOf(d.image).Shell; len(shell) > 0 {
			d.line("SHELL %s", list(shell))
		}
	case "":
		if strings.TrimSpace(s.all) != "" {
			d.comment("%s", shorten(s.all, 200))
		}
	}
}

func (d *draft) run(command string) {
	command = strings.TrimSpace(command)
	switch masked := secret.Redact(command); {
	case d.whole:
		d.comment("RUN %s", command)
		return
	case masked != command:
		d.comment("A secret was in this command: mount it as a build secret.")
		command = masked
	}
	if strings.Contains(command, "\n") || terminal.Line(command) != command {
		d.line("RUN %s", list([]string{"/bin/sh", "-c", command})) // in one line whatever it holds
		return
	}
	d.line("RUN %s", command)
}

// copy writes the step that put files to the place that its last word names.
func (d *draft) copy(s step) {
	words := strings.Fields(s.text)
	if len(words) == 0 {
		return
	}
	to := words[len(words)-1]
	d.comment("%s %s", s.instruction, s.text)
	if d.whole {
		return
	}
	var flags []string
	for _, w := range words {
		if strings.HasPrefix(w, "--chown=") || strings.HasPrefix(w, "--chmod=") {
			flags = append(flags, w+" ")
		}
	}
	from := to
	if !path.IsAbs(to) && !strings.HasPrefix(to, "$") {
		from = path.Join(d.workdir, to)
		if strings.HasSuffix(to, "/") || to == "." {
			from += "/"
		}
	}
	d.line("COPY --from=%s %s%s", d.reference, strings.Join(flags, ""), terminal.Line(list([]string{from, to})))
}

var assignment = regexp.MustCompile(`(?:^| )([A-Za-z_][A-Za-z0-9_.-]*)=`)

// env sets the variables that text names to what they are in the image. Histories
// do not say where a value ends.
func (d *draft) env(text string) {
	if name, _, _ := strings.Cut(text, " "); !strings.Contains(name, "=") {
		text = name + "=" // ENV name value
	}
	for _, m := range assignment.FindAllStringSubmatch(text, -1) {
		for _, variable := range configOf(d.image).Env {
			if name, value, _ := strings.Cut(variable, "="); name == m[1] && !d.set[name] {
				d.set[name] = true
				d.pair("ENV", name, value)
			}
		}
	}
}

// pair writes ENV or LABEL for one name, unless its value is or holds a secret.
func (d *draft) pair(instruction, name, value string) {
	if secret.Variable(name, value) || secret.Redact(name+"="+value) != name+"="+value {
		d.comment("%s %s is left out: it holds a secret, which belongs to what runs the image.", instruction, name)
		return
	}
	if strings.ContainsAny(value, "\n\r") {
		d.comment("%s %s is left out: it has several lines.", instruction, name)
		return
	}
	d.line("%s %s=%s", instruction, quoted(name), quoted(value))
}

var inQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`)

// quoted returns s as a word of an instruction.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/:._-") == "" {
		return s
	}
	return `"` + inQuotes.Replace(terminal.Line(s)) + `"`
}

// list returns words in the form of a JSON list.
func list(words []string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(words) // strings can be encoded
	return strings.TrimSpace(b.String())
}

// configuration writes what the image says to those that run it, where its base
// says something else and no step has.
func (d *draft) configuration() {
	c, base := configOf(d.image), d.base
	for _, variable := range c.Env {
		if name, value, _ := strings.Cut(variable, "="); !d.set[name] && !slices.Contains(base.Env, variable) {
			d.pair("ENV", name, value)
		}
	}
	if c.WorkingDir != "" && path.Clean(c.WorkingDir) != d.workdir {
		d.line("WORKDIR %s", terminal.Line(c.WorkingDir))
	}
	if c.User != d.user {
		d.line("USER %s", terminal.Line(c.User))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		if value, same := base.Labels[name]; !same || value != c.Labels[name] {
			d.pair("LABEL", name, c.Labels[name])
		}
	}
	for _, port := range slices.Sorted(maps.Keys(c.ExposedPorts)) {
		if _, same := base.ExposedPorts[port]; !same {
			d.line("EXPOSE %s", terminal.Line(port))
		}
	}
	for _, place := range slices.Sorted(maps.Keys(c.Volumes)) {
		if _, same := base.Volumes[place]; !same {
			d.line("VOLUME %s", list([]string{place}))
		}
	}
	if c.StopSignal != base.StopSignal {
		d.line("STOPSIGNAL %s", terminal.Line(c.StopSignal))
	}
	for _, trigger := range c.OnBuild {
		if !slices.Contains(base.OnBuild, trigger) {
			d.line("ONBUILD %s", terminal.Line(secret.Redact(trigger)))
		}
	}
	d.health(c.Healthcheck, base.Healthcheck)
	if !slices.Equal(c.Entrypoint, base.Entrypoint) {
		d.arguments("ENTRYPOINT", c.Entrypoint)
	}
	if !slices.Equal(c.Cmd, base.Cmd) || !slices.Equal(c.Entrypoint, base.Entrypoint) && len(c.Cmd) > 0 {
		d.arguments("CMD", c.Cmd) // an entry point takes the command of the base away
	}
}

func (d *draft) arguments(instruction string, words []string) {
	if text := strings.Join(words, " "); secret.Redact(text) != text {
		d.comment("%s %s", instruction, text)
		return
	}
	d.line("%s %s", instruction, list(append([]string{}, words...)))
}

func (d *draft) health(h, base *dockerspec.HealthcheckConfig) {
	if h == nil || len(h.Test) == 0 || base != nil && slices.Equal(h.Test, base.Test) && h.Interval == base.Interval {
		return
	}
	options := ""
	for _, o := range []struct {
		name  string
		value time.Duration
	}{{"interval", h.Interval}, {"timeout", h.Timeout}, {"start-period", h.StartPeriod}} {
		if o.value > 0 {
			options += fmt.Sprintf("--%s=%s ", o.name, o.value)
		}
	}
	if h.Retries > 0 {
		options += fmt.Sprintf("--retries=%d ", h.Retries)
	}
	switch rest := h.Test[1:]; h.Test[0] {
	case "NONE":
		d.line("HEALTHCHECK NONE")
	case "CMD-SHELL":
		d.line("HEALTHCHECK %sCMD %s", options, terminal.Line(secret.Redact(strings.Join(rest, " "))))
	case "CMD":
		d.arguments("HEALTHCHECK "+options+"CMD", rest)
	}
}
