package container

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/moby/moby/api/types/container"
)

// TestWideOpenInspection judges an inspection with everything switched on and
// many nulls.
func TestWideOpenInspection(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "corpus", "adversarial", "image-config", "gen-container-inspect-odd.json"))
	if err != nil {
		t.Skip("no reference material: ", err)
	}
	var all []container.InspectResponse
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	got := names(judge(t, New(all[0], nil, "", noon)))
	for _, want := range []string{
		"container-runs-as-root", "container-privileged", "container-docker-socket-mounted /s", "container-docker-socket-mounted /host",
		"container-sensitive-host-path /host", "container-network-host", "container-memory-unlimited", "container-rootfs-writable",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
}
