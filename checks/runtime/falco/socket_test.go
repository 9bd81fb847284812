package falco

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a program_output sends comes through a socket that others cannot use.
func TestReceiveFromSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "falco.sock")
	receive := func() (got *lines, stop func()) {
		t.Helper()
		l, err := Listen("unix:" + path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got = &lines{}
		done := make(chan error, 1)
		go func() { done <- Receive(ctx, l, got.take) }()
		return got, func() {
			t.Helper()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	send := func(text string) {
		t.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, text) // it may be cut off on the way
	}
	got, stop := receive()
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen("unix:" + path); err == nil {
		t.Error("two listen at one place")
	}
	send("{\"rule\":\"a\"}\n\n{\"rule\":\"b\"}\n")
	send(strings.Repeat("x", MostBytes+10) + "\n{\"rule\":\"lost\"}\n")
	send(`{"rule":"c"}`)
	all := got.wait(t, 3)
	slices.Sort(all) // connections do not wait for each other
	if text := strings.Join(all, " "); text != `{"rule":"a"} {"rule":"b"} {"rule":"c"}` {
		t.Errorf("took %s", text)
	}
	stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("it is left behind: %v", err)
	}

	// A socket that a crash has left is replaced, anything else is not.
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	got, stop = receive()
	send("{\"rule\":\"d\"}\n")
	got.wait(t, 1)
	stop()
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + path); err == nil {
		t.Error("a file was replaced")
	}
	if data, _ := os.ReadFile(path); string(data) != "mine" {
		t.Errorf("the file holds %q", data)
	}
}
