package files

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// steps says what Apply does, in its order: the secrets, each file, the proof.
func (p *patch) steps(project *project, file document) []fixes.Step {
	var out []fixes.Step
	for _, d := range p.deposits {
		path := p.path(d)
		command := fmt.Sprintf("(umask 077 && mkdir -p %s && cat > %s)", fixes.Quote(filepath.Dir(path)), fixes.Quote(path))
		if d.Readable {
			command += " && chmod 644 " + fixes.Quote(path)
		}
		out = append(out, fixes.Step{
			Op:      "keep",
			Target:  terminal.Line(path),
			Why:     checks.Msg("the secret %s is in a file of its own, for you alone, before it leaves %s", d.ID, terminal.Line(file.text().name)),
			Command: terminal.Line(command),
		})
	}
	for _, t := range p.targets {
		why := checks.Msg("all edits at once: the file is the old one or the new one, never a part of it")
		if t.change.Created {
			why = checks.Msg("a new file: nothing that exists is overwritten")
		}
		out = append(out, fixes.Step{Op: "write", Target: t.change.Name, Why: why, Command: patchCommand(project.dir, t)})
	}
	if len(p.targets) > 0 {
		out = append(out, fixes.Step{
			Op:      "verify",
			Target:  terminal.Line(file.text().name),
			Why:     checks.Msg("what was written is read back, parsed and checked again"),
			Command: p.command(project.dir, file),
		})
	}
	return out
}

// written returns the name of the Dockerfile that holds the result.
func (p *patch) written(file document) string {
	name := filepath.Base(file.text().path)
	for _, t := range p.targets {
		if t.source.Name == name {
			return t.old.Name
		}
	}
	return name
}

func (p *patch) path(d deposit) string {
	if d.Path != "" {
		return filepath.Join(p.dir, d.Path)
	}
	return filepath.Join(p.vault.Path, d.file)
}

// command puts the result to use, with the secrets that it now asks for.
func (p *patch) command(dir string, file document) string {
	var secrets []string
	for _, d := range p.deposits {
		if d.Path != "" {
			continue // what runs reads it, not the builder
		}
		secrets = append(secrets, "id="+d.ID+",src="+p.path(d))
	}
	return file.command(dir, p.written(file), secrets)
}

// patchCommand returns the change as input of patch, or "" where that would
// show a secret or lose a byte on its way through a terminal.
func patchCommand(dir string, t target) string {
	from := t.source.Name
	if !t.source.Exists {
		from = "/dev/null"
	}
	diff := t.change.Diff(from, t.old.Name).String()
	if !utf8.ValidString(diff) || strings.Contains(diff, "\r") || secret.Redact(diff) != diff || !printable(diff) || !printable(dir) {
		return ""
	}
	for _, e := range t.change.Edits {
		if len(e.Moved) > 0 || e.Start < e.End && t.change.HoldsSecret(e.Start, e.End) {
			return ""
		}
	}
	output := ""
	if t.source.Name != t.old.Name {
		output = " -o " + fixes.Quote(t.old.Name) + " " + fixes.Quote(t.source.Name)
	}
	return fmt.Sprintf("cd %s && patch -p0%s <<'EOF'\n%sEOF", fixes.Quote(dir), output, diff)
}

// printable reports whether s is the same on every terminal, line by line.
func printable(s string) bool {
	for l := range strings.SplitSeq(s, "\n") {
		if plain := strings.ReplaceAll(l, "\t", " "); terminal.Line(plain) != plain {
			return false
		}
	}
	return true
}

// notes says what the user has to know beside the diff.
func (p *patch) notes(file document, beside bool) []checks.Message {
	var out []checks.Message
	if beside {
		out = append(out, checks.Msg("%s stays as it is, so that its findings stay too until the copy takes its place", terminal.Line(file.text().name)))
	}
	for _, d := range p.deposits {
		out = append(out, checks.Msg("the secret %s moves to %s", d.ID, terminal.Line(p.path(d))))
	}
	if slices.ContainsFunc(p.deposits, func(d deposit) bool { return d.Path == "" }) {
		out = append(out, checks.Msg("build with: %s", p.command(filepath.Dir(file.text().path), file)))
	}
	return append(out, p.reminders()...)
}

// reminders says what only the user can do once secrets have moved.
func (p *patch) reminders() []checks.Message {
	if len(p.deposits) == 0 {
		return nil
	}
	return []checks.Message{checks.Msg("the old value is still in the history of images and of version control: replace it at its issuer")}
}
