package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	apicontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/system"

	"plimsoll/checks"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/host"
	"plimsoll/checks/image"
	"plimsoll/checks/inventory"
	"plimsoll/checks/packages"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes"
	"plimsoll/fixes/ledger"
	"plimsoll/fixes/proof"
)

// noon is when everything in the fixture happens.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const shopDockerfile = `FROM debian:12
ENV API_TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ012345
RUN apt-get update && apt-get install -y curl
ADD https://example.com/setup.sh /tmp/setup.sh
RUN curl https://example.com/setup.sh | sh
COPY . /srv
CMD /srv/start
`

// rule makes a check for the fixture. Only what the screen looks at is set.
func rule(id, title string, s checks.Severity, c checks.Chapter, refs ...string) *checks.Check {
	return &checks.Check{ID: id, Title: title, Severity: s, Chapter: c, Refs: refs}
}

var (
	ruleRoot       = rule("container-runs-as-root", "container runs as root", checks.High, checks.LeastPrivilege, "CIS 5.x (v1.6.0)")
	rulePrivileged = rule("container-privileged", "container is privileged", checks.Critical, checks.LeastPrivilege)
	ruleMemory     = rule("container-memory-unlimited", "memory is not limited", checks.Medium, checks.ResourceLimits)
	rulePids       = rule("container-pids-unlimited", "number of processes is not limited", checks.Low, checks.ResourceLimits)
	ruleBridge     = rule("container-default-bridge", "container is on the default bridge", checks.Low, checks.NetworkIsolation)
	ruleEnvSecret  = rule("secret-in-env-or-arg", "secret in ENV or ARG", checks.High, checks.Secrets, "hadolint SC1")
	ruleUser       = rule("user-missing", "image runs as root: no USER", checks.High, checks.LeastPrivilege, "CIS 4.1 (v1.6.0)", "hadolint DL3002")
	rulePiped      = rule("remote-script-piped-to-shell", "remote script piped into a shell", checks.High, checks.ScanningAndSigning)
	ruleBase       = rule("base-image-not-digest-pinned", "base image is not pinned to a digest", checks.Low, checks.ScanningAndSigning)
	ruleOldImage   = rule("image-old-build", "image was built long ago", checks.Info, checks.Updates)
	ruleDaemonRoot = rule("daemon-runs-as-root", "the Docker daemon runs as root", checks.Medium, checks.LeastPrivilege)
	ruleMonitor    = rule("runtime-monitor-missing", "nothing watches running containers", checks.Info, checks.RuntimeMonitoring)
)

func found(c *checks.Check, ref checks.Ref, line int, key, format string, args ...any) checks.Finding {
	return checks.Finding{
		Check: c, Subject: ref, Severity: c.Severity, Line: line, EndLine: line, Key: key,
		Message: checks.Message{Format: format, Args: args},
	}
}

func fixable(f checks.Finding, fixes ...checks.Fix) checks.Finding {
	f.Fixes = fixes
	return f
}

func aFix(id, title string) checks.Fix {
	return checks.Fix{ID: id, Title: checks.Message{Format: title}, Safe: true, Change: func(*checks.Settings, checks.Values) error { return nil }}
}

// containerItem is a container with the findings that its name asks for.
func containerItem(id, name, state string, findings ...checks.Finding) inventory.Item {
	c := container.New(apicontainer.InspectResponse{ID: id, Name: "/" + name}, nil, "", noon)
	ref := c.Ref()
	for i := range findings {
		findings[i].Subject = ref
	}
	return inventory.Item{Ref: ref, Subject: c, Report: checks.Report{Subject: ref, Findings: findings},
		Status: inventory.Status{State: state, Image: "shop/" + name + ":1.4", Created: noon.Add(-48 * time.Hour)}}
}

func fileItem(path, name, source string, findings ...checks.Finding) inventory.Item {
	f := &dockerfile.File{Path: path, Name: name, Source: []byte(source)}
	ref := f.Ref()
	for i := range findings {
		findings[i].Subject = ref
	}
	return inventory.Item{Ref: ref, Subject: f, Report: checks.Report{Subject: ref, Findings: findings}}
}

func memoryFinding() checks.Finding {
	f := found(ruleMemory, checks.Ref{}, 0, "", "%s may use all memory of the host", "web")
	f.Evidence = []checks.Evidence{{Source: "HostConfig.Memory", Detail: "0"}}
	return fixable(f, aFix("limit", "limit memory to 256 MiB"))
}

// fixture is a small shop: everything the screen shows occurs in it.
func fixture() inventory.Update {
	root := found(ruleRoot, checks.Ref{}, 0, "", "%s runs as uid 0", "web")
	root.Evidence = []checks.Evidence{{Source: "Config.User", Detail: `"" (image: "")`}, {Source: "HostConfig.UsernsMode", Detail: `""`}}
	privileged := found(rulePrivileged, checks.Ref{}, 0, "", "%s has every capability and all devices of the host", "db")
	privileged.Evidence = []checks.Evidence{{Source: "HostConfig.Privileged", Detail: "true"}}
	secretEnv := found(ruleEnvSecret, checks.Ref{}, 2, "API_TOKEN", "%s holds a secret in the clear", "API_TOKEN")
	secretEnv.Evidence = []checks.Evidence{{Source: "line 2", Detail: "ENV API_TOKEN=••••••••"}}
	pinned := aFix("digest", "pin the digest")
	pinned.Choices = []checks.Choice{{Key: "digest", Label: checks.Message{Format: "digest"}, Default: "sha256:1111"}}
	user := aFix("nonroot", "run as a user of its own")
	user.Caution = checks.Message{Format: "files that the program writes must belong to that user"}
	user.Safe = false
	other := aFix("image-user", "use the user that the base image brings along")

	items := []inventory.Item{
		fileItem("/home/me/shop/Dockerfile", "Dockerfile", shopDockerfile,
			fixable(secretEnv, aFix("mount", "pass the secret as a build secret")),
			found(rulePiped, checks.Ref{}, 5, "", "what %s serves is run as root during the build", "example.com"),
			fixable(found(ruleUser, checks.Ref{}, 7, "", "the final stage never leaves root"), user, other),
			fixable(found(ruleBase, checks.Ref{}, 1, "debian:12", "%s may be another image tomorrow", "debian:12"), pinned),
		),
		fileItem("/home/me/shop/services/payment/gateway/Dockerfile", "services/payment/gateway/Dockerfile", "FROM scratch\n"),
		containerItem("aaaa", "web", "running", root, memoryFinding(),
			fixable(found(rulePids, checks.Ref{}, 0, "", "%s may start any number of processes", "web"), aFix("limit", "limit to 200 processes")),
			fixable(found(ruleBridge, checks.Ref{}, 0, "", "%s can reach every other container on the default bridge", "web"), aFix("network", "use a network of its own"))),
		containerItem("bbbb", "db", "exited", privileged),
		containerItem("cccc", "cache", "running"),
	}
	img := &image.Image{Now: noon}
	img.Inspect.ID = "sha256:dddd"
	img.Inspect.RepoTags = []string{"shop/web:1.4"}
	img.Known = knownVulnerabilities()
	old := found(ruleOldImage, img.Ref(), 0, "", "%s was built %d days ago", "shop/web:1.4", 400)
	items = append(items, inventory.Item{Ref: img.Ref(), Subject: img, Status: inventory.Status{Size: 123456789},
		Report: checks.Report{Subject: img.Ref(), Findings: []checks.Finding{old}}})
	h := &host.Host{Info: system.Info{ID: "ENGINE", Name: "harbour"}, Now: noon}
	items = append(items, inventory.Item{Ref: h.Ref(), Subject: h, Report: checks.Report{Subject: h.Ref(), Findings: []checks.Finding{
		found(ruleDaemonRoot, h.Ref(), 0, "", "the daemon is root on the host"),
		found(ruleMonitor, h.Ref(), 0, "", "no runtime monitor was recognised among the containers"),
	}}})
	return inventory.Update{Complete: true, Items: items, Engine: inventory.EngineState{
		Phase: inventory.Connected, Endpoint: "unix:///var/run/docker.sock", Name: "harbour", Version: "28.2.2", API: "1.50"}}
}

// noEngine is a folder on a machine without Docker.
func noEngine() inventory.Update {
	u := fixture()
	return inventory.Update{Complete: true, Items: u.Items[:2], Engine: inventory.EngineState{
		Phase: inventory.Absent, Endpoint: "unix:///var/run/docker.sock", Retry: noon.Add(7 * time.Second),
		Err: &checks.Problem{What: checks.Message{Format: "nothing listens at %s", Args: []any{"unix:///var/run/docker.sock"}},
			Do: checks.Message{Format: "start it with %s", Args: []any{"systemctl start docker"}}, Err: errdefs.ErrUnavailable}}}
}

// world makes n containers with five findings each.
func manyContainers(n int) inventory.Update {
	u := fixture()
	for i := range n {
		name := fmt.Sprintf("shop-worker-%04d", i)
		u.Items = append(u.Items, containerItem(fmt.Sprintf("id%04d", i), name, "running",
			found(ruleRoot, checks.Ref{}, 0, "", "%s runs as uid 0", name), memoryFinding(),
			found(rulePids, checks.Ref{}, 0, "", "%s may start any number of processes", name),
			found(ruleBridge, checks.Ref{}, 0, "", "%s can reach every other container", name),
			found(ruleEnvSecret, checks.Ref{}, 0, "TOKEN", "%s holds a secret", name)))
	}
	return u
}

// A fakeFixer plans what the fixture's fixes say and remembers what was asked.
type fakeFixer struct {
	delay       time.Duration // per step of Apply
	planErr     error
	applyErr    error
	blocked     bool
	interrupted []ledger.Entry
	entries     []ledger.Entry
	requests    []fixes.Request
	undone      []string
	recovered   []string
	deployed    []string
	discarded   []string
	deploy      []string // of every plan
	question    string   // that only a person can answer, of plans for web

	after        func(checks.Subject, fixes.Request) []checks.Subject // how a subject would be; nil for unknown
	stuck, fails string                                               // names of subjects that cannot be changed, or whose change fails, in a batch
	asked        []fixes.Ask                                          // for the last batch
	applied      []fixes.BatchOptions                                 // of batches
}

func (f *fakeFixer) Plan(_ context.Context, s checks.Subject, r fixes.Request) (*fixes.Plan, error) {
	f.requests = append(f.requests, r)
	if f.planErr != nil {
		return nil, f.planErr
	}
	p := &fixes.Plan{ID: "e1", Subject: s.Ref(), Cures: r.Findings, Deploy: f.deploy}
	if file, ok := s.(*dockerfile.File); ok {
		p.Title = checks.Message{Format: "Harden %s", Args: []any{file.Name}}
		p.Mechanism = fixes.Patch
		after := strings.Replace(string(file.Source), "FROM debian:12\n", "FROM debian:12@sha256:1111\n", 1)
		after = strings.Replace(after, "CMD /srv/start\n", "USER 10001:10001\nCMD /srv/start\n", 1)
		at := strings.Index(string(file.Source), "debian:12") + len("debian:12")
		end := strings.Index(string(file.Source), "CMD")
		p.Files = []fixes.FileChange{{Path: file.Path, Name: file.Name, Before: file.Source, After: []byte(after), Edits: []checks.Edit{
			{Start: at, End: at, New: "@sha256:1111", Reason: checks.Message{Format: "the same image on every build"}},
			{Start: end, End: end, New: "USER 10001:10001\n", Reason: checks.Message{Format: "no process of the container is root"}},
		}}}
		p.Choices = []fixes.Choice{{Choice: checks.Choice{Key: "uid", Label: checks.Message{Format: "user id to run as"}, Default: "10001",
			Why: checks.Message{Format: "not used by the base image"}, Valid: func(v string) error {
				if v == "0" || v == "" {
					return errors.New("must not be root")
				}
				return nil
			}}, Value: value(r, "uid", "10001")}}
		p.Steps = []fixes.Step{{Op: "write", Target: file.Name, Why: checks.Message{Format: "all at once, or not at all"}}}
		p.Leaves = []checks.Finding{found(rulePiped, s.Ref(), 5, "", "what %s serves is run as root", "example.com")}
		return p, nil
	}
	p.Title = checks.Message{Format: "Limit memory of %s", Args: []any{s.Ref().Name}}
	p.Mechanism = fixes.Update
	memory := value(r, "memory", "256m")
	p.Choices = []fixes.Choice{{Choice: checks.Choice{Key: "memory", Label: checks.Message{Format: "memory limit"}, Default: "256m",
		Why: checks.Message{Format: "peak of %s and as much again", Args: []any{"118 MiB"}}}, Value: memory},
		{Choice: checks.Choice{Key: "restart", Label: checks.Message{Format: "restart"}, Default: "on-failure:5", Options: []string{"on-failure:5", "unless-stopped", "no"}}, Value: value(r, "restart", "on-failure:5")}}
	p.Changes = []fixes.Change{
		{Field: "HostConfig.Memory", Before: "unlimited", After: memory, Why: checks.Message{Format: "one container cannot starve the host"}},
		{Field: "HostConfig.MemorySwap", Before: "unlimited", After: memory}}
	p.Notes = []checks.Message{{Format: "A program that needs more is killed."}}
	p.Steps = []fixes.Step{
		{Op: "inspect", Target: s.Ref().Name, Why: checks.Message{Format: "nothing may have changed since"}},
		{Op: "update", Target: s.Ref().Name, Command: "docker update --memory " + memory + " --memory-swap " + memory + " " + s.Ref().Name},
		{Op: "verify", Target: s.Ref().Name, Why: checks.Message{Format: "the engine reports the new limit"}}}
	if r.Update {
		p.Mechanism, p.Downtime = fixes.Recreate, 1500*time.Millisecond
	}
	if s.Ref().Kind == checks.Image {
		p.Members = []checks.Ref{{Kind: checks.Container, ID: "aaaa", Name: "web"}}
	}
	switch {
	case r.Fetched != "":
		p.Card = changed(s)
	case r.Pull:
		p.Fetch = "shop/web:1.4"
	}
	if f.after != nil {
		p.After = f.after(s, r)
	}
	if f.blocked {
		p.Blocked = checks.Message{Format: "%s was started with --rm: stopping it would delete it", Args: []any{s.Ref().Name}}
	}
	return p, nil
}

// changed is what the card says of the image that was fetched.
func changed(s checks.Subject) *fixes.Card {
	return &fixes.Card{Image: "shop/web:1.4",
		Facts: []fixes.Fact{
			{Name: checks.Msg("user"), Before: "root", After: "10001:10001"},
			{Name: checks.Msg("command"), Before: "nginx -g 'daemon off;'", After: "nginx -c /etc/nginx/shop.conf -g 'daemon off;' -e /var/log/nginx/error.log"},
			{Name: checks.Msg("environment"), Lost: []string{"NGINX_VERSION"}, Gained: []string{"SHOP_MODE", "LANG"}, Changed: []string{"PATH"}},
			{Name: checks.Msg("ports of the image"), Lost: []string{"80/tcp"}, Gained: []string{"8080/tcp"}},
			{Name: checks.Msg("size"), Before: "142 MiB", After: "96.5 MiB"}, {Name: checks.Msg("built"), Before: "2026-05-02", After: "2026-11-20"}, {Name: checks.Msg("layers"), Before: "7", After: "6"},
		},
		Gone:     []checks.Finding{found(ruleRoot, s.Ref(), 0, "", "%s runs as root", "web")},
		New:      []checks.Finding{found(rulePiped, s.Ref(), 0, "", "what %s serves is run as root", "example.com")},
		Compared: true,
		Repaired: []vulnerability.Vulnerability{{ID: "CVE-2026-1001", Package: packages.Package{Name: "openssl"}}, {ID: "CVE-2026-1002", Package: packages.Package{Name: "zlib"}}},
	}
}

func (f *fakeFixer) Fetch(_ context.Context, p *fixes.Plan, progress func(fixes.Progress)) (string, error) {
	progress(fixes.Progress{Ratio: 0.5, Message: checks.Msg("pulling %s", p.Fetch), Transfer: &fixes.Transfer{Image: p.Fetch}})
	return "sha256:fetched", f.applyErr
}

func value(r fixes.Request, key, fallback string) string {
	if v, ok := r.Values[key]; ok {
		return v
	}
	return fallback
}

func (f *fakeFixer) Apply(ctx context.Context, p *fixes.Plan, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	for i := range p.Steps {
		progress(fixes.Progress{Step: i, Ratio: -1})
		if i == 1 && f.delay > 0 {
			for r := range 10 {
				progress(fixes.Progress{Step: i, Ratio: float64(r) / 10, Message: checks.Message{Format: "%d of %d MB", Args: []any{r * 10, 100}}})
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(f.delay):
				}
			}
		}
	}
	if f.applyErr != nil {
		return nil, f.applyErr
	}
	f.entries = slices.Insert(f.entries, 0, ledger.Entry{ID: p.ID, Time: noon, Title: p.Title.String(), Subject: p.Subject, State: ledger.Applied,
		Mechanism: string(p.Mechanism), Commands: p.Commands(), Proof: []string{"memory is limited to 256 MiB"}, Checks: []string{"container-memory-unlimited"}})
	return &fixes.Receipt{Entry: p.ID, Took: 1234 * time.Millisecond, Cured: p.Cures, Left: p.Leaves,
		Proof: []checks.Message{{Format: "the engine reports %s", Args: []any{"Memory 268435456"}}, {Format: "the container kept its id"}}}, nil
}

func (f *fakeFixer) Deploy(_ context.Context, id string, progress func(fixes.Progress)) error {
	f.deployed = append(f.deployed, id)
	progress(fixes.Progress{Ratio: -1, Message: checks.Message{Format: "Container shop-web-1 Started"}})
	return nil
}

// PlanBatch makes a part of each subject: files first, what is called f.stuck
// last.
func (f *fakeFixer) PlanBatch(ctx context.Context, asks []fixes.Ask) (*fixes.Batch, error) {
	f.asked = asks
	b := &fixes.Batch{ID: "b1"}
	for _, ask := range asks {
		plan, err := f.Plan(ctx, ask.Subject, ask.Request)
		if err != nil {
			return nil, err
		}
		if ask.Subject.Ref().Name == f.stuck {
			plan.Blocked = checks.Message{Format: "%s was started with --rm: stopping it would delete it", Args: []any{f.stuck}}
		}
		if ask.Subject.Ref().Name == "web" && len(ask.Request.Findings) > 1 {
			plan.Mechanism, plan.Downtime = fixes.Recreate, 2*time.Second
		}
		if f.question != "" && ask.Subject.Ref().Name == "web" {
			plan.Choices = append(plan.Choices, fixes.Choice{Choice: checks.Choice{Key: "q", Label: checks.Message{Format: f.question}, Example: "x"}, Value: value(ask.Request, "q", "")})
		}
		b.Parts = append(b.Parts, fixes.Part{Asks: []fixes.Ask{{Subject: ask.Subject, Request: ask.Request.Decided(plan)}}, Plan: plan})
	}
	rank := func(p fixes.Part) int {
		return slices.Index([]fixes.Mechanism{fixes.Patch, fixes.Update, fixes.Recreate}, p.Plan.Mechanism) + 9*len(p.Plan.Blocked.Format)
	}
	slices.SortStableFunc(b.Parts, func(x, y fixes.Part) int { return rank(x) - rank(y) })
	for i := range b.Parts {
		b.Parts[i].Plan.ID = fmt.Sprintf("e%d", i+1)
	}
	return b, nil
}

func (f *fakeFixer) ApplyBatch(ctx context.Context, b *fixes.Batch, o fixes.BatchOptions, progress func(fixes.Progress)) (*fixes.BatchReceipt, error) {
	f.applied = append(f.applied, o)
	r := &fixes.BatchReceipt{Batch: b.ID, Receipts: make([]*fixes.Receipt, len(b.Parts)), Failed: -1, Took: 4500 * time.Millisecond}
	for i := range b.Parts {
		if !b.Parts[i].Applicable() {
			continue
		}
		one, err := f.Apply(ctx, b.Parts[i].Plan, func(p fixes.Progress) { p.Part = i; progress(p) })
		if err == nil && b.Parts[i].Subject().Name == f.fails {
			err = errors.New("the replacement exited with 1")
		}
		if err != nil {
			r.Failed = i
			if o.OnFailure == fixes.TakeBack {
				r.Undone = r.Done()
				clear(r.Receipts)
			}
			return r, err
		}
		r.Receipts[i] = one
		f.entries[0].Batch = &ledger.Part{ID: b.ID, N: i + 1, Of: b.Applicable()}
	}
	return r, nil
}

func (f *fakeFixer) CanUndoBatch(_ context.Context, id string) error { return nil }

func (f *fakeFixer) UndoBatch(_ context.Context, id string, progress func(fixes.Progress)) error {
	progress(fixes.Progress{Ratio: -1, Message: checks.Message{Format: "all is as it was"}})
	f.undone = append(f.undone, id)
	return nil
}

func (f *fakeFixer) Entries() ([]ledger.Entry, error) { return f.entries, nil }

func (f *fakeFixer) Kept(_ context.Context, id string) (fixes.Original, error) {
	if id == "gone" {
		return fixes.Original{}, errors.New("the original was removed already")
	}
	return fixes.Original{Name: "web.plimsoll-old-" + id, Size: 12 << 20, Kept: noon.Add(-50 * time.Hour)}, nil
}

func (f *fakeFixer) Discard(_ context.Context, id string) error {
	f.discarded = append(f.discarded, id)
	return nil
}

func (f *fakeFixer) CanUndo(_ context.Context, id string) error {
	if id == "gone" {
		return errors.New("the container is gone")
	}
	return nil
}

func (f *fakeFixer) Undo(_ context.Context, id string, progress func(fixes.Progress)) error {
	progress(fixes.Progress{Ratio: -1, Message: checks.Message{Format: "memory is unlimited again"}})
	f.undone = append(f.undone, id)
	return nil
}

func (f *fakeFixer) Interrupted(context.Context) ([]ledger.Entry, error) { return f.interrupted, nil }

func (f *fakeFixer) Recover(_ context.Context, id string, finish bool, _ func(fixes.Progress)) error {
	f.recovered = append(f.recovered, fmt.Sprintf("%s %t", id, finish))
	return nil
}

// changes is a ledger with every state in it.
func changes() []ledger.Entry {
	web := checks.Ref{Kind: checks.Container, ID: "aaaa", Name: "web"}
	return []ledger.Entry{
		{ID: "e4", Time: noon, Title: "Limit memory of web", Subject: web, State: ledger.Applied, Commands: []string{"docker update --memory 256m web"},
			Proof: []string{"memory is limited to 256 MiB"}, Checks: []string{"container-memory-unlimited"}},
		{ID: "gone", Time: noon.Add(-time.Hour), Title: "Harden db", Subject: checks.Ref{Kind: checks.Container, Name: "db"}, State: ledger.Applied},
		{ID: "e2", Time: noon.Add(-2 * time.Hour), Title: "Harden web", Subject: web, State: ledger.RolledBack, Error: "the replacement exited with 1"},
		{ID: "e1", Time: noon.Add(-26 * time.Hour), Title: "Harden Dockerfile", Subject: checks.Ref{Kind: checks.Dockerfile, Name: "Dockerfile"}, State: ledger.Undone},
	}
}

// A fakeProver finds that everything is well, or that a USER was swallowed.
type fakeProver struct {
	swallowed bool
	err       error
	asked     int
}

func (f *fakeProver) Prove(_ context.Context, _ *dockerfile.File, _ *fixes.Plan, progress func(fixes.Progress)) (*proof.Proof, error) {
	f.asked++
	progress(fixes.Progress{Ratio: -1, Message: checks.Msg("building the file as it is")})
	if f.err != nil {
		return nil, f.err
	}
	p := &proof.Proof{Took: 8200 * time.Millisecond, Facts: []proof.Fact{
		{Name: checks.Msg("build"), Before: checks.Msg("builds"), After: checks.Msg("builds")},
		{Name: checks.Msg("start"), Before: checks.Msg("runs"), After: checks.Msg("runs")},
		{Name: checks.Msg("user"), Before: checks.Msg("uid %d (no USER)", 0), After: checks.Msg("uid %d (USER %s)", 10001, "10001:10001"), Verdict: proof.Better},
		{Name: checks.Msg("variables"), Before: checks.Msg("%s", "PATH API_TOKEN LANG LC_ALL DEBIAN_FRONTEND PORT"), After: checks.Msg("%s", "PATH LANG LC_ALL DEBIAN_FRONTEND PORT"), Verdict: proof.Meant},
		{Name: checks.Msg("size"), Before: checks.Msg("%.1f MB", 182.4), After: checks.Msg("%.1f MB", 141.0), Verdict: proof.Better},
		{Name: checks.Msg("findings of the image"), Before: checks.Msg("%d", 5), After: checks.Msg("%d", 3), Verdict: proof.Better},
	}, Cured: []checks.Finding{found(ruleOldImage, checks.Ref{}, 0, "", "%s was built %d days ago", "shop/web:1.4", 400)},
		Notes: []checks.Message{checks.Msg("built by %s without a network; both images were removed again, what is left is the builder's cache", "BuildKit")}}
	if f.swallowed {
		p.Wrong = []checks.Message{checks.Msg("it builds, but USER %s came to nothing: the image runs as root", "10001:10001")}
		p.Facts[2].After, p.Facts[2].Verdict = p.Facts[2].Before, proof.NotWell
		p.Cured = nil
	}
	return p, nil
}

// readingLayers is the fixture while the layers of images are being read.
func readingLayers() inventory.Update {
	u := fixture()
	for i := range u.Items {
		if u.Items[i].Ref.Kind == checks.Image {
			u.Items[i].Status.Layers = inventory.Layers{State: inventory.LayersReading, Percent: 67}
		}
	}
	return u
}
