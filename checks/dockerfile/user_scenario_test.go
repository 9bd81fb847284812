package dockerfile

import (
	"testing"

	"plimsoll/checks"
)

// Who a final stage runs as is known as the builder knows it, and what is
// proposed works on every base: a number needs no account, and nothing is
// proposed where later stages or children of the image would run as it.
func TestProposedUsers(t *testing.T) {
	for name, c := range map[string]struct{ text, check, want string }{
		//scenario:81
		"a variable of before FROM is empty behind it": {"ARG U=1000\nFROM debian:12\nUSER $U\nCMD [\"x\"]\n", "final-user-root", "ARG U=1000\nFROM debian:12\nUSER 10001:10001\nCMD [\"x\"]\n"},
		//scenario:85
		"children would run as it": {"FROM debian:12\nONBUILD RUN make\nCMD [\"x\"]\n", "user-missing", ""},
		//scenario:85
		"stages that others are built from stay": {"FROM debian:12 AS a\nRUN x\nFROM a AS b\nRUN y\nFROM b\nCMD [\"x\"]\n", "user-missing", "FROM debian:12 AS a\nRUN x\nFROM a AS b\nRUN y\nFROM b\nUSER 10001:10001\nCMD [\"x\"]\n"},
		//scenario:86
		"Debian": {"FROM debian:12\nCMD [\"x\"]\n", "user-missing", "FROM debian:12\nUSER 10001:10001\nCMD [\"x\"]\n"},
		//scenario:86
		"Alpine": {"FROM alpine:3.20\nCMD [\"x\"]\n", "user-missing", "FROM alpine:3.20\nUSER 10001:10001\nCMD [\"x\"]\n"},
		//scenario:86
		"distroless": {"FROM gcr.io/distroless/static\nCMD [\"x\"]\n", "user-missing", "FROM gcr.io/distroless/static\nUSER 65532:65532\nCMD [\"x\"]\n"},
		//scenario:86
		"scratch": {"FROM scratch\nCOPY x /x\nCMD [\"/x\"]\n", "user-missing", "FROM scratch\nCOPY x /x\nUSER 10001:10001\nCMD [\"/x\"]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := Parse("/x/Dockerfile", "Dockerfile", []byte(c.text))
			got, found := "", false
			for _, finding := range checks.Run(f, Checks(), &checks.Policy{Profile: checks.All}).Findings {
				if finding.Check.ID != c.check {
					continue
				}
				found = true
				for _, fix := range finding.Fixes[:min(1, len(finding.Fixes))] {
					values := checks.Values{}
					for _, choice := range fix.Choices {
						values[choice.Key] = choice.Default
					}
					edits, err := fix.Edit(values)
					if err != nil {
						t.Fatal(err)
					}
					got = c.text
					for i := len(edits) - 1; i >= 0; i-- {
						got = got[:edits[i].Start] + edits[i].New + got[edits[i].End:]
					}
				}
			}
			if !found || got != c.want {
				t.Errorf("found %t, proposes\n%s\nwant\n%s", found, got, c.want)
			}
		})
	}
}
