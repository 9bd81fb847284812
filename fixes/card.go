package fixes

import (
	"strconv"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/terminal"
	"plimsoll/checks/vulnerability"
)

// A Card says what another image changes for a container, before it runs.
type Card struct {
	Image string // as shown
	Facts []Fact

	// Gone and New are findings that only the old, and only the new has. What
	// is gone of the container itself is in Plan.Cures.
	Gone, New []checks.Finding

	// Repaired and Brought are known vulnerabilities that only the old, and
	// only the new image has, the worst first, if they were Compared. Unknown
	// says of what nothing is known, and why; zero when all is.
	Compared          bool
	Repaired, Brought []vulnerability.Vulnerability
	Unknown           checks.Message
}

// A Fact is something about an image, or what it makes of a container.
type Fact struct {
	Name          checks.Message
	Before, After string // as shown; both empty for a set

	Lost, Gained, Changed []string // of a set: members by name
}

// Named returns how many vulnerabilities there are and the ids of the first
// few: "3: CVE-2026-1 (openssl), …".
func Named(list []vulnerability.Vulnerability, most int) string {
	var ids []string
	for _, v := range list[:min(most, len(list))] {
		ids = append(ids, terminal.Line(v.ID)+" ("+terminal.Line(v.Package.Name)+")")
	}
	if len(list) > most {
		ids = append(ids, "…")
	}
	if len(ids) == 0 {
		return "0"
	}
	return strconv.Itoa(len(list)) + ": " + strings.Join(ids, ", ")
}
