package assets_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/suite"
)

var update = flag.Bool("update", false, "write the generated documents anew")

// TestMapping holds mapping.md to the references of the checks.
func TestMapping(t *testing.T) {
	want := mapping(suite.All())
	if *update {
		if err := os.WriteFile("mapping.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("mapping.md is not what the checks say: go test ./assets -run TestMapping -update")
	}
}

// sections of the CIS benchmark with the number of their last rules, as
// docker-bench counts them.
var sections = []struct {
	prefix string
	last   int
}{{"1.1.", 18}, {"1.2.", 2}, {"2.", 18}, {"3.", 24}, {"4.", 12}, {"5.", 32}, {"6.", 2}, {"7.", 9}}

// beyond are rules of the CIS benchmark that no check has, and why.
var beyond = map[string]string{
	"5.23": "none: a session of docker exec is an event, and leaves nothing to inspect",
}

// mapping writes which check stands for which rule elsewhere.
func mapping(all []*checks.Check) string {
	elsewhere := map[string][]string{} // ids of checks by rule
	ids := map[string]*checks.Check{}
	kinds := map[string][]string{}
	for _, c := range all {
		ids[c.ID] = c
		if !slices.Contains(kinds[c.ID], string(c.Kind)) {
			kinds[c.ID] = append(kinds[c.ID], string(c.Kind))
		}
		for _, ref := range c.Refs {
			if !slices.Contains(elsewhere[ref], c.ID) {
				elsewhere[ref] = append(elsewhere[ref], c.ID)
			}
		}
	}
	var b strings.Builder
	b.WriteString("# The same rules elsewhere\n\n" +
		"Written by `go test ./assets -run TestMapping -update` from the references that each check carries; a test keeps it\ncurrent. `plimsoll explain ID` says more about a check.\n\n" +
		"## CIS Docker Benchmark v1.6.0 and docker-bench-security\n\n" +
		"The numbers are those of docker-bench-security, which moved \"Swarm not enabled\" from 7.1 to 5.1: other tools and older\ntexts count one less in section 5 and one more in section 7.\n\n| CIS | checks |\n|---|---|\n")
	for _, s := range sections {
		for n := range s.last {
			number := s.prefix + strconv.Itoa(n+1)
			found := elsewhere["CIS "+number+" (v1.6.0)"]
			row := list(found)
			if len(found) == 0 {
				row = beyond[number]
			}
			fmt.Fprintf(&b, "| %s | %s |\n", number, row)
		}
	}
	table(&b, "docker-bench-security, community checks", "docker-bench ", elsewhere)
	table(&b, "dockle", "dockle ", elsewhere)
	table(&b, "OWASP Docker Security Cheat Sheet", "OWASP Docker rule ", elsewhere)
	fmt.Fprintf(&b, "\n## All checks\n\n%d checks, by id.\n\n| check | of | the same rule elsewhere |\n|---|---|---|\n", len(ids))
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", id, strings.Join(kinds[id], ", "), strings.Join(ids[id].Refs, ", "))
	}
	return b.String()
}

// table writes the rules of one source, in the order of their numbers.
func table(b *strings.Builder, title, prefix string, elsewhere map[string][]string) {
	fmt.Fprintf(b, "\n## %s\n\n| rule | checks |\n|---|---|\n", title)
	var rules []string
	for ref := range elsewhere {
		if rule, ok := strings.CutPrefix(ref, prefix); ok {
			rules = append(rules, rule)
		}
	}
	slices.SortFunc(rules, byNumbers)
	for _, rule := range rules {
		fmt.Fprintf(b, "| %s | %s |\n", rule, list(elsewhere[prefix+rule]))
	}
}

func list(ids []string) string {
	sorted := slices.Sorted(slices.Values(ids))
	for i, id := range sorted {
		sorted[i] = "`" + id + "`"
	}
	return strings.Join(sorted, ", ")
}

// byNumbers orders "5a" between "5" and "6", and "10" after "9".
func byNumbers(a, b string) int {
	digits := func(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
	if x, y := digits(a), digits(b); x > 0 && y > 0 && x != y {
		return x - y
	}
	return strings.Compare(a, b)
}

// TestCISIsCovered names every rule of the benchmark without a check, unless a
// reason stands beside it.
func TestCISIsCovered(t *testing.T) {
	have := map[string]bool{}
	for _, c := range suite.All() {
		for _, ref := range c.Refs {
			have[ref] = true
		}
	}
	for _, s := range sections {
		for n := range s.last {
			number := s.prefix + strconv.Itoa(n+1)
			if !have["CIS "+number+" (v1.6.0)"] && beyond[number] == "" {
				t.Errorf("CIS %s: no check, and no reason why", number)
			}
		}
	}
}
