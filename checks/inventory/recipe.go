package inventory

import (
	"slices"
	"strings"

	api "github.com/moby/moby/api/types/image"

	"plimsoll/checks/dockerfile"
)

// A Dockerfile and an image made from it are related by the image's history,
// which holds every instruction in the words of the builder that carried it
// out. Three of them write:
//
//	the classic one:  /bin/sh -c apt-get update     /bin/sh -c #(nop)  USER 1000
//	BuildKit:         RUN /bin/sh -c apt-get update # buildkit     USER 1000
//	Podman, Buildah:  /bin/sh -c apt-get update     /bin/sh -c #(nop) USER 1000
//
// with |2 A=1 B=2 before the shell where there are build arguments.

// A Recipe is what a Dockerfile does to the image that it ships, in order.
type Recipe struct {
	steps []ingredient
}

// An ingredient is one instruction, of a file or of a history.
type ingredient struct {
	keyword string
	text    string // in one line, without what builders write each in their own way
	to      string // of COPY and ADD: where to
	line    int    // in the file
	row     int    // index into the history, the newest first
	size    int64
	open    bool // holds variables, which a history may show filled in
}

func newIngredient(keyword, text string) ingredient {
	in := ingredient{keyword: keyword, text: bare(keyword, text)}
	if keyword == "COPY" || keyword == "ADD" {
		in.to = lastWord(in.text)
	}
	return in
}

// RecipeOf returns the recipe of f, without the stages that only lend files.
func RecipeOf(f *dockerfile.File) Recipe {
	var r Recipe
	final := f.Final()
	if final == nil {
		return r
	}
	for _, s := range slices.Backward(final.Chain()) {
		for _, in := range s.Instructions {
			text := in.Args.String
			for _, h := range in.Heredocs {
				text += "\n" + string(f.Source[h.Start:h.End])
			}
			if in.IsExec && in.Keyword == "RUN" {
				text = strings.Join(in.Exec, " ")
			}
			step := newIngredient(in.Keyword, text)
			step.line = in.Line
			switch in.Keyword {
			case "RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK", "ONBUILD": // no builder fills these in
			default:
				step.open = strings.Contains(text, "$")
			}
			r.steps = append(r.steps, step)
		}
	}
	return r
}

// A Match says how sure it is that an image was made from a Dockerfile.
type Match struct {
	// Layers are the rows of the history by the line of their instruction.
	Layers map[int]Layer

	Known, Of int // instructions that were found in the history, of how many
}

// A Layer is one row of an image's history.
type Layer struct {
	Row  int // index into the history, the newest first
	Size int64
}

// Sure reports whether the image was made from the file, or from one that
// differed from it in few instructions.
func (m Match) Sure() bool { return m.Known > 0 && 4*m.Known >= 3*m.Of }

// Align finds the instructions of r in history, the newest first as an engine
// sends it. It is the longest common subsequence that counts: instructions
// that the file has gained or lost since the build are passed over, and so are
// the rows of the base image, which come before.
func (r Recipe) Align(history []api.HistoryResponseItem) Match {
	m := Match{Layers: map[int]Layer{}}
	for _, s := range r.steps {
		if s.telling() {
			m.Of++
		}
	}
	rows := ingredients(history)
	if m.Of == 0 || len(rows) == 0 || len(r.steps)*len(rows) > 1<<20 {
		return m
	}
	// best[i][j] is the weight of the best match of steps[i:] with rows[j:].
	best := make([][]int, len(r.steps)+1)
	for i := range best {
		best[i] = make([]int, len(rows)+1)
	}
	for i := len(r.steps) - 1; i >= 0; i-- {
		for j := len(rows) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if w := r.steps[i].like(rows[j]); w > 0 {
				best[i][j] = max(best[i][j], w+best[i+1][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(r.steps) && j < len(rows); {
		w := r.steps[i].like(rows[j])
		switch {
		case best[i][j] == best[i][j+1]: // late rows first: those before are the base's
			j++
		case w > 0 && best[i][j] == w+best[i+1][j+1]:
			m.Layers[r.steps[i].line] = Layer{rows[j].row, rows[j].size}
			if r.steps[i].telling() {
				m.Known++
			}
			i, j = i+1, j+1
		default:
			i++
		}
	}
	return m
}

// telling reports whether in says something of its file: what many files have
// in common does not.
func (in ingredient) telling() bool {
	switch in.keyword {
	case "RUN", "COPY", "ADD", "ENTRYPOINT", "CMD":
		return true
	}
	return false
}

// like returns how much in, of a file, is like row, of a history; 0 when it is
// something else.
func (in ingredient) like(row ingredient) int {
	if in.keyword != row.keyword {
		return 0
	}
	switch {
	case in.text == row.text:
		return 4
	case in.keyword == "COPY" || in.keyword == "ADD":
		// The classic builder and Buildah write a digest for the sources.
		if in.to == row.to || in.open && strings.Contains(in.to, "$") {
			return 3
		}
		return 0
	case in.open && fits(in.text, row.text):
		return 2
	}
	return 0
}

// fits reports whether filled could be pattern with its variables filled in:
// what stands between them is there, in order.
func fits(pattern, filled string) bool {
	parts := strings.FieldsFunc(pattern, func(r rune) bool { return r == '$' })
	at := 0
	for n, part := range parts {
		if n > 0 || strings.HasPrefix(pattern, "$") {
			part = strings.TrimLeft(part, "{ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
			if _, rest, ok := strings.Cut(part, "}"); ok {
				part = rest
			}
		}
		i := strings.Index(filled[at:], part)
		if i < 0 || n == 0 && part != "" && i > 0 && !strings.HasPrefix(pattern, "$") {
			return false
		}
		at += i + len(part)
	}
	return true
}

func lastWord(s string) string {
	s = strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(s), "]"), "/\" ")
	return strings.Trim(s[strings.LastIndexAny(s, " \",")+1:], "\"")
}

// ingredients returns the rows of a history, the oldest first, without those
// that no instruction made.
func ingredients(history []api.HistoryResponseItem) []ingredient {
	var out []ingredient
	for row, h := range slices.Backward(history) {
		keyword, text := instructionOf(h.CreatedBy)
		if keyword != "" {
			step := newIngredient(keyword, text)
			step.row, step.size = row, h.Size
			out = append(out, step)
		}
	}
	return out
}

// longestStep is how much of a row of a history is looked at.
const longestStep = 64 << 10

// instructionOf takes the words of a builder apart.
func instructionOf(createdBy string) (keyword, text string) {
	text = strings.TrimSpace(createdBy[:min(len(createdBy), longestStep)])
	text = strings.TrimSpace(strings.TrimSuffix(text, "# buildkit"))
	if _, rest, ok := strings.Cut(text, "#(nop)"); ok && !strings.HasPrefix(text, "RUN ") {
		keyword, text, _ = strings.Cut(strings.TrimSpace(rest), " ")
		return keyword, text
	}
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case word == "RUN":
		return word, command(rest)
	case strings.HasPrefix(text, "|") || strings.HasPrefix(text, "/bin/") || strings.HasPrefix(text, "sh -c "):
		return "RUN", command(text)
	case word != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
		return word, rest
	}
	return "", ""
}

// command takes build arguments and the shell off the text of a RUN.
func command(text string) string {
	for _, shell := range []string{"/bin/sh -c ", "/bin/bash -c ", "/bin/ash -c ", "sh -c ", "bash -c ", " -c "} {
		if _, rest, ok := strings.Cut(text, shell); ok {
			return rest
		}
	}
	if strings.HasPrefix(text, "|") { // exec form
		fields := strings.Fields(text)
		for n, f := range fields[1:] {
			if !strings.Contains(f, "=") {
				return strings.Join(fields[n+1:], " ")
			}
		}
	}
	return text
}

var (
	quotes     = strings.NewReplacer(`"`, "", `'`, "")
	brackets   = strings.NewReplacer("map[", "", "[", "", "]", "", ":{}", "", "/tcp", "", `"`, "", ",", " ")
	separators = strings.NewReplacer(`" "`, `","`, `", "`, `","`)
)

// bare makes two ways to write an instruction the same.
func bare(keyword, text string) string {
	switch keyword {
	case "RUN":
		text = strings.ReplaceAll(text, "\n", " ")
	case "ENV", "LABEL", "ARG":
		text = quotes.Replace(text)
		if name, value, ok := strings.Cut(text, " "); ok && keyword == "ENV" && !strings.Contains(name, "=") {
			text = name + "=" + value
		}
	case "EXPOSE", "VOLUME":
		// map[8080/tcp:{}], [8080/tcp], ["/data"]
		text = brackets.Replace(text)
	case "CMD", "ENTRYPOINT", "SHELL":
		// ["/bin/sh" "-c" "x"] and ["/bin/sh","-c","x"] are x in shell form.
		text = separators.Replace(text)
		for _, shell := range []string{`["/bin/sh","-c",`, `["/bin/bash","-c",`} {
			if rest, ok := strings.CutPrefix(text, shell); ok {
				text = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(rest, "]"), `"`), `"`), `\"`, `"`)
			}
		}
	case "HEALTHCHECK":
		text = "" // written as Go prints it
	case "COPY", "ADD":
		for strings.HasPrefix(text, "--") {
			_, text, _ = strings.Cut(text, " ")
		}
		text = strings.ReplaceAll(text, " in ", " ")
	}
	return strings.Join(strings.Fields(text), " ")
}
