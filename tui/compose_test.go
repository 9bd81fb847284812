package tui

import (
	"testing"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/inventory"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

// A changed compose file reaches what runs when the user asks for it, and only
// then.
func TestComposeUpOnRequest(t *testing.T) {
	f := &fakeFixer{deploy: []string{"docker", "compose", "up", "--detach", "web"}}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "enter")
	shows(t, m, "Done", "docker compose up --detach web")
	if len(f.deployed) > 0 {
		t.Fatal("docker compose was run without being asked for")
	}
	press(m, "c")
	if len(f.deployed) != 1 || f.deployed[0] != "e1" {
		t.Errorf("ran %q", f.deployed)
	}
	shows(t, m, "Bring it to what runs")
}

// What was brought to what runs is brought back from there as well, after the
// file was.
func TestUndoneFileReachesWhatRuns(t *testing.T) {
	f := &fakeFixer{}
	deployed := ledger.Entry{ID: "e1", Time: noon, Title: "Harden compose.yaml", State: ledger.Applied, Mechanism: string(fixes.Patch),
		Subject: checks.Ref{Kind: checks.Compose, ID: "/srv/compose.yaml", Name: "compose.yaml"},
		Deploy:  []string{"docker", "compose", "up", "--detach", "b"}, Redeploy: []string{"docker", "compose", "up", "--detach", "a b"}, Deployed: true}
	f.entries = []ledger.Entry{deployed}
	m := shop(t, f)
	press(m, "U")
	hides(t, m, "what runs stays")
	press(m, "c")
	shows(t, m, "what runs is as this change says")
	press(m, "u", "enter")
	shows(t, m, "Undo", "what runs stays as it is until: docker compose up --detach 'a b'")
	if len(f.undone) != 1 || len(f.deployed) > 0 {
		t.Fatalf("undone %q, ran %q", f.undone, f.deployed)
	}
	press(m, "c")
	if len(f.deployed) != 1 || f.deployed[0] != "e1" {
		t.Errorf("ran %q", f.deployed)
	}
	press(m, "enter")
	deployed.Deployed = false // and not undone: it can still be brought there
	f.entries = []ledger.Entry{deployed}
	press(m, "U", "c")
	if len(f.deployed) != 2 {
		t.Errorf("ran %q", f.deployed)
	}
}

// What was changed live lasts until docker compose starts the container the
// next time: the receipt says so, and one key writes it back.
func TestLiveChangeIsWrittenBack(t *testing.T) {
	f := &fakeFixer{}
	m := shop(t, f)
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "enter")
	hides(t, m, "temporary")
	press(m, "w")
	if len(f.requests) > 1 {
		t.Error("written back without a file")
	}

	m = newModel(t, Options{Fixer: f}, 120, 40)
	world := fixture()
	managed(world)
	drive(m, updateMsg(world))
	chooseFinding(t, m, "web", "container-memory-unlimited")
	press(m, "f", "enter")
	shows(t, m, "temporary until it is written in the compose file")
	press(m, "w")
	if last := f.requests[len(f.requests)-1]; !last.WriteBack || len(last.Findings) > 0 {
		t.Errorf("asked for %+v", last)
	}
}

// managed makes docker compose the owner of the container web.
func managed(u inventory.Update) {
	for i := range u.Items {
		c, ok := u.Items[i].Subject.(*container.Container)
		if ok && c.Settings.Name == "web" {
			s := *c
			s.Settings = *c.Settings.Clone()
			s.Settings.Config = &api.Config{Labels: map[string]string{
				"com.docker.compose.project": "shop", "com.docker.compose.service": "web",
				"com.docker.compose.project.config_files": "/srv/shop/compose.yaml",
			}}
			u.Items[i].Subject = &s
		}
	}
}
