package dockerfile

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

// between is what stands between a package and its version, by check.
var between = map[string]string{
	"apt-version-unpinned": "=", "apk-version-unpinned": "=", "zypper-version-unpinned": "=",
	"yum-version-unpinned": "-", "dnf-version-unpinned": "-", "pip-version-unpinned": "==",
	"npm-version-unpinned": "@", "gem-version-unpinned": ":", "go-version-unpinned": "@",
}

// showing is the command that shows what version a package has, by check.
var showing = map[string]string{
	"apt-version-unpinned": "dpkg -l", "apk-version-unpinned": "apk list --installed", "zypper-version-unpinned": "rpm -qa",
	"yum-version-unpinned": "rpm -qa", "dnf-version-unpinned": "rpm -qa", "pip-version-unpinned": "pip freeze",
	"npm-version-unpinned": "npm ls -g", "gem-version-unpinned": "gem list", "go-version-unpinned": "go version -m",
}

// pinFix writes a version behind each of words, the first of which is on line.
// It is offered where each of them stands in the file as it is.
func (p *pinning) pinFix(f *File, line int, words []shellWord) []checks.Fix {
	if !f.ordinary() {
		return nil
	}
	var names, example []string
	ends := map[string][]int{}
	for _, w := range words {
		name := w.text
		if p.id == "go-version-unpinned" || p.id == "npm-version-unpinned" {
			name = withoutTag(name)
		}
		if w.start < 0 || string(f.Source[w.start:w.end]) != w.text || strings.ContainsAny(name, " =:") || len(words) > 40 {
			return nil
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
			example = append(example, name+"="+map[bool]string{true: "v1.0.0", false: "1.0.0"}[p.id == "go-version-unpinned"])
		}
		ends[name] = append(ends[name], w.start+len(name), w.end)
	}
	key := fmt.Sprintf("versions-%d", line)
	valid := func(list string) error {
		given, err := parseVersions(list)
		for _, name := range names {
			if err == nil && given[name] == "" {
				err = &checks.Problem{What: checks.Msg("%s has no version yet: the form is NAME=VERSION, with blanks between", name)}
			}
		}
		return err
	}
	return []checks.Fix{{
		ID: "version", Title: checks.Msg("write the versions down"),
		Caution: checks.Msg("a version that the repository no longer has stops the build: somebody has to move it on"),
		Choices: []checks.Choice{{
			Key: key, Label: checks.Msg("versions to install"), Example: strings.Join(example, " "), Valid: valid,
			Why: checks.Msg("%s in the image shows what there is now", showing[p.id]),
		}},
		Edit: func(v checks.Values) ([]checks.Edit, error) {
			if err := valid(v[key]); err != nil {
				return nil, err
			}
			given, _ := parseVersions(v[key]) // valid
			var edits []checks.Edit
			for _, name := range names {
				for i := 0; i < len(ends[name]); i += 2 {
					edits = append(edits, checks.Edit{
						Start: ends[name][i], End: ends[name][i+1], New: between[p.id] + given[name],
						Reason: checks.Msg("every build installs the same"),
					})
				}
			}
			return edits, nil
		},
	}}
}

// withoutTag returns a package without a tag that moves, such as @latest.
func withoutTag(name string) string {
	if i := strings.LastIndexByte(name, '@'); i > 0 {
		return name[:i]
	}
	return name
}

// parseVersions reads NAME=VERSION NAME=VERSION.
func parseVersions(list string) (map[string]string, error) {
	out := map[string]string{}
	for _, item := range strings.Fields(list) {
		name, version, ok := strings.Cut(item, "=")
		version = strings.TrimLeft(version, "=") // as pip writes it
		if !ok || version == "" || strings.Trim(version, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+:~_^-") != "" {
			return nil, &checks.Problem{What: checks.Msg("%s is not of the form NAME=VERSION", item)}
		}
		out[name] = version
	}
	return out, nil
}
