package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/terminal"
	"plimsoll/fixes"
	"plimsoll/fixes/ignore"
)

// accept plans to write down that a finding of subject, as it was shown, is
// accepted: as a comment in a file, else in the configuration of the project.
func (a *app) accept(ctx context.Context, s *session, subject checks.Subject, accept ignore.Acceptance) (*fixes.Plan, error) {
	now, err := s.inventory.Read(ctx, subject.Ref())
	if err != nil {
		return nil, err
	}
	ref := now.Ref()
	var change fixes.FileChange
	switch f := now.(type) {
	case *dockerfile.File:
		if shown, ok := subject.(*dockerfile.File); !ok || !bytes.Equal(shown.Source, f.Source) {
			return nil, fmt.Errorf("%s: %w", terminal.Line(f.Name), fixes.ErrChanged)
		}
		change, err = a.dockerfileComment(f, accept)
	case *compose.File:
		if shown, ok := subject.(*compose.File); !ok || !bytes.Equal(shown.Source, f.Source) {
			return nil, fmt.Errorf("%s: %w", terminal.Line(f.Name), fixes.ErrChanged)
		}
		change, err = a.composeComment(f, accept)
	default:
		if change, err = a.configurationEntry(projectOf([]string{s.root}), ref, accept); err == nil {
			// The ledger has it as the file that it is.
			ref = checks.Ref{Kind: checks.Dockerfile, ID: change.Path, Name: change.Name}
		}
	}
	if err != nil {
		return nil, err
	}
	return s.fixer.PlanWrite(ctx, ref, change, checks.Msg("ignore %s in %s", accept.Check, terminal.Line(change.Name)))
}

// dockerfileComment returns the change of f that accepts a finding in it, after
// it was read back.
func (a *app) dockerfileComment(f *dockerfile.File, accept ignore.Acceptance) (fixes.FileChange, error) {
	missing := []*checks.Check{accept.Comment(a.suite)}
	all := &checks.Policy{Profile: checks.All}
	found := checks.Run(f, missing, all).Findings
	if len(found) != 1 {
		return fixes.FileChange{}, errors.New(a.T("%s cannot be ignored by a comment in %s", accept.Check, terminal.Line(f.Name)))
	}
	edits, err := found[0].Fixes[0].Edit(nil)
	if err != nil {
		return fixes.FileChange{}, err
	}
	after := patched(f.Source, edits[0])
	if left := checks.Run(dockerfile.Parse(f.Path, f.Name, after), missing, all).Findings; len(left) > 0 {
		return fixes.FileChange{}, errors.New(a.T("%s cannot be ignored by a comment in %s", accept.Check, terminal.Line(f.Name)))
	}
	return fixes.FileChange{Path: f.Path, Name: f.Name, Before: f.Source, After: after, Edits: edits}, nil
}

// A judge has everything on the screen judged by the configuration as it is.
type judge struct {
	a       *app
	s       *session
	ctx     context.Context // of the screen
	mu      sync.Mutex
	config  Config
	profile checks.Profile
}

// under judges everything under a profile.
func (j *judge) under(p checks.Profile) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.profile = p
	j.s.inventory.Judge(j.ctx, j.config.policy(p))
}

// again judges everything if what is ignored has changed in the configuration.
// One that cannot be read changes nothing: the next start says what is wrong.
func (j *judge) again() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.a.noConfig || j.a.demo {
		return
	}
	config, err := readConfig(projectOf([]string{j.s.root}), j.a.suite)
	if err != nil || reflect.DeepEqual(config.Ignore, j.config.Ignore) {
		return
	}
	j.config.Ignore = config.Ignore
	j.s.inventory.Judge(j.ctx, j.config.policy(j.profile))
}
