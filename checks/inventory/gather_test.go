package inventory

import (
	"slices"
	"strings"
	"testing"

	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/suite"
)

// What many subjects need is asked of the engine once, and every subject is
// inspected once.
func TestGatherAsksOnce(t *testing.T) {
	t.Parallel()
	s := dockertest.Large(40, 12)
	if err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	x := count(t, strings.TrimPrefix(s.Host(), "unix://"))
	target, err := engine.Resolve(x.host)
	if err != nil {
		t.Fatal(err)
	}
	items, err := New(Options{Target: &target, Suite: suite.All()}).Gather(t.Context(), Selection{AllContainers: true, AllImages: true, Host: true})
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	for _, path := range x.still(t) {
		if !strings.HasSuffix(path, "/top") && path != "/_ping" {
			asked[path]++
		}
	}
	for path, times := range asked {
		if times > 1 && !strings.HasPrefix(path, "/images/") { // two containers may need one image at the same time
			t.Errorf("%s was asked for %d times", path, times)
		}
	}
	for _, path := range []string{"/containers/json", "/images/json", "/networks", "/volumes", "/info", "/version"} {
		if asked[path] != 1 {
			t.Errorf("%s was asked for %d times", path, asked[path])
		}
	}
	if len(items) != 53 {
		t.Errorf("%d items", len(items))
	}
	if slices.ContainsFunc(items, func(i Item) bool { return i.Subject == nil || len(i.Report.Errors) > 0 }) {
		t.Error("not everything was read")
	}
}
