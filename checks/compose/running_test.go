package compose

import (
	"slices"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/container"
)

// runs returns a file with containers that were made from another text of it.
func runs(t *testing.T, file, running string) *File {
	t.Helper()
	parse := func(text string) *File {
		f, err := Parse("/srv/shop/compose.yaml", "compose.yaml", []byte("services:\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := parse(file)
	for _, s := range parse(running).Services {
		c := &container.Container{Settings: s.Settings, Inspect: &api.InspectResponse{ID: s.Settings.Name}}
		c.Settings.Config.Labels = map[string]string{labelService: s.Compose.Service, labelFiles: f.Path}
		c.Settings.Name = "shop-" + s.Compose.Service + "-1"
		f.Running = append(f.Running, c)
	}
	return f
}

func TestFileAndContainers(t *testing.T) {
	for _, test := range []struct{ name, file, running, want string }{
		{"same", "  web: {image: shop:1, privileged: true, ports: [\"80:80\"], mem_limit: 1g, cpus: 1.5, restart: always}\n",
			"  web: {image: shop:1, privileged: true, ports: [\"80:80\"], deploy: {resources: {limits: {memory: 1024m, cpus: \"1.5\"}}}, restart: always}\n", ""},
		{"looser", "  web: {image: shop:1}\n", "  web: {image: shop:1, privileged: true}\n", "drift shop-web-1"},
		{"other image", "  web: {image: shop:2}\n", "  web: {image: shop:1}\n", "drift shop-web-1"},
		{"tighter", "  web: {image: shop:1}\n", "  web: {image: shop:1, mem_limit: 1g, pids_limit: 100, read_only: true}\n",
			"not-persisted shop-web-1/mem_limit, not-persisted shop-web-1/pids_limit, not-persisted shop-web-1/read_only"},
		{"raised", "  web: {image: shop:1, mem_limit: 1g}\n", "  web: {image: shop:1, mem_limit: 2g}\n", "drift shop-web-1"},
		{"closer", "  web: {image: shop:1, ports: [\"80:80\"]}\n", "  web: {image: shop:1, ports: [\"127.0.0.1:80:80\"]}\n", "not-persisted shop-web-1/ports"},
		{"opened", "  web: {image: shop:1, ports: [\"127.0.0.1:80:80\"]}\n", "  web: {image: shop:1, ports: [\"80:80\"]}\n", "drift shop-web-1"},
		{"restarts", "  web: {image: shop:1, restart: always}\n", "  web: {image: shop:1, restart: \"on-failure:5\"}\n", "not-persisted shop-web-1/restart"},
		{"capabilities", "  web: {image: shop:1, cap_add: [NET_ADMIN]}\n", "  web: {image: shop:1, cap_drop: [ALL]}\n",
			"not-persisted shop-web-1/cap_add, not-persisted shop-web-1/cap_drop"},
		{"a variable", "  web:\n    image: shop:1\n    mem_limit: ${LIMIT}\n", "  web: {image: shop:1, mem_limit: 1g}\n", ""},
		{"built", "  web: {build: .}\n", "  web: {image: shop-web}\n", ""},
		{"user of the image", "  web: {image: shop:1}\n", "  web: {image: shop:1, user: \"1000\"}\n", ""},
		{"another service", "  web: {image: shop:1}\n", "  api: {image: shop:1, privileged: true}\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := runs(t, test.file, test.running)
			var got []string
			for _, found := range checks.Run(f, []*checks.Check{fileDrift, fixNotPersisted}, nil).Findings {
				id := strings.TrimPrefix(strings.TrimPrefix(found.Check.ID, "compose-file-"), "compose-fix-")
				got = append(got, id+" "+found.Key)
				if found.Line < 2 || len(found.Evidence) == 0 {
					t.Errorf("%s: line %d, evidence %v", found.Key, found.Line, found.Evidence)
				}
			}
			slices.Sort(got)
			if strings.Join(got, ", ") != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

func TestRuns(t *testing.T) {
	c := runs(t, "  web: {image: a}\n", "  web: {image: a}\n").Running[0]
	if !Runs(c, "/srv/shop/compose.yaml") || Runs(c, "/srv/other/compose.yaml") {
		t.Error("the file is not told by its path")
	}
	c.Settings.Config.Labels[labelFiles] += ",/srv/shop/compose.override.yaml"
	if Runs(c, "/srv/shop/compose.yaml") {
		t.Error("what another file adds is not known")
	}
}
