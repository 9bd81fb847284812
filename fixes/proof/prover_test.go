package proof_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	source "plimsoll/checks/dockerfile"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/inventory"
	"plimsoll/checks/suite"
	"plimsoll/fixes"
	"plimsoll/fixes/files"
	"plimsoll/fixes/proof"
)

// A yard is a project and an engine to prove its patches on.
type yard struct {
	*testing.T
	engine        *client.Client
	prefix, owner string
	dir           string
	mechanic      *files.Mechanic
	secrets       map[string]checks.Sensitive // that the vault holds
	said          []string
}

func newYard(t *testing.T) *yard {
	e := dockertest.Real(t)
	y := &yard{T: t, engine: e, prefix: dockertest.Prefix(t, e), dir: t.TempDir()}
	y.owner = "test-" + y.prefix
	y.mechanic = files.New(checks.Dockerfile, files.Options{Checks: suite.All(), Policy: &checks.Policy{Profile: checks.All}, Secrets: filepath.Join(t.TempDir(), "secrets")})
	dockertest.Busybox(t, e, y.prefix, "busybox:1.36")
	return y
}

func (y *yard) write(name, text string) string {
	y.Helper()
	path := filepath.Join(y.dir, name)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "BASE", y.prefix+"busybox:1.36")), 0o644); err != nil {
		y.Fatal(err)
	}
	return path
}

func (y *yard) file(text string) *source.File {
	y.Helper()
	path := y.write("Dockerfile", text)
	src, err := os.ReadFile(path)
	if err != nil {
		y.Fatal(err)
	}
	f := source.Parse(path, "Dockerfile", src)
	f.Context = source.Context{Known: true}
	return f
}

// patch is a plan that turns f into text, by one edit at its end or of all.
func (y *yard) patch(f *source.File, text string) *fixes.Plan {
	after := []byte(strings.ReplaceAll(text, "BASE", y.prefix+"busybox:1.36"))
	edit := checks.Edit{Start: 0, End: len(f.Source), New: string(after)}
	if added, ok := strings.CutPrefix(string(after), string(f.Source)); ok {
		edit = checks.Edit{Start: len(f.Source), End: len(f.Source), New: added}
	}
	return &fixes.Plan{Subject: f.Ref(), Files: []fixes.FileChange{{Path: f.Path, Name: "Dockerfile", Before: f.Source, After: after, Edits: []checks.Edit{edit}}}}
}

func (y *yard) prover() *proof.Prover {
	target, err := engine.Resolve("")
	if err != nil {
		y.Fatal(err)
	}
	return proof.New(proof.Options{
		Engine: y.engine, Images: inventory.New(inventory.Options{Target: &target}), Checks: suite.All(), Policy: &checks.Policy{Profile: checks.All},
		Secret: func(_, id string) (checks.Sensitive, error) {
			if s, ok := y.secrets[id]; ok {
				return s, nil
			}
			return "", fs.ErrNotExist
		},
		Lock: func(string) (func(), error) { return func() {}, nil }, Owner: y.owner, Watch: time.Second,
	})
}

func (y *yard) prove(f *source.File, plan *fixes.Plan) *proof.Proof {
	y.Helper()
	p, err := y.prover().Prove(y.Context(), f, plan, func(p fixes.Progress) { y.said = append(y.said, p.Message.String()) })
	if err != nil {
		y.Fatal(err)
	}
	y.nothingLeft()
	return p
}

func (y *yard) nothingLeft() {
	y.Helper()
	mine := client.Filters{}.Add("label", "plimsoll.proof="+y.owner)
	containers, err := y.engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: mine})
	if err != nil || len(containers.Items) > 0 {
		y.Errorf("containers left: %v, %v", containers.Items, err)
	}
	images, err := y.engine.ImageList(context.Background(), client.ImageListOptions{All: true, Filters: mine})
	if err != nil || len(images.Items) > 0 {
		y.Errorf("images left: %v, %v", images.Items, err)
	}
}

func wrong(p *proof.Proof) string {
	var out []string
	for _, m := range p.Wrong {
		out = append(out, m.String())
	}
	return strings.Join(out, "\n")
}

func fact(t *testing.T, p *proof.Proof, name string) string {
	t.Helper()
	i := slices.IndexFunc(p.Facts, func(f proof.Fact) bool { return f.Name.String() == name })
	if i < 0 {
		t.Fatalf("no fact %q in %v", name, p.Facts)
	}
	f := p.Facts[i]
	return f.Before.String() + " → " + f.After.String() + map[proof.Verdict]string{proof.Same: " same", proof.Meant: " meant", proof.Better: " better", proof.NotWell: " not well"}[f.Verdict]
}

func TestProved(t *testing.T) {
	y := newYard(t)
	f := y.file("# syntax=docker/dockerfile:1\nFROM BASE\nRUN true\nENV A=1\nCMD [\"sleep\", \"60\"]\n")
	p := y.prove(f, y.patch(f, string(f.Source)+"USER 4321:4321\n"))
	if !p.Proved() {
		t.Fatalf("not proved: %s\n%s\n%v", wrong(p), p.Log, p.Notes)
	}
	for name, want := range map[string]string{
		"build": "builds → builds same", "start": "runs → runs same",
		"user":      "uid 0 (no USER) → uid 4321 (USER 4321:4321) better",
		"variables": "A PATH → A PATH same", "command": "sleep 60 → sleep 60 same",
	} {
		if got := fact(t, p, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if !slices.ContainsFunc(p.Cured, func(f checks.Finding) bool { return f.Check.ID == "image-user-root" }) {
		t.Errorf("cured %v", p.Cured)
	}
	if !strings.Contains(strings.Join(y.said, "\n"), "as it would be") {
		t.Errorf("said %q", y.said)
	}
}

// The ways in which a build succeeds and the fix failed, and more of the kind.
//
//scenario:84
func TestBuildsAndIsWrong(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	y := newYard(t)
	original := "FROM BASE\nCMD [\"sleep\", \"60\"]"
	for name, c := range map[string]struct{ before, after, want string }{
		"a user that does not exist":   {original + "\n", original + "\nUSER app\n", "does not start: "},
		"an ARG of another scope":      {"ARG U=1000\n" + original + "\n", "ARG U=1000\n" + original + "\nUSER $U\n", "USER $U came to nothing"},
		"no newline before":            {original, original + "USER 1000\n", "USER 1000 came to nothing"},
		"a continued line before":      {original + " \\", original + " \\\nUSER 1000\n", "USER 1000 came to nothing"},
		"within a continued RUN":       {"FROM BASE\nRUN true \\\n", "FROM BASE\nRUN true \\\nUSER 1000\n", "USER 1000 came to nothing"},
		"a command that is not there":  {original + "\n", "FROM BASE\nCMD [\"/none\"]\n", "does not start: "},
		"a health check without curl":  {original + "\n", original + "\nHEALTHCHECK CMD curl -f http://localhost/\n", "health check fails"},
		"another command unannounced":  {original + "\n", "FROM BASE\nENTRYPOINT [\"sleep\"]\n", "does not"},
		"what does not build any more": {original + "\n", original + "\nRUN false\n", "cannot be built"},
		"an end":                       {original + "\n", "FROM BASE\nCMD [\"false\"]\n", "ends with code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			y := *y
			y.T, y.dir = t, t.TempDir()
			f := y.file(c.before)
			p := y.prove(f, y.patch(f, c.after))
			if !strings.Contains(wrong(p), c.want) {
				t.Errorf("wrong: %q, want %q\n%v", wrong(p), c.want, p.Facts)
			}
		})
	}
}

// A secret that the patch takes out of the file gets to the step that needs it,
// through the builder's session alone.
func TestSecretOfThePlan(t *testing.T) {
	y := newYard(t)
	const value = "ghp_c4naryc4naryc4naryc4naryc4naryc4nary"
	f := y.file("FROM BASE\nENV API_TOKEN=" + value + "\nRUN test \"$API_TOKEN\" = " + value + "\nCMD [\"sleep\", \"60\"]\n")
	after := "FROM BASE\nRUN --mount=type=secret,id=api_token,env=API_TOKEN --mount=type=secret,id=kept test \"$(cat /run/secrets/api_token)\" = \"$(cat /run/secrets/kept)\"\nCMD [\"sleep\", \"60\"]\n"
	after = strings.ReplaceAll(after, ",env=API_TOKEN", "") // the engine's own frontend may be too old for it
	plan := y.patch(f, after)
	plan.Files[0].Edits[0].Moved = []checks.MovedSecret{{ID: "api_token", Value: value}}
	y.secrets = map[string]checks.Sensitive{"kept": value}
	p := y.prove(f, plan)
	if !p.Proved() {
		t.Fatalf("not proved: %s\n%s", wrong(p), p.Log)
	}
	var texts []string
	for _, fact := range p.Facts {
		texts = append(texts, fact.Before.String(), fact.After.String())
	}
	if all := strings.Join(texts, " "); strings.Contains(all, value) || !strings.Contains(all, "API_TOKEN") {
		t.Errorf("facts %s", all)
	}
	y.secrets["kept"] = "other"
	plan.Files[0].After = []byte(strings.Replace(string(plan.Files[0].After), "RUN ", "RUN --network=none ", 1)) // not from the cache
	if p := y.prove(f, plan); !strings.Contains(wrong(p), "cannot be built") || strings.Contains(p.Log+wrong(p), value) {
		t.Errorf("with another secret: %q, %s", wrong(p), p.Log)
	}
}

// A fix that the project itself makes is proved as it is planned.
func TestPlanOfTheMechanic(t *testing.T) {
	y := newYard(t)
	y.write("app.sh", "#!/bin/sh\nexec sleep 60\n")
	f := y.file("FROM BASE\nCOPY app.sh /app.sh\nCMD [\"sh\", \"/app.sh\"]\n")
	report := checks.Run(f, suite.All(), &checks.Policy{Profile: checks.All})
	request := fixes.Request{}
	for _, finding := range report.Findings {
		if finding.Fixable() && finding.Check.ID == "user-missing" {
			request.Findings = append(request.Findings, finding)
		}
	}
	if len(request.Findings) == 0 {
		t.Fatal("user-missing is not found")
	}
	for _, beside := range []bool{false, true} {
		request.Beside = beside
		plan, err := y.mechanic.Plan(t.Context(), f, request)
		if err != nil {
			t.Fatal(err)
		}
		p := y.prove(f, plan)
		if !p.Proved() || !strings.HasSuffix(fact(t, p, "user"), "better") {
			t.Errorf("beside %v: %s, %s\n%s", beside, wrong(p), fact(t, p, "user"), p.Log)
		}
	}
	if now, err := os.ReadFile(f.Path); err != nil || string(now) != string(f.Source) {
		t.Errorf("the file was changed: %v", err)
	}
}

// What a crash left behind is swept by the next proof, what others need is not.
func TestLeftOverIsSwept(t *testing.T) {
	y := newYard(t)
	create := func(name, owner, until string) {
		_, err := y.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Name: y.prefix + name,
			Config: &container.Config{Image: y.prefix + "busybox:1.36", Cmd: []string{"true"},
				Labels: map[string]string{"plimsoll.proof": owner, "plimsoll.proof.until": until}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	create("own", y.owner, "99999999999")
	create("old", "another-"+y.owner, "1000")
	create("used", "another-"+y.owner, "99999999999")
	f := y.file("FROM BASE\n")
	y.prove(f, y.patch(f, string(f.Source)+"USER 1\n"))
	for name, kept := range map[string]bool{"own": false, "old": false, "used": true} {
		_, err := y.engine.ContainerInspect(t.Context(), y.prefix+name, client.ContainerInspectOptions{})
		if (err == nil) != kept {
			t.Errorf("%s: kept %v, %v", name, err == nil, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	y := newYard(t)
	f := y.file("FROM BASE\nRUN sleep 100\n")
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	_, err := y.prover().Prove(ctx, f, y.patch(f, string(f.Source)+"USER 1\n"), func(p fixes.Progress) {
		time.AfterFunc(time.Second, cancel)
	})
	if err == nil || time.Since(began) > 50*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	y.nothingLeft()
}
