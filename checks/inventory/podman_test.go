package inventory

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/dockertest/podman"
	"plimsoll/checks/engine"
	"plimsoll/checks/host"
	"plimsoll/checks/suite"
)

// ofDockerOnly are findings that would be false of Podman, whatever runs there.
var ofDockerOnly = []string{
	"buildkit-cve", "container-runtime-downgraded", "container-ulimits-default", "daemon-authorization-plugin-missing",
	"daemon-experimental-on", "daemon-legacy-storage-driver", "daemon-live-restore-off", "daemon-userns-off", "engine-version-outdated",
	"network-overlapping-subnet",
}

// gathered returns everything of the engine at an address, and what was found.
func gathered(t *testing.T, address string) (items []Item, found []string) {
	t.Helper()
	target, err := engine.Resolve(address)
	if err != nil {
		t.Fatal(err)
	}
	items, err = New(Options{Target: &target, Suite: suite.All()}).Gather(t.Context(), Selection{AllContainers: true, AllImages: true, Host: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if item.Subject == nil {
			t.Errorf("%s: %v", item.Ref.Name, item.Report.Errors)
		}
		for _, f := range item.Report.Findings {
			found = append(found, item.Ref.Name+" "+f.Check.ID)
			if slices.Contains(ofDockerOnly, f.Check.ID) {
				t.Errorf("false of Podman: %s: %s", item.Ref.Name, f.Message)
			}
		}
	}
	return items, found
}

// TestPodmanRecorded judges what Podman 4.3.1 answered. On the machine it was
// recorded on, nothing but what is listed here was true of the host.
func TestPodmanRecorded(t *testing.T) {
	t.Parallel()
	address := podman.Serve(t)
	items, found := gathered(t, address)
	for _, want := range []string{
		"priv container-privileged", "host container-network-host", "web container-secret-in-env",
		"db container-volume-shared", "localhost/box:1 image-user-root", "podman-host daemon-runs-as-root",
	} {
		if !slices.Contains(found, want) {
			t.Errorf("not found: %s", want)
		}
	}
	var id string
	for _, item := range items {
		switch s := item.Subject.(type) {
		case *container.Container:
			if s.Ref().Name == "web" && (s.Around == nil || len(s.Around.Networks) != 1) {
				t.Errorf("web is on no known network: %+v", s.Around)
			}
		case *host.Host:
			id = item.Ref.ID
			if s.Version != "4.3.1" || !s.Podman || s.Parts["runc"].Version != "1.1.5+ds1" {
				t.Errorf("version %q, %+v", s.Version, s.Parts)
			}
			if errs := item.Report.Errors; len(errs) != 1 || !strings.Contains(errs[0].Error(), "is Podman 4.3.1") {
				t.Errorf("gaps: %v", errs)
			}
		}
	}
	again, _ := gathered(t, address)
	if !slices.ContainsFunc(again, func(i Item) bool { return i.Ref.Kind == checks.Host && i.Ref.ID == id }) {
		t.Error("the engine is another one when it is asked again")
	}
}

// TestPodmanReal judges containers of a Podman of its own.
func TestPodmanReal(t *testing.T) {
	t.Parallel()
	p := podman.Start(t)
	p.Do(t, "import", "--change", "USER 1000", "--change", `CMD ["/hello"]`, p.Archive(t), "localhost/plimsoll-test-podman:1")
	p.Do(t, "create", "--name", "plimsoll-test-podman-web", "-p", "80:80", "localhost/plimsoll-test-podman:1")
	p.Do(t, "create", "--name", "plimsoll-test-podman-priv", "--privileged", "--user", "0", "localhost/plimsoll-test-podman:1")
	items, found := gathered(t, p.Address)
	for _, want := range []string{"plimsoll-test-podman-priv container-privileged", "plimsoll-test-podman-priv container-runs-as-root"} {
		if !slices.Contains(found, want) {
			t.Errorf("not found: %s among %q", want, found)
		}
	}
	if slices.Contains(found, "plimsoll-test-podman-web container-runs-as-root") {
		t.Error("web does not run as root")
	}
	if len(items) != 4 {
		t.Errorf("%d items", len(items))
	}

	// What happens there is seen, also what is removed.
	target, err := engine.Resolve(p.Address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	updates := New(Options{Target: &target, Suite: suite.All()}).Watch(ctx)
	names := map[string]string{} // by id
	await := func(what string, done func(u Update) bool) {
		for u := range updates {
			for _, i := range u.Items {
				names[i.Ref.ID] = i.Ref.Name
			}
			if done(u) {
				return
			}
		}
		t.Fatalf("never seen: %s", what)
	}
	await("everything", func(u Update) bool { return u.Complete })
	p.Do(t, "create", "--name", "plimsoll-test-podman-new", "localhost/plimsoll-test-podman:1")
	await("a new container", func(u Update) bool {
		return slices.ContainsFunc(u.Items, func(i Item) bool { return i.Ref.Name == "plimsoll-test-podman-new" && i.Subject != nil })
	})
	p.Do(t, "rm", "plimsoll-test-podman-new")
	await("that it is gone", func(u Update) bool {
		return slices.ContainsFunc(u.Removed, func(r checks.Ref) bool { return names[r.ID] == "plimsoll-test-podman-new" })
	})
}
