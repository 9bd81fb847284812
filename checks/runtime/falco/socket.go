package falco

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// Falco has no output to a socket of the file system but gRPC, which it has given
// up. A program that it hands its alerts to (program_output with keep_alive) sends
// them on, line by line: "nc -U PATH".

// listenUnix opens a socket at path that only its owner and root can send to. One
// that a plimsoll left behind is replaced.
func listenUnix(path string) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) {
		return nil, fmt.Errorf("socket %s for Falco: %w", path, err)
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fail(err)
	case info.Mode().Type() != fs.ModeSocket:
		return fail(errors.New("something else is there: name a path of its own"))
	default:
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return fail(errors.New("somebody listens there already"))
		}
	}
	// Nobody can find it before it is closed to others.
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return fail(err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(fresh, 0o600)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		l.Close()
		_ = os.Remove(fresh)
		return fail(err)
	}
	return &socket{UnixListener: l, path: path}, nil
}

// A socket goes when it is closed.
type socket struct {
	*net.UnixListener
	path string
}

func (s *socket) Close() error {
	_ = os.Remove(s.path) // a stale one is replaced
	return s.UnixListener.Close()
}

// receiveLines hands each line that is sent to l to take, until ctx ends. Of what
// comes faster than it should, the rest is left out.
func receiveLines(ctx context.Context, l net.Listener, take func(alert []byte)) error {
	rate := bucket{tokens: burst, last: time.Now()}
	var connections sync.WaitGroup
	defer connections.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("listening for Falco: %w", err)
		}
		end := context.AfterFunc(ctx, func() { c.Close() })
		connections.Go(func() {
			defer c.Close()
			defer end()
			lines := bufio.NewScanner(c)
			lines.Buffer(make([]byte, 0, 4<<10), MostBytes) // a longer line ends the connection
			for lines.Scan() {
				if len(lines.Bytes()) > 0 && rate.take(time.Now()) {
					take(lines.Bytes())
				}
			}
		})
	}
}
