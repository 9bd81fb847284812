package host

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/volume"

	"plimsoll/checks"
)

// today is the time of the tests of volumes and the swarm.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// vol returns a local volume with options such as "type=none device=/etc o=bind",
// of which those that begin with a # are labels.
func vol(name, options string) Volume {
	v := Volume{Volume: volume.Volume{Name: name, Driver: "local", CreatedAt: today.Add(-time.Hour).Format(time.RFC3339), Options: map[string]string{}, Labels: map[string]string{}}}
	for option := range strings.FieldsSeq(options) {
		key, value, _ := strings.Cut(option, "=")
		if label, ok := strings.CutPrefix(key, "#"); ok {
			v.Labels[label] = value
		} else {
			v.Options[key] = value
		}
	}
	return v
}

func TestVolumes(t *testing.T) {
	var wants []string
	t.Cleanup(func() { everyFires(t, volumeChecks, wants) })
	random := strings.Repeat("0123456789abcdef", 4)
	empty := func(v Volume) Volume { v.Content = Empty; return v }
	old := func(v Volume) Volume { v.CreatedAt = today.Add(-48 * time.Hour).Format(time.RFC3339); return v }
	writes := func(volume string) []Mounted { return []Mounted{{volume, "/data", true}} }
	for _, test := range []struct {
		name     string
		volumes  []Volume
		attached []Attached
		want     string
	}{
		{"nobody uses it", []Volume{vol("data", "")}, nil, "volume-unused data"},
		{"nobody uses it, and it is empty", []Volume{empty(vol("data", ""))}, nil, "volume-unused data"},
		{"one without a name", []Volume{vol(random, "")}, nil, "volume-unused " + random},
		{"several without a name are one finding", []Volume{vol(random, ""), vol("data", ""), empty(vol(random[1:]+"0", ""))}, nil, "volume-unused data, volume-unused anonymous"},
		{"used", []Volume{vol("data", "")}, []Attached{{Name: "db", Volumes: writes("data")}}, ""},
		{"a copy", []Volume{vol("data", "#"+SnapshotOf+"=other")}, nil, ""},

		{"random name", []Volume{vol(random, "")}, []Attached{{Name: "db", Volumes: writes(random)}}, "volume-anonymous-in-use db/data"},
		{"labelled", []Volume{vol("x", "#"+labelAnonymous+"=")}, []Attached{{Name: "db", Volumes: writes("x")}}, "volume-anonymous-in-use db/data"},
		{"random name, only read", []Volume{vol(random, "")}, []Attached{{Name: "db", Volumes: []Mounted{{random, "/data", false}}}}, ""},
		{"random name, empty", []Volume{empty(vol(random, ""))}, []Attached{{Name: "db", Volumes: writes(random)}}, ""},

		{"the whole host", []Volume{vol("v", "type=none o=bind device=/")}, []Attached{{Name: "a", Volumes: writes("v")}}, "volume-bind-driver-sensitive v"},
		{"the socket", []Volume{vol("v", "type=none o=rw,rbind device=/var/run/docker.sock")}, []Attached{{Name: "a", Volumes: writes("v")}}, "volume-bind-driver-sensitive v"},
		{"above the engine's data", []Volume{vol("v", "type=none o=bind device=/var/lib/../lib")}, []Attached{{Name: "a", Volumes: writes("v")}}, "volume-bind-driver-sensitive v"},
		{"a directory for data", []Volume{vol("v", "type=none o=bind device=/srv/data")}, []Attached{{Name: "a", Volumes: writes("v")}}, ""},
		{"named like a sensitive one", []Volume{vol("v", "type=none o=bind device=/etcetera"), vol("w", "type=none o=bind device=/var/runner")}, []Attached{{Name: "a", Volumes: []Mounted{{"v", "/v", true}, {"w", "/w", true}}}}, ""},
		{"a disk", []Volume{vol("v", "type=ext4 device=/dev/sdb1")}, []Attached{{Name: "a", Volumes: writes("v")}}, ""},
		{"a share with its password", []Volume{vol("v", "type=cifs o=username=u,password=not-a-real-one device=//nas/x")}, []Attached{{Name: "a", Volumes: writes("v")}}, "volume-bind-driver-sensitive v/password"},
		{"a share with a file of credentials", []Volume{vol("v", "type=cifs o=credentials=/etc/nas device=//nas/x")}, []Attached{{Name: "a", Volumes: writes("v")}}, ""},

		{"an update is due", []Volume{vol("data", "")}, []Attached{{Name: "db", Outdated: true, Volumes: writes("data")}}, "volume-no-backup-before-fix db/data"},
		{"there is a copy", []Volume{vol("data", ""), vol("c", "#"+SnapshotOf+"=data")}, []Attached{{Name: "db", Outdated: true, Volumes: writes("data")}}, ""},
		{"the copy is old", []Volume{vol("data", ""), old(vol("c", "#"+SnapshotOf+"=data"))}, []Attached{{Name: "db", Outdated: true, Volumes: writes("data")}}, "volume-no-backup-before-fix db/data"},
		{"the copy is empty", []Volume{vol("data", ""), empty(vol("c", "#"+SnapshotOf+"=data"))}, []Attached{{Name: "db", Outdated: true, Volumes: writes("data")}}, "volume-no-backup-before-fix db/data"},
		{"a copy of another", []Volume{vol("data", ""), vol("c", "#"+SnapshotOf+"=data2")}, []Attached{{Name: "db", Outdated: true, Volumes: writes("data")}}, "volume-no-backup-before-fix db/data"},
		{"nothing to lose", []Volume{empty(vol("data", ""))}, []Attached{{Name: "db", Outdated: true, Volumes: writes("data")}}, ""},
		{"only read", []Volume{vol("data", "")}, []Attached{{Name: "db", Outdated: true, Volumes: []Mounted{{"data", "/data", false}}}}, ""},
		{"no update", []Volume{vol("data", "")}, []Attached{{Name: "db", Volumes: writes("data")}}, ""},
	} {
		wants = append(wants, test.want)
		t.Run(test.name, func(t *testing.T) {
			h := sound()
			h.Now, h.Volumes, h.Attached = today, test.volumes, append([]Attached{}, test.attached...)
			if got := found(t, h); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// A password in the options of a volume is shown nowhere.
func TestPasswordOfShare(t *testing.T) {
	h := sound()
	h.Volumes = []Volume{vol("v", "type=cifs o=addr=nas,password=hunter2,x device=//nas/x")}
	for _, f := range checks.Run(h, Checks(), nil).Findings {
		for _, text := range []string{f.Message.String(), f.Key, f.Evidence[0].String()} {
			if strings.Contains(text, "hunter2") {
				t.Errorf("%s shows the password: %s", f.Check.ID, text)
			}
		}
	}
}
