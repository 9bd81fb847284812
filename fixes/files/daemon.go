package files

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/host"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
)

// A daemonDocument is the configuration file of a local engine.
type daemonDocument struct{ *host.Host }

func asDaemon(s checks.Subject) document {
	if h, ok := s.(*host.Host); ok && h.Daemon != nil {
		return daemonDocument{h}
	}
	return nil
}

func (d daemonDocument) subject() checks.Subject { return d.Host }

func (d daemonDocument) text() text {
	return text{path: d.Daemon.File, name: d.Daemon.File, source: d.Daemon.Source, absent: d.Daemon.Source == nil}
}

func (d daemonDocument) refusal() error {
	if d.Daemon.Unread != "" {
		return fmt.Errorf("not known: %s", d.Daemon.Unread)
	}
	return nil
}

func (d daemonDocument) with(source []byte, _ func(string) ([]byte, bool)) (document, error) {
	next, err := d.Host.With(source)
	if err != nil {
		return nil, err
	}
	return daemonDocument{next}, nil
}

func (d daemonDocument) place(path string) string { return path }

func (d daemonDocument) beside(string) (string, error) {
	return "", refuse(checks.Msg("the engine reads %s and no copy: change the file itself", terminal.Line(d.Daemon.File)))
}

func (d daemonDocument) deploy(next document, _ string) []string {
	return d.Daemon.Obey(next.(daemonDocument).Daemon)
}

func (d daemonDocument) command(dir, name string, _ []string) string {
	return terminal.Line("dockerd --validate --config-file " + fixes.Quote(filepath.Join(dir, name)))
}

// validate asks dockerd whether it would start with source, where there is one
// that can tell: --validate came with version 23.
func (d daemonDocument) validate(ctx context.Context, source []byte) error {
	dockerd, err := exec.LookPath("dockerd")
	if err != nil {
		return nil // the checks have parsed it, which is all that can be done here
	}
	dir, err := os.MkdirTemp("", "plimsoll-daemon-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, dockerd, "--validate", "--config-file", file).CombinedOutput()
	if err == nil || strings.Contains(string(out), "unknown flag: --validate") {
		return nil
	}
	says := strings.ReplaceAll(strings.TrimSpace(string(out)), file, d.Daemon.File)
	return refuse(checks.Msg("dockerd would not start with it: %s", terminal.Line(says)))
}
