package dockerfile

import (
	"bytes"
	"strings"

	"plimsoll/checks"
)

// Fixes whose answer nobody here can know: the user looks it up where the
// choice says, and the patch is made around it.

// askedDigest pins an image, whose reference ends at byte end, to a digest that
// the user looks up.
func askedDigest(key, image string, end int) checks.Fix {
	return checks.Fix{
		ID: "digest", Title: checks.Msg("pin the digest"),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("digest of %s", image), Valid: validDigest,
			Why:     checks.Msg("the image is not here: docker buildx imagetools inspect %s shows its digest", image),
			Example: "sha256:" + strings.Repeat("0123456789abcdef", 4),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validDigest(v[key]); err != nil {
				return nil, err
			}
			return []checks.Edit{{Start: end, End: end, New: "@" + v[key], Reason: checks.Msg("the digest names exactly one image")}}, nil
		},
	}
}

func validDigest(digest string) error {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return &checks.Problem{What: checks.Msg("a digest is sha256: and 64 hexadecimal digits")}
	}
	return nil
}

// defaultsFix gives the ARGs that FROM of s needs a default.
func (f *File) defaultsFix(s *Stage, unset []string) []checks.Fix {
	var choices []checks.Choice
	places := map[string]int{} // by choice: where the ARG's name ends
	names := map[string]string{}
	for _, name := range unset {
		in, at := f.globalArg(name)
		if in == nil {
			return nil
		}
		key := "default-" + strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		places[key], names[key] = at, name
		// What makes the example valid depends on where the variable stands.
		example := "1.0"
		if before, _, _ := strings.Cut(s.Base.Text, name); !strings.ContainsAny(before, ":/") {
			example = "example.com/base:1.0"
			if before, rest, ok := strings.Cut(s.Base.Text, name); ok && strings.Trim(before+rest, "${}") != "" {
				example = "example"
			}
		}
		choices = append(choices, checks.Choice{
			Key: key, Label: checks.Msg("value of %s when the build sets none", name), Example: example, Valid: validDefault,
			Why: checks.Msg("FROM is %s", s.Base.Text),
		})
	}
	if len(choices) == 0 {
		return nil
	}
	return []checks.Fix{{
		ID: "default", Title: checks.Msg("give %s a default", strings.Join(unset, ", ")), Choices: choices,
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			var edits []checks.Edit
			for _, c := range choices {
				if err := validDefault(v[c.Key]); err != nil {
					return nil, err
				}
				edits = append(edits, checks.Edit{Start: places[c.Key], End: places[c.Key], New: "=" + v[c.Key], Reason: checks.Msg("a build that sets nothing works, too")})
			}
			return edits, nil
		},
	}}
}

func validDefault(value string) error {
	if value == "" || strings.ContainsAny(value, " \t\r\n\"'$\\`#") {
		return &checks.Problem{What: checks.Msg("a name, a tag or a reference, without blanks and quotes")}
	}
	return nil
}

// globalArg returns the ARG before the first FROM that declares name without a
// value, and where the name ends.
func (f *File) globalArg(name string) (*Instruction, int) {
	for _, in := range f.Instructions {
		if in.Stage != nil {
			break
		}
		if in.Keyword != "ARG" {
			continue
		}
		for _, p := range f.Pairs(in) {
			if p.Name == name && !p.HasValue && p.End-p.Start == len(name) {
				return in, p.End
			}
		}
	}
	return nil, 0
}

// narrowFix copies chosen paths of a stage instead of all of it.
func (f *File) narrowFix(in *Instruction) []checks.Fix {
	words := in.Words()
	if in.open || in.IsExec || len(words) != 2 || len(in.Heredocs) > 0 {
		return nil
	}
	key := in.Stage.choice("paths")
	head := string(f.Source[in.Start:words[0].Start])
	if strings.Contains(head, "\n") {
		return nil
	}
	return []checks.Fix{{
		ID: "paths", Title: checks.Msg("copy what the image needs"),
		Caution: checks.Msg("the image then has these paths only: start it and try it"),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("paths to copy"), Example: "/usr/local /app", Valid: validPaths,
			Why: checks.Msg("what the stage made, each to the same place"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validPaths(v[key]); err != nil {
				return nil, err
			}
			var lines []string
			for _, path := range strings.Fields(v[key]) {
				lines = append(lines, head+path+" "+path)
			}
			return []checks.Edit{{Start: in.Start, End: words[1].End, New: strings.Join(lines, f.eol()), Reason: checks.Msg("what is not copied cannot be attacked")}}, nil
		},
	}}
}

func validPaths(list string) error {
	paths := strings.Fields(list)
	for _, p := range paths {
		if !strings.HasPrefix(p, "/") || strings.Trim(p, "/") == "" || strings.ContainsAny(p, "*?[]$\"'\\`") {
			paths = nil
			break
		}
	}
	if len(paths) == 0 || strings.ContainsAny(list, "\r\n") {
		return &checks.Problem{What: checks.Msg("absolute paths below /, with blanks between")}
	}
	return nil
}

// reasonFix adds the reason to a comment that hides findings.
func (f *File) reasonFix(c comment, s suppression) []checks.Fix {
	if s.tool != "plimsoll" && s.tool != "hadolint" || c.directive {
		return nil
	}
	end := c.start + len(strings.TrimRight(string(f.Source[c.start:c.end]), " \t\r"))
	write := func(reason string) checks.Edit {
		return checks.Edit{Start: end, End: end, New: ` reason="` + reason + `"`, Reason: checks.Msg("who reads it later knows whether it still holds")}
	}
	if s.tool == "hadolint" {
		at := bytes.LastIndexByte(f.Source[:c.start], '\n') + 1
		write = func(reason string) checks.Edit {
			return checks.Edit{Start: at, End: at, New: "# " + reason + f.eol(), Reason: checks.Msg("who reads it later knows whether it still holds")}
		}
	}
	return []checks.Fix{{
		ID: "reason", Title: checks.Msg("say why"),
		Choices: []checks.Choice{{Key: "reason", Label: checks.Msg("why this is accepted"), Example: "starts as root and drops it itself", Valid: validReason}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := validReason(v["reason"]); err != nil {
				return nil, err
			}
			return []checks.Edit{write(v["reason"])}, nil
		},
	}}
}

func validReason(reason string) error {
	if strings.TrimSpace(reason) == "" || strings.ContainsAny(reason, "\"\r\n=") {
		return &checks.Problem{What: checks.Msg("a reason is a few words without quotes and =")}
	}
	return nil
}
