package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/inventory"
	"plimsoll/checks/registry"
	"plimsoll/checks/scanner"
	"plimsoll/checks/vulnerability"
	"plimsoll/fixes/container"
	"plimsoll/fixes/files"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/image"
	"plimsoll/fixes/ledger"
	"plimsoll/fixes/proof"
	"plimsoll/fixes/source"
)

// A session is the world that one command works on.
type session struct {
	tools
	inventory *inventory.Inventory
	// trust is asked before an image is pulled: see [container.Options].
	trust func(ctx context.Context, ref string) (digest string, err error)
	// auth has the credentials with which an image is pulled; nil for none.
	auth func(ctx context.Context, ref string) (string, error)

	advisories *vulnerability.Store // nil when there is no place to keep any
	demo       string               // folder of the demo's files, "" without it
	root       string               // absolute; what the screen is of, "" without files
	state      string               // folder of the ledger and the history
	lookout    *lookout             // watches for the screen
	closers    []func() error
}

// tools are what changes one engine, and files beside it.
type tools struct {
	fixer    *fixer.Dispatcher
	prover   *proof.Prover                         // nil without an engine
	engineID func(context.Context) (string, error) // of the engine that is connected
	close    func() error                          // the connection
}

func (s *session) end() {
	s.lookout.close()
	if s.tools.close != nil {
		_ = s.tools.close()
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		_ = s.closers[i]() // the program ends; there is nobody left to tell
	}
}

// subjects returns the arguments of a command, which mean the demo's files
// when there are none.
func (s *session) subjects(args []string) []string {
	if s.demo != "" && len(args) == 0 {
		return []string{s.demo, "containers", "images", "host"}
	}
	return args
}

// open chooses the engine and wires the parts. No engine is not an error: the
// inventory says so where it matters.
func (a *app) open(ctx context.Context, roots []string) (*session, error) {
	s := &session{}
	s.lookout = &lookout{a: a, s: s}
	look := &glance{a: a, s: s}
	policy, err := a.policy()
	if err != nil {
		return nil, err
	}
	mode, err := layers.ParseMode(cmp.Or(a.layers, a.config.Layers))
	if err != nil {
		return nil, err
	}
	o := inventory.Options{Saw: s.lookout.saw, Alerts: look.of, Roots: roots, Suite: a.suite, Policy: policy, Demo: a.demo, Layers: mode, Cache: layers.UserCache(), Scans: scanner.UserCache(), ReadOnly: a.readOnly}
	if o.Ask, err = a.asks(); err != nil {
		return nil, err
	}
	if o.Signatures, err = a.signatures(o.Ask); err != nil {
		return nil, err
	}
	if !a.readOnly {
		go scanner.Sweep() // what a scan has left whose process was killed; a start does not wait for it
	}
	s.trust = trusting(o.Signatures, a.offline)
	if o.Ask != registry.Off && !a.demo {
		o.Registry = registry.New(registry.UserKeychain(), registry.UserCache())
	}
	if o.Scanners, err = scanner.Parse(a.config.Scanners); err != nil {
		return nil, err
	}
	if o.Advisories, err = vulnerability.UserStore(); err != nil {
		o.Advisories = nil // there is no place to keep any
	}
	state, secrets := "", ""
	if !a.demo {
		o.Keys = inventory.UserKeys()
		s.auth = registry.UserKeychain().EngineAuth
	}
	if a.demo {
		if s.demo, err = a.startDemo(s); err != nil {
			s.end()
			return nil, err
		}
		o.Roots = []string{filepath.Join(s.demo, "project")}
		state, secrets = filepath.Join(s.demo, "state"), filepath.Join(s.demo, "secrets")
		o.Cache, o.Advisories = layers.NewCache(s.demo), vulnerability.NewStore(s.demo)
		s.demo, o.From = o.Roots[0], o.Roots[0]
	}
	target, err := a.resolve()
	if err != nil && (a.host != "" || a.context != "") {
		s.end()
		return nil, err
	}
	if err != nil {
		o.Absent = err
	} else {
		o.Target = &target
	}
	if len(o.Roots) > 0 {
		if s.root, err = filepath.Abs(o.Roots[0]); err != nil {
			s.end()
			return nil, err
		}
	}
	s.advisories = o.Advisories
	s.inventory = inventory.New(o)
	if s.tools, err = a.newTools(s, o.Target, policy, state, secrets); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// newTools returns what changes the world of s. Its ledger and its store of
// moved secrets are the user's, or in the folders given. It talks to the engine
// until closeClient is called.
func (a *app) newTools(s *session, target *engine.Target, policy *checks.Policy, state, secrets string) (t tools, err error) {
	t.close = func() error { return nil }
	if state == "" {
		if state, err = ledger.Dir(); err != nil {
			return t, err
		}
	}
	if secrets == "" {
		if secrets, err = files.SecretsDir(); err != nil {
			return t, err
		}
	}
	s.state = state
	dockerfiles := files.New(checks.Dockerfile, files.Options{Checks: a.suite, Policy: policy, Secrets: secrets})
	o := fixer.Options{
		Ledger: ledger.New(state),
		Mechanics: map[checks.Kind]fixer.Mechanic{
			checks.Dockerfile: dockerfiles,
			checks.Compose:    files.New(checks.Compose, files.Options{Checks: a.suite, Policy: policy, Secrets: secrets}),
			checks.Host:       files.New(checks.Host, files.Options{Checks: a.suite, Policy: policy, Secrets: secrets}),
		},
		Reader:   s.inventory,
		ReadOnly: a.readOnly,
	}
	if target != nil {
		c, err := target.Client()
		if err != nil {
			return t, err
		}
		t.close = c.Close
		t.prover = proof.New(proof.Options{
			Engine: c, Explain: func(err error) error { return target.Explain(err) }, Images: s.inventory, Checks: a.suite, Policy: policy,
			Secret: dockerfiles.Secret, Lock: o.Ledger.Lock, Owner: owner(state),
		})
		o.Source = source.Of(s.inventory, source.Options{Dir: folder(s.root), Remote: target.Remote()})
		o.Environment = []string{"DOCKER_HOST=" + target.Host}
		if target.Context != "" { // it may have certificates of its own
			o.Environment = []string{"DOCKER_CONTEXT=" + target.Context, "DOCKER_HOST="}
		}
		mechanic := container.New(c, container.Options{Plain: target.Plain(), Evidence: filepath.Join(state, "evidence"), Written: filepath.Join(state, "written"), Secrets: filepath.Join(secrets, "containers"), Trust: s.trust, Auth: s.auth, Images: s.inventory.Whole, CoolDown: coolDown(policy)})
		o.Mechanics[checks.Container], o.Mechanics[checks.Image] = mechanic, image.New(c, container.NewGroup(mechanic), target.Plain())
		o.Engine = func(ctx context.Context) (string, error) {
			info, err := engine.Ask(ctx, c)
			if err != nil {
				return "", target.Explain(err)
			}
			return info.ID, nil
		}
	}
	t.engineID, t.fixer = o.Engine, fixer.New(o)
	return t, nil
}

// folder returns the directory that path is, or is in; "" for none.
func folder(path string) string {
	if info, err := os.Stat(path); path != "" && err == nil && !info.IsDir() {
		return filepath.Dir(path)
	}
	return path
}

// coolDown is how long policy wants an update to have been out.
func coolDown(policy *checks.Policy) time.Duration {
	if policy == nil {
		return 0
	}
	return policy.CoolDown
}

// owner returns what tells the user of a ledger from others on an engine,
// without saying who that is.
func owner(ledger string) string {
	host, _ := os.Hostname() // without a name, one machine less is told apart
	sum := sha256.Sum256([]byte(host + "\x00" + ledger))
	return fmt.Sprintf("%x", sum[:8])
}

// startDemo makes the demo's world in a temporary folder and returns it.
func (a *app) startDemo(s *session) (string, error) {
	dir, err := os.MkdirTemp("", "plimsoll-demo-")
	if err != nil {
		return "", err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	for _, sub := range []string{"project", "state", "secrets"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	if err != nil {
		return "", err
	}
	if err := dockertest.WriteDemoFiles(filepath.Join(dir, "project")); err != nil {
		return "", err
	}
	server := dockertest.Demo()
	if err := server.Start(dir); err != nil {
		return "", err
	}
	s.closers = append(s.closers, server.Close)
	a.host = server.Host()
	server.Live(demoPace)
	return dir, nil
}

// demoPace is how often something happens in the demo's world.
const demoPace = 5 * time.Second
