package host

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/volume"

	"plimsoll/checks"
)

// A Volume is a volume and what can be told of its content.
type Volume struct {
	volume.Volume
	Content Content
}

// Content says whether a volume holds anything.
type Content int

const (
	Unknown Content = iota // on another machine, or not to be read by this user
	Empty
	Filled
)

func (c Content) String() string {
	return [...]string{"not known", "nothing", "data"}[c]
}

// SnapshotOf is the label of a volume that is a copy of the volume it names.
const SnapshotOf = "plimsoll.snapshot.of"

// recent is how old a copy may be to be worth something when a container is
// about to be replaced.
const recent = 24 * time.Hour

// mounts returns the containers that have each volume, by its name.
func (h *Host) mounts() map[string][]*Attached {
	m := map[string][]*Attached{}
	for i := range h.Attached {
		for _, v := range h.Attached[i].Volumes {
			if users := m[v.Volume]; len(users) == 0 || users[len(users)-1] != &h.Attached[i] {
				m[v.Volume] = append(users, &h.Attached[i])
			}
		}
	}
	return m
}

var volumeUnused = check(checks.Check{
	ID:       "volume-unused",
	Title:    "Volume that nothing uses",
	Severity: checks.Info,
	Chapter:  checks.Updates,
}, func(h *Host, report func(checks.Finding)) {
	if h.Attached == nil {
		return
	}
	used := h.mounts()
	var nameless []*Volume
	for i := range h.Volumes {
		v := &h.Volumes[i]
		switch {
		case len(used[v.Name]) > 0 || v.ClusterVolume != nil || v.Labels[SnapshotOf] != "" || h.Swarm.mounts(v.Name):
		case v.anonymous():
			nameless = append(nameless, v)
		default:
			report(h.unused(v))
		}
	}
	switch len(nameless) {
	case 0:
	case 1:
		report(h.unused(nameless[0]))
	default:
		report(h.unusedTogether(nameless))
	}
})

func (h *Host) unused(v *Volume) checks.Finding {
	f := checks.Finding{
		Key:     v.Name,
		Message: checks.Msg("no container uses the volume %s, and whatever it holds is forgotten", shortVolume(v.Name)),
		Evidence: []checks.Evidence{
			{Source: "docker ps --all, Mounts", Detail: fmt.Sprintf("none of %d containers", len(h.Attached))},
			{Source: "volume, CreatedAt", Detail: v.CreatedAt},
			{Source: "volume, content", Detail: v.Content.String()},
		},
	}
	if v.Content == Empty {
		f.Message = checks.Msg("no container uses the volume %s, and it is empty", shortVolume(v.Name))
	}
	return f
}

const mostNamed = 8 // of volumes that one finding is about

// unusedTogether is one finding about many volumes without a name: each
// docker rm without -v leaves one behind, and a row for each would hide what
// else there is.
func (h *Host) unusedTogether(all []*Volume) checks.Finding {
	f := checks.Finding{Key: "anonymous", Evidence: []checks.Evidence{{Source: "docker ps --all, Mounts", Detail: fmt.Sprintf("none of %d containers", len(h.Attached))}}}
	empty := 0
	for _, v := range all {
		if v.Content == Empty {
			empty++
		}
	}
	slices.SortStableFunc(all, func(a, b *Volume) int { return -strings.Compare(a.CreatedAt, b.CreatedAt) })
	for _, v := range all[:min(mostNamed, len(all))] {
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "volume " + shortVolume(v.Name), Detail: v.CreatedAt + ", " + v.Content.String()})
	}
	f.Message = checks.Msg("no container uses %d volumes without a name; %d of them are known to be empty", len(all), empty)
	return f
}

const labelAnonymous = "com.docker.volume.anonymous"

func (v *Volume) anonymous() bool {
	_, labelled := v.Labels[labelAnonymous]
	return labelled || isRandom(v.Name)
}

// isRandom reports whether name is what engines call a volume that nobody
// named.
func isRandom(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// shortVolume cuts names that are random digits to what docker shows of ids.
func shortVolume(name string) string {
	if isRandom(name) {
		return name[:12]
	}
	return name
}

var volumeAnonymous = check(checks.Check{
	ID:       "volume-anonymous-in-use",
	Title:    "Data in a volume without a name",
	Severity: checks.Low,
	Chapter:  checks.Updates,
}, func(h *Host, report func(checks.Finding)) {
	used := h.mounts()
	for _, v := range h.Volumes {
		if !v.anonymous() || v.Content == Empty {
			continue
		}
		for _, a := range used[v.Name] {
			for _, m := range a.Volumes {
				if m.Volume != v.Name || !m.Writable {
					continue
				}
				report(checks.Finding{
					Key:     a.Name + m.Target,
					Message: checks.Msg("%s keeps %s in a volume without a name, which the next container will not find", a.Name, m.Target),
					Evidence: []checks.Evidence{
						{Source: "container " + a.Name + ", Mounts", Detail: m.Target + " → " + shortVolume(v.Name)},
						{Source: "volume, content", Detail: v.Content.String()},
					},
				})
			}
		}
	}
})

// sensitivePaths of a host hold its identity, its rights or its kernel; a
// directory stands for all below it.
var sensitivePaths = []string{"/boot", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/usr", "/var/lib/containerd", "/var/lib/docker", "/var/lib/kubelet"}

// sensitive reports whether a bind of p hands out what rules the host. Parents
// of such a directory do so, too.
func sensitive(p string) bool {
	p = path.Clean("/" + p)
	if rest, ok := strings.CutPrefix(p, "/var/run"); ok && (rest == "" || rest[0] == '/') {
		p = "/run" + rest // a link everywhere
	}
	return slices.ContainsFunc(sensitivePaths, func(s string) bool {
		return p == "/" || p == s || strings.HasPrefix(p, s+"/") || strings.HasPrefix(s, p+"/")
	})
}

var volumeDriverSensitive = check(checks.Check{
	ID:       "volume-bind-driver-sensitive",
	Title:    "Volume options hide a sensitive path or a password",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
}, func(h *Host, report func(checks.Finding)) {
	for _, v := range h.Volumes {
		if key, ok := passwordOption(v.Options["o"]); ok {
			report(checks.Finding{
				Key:     v.Name + "/" + key,
				Message: checks.Msg("whoever may inspect the volume %s reads the password of %s", v.Name, v.Options["device"]),
				// The value is left out rather than masked: nobody knows where it ends.
				Evidence: []checks.Evidence{{Source: "volume " + v.Name + ", Options.o", Detail: key + "=…"}},
			})
		}
		if device := v.Options["device"]; binds(v.Options) && sensitive(device) {
			report(checks.Finding{
				Key:      v.Name,
				Message:  checks.Msg("the volume %s is %s of the host under a harmless name", v.Name, device),
				Evidence: []checks.Evidence{{Source: "volume " + v.Name + ", Options", Detail: "type " + v.Options["type"] + ", o " + v.Options["o"] + ", device " + device}},
			})
		}
	}
})

// binds reports whether options make a volume of a directory of the host.
func binds(options map[string]string) bool {
	o := strings.Split(options["o"], ",")
	return strings.HasPrefix(options["device"], "/") && (slices.Contains(o, "bind") || slices.Contains(o, "rbind"))
}

// passwordOption returns the mount option that gives a password itself, which
// a file named by "credentials=" does not.
func passwordOption(o string) (key string, ok bool) {
	for option := range strings.SplitSeq(o, ",") {
		key, value, _ := strings.Cut(option, "=")
		if slices.Contains([]string{"password", "pass", "passwd"}, strings.TrimSpace(key)) && value != "" {
			return strings.TrimSpace(key), true
		}
	}
	return "", false
}

var volumeNoBackup = check(checks.Check{
	ID:       "volume-no-backup-before-fix",
	Title:    "An update is due and the data has no copy",
	Severity: checks.Low,
	Chapter:  checks.Updates,
}, func(h *Host, report func(checks.Finding)) {
	copied := map[string]time.Time{}
	for _, v := range h.Volumes {
		made, err := time.Parse(time.RFC3339, v.CreatedAt)
		if of := v.Labels[SnapshotOf]; of != "" && err == nil && v.Content != Empty && made.After(copied[of]) {
			copied[of] = made
		}
	}
	for i := range h.Attached {
		a := &h.Attached[i]
		if !a.Outdated {
			continue
		}
		for _, m := range a.Volumes {
			if !m.Writable || h.Now.Sub(copied[m.Volume]) <= recent || h.empty(m.Volume) {
				continue
			}
			f := checks.Finding{
				Key:     a.Name + m.Target,
				Message: checks.Msg("the newer image of %s will find its data in %s, and what it does to them cannot be taken back", a.Name, shortVolume(m.Volume)),
				Evidence: []checks.Evidence{
					{Source: "container " + a.Name, Detail: a.Image + " names a newer image than it runs"},
					{Source: "volumes labelled " + SnapshotOf + "=" + shortVolume(m.Volume), Detail: "none"},
				},
			}
			if at := copied[m.Volume]; !at.IsZero() {
				f.Evidence[1].Detail = "the last of " + at.UTC().Format(time.RFC3339)
			}
			report(f)
		}
	}
})

// empty reports whether the volume called name is known to hold nothing.
func (h *Host) empty(name string) bool {
	return slices.ContainsFunc(h.Volumes, func(v Volume) bool { return v.Name == name && v.Content == Empty })
}

var volumeChecks = []*checks.Check{volumeDriverSensitive, volumeAnonymous, volumeNoBackup, volumeUnused}
