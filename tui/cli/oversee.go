package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	api "github.com/moby/moby/api/types/container"

	"plimsoll/checks/container"
	"plimsoll/checks/engine"
	"plimsoll/checks/runtime"
	"plimsoll/checks/runtime/falco"
	"plimsoll/checks/runtime/sysdig"
	"plimsoll/checks/runtime/watch"
	"plimsoll/tui"
)

// A runtimeConfig says what containers may do and who else watches them.
type runtimeConfig struct {
	Learn  duration                `yaml:"learn"`  // how long a container is watched until it is known; 1h
	Normal map[string]normalConfig `yaml:"normal"` // what is normal, by name of the container or service (a glob)
	Falco  falcoConfig             `yaml:"falco"`
}

// A normalConfig declares what a container does. What is left out is not
// restricted; an empty list allows nothing.
type normalConfig struct {
	Programs  []string `yaml:"programs"`
	Listeners []string `yaml:"ports"` // 80 or 80/tcp
	CPU       float64  `yaml:"cpu"`
}

// A falcoConfig says where the alerts of Falco are read.
type falcoConfig struct {
	File      string `yaml:"file"`      // of JSON lines, as file_output writes it
	Listen    string `yaml:"listen"`    // address of this machine that http_output sends to, or unix:PATH for program_output
	Container string `yaml:"container"` // whose standard output it is; "": one made from an image of Falco, off: none
}

// A duration is written as 30m or 2h.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed <= 0 {
		err = errors.New("has to be longer than nothing")
	}
	*d = duration(parsed)
	return err
}

var portPattern = regexp.MustCompile(`^[0-9]{1,5}(/tcp)?$`)

// validate returns what is wrong with c.
func (c *runtimeConfig) validate() error {
	for pattern, n := range c.Normal {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return fmt.Errorf("runtime.normal: %q is not a pattern: %w", pattern, err)
		}
		for _, p := range n.Listeners {
			if !portPattern.MatchString(p) {
				return fmt.Errorf("runtime.normal: %s: port %q: write 80 or 80/tcp", pattern, p)
			}
		}
	}
	return nil
}

// declared returns what the configuration says is normal for a container, nil
// when it says nothing.
func (c *runtimeConfig) declared(f *runtime.Facts) *runtime.Normal {
	_, service, _ := strings.Cut(f.Service, "/")
	// The longest pattern says most, and of a map the order is chance.
	patterns := slices.SortedFunc(maps.Keys(c.Normal), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, pattern := range patterns {
		n := c.Normal[pattern]
		byName, _ := filepath.Match(pattern, f.Name)
		byService, _ := filepath.Match(pattern, service)
		if !byName && (service == "" || !byService) {
			continue
		}
		out := &runtime.Normal{Declared: true, CPU: n.CPU}
		if n.Programs != nil {
			out.Programs = slices.Sorted(slices.Values(n.Programs))
		}
		if n.Listeners != nil {
			out.Listeners = []string{}
			for _, p := range n.Listeners {
				out.Listeners = append(out.Listeners, strings.TrimSuffix(p, "/tcp")+"/tcp")
			}
			slices.Sort(out.Listeners)
		}
		return out
	}
	return nil
}

// An overseer watches the containers of one engine, and what Falco says of them.
type overseer struct {
	watcher *watch.Watcher
	run     func(context.Context) // until its context ends; then nothing of it is left
	sensor  atomic.Value          // name of the container that Falco runs in, "" for none
}

// falcoIn returns the name of the container whose alerts of Falco are read, ""
// when none is.
func (o *overseer) falcoIn() string {
	if o == nil {
		return ""
	}
	name, _ := o.sensor.Load().(string)
	return name
}

// overseeing is what an overseer is asked to do.
type overseeing struct {
	emit    func(runtime.Alert)
	known   func(context.Context, string) *api.InspectResponse // nil: nobody knows
	only    func(name string) bool
	looking bool
	trouble func(source string, err error) // err is nil once it is over
}

// oversee returns what watches target. Nothing is asked of the engine yet. An
// address for Falco is taken at once, so that its being taken is an error.
func (a *app) oversee(s *session, target *engine.Target, o overseeing) (*overseer, error) {
	t := *target
	t.Unattended = true
	c, err := t.Client()
	if err != nil {
		return nil, err
	}
	trouble := func(source string) func(error) {
		return func(err error) {
			if o.trouble != nil {
				o.trouble(source, err)
			}
		}
	}
	normals, err := a.normals(s, &t)
	trouble("learned")(err)
	var keep func(map[string]runtime.Normal)
	if s.state != "" && !a.readOnly {
		path, engineName := normalPath(s), t.Title()+" "
		keep = func(learned map[string]runtime.Normal) {
			all, err := runtime.Load(path) // another engine's stay
			if err != nil {
				trouble("learned")(err) // and are not written over by what cannot be read
				return
			}
			if all == nil {
				all = map[string]runtime.Normal{}
			}
			for service, n := range learned {
				all[engineName+service] = n
			}
			runtime.Trim(all)
			trouble("learned")(runtime.Save(path, all))
		}
	}
	out, record := &overseer{}, a.recorder(s, &t, trouble("alerts"))
	emit := func(alert runtime.Alert) {
		record.add(alert)
		o.emit(alert)
	}
	out.watcher = watch.New(watch.Options{
		Engine: c, Emit: emit, Known: o.known, Only: o.only, Looking: o.looking, Keep: keep, Trouble: trouble("engine"),
		Local:   !t.Remote() && !a.demo,
		Monitor: runtime.NewMonitor(runtime.Options{Learn: time.Duration(a.config.Runtime.Learn), Normals: normals}),
	})
	feeds := []func(context.Context){out.watcher.Run}
	if record != nil {
		feeds = append(feeds, record.run)
	}
	take := func(ctx context.Context, data []byte) {
		e, err := falco.Parse(data)
		if err != nil {
			trouble("Falco")(err)
			return
		}
		out.watcher.Foreign(ctx, func(facts func(id, name string) *runtime.Facts) (runtime.Alert, bool) {
			return e.Alert(time.Now(), facts), true
		})
	}
	if f := a.config.Runtime.Falco; !a.demo && f.File != "" {
		feeds = append(feeds, func(ctx context.Context) {
			err := falco.Follow(ctx, f.File, func(line []byte) { take(ctx, line) }, trouble("Falco"))
			trouble("Falco")(err)
		})
	}
	if f := a.config.Runtime.Falco; !a.demo && f.Container != "off" {
		follow := falco.Logs{
			Engine: c, Container: f.Container, Trouble: trouble("Falco"), Found: func(name string) { out.sensor.Store(name) },
		}
		feeds = append(feeds, func(ctx context.Context) {
			follow.Take = func(line []byte) { take(ctx, line) }
			follow.Follow(ctx)
		})
	}
	if f := a.config.Runtime.Falco; !a.demo && f.Listen != "" {
		l, err := falco.Listen(f.Listen)
		if err != nil {
			c.Close()
			return nil, err
		}
		feeds = append(feeds, func(ctx context.Context) {
			trouble("Falco")(falco.Receive(ctx, l, func(alert []byte) { take(ctx, alert) }))
		})
	}
	out.run = func(ctx context.Context) {
		var wait sync.WaitGroup
		for _, feed := range feeds {
			wait.Go(func() { feed(ctx) })
		}
		wait.Wait()
		record.flush()
		_ = c.Close()
	}
	return out, nil
}

func normalPath(s *session) string { return filepath.Join(s.state, "normal.json") }

// normals returns what is normal for the containers of an engine: what the
// configuration says, and what was learned.
func (a *app) normals(s *session, target *engine.Target) (*runtime.Normals, error) {
	normals := &runtime.Normals{Declared: a.config.Runtime.declared}
	if s.state == "" {
		return normals, nil
	}
	learned, err := runtime.Load(normalPath(s))
	mine := map[string]runtime.Normal{}
	for service, n := range learned {
		if service, ok := strings.CutPrefix(service, target.Title()+" "); ok {
			mine[service] = n
		}
	}
	normals.Restore(mine)
	return normals, err
}

// firstFrames is how long the screen has the machine to itself before it is
// watched what containers do, which lists and inspects them all once more.
const firstFrames = 500 * time.Millisecond

// A lookout watches for the screen: one engine at a time.
type lookout struct {
	a   *app
	s   *session
	ctx context.Context // of the screen

	mu     sync.Mutex
	now    *overseer
	stop   context.CancelFunc
	done   chan struct{}
	attend bool

	sayings sync.Mutex
	wrong   map[string]error // by source
}

// begin watches the engine of the session for as long as the screen is there.
func (l *lookout) begin(ctx context.Context) {
	l.mu.Lock()
	l.ctx = ctx
	l.mu.Unlock()
	l.turn(l.s.inventory.Target())
}

// turn watches target instead of what was watched before.
func (l *lookout) turn(target *engine.Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	l.forget()
	if target == nil || l.ctx == nil { // no screen, so nobody to tell
		return
	}
	ctx, stop := context.WithCancel(l.ctx)
	o, err := l.a.oversee(l.s, target, overseeing{
		emit:    func(a runtime.Alert) { l.s.inventory.Alert(ctx, a) },
		known:   l.s.inventory.Known,
		looking: l.attend,
		trouble: l.trouble,
	})
	if err != nil {
		stop()
		l.trouble("Falco", err)
		return
	}
	l.now, l.stop, l.done = o, stop, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		past, err := l.a.past(l.s, target) // a file, which the first frame does not wait for
		l.trouble("alerts", err)
		for _, alert := range past {
			l.s.inventory.Alert(ctx, alert)
		}
		select {
		case <-time.After(firstFrames):
		case <-ctx.Done(): // what was opened for it is closed by running, too
		}
		o.run(ctx)
	}(l.done)
}

// end ends what is watched; l.mu is held.
func (l *lookout) end() {
	if l.now != nil {
		l.stop()
		l.mu.Unlock()
		<-l.done
		l.mu.Lock()
		l.now = nil
	}
}

// close ends everything.
func (l *lookout) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
}

func (l *lookout) forget() {
	l.sayings.Lock()
	defer l.sayings.Unlock()
	l.wrong = map[string]error{}
}

func (l *lookout) trouble(source string, err error) {
	l.sayings.Lock()
	defer l.sayings.Unlock()
	if err == nil {
		delete(l.wrong, source)
	} else {
		l.wrong[source] = err
	}
}

// Attend implements [tui.Lookout].
func (l *lookout) Attend(always bool) {
	l.mu.Lock()
	l.attend = always
	now, ctx := l.now, l.ctx
	l.mu.Unlock()
	if now != nil {
		ctx, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		now.watcher.Attend(ctx, always)
	}
}

// saw hands on what the inventory has seen of a container.
func (l *lookout) saw(c *container.Container) {
	l.mu.Lock()
	now, ctx := l.now, l.ctx
	l.mu.Unlock()
	if now == nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	now.watcher.Look(ctx, *c.Inspect, runtime.Look{At: time.Now(), Source: runtime.Top, Processes: c.Processes, Changed: c.Changed, CPU: -1})
}

// Sources implements [tui.Lookout].
func (l *lookout) Sources() []tui.Source {
	l.sayings.Lock()
	wrong := maps.Clone(l.wrong)
	l.sayings.Unlock()
	l.mu.Lock()
	ctx, now := l.ctx, l.now
	l.mu.Unlock()
	return l.a.sources(ctx, wrong, now.falcoIn())
}

// sources says what tells what containers do, among it Falco in the container
// called sensor.
func (a *app) sources(ctx context.Context, wrong map[string]error, sensor string) []tui.Source {
	f := a.config.Runtime.Falco
	if sensor != "" {
		sensor = "docker logs " + sensor
	}
	feeds := strings.Join(slices.DeleteFunc([]string{f.File, f.Listen, sensor}, func(s string) bool { return s == "" }), ", ")
	version := ""
	if !a.demo {
		version = sysdig.Look(ctx).Version
	}
	return []tui.Source{
		{Name: "docker events", Present: true, Err: wrong["engine"]},
		{Name: "Falco", Detail: feeds, Present: feeds != "" && !a.demo, Err: wrong["Falco"]},
		{Name: "sysdig", Detail: version, Present: version != ""},
	}
}
