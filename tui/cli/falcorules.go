package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"

	"plimsoll/checks"
	"plimsoll/checks/runtime/falco"
	"plimsoll/checks/terminal"
)

// toOutput stands for the standard output in place of a file.
const toOutput = "-"

// learnRules watches for as long as o says, and then writes rules for Falco of
// what is normal.
func (a *app) learnRules(ctx context.Context, watcher *overseer, o watchOptions) error {
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watcher.run(watching)
	}()
	defer func() {
		stop()
		<-ended
	}()
	select {
	case <-time.After(o.duration):
	case <-ctx.Done():
		return errors.New(a.T("ended before the rules were written"))
	}
	standings, err := watcher.watcher.Standings(ctx)
	if err != nil {
		return err
	}
	r := falco.Of(standings)
	for _, w := range r.Waiting {
		fmt.Fprintf(a.err, "%s\n", waiting(w).In(a.translate))
	}
	for _, name := range r.Odd {
		fmt.Fprintln(a.err, a.T("a list of Falco cannot hold this name: %s", terminal.Line(name)))
	}
	if len(r.Known) == 0 {
		return &checks.Problem{
			What: checks.Msg("no running container is known well enough for rules"),
			Do:   checks.Msg("watch on, here with --for 1h, or declare under runtime.normal what is normal"),
		}
	}
	if o.rules == toOutput {
		_, err := a.out.Write(r.Text)
		return err
	}
	if err := putRules(o.rules, r.Text, o.force); err != nil {
		return err
	}
	fmt.Fprintln(a.err, a.T("rules for %s are in %s", terminal.Line(strings.Join(r.Known, ", ")), terminal.Line(o.rules)))
	fmt.Fprintln(a.err, a.T("check them and load them: %s", "sudo falco --validate "+terminal.Line(o.rules)+" && sudo cp "+terminal.Line(o.rules)+" /etc/falco/rules.d/"))
	return nil
}

// waiting says why there are no rules for a service.
func waiting(w falco.Waiting) checks.Message {
	if w.Never {
		return checks.Msg("%s: starts too many different programs, so nothing is normal for it", w.Service).Clean()
	}
	return checks.Msg("%s: has to be watched for %s more", w.Service, w.Left.Round(time.Second).String()).Clean()
}

// putRules replaces the file at path, whole or not at all. One that we did not
// write stays, unless force.
func putRules(path string, text []byte, force bool) error {
	if err := mayPutRules(path, force); err != nil {
		return err
	}
	if err := atomicwriter.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("--falco-rules %s: %w", path, err)
	}
	return nil
}

// mayPutRules reports why the file at path may not be replaced.
func mayPutRules(path string, force bool) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		dir, err := os.Stat(filepath.Dir(path))
		if err == nil && !dir.IsDir() {
			err = errors.New("its folder is a file")
		}
		if err != nil {
			return fmt.Errorf("--falco-rules %s: %w", path, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("--falco-rules %s: not a regular file", path)
	}
	head := make([]byte, len(falco.Written))
	n, _ := f.Read(head)
	if !force && info.Size() > 0 && !bytes.Equal(head[:n], []byte(falco.Written)) {
		return &checks.Problem{
			What: checks.Msg("%s was not written by plimsoll and stays as it is", path),
			Do:   checks.Msg("name another file, or add --force"),
		}
	}
	return nil
}

// rulesPath is where the screen puts rules.
func rulesPath(s *session) string { return filepath.Join(s.state, "falco", "plimsoll_rules.yaml") }

// Rules implements [tui.Lookout].
func (l *lookout) Rules(ctx context.Context) (falco.Rules, error) {
	l.mu.Lock()
	now := l.now
	l.mu.Unlock()
	if now == nil {
		return falco.Rules{}, &checks.Problem{What: checks.Msg("there is no connection to the engine")}
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	standings, err := now.watcher.Standings(ctx)
	if err != nil {
		return falco.Rules{}, err
	}
	return falco.Of(standings), nil
}

// KeepRules implements [tui.Lookout].
func (l *lookout) KeepRules(r falco.Rules) (string, error) {
	path := rulesPath(l.s)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, putRules(path, r.Text, false)
}
