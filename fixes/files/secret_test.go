package files_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
)

const secretText = `# the shop
services:
  db:
    image: postgres:17 # pinned
    environment:
      POSTGRES_PASSWORD: ` + canary + ` # ask Ann
  blog:
    image: wordpress:6
    environment: [WORDPRESS_DB_HOST=db, WORDPRESS_DB_PASSWORD=` + canary + `]
`

// secretBench is a compose file with secrets in a work tree of Git. The vault
// is where it can be searched.
func secretBench(t *testing.T) (b *composeBench, dir string) {
	t.Helper()
	b = newComposeBench(t, secretText)
	dir = filepath.Dir(b.path)
	must(t, os.Mkdir(filepath.Join(filepath.Dir(dir), ".git"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("*.log"), 0o644))
	return b, dir
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	must(t, err)
	return string(data)
}

// A secret leaves the file for one of its own, which nobody else can read, Git
// does not take and builds do not see. Its value is shown and recorded nowhere.
func TestSecretBecomesAFile(t *testing.T) {
	b, dir := secretBench(t)
	plan := b.plan(t, nil, "container-secret-in-env")
	if !plan.Blocked.IsZero() || len(plan.Cures) != 2 {
		t.Fatalf("blocked: %s, cures %d", plan.Blocked, len(plan.Cures))
	}
	var seen strings.Builder
	for _, f := range plan.Files {
		for _, h := range f.Hunks() {
			for _, l := range h.Lines {
				seen.WriteString(l.Text + "\n")
			}
		}
	}
	seen.WriteString(texts(plan.Notes) + strings.Join(plan.Commands(), "\n"))
	receipt, err := b.Apply(t.Context(), plan, func(p fixes.Progress) { seen.WriteString(p.Message.String()) })
	must(t, err)
	seen.WriteString(texts(receipt.Proof) + texts(receipt.Reminders))
	if strings.Contains(seen.String(), canary) {
		t.Errorf("the value is shown:\n%s", seen.String())
	}
	if !strings.Contains(texts(receipt.Reminders), "replace it at its issuer") {
		t.Errorf("nobody is told to replace the value: %s", texts(receipt.Reminders))
	}
	if found := holding(t, filepath.Join(filepath.Dir(dir), "state"), canary); len(found) != 0 {
		t.Errorf("the ledger holds the value: %v", found)
	}
	if strings.Contains(b.text(t), canary) || !strings.Contains(b.text(t), "# ask Ann") {
		t.Errorf("compose file:\n%s", b.text(t))
	}
	for name, mode := range map[string]os.FileMode{
		"secrets":                            0o700 | os.ModeDir,
		"secrets/db_postgres_password":       0o600,
		"secrets/blog_wordpress_db_password": 0o644, // read by www-data
	} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if got := read(t, dir, "secrets/db_postgres_password"); got != canary {
		t.Errorf("the file holds %q", got)
	}
	if git, docker := read(t, dir, ".gitignore"), read(t, dir, ".dockerignore"); git != "/secrets/\n" || docker != "*.log\nsecrets/\n" {
		t.Errorf(".gitignore %q, .dockerignore %q", git, docker)
	}

	// Who needs another value by now keeps it.
	must(t, os.WriteFile(filepath.Join(dir, "secrets/db_postgres_password"), []byte("replaced"), 0o600))
	must(t, b.Undo(t.Context(), plan.ID, nil))
	if got := b.text(t); got != secretText {
		t.Errorf("after undo\n%s", got)
	}
	for name, want := range map[string]string{
		".gitignore": "none", ".dockerignore": "*.log",
		"secrets/db_postgres_password": "replaced", "secrets/blog_wordpress_db_password": "none",
	} {
		if got := read(t, dir, name); got != want {
			t.Errorf("after undo %s is %q, want %q", name, got, want)
		}
	}
}

// What is there is never overwritten, and others may not enter where a file has
// to be open to a user of the container.
func TestSecretFileIsRefused(t *testing.T) {
	b, dir := secretBench(t)
	must(t, os.Mkdir(filepath.Join(dir, "secrets"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "secrets/db_postgres_password"), []byte("old"), 0o600))
	plan := b.plan(t, nil, "container-secret-in-env")
	if !strings.Contains(plan.Blocked.String(), "exists already") {
		t.Errorf("a file of that name: %s", plan.Blocked)
	}
	plan = b.plan(t, checks.Values{"db.name-of-postgres-password": "other"}, "container-secret-in-env")
	if !strings.Contains(plan.Blocked.String(), "chmod 700") {
		t.Errorf("an open directory: %s", plan.Blocked)
	}
	must(t, os.Chmod(filepath.Join(dir, "secrets"), 0o700))
	plan = b.plan(t, checks.Values{"db.name-of-postgres-password": "other"}, "container-secret-in-env")
	_, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	if got := read(t, dir, "secrets/db_postgres_password") + read(t, dir, "secrets/other"); got != "old"+canary {
		t.Errorf("files hold %q", got)
	}
}

// What was found of the directory when the change was planned has to be so when
// it is made, and what somebody has put there meanwhile stays.
func TestSecretDirectoryChangesMeanwhile(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"an open directory": func(dir string) error { return os.Mkdir(filepath.Join(dir, "secrets"), 0o755) },
		"a symbolic link":   func(dir string) error { return os.Symlink("public", filepath.Join(dir, "secrets")) },
	} {
		for _, late := range []bool{false, true} {
			b, dir := secretBench(t)
			must(t, os.Mkdir(filepath.Join(dir, "public"), 0o755))
			plan := b.plan(t, nil, "container-secret-in-env")
			once := func() {
				if change != nil {
					must(t, change(dir))
					change = nil
				}
			}
			kept := change
			if !late {
				once()
			}
			_, err := b.Apply(t.Context(), plan, func(fixes.Progress) { once() })
			change = kept
			if err == nil {
				t.Errorf("%s, late %v: a secret was put there", name, late)
			}
			if _, err := os.Lstat(filepath.Join(dir, "secrets")); err != nil {
				t.Errorf("%s, late %v: what was put there meanwhile is gone", name, late)
			}
			for _, d := range []string{"secrets", "public"} {
				if entries, _ := os.ReadDir(filepath.Join(dir, d)); len(entries) > 0 {
					t.Errorf("%s, late %v: %s holds %s", name, late, d, entries[0].Name())
				}
			}
			if got := b.text(t); got != secretText {
				t.Errorf("%s, late %v: the file is\n%s", name, late, got)
			}
		}
	}
}

// What stands beside the secret stays: a comment between key and value, and the
// empty lines that a value at the end of the file keeps.
func TestSecretLeavesTheRest(t *testing.T) {
	const config = "configs:\n  app:\n    content: |+\n      text\n\n\n"
	b := newComposeBench(t, "services:\n  db:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: # from the safe\n        "+canary+"\n"+config)
	plan := b.plan(t, nil, "container-secret-in-env")
	for _, f := range plan.Files {
		for _, h := range f.Hunks() {
			for _, l := range h.Lines {
				if strings.Contains(l.Text, canary) {
					t.Errorf("the value is shown: %s", l.Text)
				}
			}
		}
	}
	_, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	want := "services:\n  db:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD_FILE: # from the safe\n        /run/secrets/db_postgres_password\n    secrets:\n      - db_postgres_password\n" +
		config + "secrets:\n  db_postgres_password:\n    file: ./secrets/db_postgres_password\n"
	if got := b.text(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if found := holding(t, filepath.Join(filepath.Dir(filepath.Dir(b.path)), "state"), canary); len(found) != 0 {
		t.Errorf("the ledger holds the value: %v", found)
	}
}

// Two secrets never get the same file.
func TestSecretsOfOneName(t *testing.T) {
	b := newComposeBench(t, "services:\n  a:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: c4nary-x\n  b:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: c4nary-y\n")
	plan := b.plan(t, checks.Values{"a.name-of-postgres-password": "pw", "b.name-of-postgres-password": "pw"}, "container-secret-in-env")
	if !strings.Contains(plan.Blocked.String(), "two secrets would be in secrets/pw") {
		t.Errorf("blocked: %q", plan.Blocked)
	}
}

// A change that fails, or dies, at any step is taken back, or is finished, and
// leaves no secret where it should not be.
func TestSecretFileIsTakenBack(t *testing.T) {
	const dies, finishes = 1, 2
	for end := range 3 {
		for step := 1; ; step++ {
			b, dir := secretBench(t)
			plan := b.plan(t, nil, "container-secret-in-env")
			if step > len(plan.Steps) {
				break
			}
			ctx, cancel := context.WithCancel(t.Context())
			begun := 0
			func() {
				defer func() { _ = recover() }()
				_, err := b.Apply(ctx, plan, func(fixes.Progress) {
					if begun++; begun != step {
						return
					}
					if cancel(); end > 0 {
						panic("killed")
					}
				})
				if err == nil && step < len(plan.Steps) {
					t.Errorf("not stopped at step %d of %d", step, len(plan.Steps))
				}
			}()
			cancel()
			if end > 0 {
				must(t, b.Recover(t.Context(), plan.ID, end == finishes, nil))
			}
			entries, err := b.Entries()
			must(t, err)
			if entries[0].State == ledger.Applied {
				if end == dies || read(t, dir, "secrets/db_postgres_password") != canary || strings.Contains(b.text(t), canary) {
					t.Errorf("step %d, end %d: finished, but not all of it", step, end)
				}
				must(t, b.Undo(t.Context(), plan.ID, nil))
			}
			if got := b.text(t); got != secretText {
				t.Errorf("step %d, end %d: the file is\n%s", step, end, got)
			}
			for _, name := range []string{"secrets", ".gitignore"} {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					t.Errorf("step %d, end %d: %s is left", step, end, name)
				}
			}
		}
	}
}

// Only the user knows how other programs take a secret. What the value is that
// comes from elsewhere nobody here knows, so that it stays there.
func TestSecretIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"another image":   {"services:\n  a:\n    image: own/a:1\n    environment:\n      API_TOKEN: c4nary-x\n", "path-variable-of-api-token"},
		"a built image":   {"services:\n  a:\n    build: .\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: c4nary-x\n", "path-variable-of-postgres-password"},
		"redis":           {"services:\n  a:\n    image: redis:7\n    environment:\n      REDIS_PASSWORD: c4nary-x\n", "path-variable-of-redis-password"},
		"an anchor":       {"x-e: &e\n  POSTGRES_PASSWORD: c4nary-x\nservices:\n  a:\n    image: postgres:17\n    environment: *e\n", "another place"},
		"a default":       {"services:\n  a:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: ${PW:-c4nary-x}\n", "depends on a variable"},
		"used by another": {"services:\n  a:\n    image: postgres:17\n    environment: &e\n      POSTGRES_PASSWORD: c4nary-x\n  b:\n    image: postgres:17\n    environment: *e\n", "by an anchor"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newComposeBench(t, c.text)
			plan := b.plan(t, nil, "container-secret-in-env")
			if said := plan.Blocked.String() + texts(plan.Notes); !strings.Contains(said, c.want) || plan.Blocked.IsZero() {
				t.Errorf("said %q, want %q", said, c.want)
			}
		})
	}
	b := newComposeBench(t, "services:\n  a:\n    image: postgres:17\n    environment:\n      - POSTGRES_PASSWORD\n")
	file, err := compose.Load(b.path, "compose.yaml")
	must(t, err)
	for _, f := range checks.Run(file, compose.Checks(), &checks.Policy{Profile: checks.All}).Findings {
		if f.Check.ID == "container-secret-in-env" && (len(f.Fixes) != 1 || f.Fixes[0].ID != "secret-from-environment") {
			t.Errorf("%s has the fixes %v", f.Message, f.Fixes)
		}
	}
}

// A dollar is written twice in a compose file, and once in the secret.
func TestSecretWithDollar(t *testing.T) {
	b := newComposeBench(t, "services:\n  a:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: 'a$$b''c'\n")
	plan := b.plan(t, nil, "container-secret-in-env")
	_, err := b.Apply(t.Context(), plan, nil)
	must(t, err)
	if got := read(t, filepath.Dir(b.path), "secrets/a_postgres_password"); got != "a$b'c" {
		t.Errorf("the file holds %q", got)
	}
}
