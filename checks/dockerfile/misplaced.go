package dockerfile

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/util/suggest"

	"plimsoll/checks"
)

var onbuildInvalid = check(checks.Check{
	ID:       "onbuild-invalid",
	Title:    "ONBUILD with what cannot be triggered",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3043", "tally invalid-onbuild-trigger"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "ONBUILD" {
			continue
		}
		words := in.Words()
		if len(words) == 0 {
			report(f.finding(in, "", checks.Msg("ONBUILD without an instruction")))
			continue
		}
		w := words[0]
		switch trigger := strings.ToUpper(w.Text); {
		case trigger == "FROM" || trigger == "ONBUILD" || trigger == "MAINTAINER":
			report(f.finding(in, trigger, checks.Msg("ONBUILD cannot trigger %s", trigger)))
		case !isKeyword(trigger):
			finding := f.finding(in, trigger, checks.Msg("ONBUILD %s is noticed only when somebody builds on this image: %s is not an instruction", w.Text, w.Text))
			if near, ok := suggest.Search(trigger, triggers, true); ok {
				finding.Fixes = []checks.Fix{{
					ID: "similar-keyword", Title: checks.Msg("use %s", near), Caution: checks.Msg("builds on this image will run the step from then on"),
					Edit: fixed(checks.Edit{Start: w.Start, End: w.End, New: f.keyword(near), Reason: checks.Msg("the instruction of a similar name")}),
				}}
			}
			report(finding)
		}
	}
})

// triggers are the instructions that ONBUILD accepts.
var triggers = []string{"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}

var instructionBeforeFrom = check(checks.Check{
	ID:       "instruction-before-from",
	Title:    "Instruction before the first FROM",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3061"},
}, func(f *File, report func(checks.Finding)) {
	if len(f.Stages) == 0 {
		return // stage-missing-or-empty says it
	}
	for _, in := range f.Instructions {
		if in.Keyword == "FROM" {
			return
		}
		if in.Keyword != "ARG" && isKeyword(in.Keyword) {
			report(f.finding(in, in.Keyword, checks.Msg("%s stands before the first FROM, where only ARG may stand", in.Keyword)))
		}
	}
})

var jsonFormInvalid = check(checks.Check{
	ID:       "json-form-invalid",
	Title:    "Exec form that is no JSON",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally invalid-json-form", "mint 20013"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		keyword, text, start := in.Keyword, in.Args.String, 0
		switch keyword {
		case "HEALTHCHECK", "ONBUILD":
			words := quotedWords(text, 0)
			if len(words) < 2 {
				continue
			}
			keyword = strings.ToUpper(text[words[0][0]:words[0][1]])
			start = words[1][0]
		}
		if !takesExec(keyword) || !strings.HasPrefix(text[start:], "[") || in.IsExec || validExec(text[start:]) {
			continue
		}
		items, sure := followed(text[start:], keyword)
		if !sure {
			items, sure = listItems(text[start:], keyword)
		}
		if !sure {
			continue
		}
		finding := f.finding(in, in.Keyword, checks.Msg("%s looks like a JSON list and is none, so the brackets are taken for a part of the text", keyword))
		if keyword == "CMD" || keyword == "ENTRYPOINT" || keyword == "RUN" {
			finding.Message = checks.Msg("%s looks like a JSON list and is none, so a shell is given the brackets to run", keyword)
		}
		if len(items) > 0 && !in.open && !slices.ContainsFunc(items, func(s string) bool { return strings.ContainsAny(s, "$\"\\`") }) {
			from, to := in.Args.Range(start, len(text))
			finding.Fixes = []checks.Fix{{
				ID: "json-list", Title: checks.Msg("write a JSON list"),
				Caution: checks.Msg("the instruction will do something else than so far: what it says"),
				Edit:    fixed(checks.Edit{Start: from, End: to, New: execForm(items), Reason: checks.Msg("double quotes, commas between, brackets around")}),
			}}
		}
		report(finding)
	}
})

// followed returns the items of a JSON list after which more text stands, such
// as a comment, which makes the whole no list.
func followed(s, keyword string) (items []string, ok bool) {
	if keyword == "COPY" || keyword == "ADD" {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(s))
	if err := d.Decode(&items); err != nil || len(items) == 0 {
		return nil, false
	}
	rest := strings.TrimSpace(s[d.InputOffset():])
	if !strings.HasPrefix(rest, "#") {
		return nil, rest != "" && keyword != "RUN"
	}
	return items, true
}

// listItems returns what the items of a broken JSON list are, none when that is
// not certain. It is sure when s is meant as a list rather than as a test of
// the shell or a pattern.
func listItems(s, keyword string) (items []string, sure bool) {
	inner := strings.TrimSpace(strings.NewReplacer("“", `"`, "”", `"`, "„", `"`).Replace(s[1:]))
	closed := strings.HasSuffix(inner, "]")
	inner = strings.TrimSpace(strings.TrimSuffix(inner, "]"))
	quoted := strings.HasPrefix(inner, `"`) || strings.HasPrefix(inner, "'")
	switch {
	case inner == "" || strings.HasPrefix(s, "[["):
		return nil, false
	case strings.ContainsAny(inner, "|&;<>") && !quoted:
		return nil, false
	case !quoted && (!closed || !strings.Contains(inner, ",") || keyword == "RUN" || keyword == "COPY" || keyword == "ADD"):
		return nil, false
	}
	commas, words := 0, 0
	for len(inner) > 0 {
		var item string
		switch c := inner[0]; c {
		case '"', '\'':
			end := strings.IndexByte(inner[1:], c)
			if end < 0 {
				return nil, closed && commas > 0
			}
			item, inner = inner[1:1+end], inner[2+end:]
		default:
			end := strings.IndexAny(inner, ", \t")
			if end < 0 {
				end = len(inner)
			}
			item, inner = inner[:end], inner[end:]
			words++
			if isTest(item) {
				return nil, false
			}
		}
		items = append(items, item)
		inner = strings.TrimLeft(inner, " \t")
		if rest, ok := strings.CutPrefix(inner, ","); ok {
			commas++
			inner = strings.TrimLeft(rest, " \t")
		}
	}
	if !closed && commas == 0 || quoted && words > 0 {
		return nil, commas > 0
	}
	if keyword == "COPY" || keyword == "ADD" {
		return items, commas > 0
	}
	return items, true
}

// isTest reports whether word is an operator of the test that [ is in a shell.
func isTest(word string) bool {
	switch word {
	case "=", "==", "!=", "!", "]", "&&", "||", "-a", "-o", "-eq", "-ne", "-lt", "-gt", "-le", "-ge", "-nt", "-ot":
		return true
	}
	return len(word) == 2 && word[0] == '-'
}

func validExec(s string) bool {
	in := Instruction{Keyword: "CMD"}
	return in.split(Text{String: "CMD " + s, pieces: []piece{{0, 0}}}, '\\') && in.IsExec
}

var shellRunInScratch = check(checks.Check{
	ID:       "shell-run-in-scratch",
	Title:    "Shell command where there is no shell",
	Severity: checks.Medium,
	Chapter:  checks.Hygiene,
	Refs:     []string{"tally shell-run-in-scratch"},
}, func(f *File, report func(checks.Finding)) {
	for _, s := range f.Stages {
		image := s.Root().Image
		if s.windows || image != "scratch" && !shellless(image) {
			continue
		}
		for _, in := range s.Instructions {
			if in.Keyword != "RUN" || in.IsExec && (len(in.Exec) == 0 || !isShell(path.Base(in.Exec[0]))) {
				continue
			}
			if f.mayHaveShell(in) || len(in.Heredocs) > 0 && strings.HasPrefix(string(f.Source[in.Heredocs[0].Start:in.Heredocs[0].End]), "#!") {
				continue
			}
			report(f.finding(in, s.label(), checks.Msg("RUN needs a shell, and %s has none", image)))
		}
	}
})

// shellless reports whether an image is known to have no shell.
func shellless(image string) bool {
	r := parseReference(image)
	return strings.HasPrefix(r.name, "gcr.io/distroless/") && !strings.Contains(r.tag, "debug")
}

// mayHaveShell reports whether anything before in, or a mount of in, may bring
// a shell: a file in a directory of programs, or whole directories.
func (f *File) mayHaveShell(in *Instruction) bool {
	if len(in.Flag("mount")) > 0 || in.posix && lastOf(in.Stage, "SHELL") != nil {
		return true
	}
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other == in {
				break
			}
			switch other.Keyword {
			case "ADD":
				return true
			case "COPY":
				_, dest, certain, _ := f.destination(other)
				if !certain || len(other.Heredocs) > 0 {
					return true
				}
				dest = path.Clean("/" + dest)
				if dest == "/" || slices.Contains([]string{"bin", "sbin", "usr", "lib", "lib64", "busybox", "nix"}, strings.Split(dest, "/")[1]) {
					return true
				}
			}
		}
	}
	return false
}

var gpuDriverCapabilitiesAll = check(checks.Check{
	ID:       "gpu-driver-capabilities-all",
	Title:    "More of the GPU than needed",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"tally gpu/prefer-minimal-driver-capabilities", "tally gpu/no-hardcoded-visible-devices"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "ENV" || !f.Shipped(in.Stage) || !strings.Contains(in.Args.String, "_") {
			continue
		}
		for _, p := range in.pairs {
			value := strings.ToLower(strings.Trim(p.Value, `"'`))
			switch p.Name {
			case "NVIDIA_DRIVER_CAPABILITIES":
				if !slices.Contains(strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }), "all") {
					continue
				}
				finding := f.findingAt(in, p.Start, p.End, p.Name, checks.Msg("every library of the graphics driver gets into the container, also those for display and video"))
				finding.Fixes = []checks.Fix{capabilitiesFix(p)}
				report(finding)
			case "NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES":
				if value == "" || value == "void" || value == "none" || strings.Contains(value, "$") {
					continue
				}
				finding := f.findingAt(in, p.Start, p.End, p.Name, checks.Msg("the image asks for the GPUs %s itself, which is for whoever starts the container to say", value))
				finding.Fixes = f.dropVariable(in, p)
				report(finding)
			}
		}
	}
})

func capabilitiesFix(p Pair) checks.Fix {
	return checks.Fix{
		ID: "driver-capabilities", Title: checks.Msg("ask for computing only"),
		Caution: checks.Msg("a program that draws or encodes video needs graphics or video as well"),
		Choices: []checks.Choice{{
			Key: "driver-capabilities", Label: checks.Msg("what the driver must offer"), Default: "compute,utility",
			Options: []string{"compute,utility", "compute", "utility", "compute,utility,video", "compute,utility,graphics"},
			Why:     checks.Msg("what CUDA and nvidia-smi need"),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			return []checks.Edit{{
				Start: p.ValueStart, End: p.ValueEnd, New: v["driver-capabilities"],
				Reason: checks.Msg("what is not in the container cannot be attacked"),
			}}, nil
		},
	}
}

// dropVariable takes one variable out of an ENV.
func (f *File) dropVariable(in *Instruction, p Pair) []checks.Fix {
	reason := checks.Msg("--gpus says it when the container starts")
	edit := f.remove(in, reason)
	if n := len(in.pairs); n > 1 {
		i := slices.IndexFunc(in.pairs, func(other Pair) bool { return other.Start == p.Start })
		edit = checks.Edit{Start: p.Start, End: p.End, Reason: reason}
		if i == 0 {
			edit.End = in.pairs[1].Start
		} else {
			edit.Start = in.pairs[i-1].End
		}
	} else if in.open {
		return nil
	}
	return []checks.Fix{{
		ID: "leave-to-start", Title: checks.Msg("leave it to whoever starts the container"),
		Caution: checks.Msg("the container gets its GPUs from docker run --gpus or from compose"),
		Edit:    fixed(edit),
	}}
}
