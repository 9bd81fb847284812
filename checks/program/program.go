// Package program runs other people's programs within bounds: scanners and
// credential helpers. Time, output and, on Linux, memory and file sizes are
// limited, and the whole group of processes ends with the run.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// Limits are what one run may use. Zero of Memory and File means no bound.
type Limits struct {
	Time   time.Duration
	Output int    // bytes on its standard output; more ends it
	Memory uint64 // bytes of data of each of its processes
	File   uint64 // bytes of each file that it writes
}

// A Command is one run.
type Command struct {
	Path  string // absolute
	Args  []string
	Env   []string // all of it: nothing is inherited
	Dir   string
	Stdin []byte
}

// Output is what a program said. There is some also when it failed.
type Output struct {
	Stdout []byte
	Stderr []byte // the end of it
	Code   int    // exit code, -1 when it was ended by a signal
}

var (
	ErrTime   = errors.New("took too long")
	ErrOutput = errors.New("wrote more than was allowed")
)

const (
	mostErrors = 32 << 10 // of what a program complains about, the end says why it stopped
	lastBreath = 2 * time.Second
)

// Run runs c. The error is [ErrTime], [ErrOutput], that of ctx, or that it could
// not be started; a program that ended with an exit code other than 0 is an
// [exec.ExitError].
func Run(ctx context.Context, c Command, l Limits) (Output, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	timer := time.AfterFunc(l.Time, func() { stop(ErrTime) })
	defer timer.Stop()
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would mean ours
	}
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	out := &bounded{most: l.Output, over: func() { stop(ErrOutput) }}
	complaints := &tail{most: mostErrors}
	cmd.Stdout, cmd.Stderr = out, complaints
	cmd.WaitDelay = lastBreath // a child that kept the pipes open is not waited for
	group(cmd)
	if err := cmd.Start(); err != nil {
		return Output{Code: -1}, err
	}
	limit(cmd.Process.Pid, l)
	err := cmd.Wait()
	end(cmd) // what it left running in its group ends with it
	result := Output{Stdout: out.Bytes(), Stderr: complaints.Bytes(), Code: cmd.ProcessState.ExitCode()}
	if cause := context.Cause(ctx); cause != nil {
		return result, cause
	}
	return result, err
}

// bounded keeps what is written to it and reports when that is too much.
type bounded struct {
	bytes.Buffer
	most int
	over func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		b.over()
		return 0, fmt.Errorf("more than %d bytes: %w", b.most, ErrOutput)
	}
	return b.Buffer.Write(p)
}

// ReadFrom hides that of the buffer, which knows no bound.
func (b *bounded) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}

// tail keeps the end of what is written to it.
type tail struct {
	bytes.Buffer
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > t.most {
		p = p[n-t.most:]
	}
	if over := t.Len() + len(p) - t.most; over > 0 {
		t.Next(over)
	}
	t.Buffer.Write(p)
	return n, nil
}

// ReadFrom hides that of the buffer, which keeps everything.
func (t *tail) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{t}, r)
}
