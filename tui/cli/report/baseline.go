package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A Known finding was there when a baseline was written.
type Known struct {
	Check       string      `json:"check"`
	Kind        checks.Kind `json:"kind"`
	Subject     string      `json:"subject"` // for people
	Fingerprint string      `json:"fingerprint"`
}

// baselineSchema is the version of the format of baselines.
const baselineSchema = 1

type baseline struct {
	Schema   int     `json:"schema"`
	Findings []Known `json:"findings"`
}

func known(root string, f *checks.Finding) Known {
	return Known{f.Check.ID, f.Subject.Kind, terminal.Line(secret.Redact(place(root, f.Subject))), Fingerprint(root, f)}
}

// NewKnown returns what is known of a finding that is no longer there: place is
// a path below the root or a name, fit to be shown.
func NewKnown(check string, kind checks.Kind, place, key string) Known {
	return Known{check, kind, place, digest(check, string(kind), place, key)}
}

func compareKnown(a, b Known) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Fingerprint, b.Fingerprint))
}

// MarshalBaseline returns the baseline of what was found in items: a line for
// each finding, in an order that does not depend on anything else. Suppressed
// findings are not in it, for they would return when their suppression ends.
func MarshalBaseline(root string, items []inventory.Item) ([]byte, error) {
	var all []Known
	for i := range items {
		for j := range items[i].Report.Findings {
			all = append(all, known(root, &items[i].Report.Findings[j]))
		}
	}
	slices.SortFunc(all, compareKnown)
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"schema\": %d, \"findings\": [", baselineSchema)
	for i, k := range slices.Compact(all) {
		line, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}

// ParseBaseline reads what [MarshalBaseline] returned.
func ParseBaseline(data []byte) ([]Known, error) {
	var b baseline
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("not a baseline: %w", err)
	}
	if b.Schema != baselineSchema {
		return nil, fmt.Errorf("not a baseline of schema %d, but of %d", baselineSchema, b.Schema)
	}
	return b.Findings, nil
}

// Compare takes out of items what old knows and returns the rest, together
// with what old knows of subjects that were judged and nobody finds any more.
func Compare(root string, items []inventory.Item, old []Known) (fresh []inventory.Item, gone []Known) {
	had := map[string]bool{}
	for _, k := range old {
		had[k.Fingerprint] = true
	}
	found := map[string]bool{}
	judged := map[[2]string]bool{}
	for _, item := range items {
		if item.Subject != nil && len(item.Report.Errors) == 0 {
			ref := item.Ref
			judged[[2]string{string(ref.Kind), terminal.Line(secret.Redact(place(root, ref)))}] = true
		}
		var left []checks.Finding
		for _, f := range item.Report.Findings {
			id := Fingerprint(root, &f)
			found[id] = true
			if !had[id] {
				left = append(left, f)
			}
		}
		for i := range item.Report.Suppressed {
			found[Fingerprint(root, &item.Report.Suppressed[i].Finding)] = true
		}
		item.Report.Findings = left
		fresh = append(fresh, item)
	}
	for _, k := range old {
		if !found[k.Fingerprint] && judged[[2]string{string(k.Kind), k.Subject}] {
			gone = append(gone, k)
		}
	}
	slices.SortFunc(gone, compareKnown)
	return fresh, slices.Compact(gone)
}
