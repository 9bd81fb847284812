package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/fixes"
)

func TestPlanWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".plimsoll.yaml")
	if err := os.WriteFile(path, []byte("language: en\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	m := New(checks.Dockerfile, Options{Secrets: t.TempDir()})
	write := func(c fixes.FileChange) (*fixes.Plan, error) {
		c.Name, c.After = filepath.Base(c.Path), []byte("new\n")
		return m.PlanWrite(checks.Ref{Kind: checks.Dockerfile, ID: c.Path}, c, checks.Msg("write"))
	}
	if _, err := write(fixes.FileChange{Path: path, Before: []byte("language: de\n")}); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("another text: %v", err)
	}
	if _, err := write(fixes.FileChange{Path: path, Created: true}); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("a new file that is there: %v", err)
	}
	if _, err := write(fixes.FileChange{Path: filepath.Join(dir, "gone"), Before: []byte("x")}); !errors.Is(err, fixes.ErrChanged) {
		t.Errorf("a file that is gone: %v", err)
	}
	var refused *checks.Problem
	_, err := write(fixes.FileChange{Path: link, Before: []byte("language: en\n")})
	if !errors.As(err, &refused) || !errdefs.IsFailedPrecondition(err) {
		t.Fatalf("a symbolic link: %v", err)
	}
	if got := refused.In(assets.Translate("de")); !strings.Contains(got, "symbolischer Link") {
		t.Errorf("in German it says %q", got)
	}
	if plan, err := write(fixes.FileChange{Path: path, Before: []byte("language: en\n")}); err != nil || len(plan.Files) != 1 || !plan.Blocked.IsZero() {
		t.Errorf("%v, %v", plan, err)
	}
}
