package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"strings"
	"syscall"

	"github.com/moby/moby/client"

	"plimsoll/checks"
)

// Explain turns an error of the connection to t into words that say what is
// wrong and what to do.
func (t Target) Explain(err error) *checks.Problem {
	p := &checks.Problem{What: checks.Msg("no Docker Engine answers at %s", t.Host), Err: err}
	var dns *net.DNSError
	switch {
	case strings.HasPrefix(t.Host, "ssh://") && errors.Is(err, exec.ErrNotFound):
		p.Do = checks.Msg("install the ssh client, which reaches this engine")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EACCES):
		p.What = checks.Msg("the socket %s may not be opened by this user", t.Host)
		p.Do = checks.Msg("run plimsoll as a user who may (root, or a member of the socket's group), or set DOCKER_HOST to a rootless engine")
	case errors.Is(err, fs.ErrNotExist):
		p.Do = checks.Msg("install or start Docker, or name another engine with --host or DOCKER_HOST")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		p.What = checks.Msg("the connection to %s was lost", t.Host)
	case errors.As(err, &dns):
		p.Do = checks.Msg("the host name does not resolve: check DOCKER_HOST or the docker context")
	case errors.Is(err, context.DeadlineExceeded):
		p.Do = checks.Msg("it did not answer in time: check the network, or whether the engine hangs")
	case client.IsErrConnectionFailed(err):
		p.Do = checks.Msg("nobody listens there: start the engine (systemctl start docker)")
	default:
		p.What = checks.Msg("no Docker Engine answers at %s (%s)", t.Host, err)
		p.Do = checks.Msg("check that it runs, or name another engine with --host or DOCKER_HOST")
	}
	return p
}
