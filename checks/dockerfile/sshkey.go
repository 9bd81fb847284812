package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var sshKeyUsedInBuild = check(checks.Check{
	ID:       "ssh-key-used-in-build",
	Title:    "SSH key copied into the build",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CWE-522", "CWE-538"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		var key *Instruction // the COPY that brought a key
		written := false
		for _, in := range s.Instructions {
			switch in.Keyword {
			case "COPY", "ADD":
				if len(in.Flag("from")) == 0 {
					for _, source := range in.sources() {
						if sshKey(source) {
							key = in
						}
					}
				}
			case "RUN":
				if in.mountsKind("ssh") || in.mountsKind("secret") || s.windows {
					continue
				}
				what, c := f.usesSSHKey(in, key != nil || written)
				if c == nil {
					continue
				}
				finding := f.findingAt(in, c.words[c.at].start, c.words[c.at].end, s.label()+"/"+what, checks.Msg("%s works with a private key that is in the build: it stays in a layer", what))
				if what == ".ssh" {
					written = true
					finding.Message = checks.Msg("a private key is written to a file: it stays in the layer of this step")
				}
				if key != nil && !in.IsExec && !in.open && !hasWord(in.Args.String, ".ssh") && len(in.Heredocs) == 0 {
					at := in.Args.Offset(0)
					finding.Fixes = []checks.Fix{{
						ID: "ssh-mount", Title: checks.Msg("use the SSH agent of whoever builds"),
						Caution: checks.Msg("the build needs --ssh default, and the host must be in known_hosts; take the key out of COPY as well"),
						Edit:    fixed(checks.Edit{Start: at, End: at, New: "--mount=type=ssh ", Reason: checks.Msg("the agent signs, and no key enters the build")}),
					}}
				}
				if key != nil {
					finding.Evidence = append(finding.Evidence, f.lineEvidence(key, key.Line))
				}
				report(finding)
			}
		}
	}
})

// sshKey reports whether a path names a private SSH key or a folder of them.
func sshKey(name string) bool {
	name = strings.TrimSuffix(strings.Trim(name, `"'`), "/")
	base := path.Base(name)
	if strings.HasSuffix(base, ".pub") {
		return false
	}
	return strings.HasPrefix(base, "id_rsa") || strings.HasPrefix(base, "id_ed25519") || strings.HasPrefix(base, "id_ecdsa") || strings.HasPrefix(base, "id_dsa") || base == ".ssh" || base == "deploy_key"
}

// usesSSHKey returns the command of in that writes a private key, or works with
// one that a file holds or, when there is one, an earlier step brought.
func (f *File) usesSSHKey(in *Instruction, present bool) (what string, c *command) {
	if !f.mentions(in, "ssh", "git@", "id_", "scp", "rsync") {
		return "", nil
	}
	s := f.script(in)
	for _, c := range s.commands {
		args := c.args()
		switch program := c.program(); program {
		case "ssh", "scp", "sftp", "rsync":
			for i, a := range args {
				if a.text == "-i" && i+1 < len(args) && sshKey(args[i+1].text) {
					return program, c
				}
			}
			if present && program != "rsync" {
				return program, c
			}
		case "ssh-add":
			for _, a := range args {
				if a.text == "-" || sshKey(a.text) {
					return program, c
				}
			}
		case "git":
			if present {
				for _, a := range args {
					if strings.HasPrefix(a.text, "git@") || strings.HasPrefix(a.text, "ssh://") {
						return program, c
					}
				}
			}
		case "echo", "printf", "cat", "base64":
			if c.stmt == nil {
				continue
			}
			for _, r := range c.stmt.Redirs {
				if r.Word == nil || r.Op.String() != ">" && r.Op.String() != ">>" {
					continue
				}
				start, end := int(r.Word.Pos().Offset()), endOf(r.Word, c.text)
				if end <= len(c.text.String) && sshKey(c.text.String[start:end]) && (program == "cat" || program == "base64" || len(variableNames(textOf(args))) > 0 || strings.Contains(textOf(args), "PRIVATE KEY")) {
					return ".ssh", c
				}
			}
		}
	}
	return "", nil
}

func textOf(words []shellWord) string {
	var out []string
	for _, w := range words {
		out = append(out, w.text)
	}
	return strings.Join(out, " ")
}
