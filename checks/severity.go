package checks

import (
	"fmt"
	"strings"
)

// A Severity says how bad a finding is if nothing else is known. It can be
// overridden per check in the configuration.
type Severity int

// Severities are ordered: a higher value is worse.
const (
	Info Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{Info: "info", Low: "low", Medium: "medium", High: "high", Critical: "critical"}

// Severities lists all severities, the worst first.
var Severities = []Severity{Critical, High, Medium, Low, Info}

// String returns the lower-case English name: "critical", "high", "medium",
// "low" or "info".
func (s Severity) String() string {
	if s < Info || s > Critical {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// ParseSeverity is the inverse of [Severity.String]; case does not matter.
func ParseSeverity(name string) (Severity, error) {
	for _, s := range Severities {
		if strings.EqualFold(name, s.String()) {
			return s, nil
		}
	}
	return 0, fmt.Errorf("unknown severity %q: use critical, high, medium, low or info", name)
}

// MarshalText implements [encoding.TextMarshaler].
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}
