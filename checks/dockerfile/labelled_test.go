package dockerfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plimsoll/checks"
)

// A labelled case is a Dockerfile of which somebody else has said whether a
// rule of theirs fires on it.
type labelled struct {
	Suite, Rule, Dockerfile string
	CaseID                  string `json:"case_id"`
	Fires                   bool
	Config                  string
	Ambiguous               any
}

// topics reads columns of a table of the reference material: from → to.
func topics(t *testing.T, file string, from func([]string) string, to int) map[string][]string {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "corpus", file))
	if err != nil {
		t.Skipf("CORPUS NOT THERE, nothing was tested: %v", err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		if columns := strings.Split(strings.TrimRight(line, "\n"), "\t"); len(columns) > to {
			out[from(columns)] = append(out[from(columns)], columns[to])
		}
	}
	return out
}

// TestLabelledCases compares the checks with what peers say of their own test
// cases. Where they differ on purpose, the reason is in disagreements.
func TestLabelledCases(t *testing.T) {
	ofRule := topics(t, "rule_topics.tsv", func(c []string) string { return c[0] + " " + c[1] }, 2)
	ofCheck := topics(t, "check_topics.tsv", func(c []string) string { return c[0] }, 1)
	covered := map[string]bool{}
	for _, c := range Checks() {
		for _, topic := range ofCheck[c.ID] {
			covered[topic] = true
		}
	}
	files := corpus(t, "labelled")
	from := regexp.MustCompile(`(?im)^\s*FROM\s`)
	total, wrong := 0, 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		lines := bufio.NewScanner(bytes.NewReader(files[name]))
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			var l labelled
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if l.Dockerfile == "" || l.Config != "" || l.Ambiguous != nil && l.Ambiguous != false {
				continue
			}
			rule := ofRule[l.Suite+" "+l.Rule]
			if !slices.ContainsFunc(rule, func(topic string) bool { return covered[topic] }) {
				continue
			}
			text := l.Dockerfile
			if !from.MatchString(text) {
				text = "FROM debian:12\n" + text
			}
			report := checks.Run(Parse("/Dockerfile", "Dockerfile", []byte(text)), Checks(), &checks.Policy{Profile: checks.All})
			fired := slices.ContainsFunc(report.Findings, func(f checks.Finding) bool {
				return slices.ContainsFunc(ofCheck[f.Check.ID], func(topic string) bool { return slices.Contains(rule, topic) })
			})
			total++
			if fired == l.Fires && disagreements[l.CaseID] != "" {
				t.Errorf("%s %s %s agrees: strike it off the disagreements", l.Suite, l.Rule, l.CaseID)
			}
			if fired != l.Fires && disagreements[l.CaseID] == "" {
				wrong++
				t.Logf("%s %s %s: they say %v\n%s", l.Suite, l.Rule, l.CaseID, l.Fires, text)
			}
		}
	}
	t.Logf("%d of %d cases agree", total-wrong, total)
	if total == 0 || wrong > 0 {
		t.Errorf("%d of %d cases disagree", wrong, total)
	}
}

// disagreements are cases in which a peer is wrong, or means something else.
var disagreements = map[string]string{
	"testLegacyKeyValueFormat:1321":                                      "a stage that is not built holds the old form all the same",
	"use_only_an_allowed_registry_in_the_from_image/positive.dockerfile": "which registries are allowed is the user's to say",
	"run_yarn_clean_after_yarn_install/negative.dockerfile":              "a clean in a later RUN leaves the cache in the layer of this one",
	"should_specify_base_image/positive.dockerfile":                      "the test puts a FROM before it",
	"testWorkdirRelativePath:1102":                                       "relative is worth a word although the stage before makes it certain",
	"add_instead_of_copy/test_add_command[ADD with http URL allowed]":    "an address without a checksum is remote-add-without-checksum's",
	"add_instead_of_copy/test_add_command[ADD with https URL allowed]":   "an address without a checksum is remote-add-without-checksum's",
	"rules.spec:639": "without an update there are no lists to leave",
	"rules.spec:652": "without an update there are no lists to leave",
	"latest_tag/test_deny_global_arg_is_overrided_to_latest": "an ARG within a stage does not reach the next FROM",
	"leaked_secrets/test_deny_secret_arg_with_prefix":        "the id of an access key is not secret",
	"leaked_secrets/test_deny_secret_key[3]":                 "a user name",
	"update_instruction_alone/test_zypper_update_denied":     "upgrades packages, refreshes nothing",
	"yum_clean_all_missing/test_basic_denied":                "the stage is not shipped",
}
