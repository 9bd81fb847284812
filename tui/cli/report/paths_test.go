package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	apicontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"

	"plimsoll/assets"
	"plimsoll/checks/container"
	"plimsoll/checks/host"
	"plimsoll/checks/inventory"
)

// reachable is a container that takes connections and holds the engine's
// socket, or else a secret.
func reachable(name string, socket bool) inventory.Item {
	i := apicontainer.InspectResponse{
		ID: "id-" + name, Name: "/" + name, State: &apicontainer.State{Running: true},
		Config: &apicontainer.Config{Image: "acme/app:1", Env: []string{"TOKEN=c4nary-not-a-real-secret-4711"}},
		HostConfig: &apicontainer.HostConfig{NetworkMode: apicontainer.NetworkMode(name),
			PortBindings: network.PortMap{network.MustParsePort("80/tcp"): {{HostPort: "80"}}}},
	}
	if socket {
		i.HostConfig.Binds = []string{"/var/run/docker.sock:/var/run/docker.sock"}
	}
	return judged(container.New(i, nil, "", time.Now()))
}

func attacked() *Document {
	items := []inventory.Item{reachable("proxy", true), reachable("web|<b>", false), judged(&host.Host{Info: system.Info{ID: "E", Name: "harbour"}})}
	return &Document{Items: items, Root: "/src", Version: "test", Language: assets.English, Explain: error.Error, Attack: Map(items)}
}

func TestPaths(t *testing.T) {
	paths, total := attacked().Paths()
	if total != 2 || len(paths) != 2 {
		t.Fatalf("%d of %d paths", len(paths), total)
	}
	if p := paths[0]; p.Finding == nil || p.Finding.Check.ID != "container-docker-socket-mounted" || !p.Cut.Ends {
		t.Errorf("the first path is cut by %+v", p.Cut)
	}
	const story = "port 80 on all interfaces + runs as root + engine socket = takeover of the host"
	for _, language := range assets.Languages {
		for format := range Formats {
			d := attacked()
			d.Language = language
			text := written(t, d, format)
			if strings.Contains(text, "c4nary") {
				t.Errorf("%s tells a secret", format)
			}
			if format != "html" && strings.Contains(text, "web|<b>") && format == "markdown" {
				t.Errorf("%s does not escape a name", format)
			}
		}
	}
	log := sarif(t, attacked())
	results := log.Runs[0].Results
	at := slices.IndexFunc(results, func(r sarifResult) bool { return r.Rule == "path-engine-socket" })
	if at < 0 {
		t.Fatal("the path is no result")
	}
	r := results[at]
	if !strings.HasPrefix(r.Message.Text, story) || len(r.Flows) != 1 || len(r.Flows[0].Threads[0].Locations) != 2 || r.Level != "error" {
		t.Errorf("result is %+v", r)
	}
	if rule := log.Runs[0].Tool.Driver.Rules[r.Index]; rule.ID != r.Rule || rule.Help == nil {
		t.Errorf("its rule is %+v", rule)
	}
	if text := written(t, attacked(), "html"); !strings.Contains(text, "Attack paths") || !strings.Contains(text, "what cuts it best: proxy: Engine socket mounted") {
		t.Error("the page does not tell the paths")
	}
	if text := written(t, attacked(), "markdown"); !strings.Contains(text, "### Attack paths") {
		t.Errorf("the comment does not tell the paths:\n%s", text)
	}
}

// TestPathsOfWhatIsNew leaves out what rests on known findings only.
func TestPathsOfWhatIsNew(t *testing.T) {
	d := attacked()
	old, err := MarshalBaseline(d.Root, d.Items[:1])
	if err != nil {
		t.Fatal(err)
	}
	known, err := ParseBaseline(old)
	if err != nil {
		t.Fatal(err)
	}
	d.Compared = true
	d.Items, d.Gone = Compare(d.Root, d.Items, known)
	paths, total := d.Paths()
	if total != 1 || paths[0].Through().Name() != "web|<b>" {
		t.Errorf("%d paths: %+v", total, paths)
	}
}

func TestManyPathsAreBounded(t *testing.T) {
	var items []inventory.Item
	for i := range most + 20 {
		items = append(items, reachable("app"+strings.Repeat("x", i), true))
	}
	d := &Document{Items: items, Language: assets.English, Explain: error.Error, Attack: Map(items)}
	if paths, total := d.Paths(); len(paths) != most || total != most+20 {
		t.Errorf("%d of %d paths", len(paths), total)
	}
	if !strings.Contains(written(t, d, "html"), "… and 20 more") {
		t.Error("the rest is not counted")
	}
}
