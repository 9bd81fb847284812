package falco

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

func known(service, name string, programs, listeners []string) runtime.Standing {
	return runtime.Standing{
		Facts:  runtime.Facts{ID: strings.Repeat("ab", 32), Name: name, Service: service, OwnNetwork: true},
		Normal: runtime.Normal{Programs: programs, Listeners: listeners},
	}
}

// shop is a small world: a service of two containers, one with a scheduler, one
// by declaration, one that shares a network and two that are not known.
func shop() []runtime.Standing {
	web := known("shop/web", "shop-web-1", []string{"nginx", "a-very-long-name-of-a-program"}, []string{"443/tcp", "80/tcp"})
	web.Facts.Command = "/docker-entrypoint.sh nginx -g daemon off;"
	web.Facts.Health = "/bin/sh -c curl -f http://localhost || exit 1"
	web.Facts.Ports = map[string]bool{"8080/tcp": true, "53/udp": true}
	second := known("shop/web", "shop-web-2", []string{"php-fpm"}, []string{"80/tcp"})
	cron := known("cron", "cron", []string{"cron"}, nil)
	declared := known("db", "db", nil, []string{})
	declared.Normal.Declared, declared.Normal.Programs = true, []string{"/usr/lib/postgresql/bin/postgres"}
	side := known("side", "side", []string{"envoy"}, []string{"9901/tcp"})
	side.Facts.OwnNetwork = false
	fresh := known("fresh", "fresh", []string{"x"}, nil)
	fresh.Left = 34 * time.Minute
	wild := known("wild", "wild", []string{"x"}, nil)
	wild.Never = true
	return []runtime.Standing{wild, fresh, side, declared, cron, second, web}
}

func loaded(t *testing.T, r Rules) *ruleset {
	t.Helper()
	set, err := load(r.Text)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Text)
	}
	return set
}

// fired returns the names of the rules that an event fulfils.
func (r *ruleset) fired(event map[string]string) string {
	var names []string
	for name, c := range r.rules {
		if c(event) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// TestRules runs the rules against events, as Falco would.
func TestRules(t *testing.T) {
	r := Of(shop())
	set := loaded(t, r)
	if got := strings.Join(r.Known, " "); got != "cron db shop/web side" {
		t.Errorf("rules for %s", got)
	}
	if len(r.Waiting) != 2 || r.Waiting[0] != (Waiting{"fresh", 34 * time.Minute, false}) || r.Waiting[1] != (Waiting{"wild", 0, true}) {
		t.Errorf("waiting: %+v", r.Waiting)
	}
	started := func(container, name, exe string, more ...string) map[string]string {
		e := map[string]string{"evt.type": "execve", "evt.rawres": "0", "container.name": container, "proc.name": name, "proc.exe": exe, "proc.exepath": "/opt/" + name, "container.duration": "99000000000"}
		for i := 0; i+1 < len(more); i += 2 {
			e[more[i]] = more[i+1]
		}
		return e
	}
	listens := func(container, port, address string) map[string]string {
		return map[string]string{"evt.type": "listen", "evt.rawres": "0", "container.name": container, "fd.type": "ipv4", "fd.sport": port, "fd.sip": address}
	}
	const web, webPort = "Unexpected program in shop/web (plimsoll)", "Unexpected listener in shop/web (plimsoll)"
	for i, c := range []struct {
		event map[string]string
		want  string
	}{
		{started("shop-web-1", "nginx", "nginx"), ""},
		{started("shop-web-2", "nginx", "nginx"), ""},  // what one runs, the other may run
		{started("shop-web-17", "nginx", "nginx"), ""}, // one more of the same
		{started("shop-web-17", "nc", "nc"), web},
		{started("shop-web-admin-1", "nc", "nc"), ""}, // another service
		{started("shop-web-1", "nc", "nc"), web},
		{started("shop-web-1", "nc", "nc", "evt.type", "execveat"), web},
		{started("shop-web-1", "nc", "nc", "evt.rawres", "-2"), ""},              // there is none
		{started("shop-web-1", "nc", "nc", "evt.type", "clone"), ""},             //
		{started("shop-web-1", "nc", "nc", "container.duration", "1000000"), ""}, // while it starts
		{started("shop-web-1", "a-very-long-nam", "/opt/x"), ""},                 // what the kernel keeps of it
		{started("shop-web-1", "script.sh", "/usr/bin/php-fpm"), ""},             // the interpreter was learned
		{started("shop-web-1", "docker-entrypoi", "/bin/sh"), ""},                // told to start
		{started("shop-web-1", "curl", "curl"), ""},                              // health check
		{started("elsewhere", "nc", "nc"), ""},                                   //
		{started("fresh", "nc", "nc"), ""},                                       // not known
		{started("db", "postgres", "/usr/lib/postgresql/bin/postgres"), ""},      //
		{started("db", "postgres", "/tmp/postgres"), "Unexpected program in db (plimsoll)"},
		{started("cron", "backup", "backup", "proc.aname", "cron"), ""},
		{started("cron", "backup", "backup", "proc.aname", "bash"), "Unexpected program in cron (plimsoll)"},
		{listens("shop-web-1", "80", "0.0.0.0"), ""},
		{listens("shop-web-2", "443", "0.0.0.0"), ""},
		{listens("shop-web-1", "8080", "0.0.0.0"), ""}, // exposed
		{listens("shop-web-1", "53", "0.0.0.0"), webPort},
		{listens("shop-web-1", "4444", "0.0.0.0"), webPort},
		{listens("shop-web-1", "0", "0.0.0.0"), ""}, // no port yet
		{listens("shop-web-1", "40000", "127.0.0.1"), ""},
		{listens("shop-web-1", "40000", "::1"), ""},
		{listens("shop-web-1", "40000", "0.0.0.0"), webPort},
		{listens("db", "5432", "0.0.0.0"), "Unexpected listener in db (plimsoll)"}, // declared: none
		{listens("cron", "4444", "0.0.0.0"), ""},                                   // none was learned: perhaps nobody could look
		{listens("side", "4444", "0.0.0.0"), ""},                                   // of somebody else's network
	} {
		if got := set.fired(c.event); got != c.want {
			t.Errorf("%d: %v\nfired %q, want %q", i, c.event, got, c.want)
		}
	}
	for range 20 {
		if again := Of(shop()); string(again.Text) != string(r.Text) {
			t.Fatal("not the same of the same")
		}
	}
	for _, want := range []string{"# Not among them: fresh has to be watched for 34m0s more.", "# Not among them: wild starts too many", "- list: plimsoll_programs_cron"} {
		if !strings.Contains(string(r.Text), want) {
			t.Errorf("%q is not in\n%s", want, r.Text)
		}
	}
	if !strings.HasPrefix(string(r.Text), Written) {
		t.Error("it does not say whose it is")
	}
}

// TestAlertsOfRules has Falco raise an alert by a rule of ours, and reads it.
func TestAlertsOfRules(t *testing.T) {
	set := loaded(t, Of(shop()))
	event := map[string]string{
		"evt.type": "execve", "evt.rawres": "0", "container.name": "shop-web-1", "container.id": "abababababab", "proc.name": "nc", "proc.exe": "nc", "proc.exepath": "/tmp/nc",
		"proc.cmdline": "nc --password not-a-real-canary-1d2e -lp 4444", "proc.pname": "php-fpm", "user.name": "www-data", "user.uid": "33",
	}
	find := func(id, _ string) *runtime.Facts {
		if all := shop(); strings.HasPrefix(all[len(all)-1].Facts.ID, id) {
			return &all[len(all)-1].Facts
		}
		return nil
	}
	raise := func(priority string) runtime.Alert {
		t.Helper()
		rule := set.fired(event)
		fields, output := map[string]any{}, set.output[rule]
		for _, m := range outputPattern.FindAllStringSubmatch(output, -1) {
			v, ok := event[m[1]]
			if fields[m[1]] = v; !ok {
				fields[m[1]] = nil
			}
			if knownFields[m[1]] && ok {
				fields[m[1]] = json.Number(v)
			}
			output = strings.ReplaceAll(output, m[0], event[m[1]])
		}
		data, err := json.Marshal(map[string]any{"rule": rule, "priority": priority, "output": "12:00:00.0: " + priority + " " + output, "time": now, "output_fields": fields, "tags": []string{"plimsoll"}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		return e.Alert(now, find).Clean()
	}
	a := raise("Error")
	if a.Check != runtime.UnexpectedProcess || a.Key != "nc" || a.Severity != checks.High || a.Source != runtime.Falco || len(a.Container) != 64 || a.Message.String() != "shop-web-1 runs nc, which it has never run before" {
		t.Errorf("got %+v: %s", a, a.Message)
	}
	evidence := fmt.Sprint(a.Evidence)
	if strings.Contains(evidence, "canary") {
		t.Errorf("a secret is shown: %s", evidence)
	}
	for _, want := range []string{"Unexpected program in shop/web (plimsoll)", "-lp 4444", "/tmp/nc", "php-fpm", "www-data"} {
		if !strings.Contains(evidence, want) {
			t.Errorf("%q is no evidence: %s", want, evidence)
		}
	}
	maps.Copy(event, map[string]string{"evt.type": "listen", "fd.type": "ipv4", "fd.sport": "4444", "fd.sip": "0.0.0.0", "fd.name": "0.0.0.0:4444"})
	a = raise("Warning")
	if a.Check != runtime.UnexpectedListener || a.Key != "4444/tcp" || a.Severity != checks.Medium || a.Message.String() != "shop-web-1 waits for connections on port 4444/tcp, which it has never done before" {
		t.Errorf("got %+v: %s", a, a.Message)
	}
	if evidence := fmt.Sprint(a.Evidence); !strings.Contains(evidence, "0.0.0.0:4444") {
		t.Errorf("the address is no evidence: %s", evidence)
	}
	e := Event{Rule: "Unexpected program in x (plimsoll)"} // without its fields
	if a := e.Alert(now, nowhere); a.Check != runtime.FalcoAlert {
		t.Errorf("taken for %+v", a)
	}
}

// hostile are names that want out of where they are written.
var hostile = []string{
	"", `"`, `'`, `\`, `a"b`, `") or (evt.type = execve`, "x\n- rule: pwned", "x: y", "#x", "- x", "(shell_binaries)", "a,b", "a b", "a=b", "\x00", "\x1b[2J", "\u2028", "\ufeff", "\x85",
	"plimsoll_programs_web", "[", "*", "{x}", "é", "日本", "yes", "1", "~", "%proc.name", "&a", "!x", "|", "> x", "shop/web", "shop_web", "shop-web", strings.Repeat("n", 500), "\xff",
}

// TestHostileNames holds that no name of a service, a container or a program
// becomes anything but a name, or is told where it cannot.
func TestHostileNames(t *testing.T) {
	var all []runtime.Standing
	for i, h := range hostile {
		all = append(all, known(h, fmt.Sprintf("c%d", i), slices.Clone(hostile), []string{"80/tcp", h}))
		all = append(all, known(fmt.Sprintf("s%d", i), h, []string{"x"}, nil))
		all = append(all, known(h+"/"+h, h+"-"+h+"-1", []string{"x"}, nil))
	}
	r := Of(all)
	set := loaded(t, r)
	for name := range set.rules {
		if !strings.HasSuffix(name, ours) || strings.ContainsAny(name, "\"'\n") {
			t.Errorf("a rule is called %q", name)
		}
	}
	for _, list := range set.order {
		for _, item := range set.lists[list] {
			if inner := strings.Trim(item, `"`); !slices.Contains(append(hostile, "80", "x", strings.Repeat("n", longestComm), "plimsoll_progra"), inner) {
				t.Errorf("%s holds %q", list, item)
			}
		}
	}
	// Every service whose container can be named has a rule of its own.
	for i := range hostile {
		event := map[string]string{"evt.type": "execve", "container.name": fmt.Sprintf("c%d", i), "proc.name": "nc", "proc.exe": "nc", "proc.exepath": "/x"}
		if fired := set.fired(event); fired == "" || strings.Contains(fired, ", ") {
			t.Errorf("the service %q: %q", hostile[i], fired)
		}
	}
	r = Of([]runtime.Standing{known("c0", "c0", hostile, nil)})
	set = loaded(t, r)
	for _, h := range hostile {
		written := set.fired(map[string]string{"evt.type": "execve", "container.name": "c0", "proc.name": h, "proc.exe": h, "proc.exepath": "/x"}) == ""
		if odd := slices.Contains(r.Odd, h); written == odd {
			t.Errorf("%q: written %t, told to be odd %t", h, written, odd)
		}
	}
}

func FuzzRules(f *testing.F) {
	for _, h := range hostile {
		f.Add(h, h, h)
	}
	f.Fuzz(func(t *testing.T, service, container, program string) {
		r := Of([]runtime.Standing{known(service, container, []string{program}, []string{program, "80/tcp"}), known("web", "web", []string{"nginx"}, nil)})
		set, err := load(r.Text)
		if err != nil {
			t.Fatalf("%v\n%s", err, r.Text)
		}
		if set.fired(map[string]string{"evt.type": "execve", "container.name": "web", "proc.name": "\x01", "proc.exe": "\x01", "proc.exepath": "\x01"}) == "" {
			t.Errorf("web is watched no more\n%s", r.Text)
		}
	})
}
