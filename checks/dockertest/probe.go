package dockertest

import (
	"flag"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Probe returns an image whose only program is /probe, with these flags. The
// same value works for [Load], where the program is real, and for
// [Server.AddImage], where its behaviour is derived from the command line of
// each container. Tests that are to hold on both kinds of engine use it.
//
// The flags are described in testdata/probe: -exit-after, -code, -ignore-term,
// -healthy-after, -unhealthy, -write file=text, -remove, -need-write, -need-chown,
// -serve, -memory, -print, -stderr. Without flags it runs until SIGTERM, which
// it obeys from when it prints "ready"; see [Ready].
func Probe(tag string, flags ...string) Image {
	return Image{
		Tags: []string{tag},
		Config: v1.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{
			Entrypoint: []string{"/probe"}, Cmd: flags, Env: []string{"PATH=/"},
		}},
		Behave: probeBehaviour,
	}
}

// ProbeCheck is a health check that asks the probe, quickly.
func ProbeCheck() *v1.HealthcheckConfig {
	return &v1.HealthcheckConfig{
		Test: []string{"CMD", "/probe", "-check"}, Interval: 200 * time.Millisecond, Timeout: 5 * time.Second, Retries: 2,
	}
}

func probeBehaviour(c *container.Config, h *container.HostConfig) Behaviour {
	argv := slices.Concat(c.Entrypoint, c.Cmd)
	if argv[0] != "/probe" {
		return Behaviour{StartError: "exec: \"" + argv[0] + "\": stat " + argv[0] + ": no such file or directory: unknown"}
	}
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	after := flags.Duration("exit-after", 0, "")
	code := flags.Int("code", 0, "")
	ignore := flags.Bool("ignore-term", false, "")
	healthy := flags.Duration("healthy-after", 0, "")
	unhealthy := flags.Bool("unhealthy", false, "")
	flags.Bool("check", false, "")
	write := flags.String("write", "", "")
	gone := flags.String("remove", "", "")
	needWrite := flags.String("need-write", "", "")
	needChown := flags.String("need-chown", "", "")
	flags.String("serve", "", "")
	memory := flags.Int("memory", 0, "")
	print := flags.Bool("print", false, "")
	stderr := flags.String("stderr", "", "")
	flags.String("x", "", "")
	if err := flags.Parse(argv[1:]); err != nil {
		return OnExit(0, 2)
	}
	b := Behaviour{
		Code: *code, After: *after, IgnoresTERM: *ignore, Unhealthy: *unhealthy, HealthAfter: *healthy,
		Memory: uint64(*memory)<<20 + 4<<20, Pids: 5, Stdout: "ready\n",
	}
	flags.Visit(func(f *flag.Flag) { b.Exits = b.Exits || f.Name == "exit-after" || f.Name == "code" })
	if *print {
		b.Stdout += "uid 0\nenv " + strings.Join(c.Env, "\nenv ") + "\n"
	}
	if *stderr != "" {
		b.Stderr = *stderr + "\n"
	}
	if file, text, ok := strings.Cut(*write, "="); ok {
		b.Writes = map[string]string{file: text}
		if !onMount(file, c, h) {
			b.Changes = append(b.Changes, created(file)...)
		}
	}
	if *gone != "" {
		if dir := path.Dir(*gone); dir != "/" {
			b.Changes = append(b.Changes, container.FilesystemChange{Kind: container.ChangeModify, Path: dir})
		}
		b.Changes = append(b.Changes, container.FilesystemChange{Kind: container.ChangeDelete, Path: *gone})
	}
	if *needWrite != "" {
		if h.ReadonlyRootfs && !onMount(*needWrite, c, h) {
			return OnExit(0, 3)
		}
		if !onMount(*needWrite, c, h) {
			b.Changes = append(b.Changes, created(*needWrite)...)
		}
	}
	if *needChown != "" && !capable(h, "CAP_CHOWN") {
		return OnExit(0, 4)
	}
	return b
}

// created are the changes that a new file makes: it and its directories.
func created(file string) []container.FilesystemChange {
	var all []container.FilesystemChange
	for i, r := range file {
		if r == '/' && i > 0 {
			all = append(all, container.FilesystemChange{Kind: container.ChangeAdd, Path: file[:i]})
		}
	}
	return append(all, container.FilesystemChange{Kind: container.ChangeAdd, Path: file})
}

func onMount(file string, c *container.Config, h *container.HostConfig) bool {
	below := func(dir string) bool { return strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/") }
	for dir := range h.Tmpfs {
		if below(dir) {
			return true
		}
	}
	for dir := range c.Volumes {
		if below(dir) {
			return true
		}
	}
	for _, bind := range h.Binds {
		if parts := strings.Split(bind, ":"); len(parts) > 1 && below(parts[1]) {
			return true
		}
	}
	return slices.ContainsFunc(h.Mounts, func(m mount.Mount) bool { return below(m.Target) })
}

// capable reports whether root in the container has one of the capabilities
// that it has by default.
func capable(h *container.HostConfig, name string) bool {
	has := func(list []string) bool {
		return slices.Contains(list, name) || slices.Contains(list, strings.TrimPrefix(name, "CAP_"))
	}
	all := func(list []string) bool { return slices.Contains(list, "ALL") }
	return h.Privileged || has(h.CapAdd) || all(h.CapAdd) || !has(h.CapDrop) && !all(h.CapDrop)
}
