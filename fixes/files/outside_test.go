package files_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/fixes"
)

const outsideText = `# the shop
services:
  db:
    image: postgres:17 # pinned
    environment:
      POSTGRES_PASSWORD: ${DB_PASSWORD} # from .env
  blog:
    image: wordpress:6
    environment:
      - WORDPRESS_DB_HOST=db
      - WORDPRESS_DB_PASSWORD
  cache:
    image: redis:7
    command: redis-server --requirepass ${CACHE_PASSWORD}
    environment:
      CACHE_PASSWORD: ${CACHE_PASSWORD}
`

const dotenvText = `# where it runs
HOST=shop.example.com

export DB_PASSWORD="` + canary + `"   # ask Ann
WORDPRESS_DB_PASSWORD=` + canary + `-blog
CACHE_PASSWORD=` + canary + `-cache
`

func outsideBench(t *testing.T) (b *composeBench, dir string) {
	t.Helper()
	b = newComposeBench(t, outsideText)
	dir = filepath.Dir(b.path)
	must(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(dotenvText), 0o600))
	return b, dir
}

// outside asks for the fixes called id of what services get from outside.
func (b *composeBench) outside(t *testing.T, id string, services ...string) *fixes.Plan {
	t.Helper()
	file, err := compose.Load(b.path, "compose.yaml")
	must(t, err)
	request := fixes.Request{Fix: map[checks.FindingID]string{}}
	for _, f := range checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		for _, service := range services {
			if f.Check.ID == "container-secret-in-env" && strings.HasPrefix(f.Key, service+"/") {
				request.Findings = append(request.Findings, f)
				request.Fix[f.ID()] = id
			}
		}
	}
	if len(request.Findings) != len(services) {
		t.Fatalf("%d findings", len(request.Findings))
	}
	plan, err := b.Plan(t.Context(), file, request)
	must(t, err)
	return plan
}

// What a file takes from .env leaves that as well, which keeps all else that is
// in it; undo puts both back. The values are shown and recorded nowhere.
func TestSecretLeavesDotenv(t *testing.T) {
	b, dir := outsideBench(t)
	plan := b.outside(t, "secret-file", "db", "blog")
	if !plan.Blocked.IsZero() || len(plan.Cures) != 2 {
		t.Fatalf("blocked: %s, cures %d, notes %s", plan.Blocked, len(plan.Cures), texts(plan.Notes))
	}
	var seen strings.Builder
	for _, f := range plan.Files {
		for _, h := range f.Hunks() {
			for _, l := range h.Lines {
				seen.WriteString(l.Text + "\n")
			}
		}
	}
	receipt, err := b.Apply(t.Context(), plan, func(p fixes.Progress) { seen.WriteString(p.Message.String()) })
	must(t, err)
	seen.WriteString(texts(plan.Notes) + strings.Join(plan.Commands(), "\n") + texts(receipt.Proof) + texts(receipt.Reminders))
	if strings.Contains(seen.String(), canary) {
		t.Errorf("a value is shown:\n%s", seen.String())
	}
	if found := holding(t, filepath.Join(filepath.Dir(dir), "state"), canary); len(found) != 0 {
		t.Errorf("the ledger holds a value: %v", found)
	}
	if got, want := read(t, dir, ".env"), "# where it runs\nHOST=shop.example.com\n\n# ask Ann\nCACHE_PASSWORD="+canary+"-cache\n"; got != want {
		t.Errorf(".env is\n%s", got)
	}
	if db, blog := read(t, dir, "secrets/db_postgres_password"), read(t, dir, "secrets/blog_wordpress_db_password"); db != canary || blog != canary+"-blog" {
		t.Errorf("the files hold %q and %q", db, blog)
	}
	text := b.text(t)
	for _, want := range []string{"POSTGRES_PASSWORD_FILE: /run/secrets/db_postgres_password # from .env", "- WORDPRESS_DB_PASSWORD_FILE=/run/secrets/blog_wordpress_db_password", "file: ./secrets/db_postgres_password"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	must(t, b.Undo(t.Context(), plan.ID, nil))
	if b.text(t) != outsideText || read(t, dir, ".env") != dotenvText || read(t, dir, "secrets/db_postgres_password") != "none" {
		t.Errorf("after undo\n%s\n%s", b.text(t), read(t, dir, ".env"))
	}
}

// docker compose can hand over what stays where it is set; that is all there is
// where the value is not in .env, or something else uses it there.
func TestSecretFromEnvironment(t *testing.T) {
	b, dir := outsideBench(t)
	plan := b.outside(t, "secret-from-environment", "db")
	_, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	if text := b.text(t); !strings.Contains(text, "environment: DB_PASSWORD") || !strings.Contains(text, "POSTGRES_PASSWORD_FILE: /run/secrets/db_postgres_password") || read(t, dir, ".env") != dotenvText {
		t.Errorf("compose file\n%s", text)
	}
	file, err := compose.Load(b.path, "compose.yaml")
	must(t, err)
	for _, f := range checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "container-rootfs-writable" && f.Fixable() != (f.Key != "db") {
			t.Errorf("%s has the fixes %v: nothing could be copied into it any more", f.Key, f.Fixes)
		}
	}
	must(t, b.Undo(t.Context(), plan.ID, nil))

	offered := func(service string) (ids []string) {
		t.Helper()
		file, err := compose.Load(b.path, "compose.yaml")
		must(t, err)
		for _, f := range checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings {
			for _, fix := range f.Fixes {
				if f.Check.ID == "container-secret-in-env" && strings.HasPrefix(f.Key, service+"/") {
					ids = append(ids, fix.ID)
				}
			}
		}
		return ids
	}
	if got := strings.Join(offered("cache"), " "); got != "secret-from-environment" {
		t.Errorf("used elsewhere, too: %s", got)
	}
	must(t, os.WriteFile(filepath.Join(dir, ".env"), []byte("DB_PASSWORD=${OTHER}\n"), 0o600))
	if got := strings.Join(offered("db"), " "); got != "secret-from-environment" {
		t.Errorf("not the value itself: %s", got)
	}
	must(t, os.WriteFile(b.path, []byte(strings.Replace(outsideText, "image: redis:7", "image: redis:7\n    read_only: true", 1)), 0o640))
	if got := offered("cache"); len(got) > 0 {
		t.Errorf("into a read-only container: %s", got)
	}
	must(t, os.WriteFile(b.path, []byte(outsideText), 0o640))
	must(t, os.Remove(filepath.Join(dir, ".env")))
	if got := strings.Join(offered("blog"), " "); got != "secret-from-environment" {
		t.Errorf("without .env: %s", got)
	}
}

// What is written to .env after the plan was made stays.
func TestDotenvChangesMeanwhile(t *testing.T) {
	b, dir := outsideBench(t)
	plan := b.outside(t, "secret-file", "db")
	must(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(dotenvText+"MORE=1\n"), 0o600))
	if _, err := b.Apply(t.Context(), plan, nil); err == nil {
		t.Fatal("applied to another file than was shown")
	}
	if read(t, dir, ".env") != dotenvText+"MORE=1\n" || b.text(t) != outsideText || read(t, dir, "secrets/db_postgres_password") != "none" {
		t.Error("something was changed")
	}
}
