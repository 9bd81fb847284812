package image

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
)

// An imageConfig is the configuration of an image as registries hold it.
type imageConfig struct {
	OS      string                           `json:"os"`
	Config  *dockerspec.DockerOCIImageConfig `json:"config"`
	History []struct {
		CreatedBy string `json:"created_by"`
	} `json:"history"`
}

func (c imageConfig) image() *Image {
	i := &Image{Inspect: image.InspectResponse{Config: c.Config, Os: c.OS}, Now: noon}
	var commands []string
	for _, h := range c.History {
		commands = append(commands, h.CreatedBy)
	}
	steps(i, commands...)
	return i
}

// corpus returns files of the reference material beside the module.
func corpus(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "corpus", pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no reference material: ../shared/corpus/%s", pattern)
	}
	return files
}

func TestHostileConfigs(t *testing.T) {
	for _, path := range corpus(t, "adversarial/image-config/*.json") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data = bytes.TrimPrefix(data, []byte("\uFEFF"))
			configs := make([]imageConfig, 1)
			if json.Unmarshal(data, &configs[0]) != nil {
				configs = configs[:0]
				if err := json.Unmarshal(data, &configs); err != nil {
					t.Skip("an engine would not send this: ", err)
				}
			}
			start := time.Now()
			for _, config := range configs {
				for _, err := range checks.Run(config.image(), Checks(), nil).Errors {
					t.Error(err)
				}
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestPeers compares with cases of another tool, where both judge the same.
func TestPeers(t *testing.T) {
	// The check that says the same, and what its evidence has to name where it
	// says more than one thing.
	same := map[string][2]string{
		"CIS-DI-0001": {"image-user-root"},
		"CIS-DI-0006": {"image-healthcheck-missing"},
		"CIS-DI-0009": {"image-history-add"},
		"CIS-DI-0010": {"image-secret-in-env"},
		"DKL-DI-0004": {"image-history-cache-left", "apk"},
		"DKL-DI-0005": {"image-history-cache-left", "apt"},
	}
	data, err := os.ReadFile(corpus(t, "labelled/dockle_imageconfig.jsonl")[0])
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range bytes.Lines(data) {
		var labelled struct {
			Rule   string `json:"rule"`
			Case   string `json:"case_id"`
			Config string `json:"image_config"`
			Fires  bool   `json:"fires"`
			Unsure any    `json:"ambiguous"`
			Needs  any    `json:"config"`
		}
		if err := json.Unmarshal(line, &labelled); err != nil {
			t.Fatal(err)
		}
		var config imageConfig
		check := same[labelled.Rule]
		if check[0] == "" || labelled.Unsure != nil || labelled.Needs != nil || json.Unmarshal([]byte(labelled.Config), &config) != nil {
			continue
		}
		compared++
		fires := false
		for _, f := range checks.Run(config.image(), Checks(), nil).Findings {
			fires = fires || f.Check.ID == check[0] && slices.ContainsFunc(f.Evidence, func(e checks.Evidence) bool { return strings.Contains(e.String(), check[1]) })
		}
		if fires != labelled.Fires {
			t.Errorf("%s %s: fires %v, want %v", labelled.Rule, labelled.Case, fires, labelled.Fires)
		}
	}
	t.Logf("compared %d cases", compared)
}
