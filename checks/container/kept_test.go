package container

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

func TestKeptOriginalsAreNotJudged(t *testing.T) {
	for _, test := range []struct {
		name    string
		running bool
		kept    bool
	}{
		{"/web", false, false},
		{"/web.plimsoll-old-20260101-000000.000-abcdef", false, true},
		{"/web.plimsoll-old-20260101-000000.000-abcdef", true, false}, // somebody started it again
	} {
		c := New(container.InspectResponse{
			ID: "1", Name: test.name, State: &container.State{Running: test.running},
			Config: &container.Config{Image: "app:1"}, HostConfig: &container.HostConfig{},
		}, nil, "", time.Now())
		if got := c.Kept(); got != test.kept {
			t.Errorf("%s running %v: kept %v, want %v", test.name, test.running, got, test.kept)
		}
		findings := checks.Run(c, Checks(), nil).Findings
		if none := len(findings) == 0; none != test.kept {
			t.Errorf("%s running %v: %d findings", test.name, test.running, len(findings))
		}
	}
}
