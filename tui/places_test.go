package tui

import (
	"strings"
	"testing"

	apiimage "github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
)

// related is the fixture with an image that was made from its Dockerfile, and
// two containers of it that run as root.
func related() inventory.Update {
	u := fixture()
	const id = "sha256:dddd"
	ruleImageRoot := rule("image-user-root", "image runs as root", checks.High, checks.LeastPrivilege)
	for n := range u.Items {
		item := &u.Items[n]
		switch s := item.Subject.(type) {
		case *dockerfile.File:
			parsed := dockerfile.Parse(s.Path, s.Name, s.Source)
			item.Subject = parsed
		case *image.Image:
			s.Inspect.ID = id
			for _, by := range []string{
				`CMD ["/bin/sh" "-c" "/srv/start"]`, "COPY . /srv # buildkit", "RUN /bin/sh -c curl https://example.com/setup.sh | sh # buildkit",
				"ADD https://example.com/setup.sh /tmp/setup.sh # buildkit", "RUN /bin/sh -c apt-get update && apt-get install -y curl # buildkit",
				"ENV API_TOKEN=••••••••", `CMD ["bash"]`, "/bin/sh -c #(nop) ADD file:01 in / ",
			} {
				s.History = append(s.History, apiimage.HistoryResponseItem{CreatedBy: by, Size: 12_300_000})
			}
			item.Report.Findings = append(item.Report.Findings, found(ruleImageRoot, s.Ref(), 0, "", "%s runs as root", "shop/web:1.4"))
		case *container.Container:
			if item.Ref.Name != "db" {
				s.Inspect.Image = id
			}
			if item.Ref.Name == "cache" {
				item.Report.Findings = []checks.Finding{found(ruleRoot, item.Ref, 0, "", "%s runs as uid 0", "cache")}
			}
		}
	}
	return u
}

// TestNotTheSame: what is wrong with one container alone is not at other places,
// whatever its image is.
func TestNotTheSame(t *testing.T) {
	m := newModel(t, Options{Fixer: &fakeFixer{}}, 160, 60)
	drive(m, updateMsg(related()))
	chooseFinding(t, m, "web", "container-memory-unlimited")
	for _, p := range m.trailOf(m.findings.rows[m.findings.cursor]).places {
		if p.subject.name == "cache" || p.subject.Ref.Kind == checks.Image {
			t.Errorf("%s has no such problem", p.subject.name)
		}
	}
}

func TestSameAtOtherPlaces(t *testing.T) {
	m := newModel(t, Options{Fixer: &fakeFixer{}}, 160, 60)
	drive(m, updateMsg(related()))
	chooseFinding(t, m, "web", "container-runs-as-root")
	shows(t, m, "Dockerfile Dockerfile:7 · user-missing", "Image shop/web:1.4", "▸ Container web", "Container cache", "The cause is in Dockerfile:7. A fix there cures 2", "o goes there")
	press(m, "o", "home", "up", "up", "up", "enter")
	if r, ok := m.findings.current(); !ok || r.finding.Check.ID != "user-missing" || r.subject.name != "Dockerfile" {
		t.Fatalf("jumped to %v", r.finding)
	}
	shows(t, m, "▸ Dockerfile Dockerfile:7", "Image shop/web:1.4 · step 8 of 8 of its history, 12.3 MB")
	press(m, "o", "enter")
	if r, ok := m.findings.current(); !ok || r.finding.Check.ID != "image-user-root" {
		t.Fatalf("the next place is %v", r.finding)
	}

	chooseFinding(t, m, "Dockerfile", "remote-script-piped-to-shell")
	shows(t, m, "step 6 of 8 of its history")
	press(m, "o", "down", "enter") // the image has no finding of it
	if r, _ := m.subjects.current(); r.subject == nil || r.subject.name != "cache" {
		t.Errorf("jumped to %v", r.subject)
	}

	chooseFinding(t, m, "db", "container-privileged")
	hides(t, m, "The same at other places")
	press(m, "o")
	shows(t, m, "nothing else here is known to have to do with it")

	// An update that takes the image away takes the trail away.
	chooseFinding(t, m, "Dockerfile", "user-missing")
	drive(m, updateMsg(inventory.Update{Complete: true, Engine: m.world.engine, Removed: []checks.Ref{{Kind: checks.Image, ID: "sha256:dddd"}}}))
	hides(t, m, "The same at other places")
	if text := strings.Join(m.detail.text, "\n"); strings.Contains(text, "shop/web") {
		t.Errorf("still says %s", text)
	}
}
