package cli

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// What the packages may allocate before main, in bytes: every command pays for
// it, be it only to print the version. Allocations do not depend on the machine
// as time does.
const (
	initBytes    = 3 << 20   // 0.8 MB of it are sigstore-go's: descriptions of messages, tables of formats of go-openapi
	initBytesOne = 512 << 10 // of a single package
)

var initLine = regexp.MustCompile(`^init (\S+) @.* (\d+) bytes, \d+ allocs$`)

// TestStart runs this program, which links what plimsoll links, up to its main.
func TestStart(t *testing.T) {
	self := exec.Command(os.Args[0], "-test.run=^$")
	self.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	self.Stderr = &trace
	if err := self.Run(); err != nil {
		t.Fatal(err)
	}
	total, packages := 0, 0
	for lines := bufio.NewScanner(&trace); lines.Scan(); {
		m := initLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		packages++
		if total += n; n > initBytesOne {
			t.Errorf("%s allocates %d bytes before main: do it at the first use", m[1], n)
		}
	}
	if packages < 50 {
		t.Fatalf("%d packages were seen to start; has the trace of the runtime changed?\n%.300s", packages, trace.Bytes())
	}
	if total > initBytes {
		t.Errorf("packages allocate %d bytes before main, more than %d", total, initBytes)
	}
	t.Logf("%d packages, %d bytes", packages, total)
}
