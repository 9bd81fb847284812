//go:build unix

package sysdig

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A capture is a file of events as sysdig -w writes it, in its version 1.2.
type capture struct{ bytes.Buffer }

func (c *capture) block(kind uint32, body []byte) {
	body = append(body, make([]byte, (4-len(body)%4)%4)...)
	n := uint32(len(body) + 12)
	c.Write(little(kind, n, body, n))
}

// little returns values one after the other, as such files have them.
func little(values ...any) []byte {
	var b bytes.Buffer
	for _, v := range values {
		if s, ok := v.(string); ok {
			v = append([]byte(s), 0)
		}
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// event adds the end of a system call by a thread, at a second.
func (c *capture) event(second, thread uint64, kind uint16, parameters ...any) {
	var lengths, values []byte
	for _, p := range parameters {
		v := little(p)
		lengths, values = append(lengths, little(uint16(len(v)))...), append(values, v...)
	}
	n := uint32(26 + len(lengths) + len(values))
	c.block(0x216, little(uint16(0), (1795000000+second)*1e9, thread, n, kind, uint32(len(parameters)), lengths, values))
}

// Events of sysdig 0.29.
const (
	execveEnds = 293
	openatEnds = 307
)

func (c *capture) execve(second, pid uint64, container, program, argument string, terminal int32) {
	none := uint32(0)
	c.event(second, pid, execveEnds, int64(0), program, argument, pid, pid, uint64(1), "/", uint64(1024), uint64(0), uint64(0), none, none, none,
		program, "cpu=/docker/"+container, "", terminal, pid, int32(0), none)
}

func (c *capture) openat(second, thread uint64, path string, flags uint32) {
	c.event(second, thread, openatEnds, int64(5), int64(-100), path, flags, uint32(0o644), uint32(0))
}

// TestCapture has the real sysdig answer from a recording, in which a container
// and its neighbour do something.
func TestCapture(t *testing.T) {
	tool := Look(t.Context())
	if !strings.HasPrefix(tool.Version, "0.29.") {
		t.Skipf("sysdig 0.29 would read it, not %q", tool.Version)
	}
	var c capture
	c.block(0x0a0d0d0a, little(uint32(0x1a2b3c4d), uint16(1), uint16(2), ^uint64(0)))
	c.block(0x201, little(uint64(2), uint64(1<<30), uint64(32768), make([]byte, 128+28)))
	for _, kind := range []uint32{0x215, 0x219, 0x220} { // processes, interfaces, users: none
		c.block(kind, nil)
	}
	c.execve(0, 100, id, "nginx", "-v", 0)
	c.execve(1, 101, id, "sh", "-i", 34816)
	c.execve(2, 102, strings.Repeat("e", 64), "curl", "https://neighbour.example", 0)
	c.openat(3, 101, "/etc/cron.d/backdoor", 2|4) // for writing, anew
	c.openat(4, 101, "/etc/shadow", 1)
	c.openat(5, 102, "/etc/shadow", 1)
	path := filepath.Join(t.TempDir(), "recorded.scap")
	if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"commands":   {"nginx -v", "sh -i"},
		"shells":     {"sh -i terminal=34816"},
		"written":    {"sh /etc/cron.d/backdoor"},
		"secrets":    {"sh /etc/shadow SUCCESS"},
		"everything": {"exe=nginx", "exe=sh", "name=/etc/cron.d/backdoor", "name=/etc/shadow"},
	}
	for _, q := range Questions() {
		args, err := q.args(id)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool.Path, append([]string{"-r", path}, args...)...).Output()
		if err != nil {
			t.Errorf("%s: %v", q.ID, err)
			continue
		}
		got := read(out).Lines
		if len(got) != len(want[q.ID]) {
			t.Errorf("%s: got %q, want %q", q.ID, got, want[q.ID])
			continue
		}
		for i, text := range want[q.ID] {
			if !strings.Contains(got[i], text) {
				t.Errorf("%s: %q is not in %q", q.ID, text, got[i])
			}
		}
	}
}
