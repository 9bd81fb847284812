package proof

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/secret"
	"plimsoll/checks/terminal"
)

// A start is what became of a container of an image.
type start struct {
	class  class
	code   int    // of an end
	reason string // why it never ran; fit to be shown
	uid    int    // of its first process, or of its USER
	known  bool   // whether uid is
	health health
}

// A class is how a start went, the best first.
type class int

const (
	runs        class = iota // still there after a while
	ends                     // with code 0
	fails                    // with another code
	outOfMemory              // the kernel ended it
	never                    // the engine could not start it
)

// A health is what the image's own health check says of a running container.
type health int

const (
	unasked health = iota // no health check, or nothing runs
	healthy
	unhealthy
)

// Limits of a container that is watched. The capabilities are those with which
// entrypoints prepare a service and give their rights away; what a patch
// takes from an image must not hide behind something that is forbidden anyway.
const (
	memoryLimit = 512 << 20 // bytes
	pidsLimit   = 256
)

var capabilities = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETPCAP", "SETUID"}

// start runs the image of s for a while, without a network, and removes the
// container with its volumes.
func (b *sandbox) start(ctx context.Context, s *side) (start, error) {
	var out start
	engine := b.o.Engine
	pids := int64(pidsLimit)
	created, err := engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:   b.name(s),
		Config: &container.Config{Image: s.image.Inspect.ID, Labels: b.labels()},
		HostConfig: &container.HostConfig{
			NetworkMode: "none", CapDrop: []string{"ALL"}, CapAdd: capabilities, SecurityOpt: []string{"no-new-privileges"},
			Resources: container.Resources{Memory: memoryLimit, MemorySwap: memoryLimit, PidsLimit: &pids, NanoCPUs: 1e9},
		},
	})
	if err != nil {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		return start{class: never, reason: shown(err)}, nil // such as an image without a command
	}
	defer func() {
		clean, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer stop()
		_, _ = engine.ContainerRemove(clean, created.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}) // or sweep does
	}()
	user := ""
	if c := s.image.Inspect.Config; c != nil {
		user = c.User
	}
	passwd, err := b.passwd(ctx, created.ID)
	if err != nil {
		return out, err
	}
	out.uid, out.known = checks.UID(user, passwd)
	if _, err := engine.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		out.class, out.reason = never, shown(err)
		return out, nil
	}
	watched, stop := context.WithTimeout(ctx, b.o.Watch)
	defer stop()
	wait := engine.ContainerWait(watched, created.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-wait.Result:
	case <-wait.Error: // the time is up, or the engine does not know how to wait
	}
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	got, err := engine.ContainerInspect(ctx, created.ID, client.ContainerInspectOptions{})
	if err != nil {
		return out, err
	}
	state := got.Container.State
	switch {
	case state.Running:
		out.class = runs
		if uid, ok := b.firstProcess(ctx, created.ID); ok {
			out.uid, out.known = uid, true
		}
		out.health = b.health(ctx, s, created.ID)
	case state.OOMKilled:
		out.class = outOfMemory
	case state.ExitCode == 0:
		out.class = ends
	default:
		out.class, out.code = fails, state.ExitCode
	}
	return out, nil
}

// largestPasswd is far above what any image has.
const largestPasswd = 1 << 20

// passwd returns /etc/passwd of a container, nil when there is none.
func (b *sandbox) passwd(ctx context.Context, id string) ([]byte, error) {
	copied, err := b.o.Engine.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: "/etc/passwd"})
	if err != nil {
		if errdefs.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading /etc/passwd of the image: %w", err)
	}
	defer copied.Content.Close()
	archive := tar.NewReader(copied.Content)
	if head, err := archive.Next(); err != nil || head.Typeflag != tar.TypeReg {
		return nil, nil // a link: whatever it names is not read
	}
	data, err := io.ReadAll(io.LimitReader(archive, largestPasswd))
	if err != nil {
		return nil, fmt.Errorf("reading /etc/passwd of the image: %w", err)
	}
	return data, nil
}

// firstProcess returns the user of the first process, as the engine's machine
// sees it. Where users are renumbered that is another number than inside.
func (b *sandbox) firstProcess(ctx context.Context, id string) (uid int, ok bool) {
	top, err := b.o.Engine.ContainerTop(ctx, id, client.ContainerTopOptions{Arguments: []string{"-eo", "pid,uid"}})
	if err != nil || len(top.Processes) == 0 || len(top.Processes[0]) < 2 {
		return 0, false
	}
	uid, err = strconv.Atoi(top.Processes[0][1])
	return uid, err == nil
}

// health runs the image's own health check in a running container, a few times:
// a service may still be coming up.
func (b *sandbox) health(ctx context.Context, s *side, id string) health {
	c := s.image.Inspect.Config
	if c == nil || c.Healthcheck == nil || len(c.Healthcheck.Test) < 2 {
		return unasked
	}
	command := c.Healthcheck.Test[1:]
	if c.Healthcheck.Test[0] == "CMD-SHELL" {
		shell := c.Shell
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		command = append(append([]string{}, shell...), strings.Join(command, " "))
	}
	for range 3 {
		if b.exec(ctx, id, command) {
			return healthy
		}
		select {
		case <-ctx.Done():
			return unasked
		case <-time.After(b.o.Watch / 4):
		}
	}
	return unhealthy
}

// exec runs a command in a container and reports whether it succeeded.
func (b *sandbox) exec(ctx context.Context, id string, command []string) bool {
	limited, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	e, err := b.o.Engine.ExecCreate(limited, id, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return false
	}
	attached, err := b.o.Engine.ExecAttach(limited, e.ID, client.ExecAttachOptions{})
	if err != nil {
		return false
	}
	defer attached.Close()
	unblock := context.AfterFunc(limited, attached.Close) // a read of a hijacked connection has no context
	defer unblock()
	_, _ = io.Copy(io.Discard, attached.Reader)
	got, err := b.o.Engine.ExecInspect(limited, e.ID, client.ExecInspectOptions{})
	return err == nil && !got.Running && got.ExitCode == 0
}

// shown returns what the engine said, fit to be shown.
func shown(err error) string { return terminal.Line(secret.Redact(err.Error())) }
