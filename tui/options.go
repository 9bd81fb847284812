// Package tui is the screen: one Bubble Tea model that shows what the inventory
// tells, explains it, and carries fixes out after they were shown and confirmed.
//
// Update and View do no I/O; everything that waits is a command. What is below
// the model are plain structs that draw lines for the room they are given.
package tui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"plimsoll/assets"
	"plimsoll/checks"
	"plimsoll/checks/inventory"
	"plimsoll/fixes"
	"plimsoll/fixes/fixer"
	"plimsoll/fixes/ignore"
)

// Options are what the screen works with. Only Updates is required.
type Options struct {
	// Updates tell what exists and what is wrong with it. They are taken one
	// at a time, so that a slow terminal slows the sender down.
	Updates <-chan inventory.Update

	// Fixer makes and applies plans; nil disables every key that changes things.
	Fixer fixer.Fixer

	// Accept makes the plan that writes down that a finding of a subject is
	// accepted; nil disables the key.
	Accept func(context.Context, checks.Subject, ignore.Acceptance) (*fixes.Plan, error)

	// Changed is called after every change that was made or taken back; nil for
	// nobody who wants to know.
	Changed func()

	// Prover proves plans for Dockerfiles by building; nil disables the key.
	Prover Prover

	// Explain returns the explanation of a check; nil means [assets.Explain].
	Explain func(language assets.Language, check string) (assets.Explanation, bool)

	Language assets.Language // "" means English
	Profile  checks.Profile

	// Repolicy judges everything again under a profile; the results come as
	// updates. Nil disables the key.
	Repolicy func(checks.Profile)

	// Rescan reads everything again; the results come as updates. Nil disables
	// the key.
	Rescan func()

	Layers LayerReader // of images; nil disables the key

	// Advisories downloads those that images have asked for, and looks them up
	// anew; nil disables the key.
	Advisories func(context.Context, func(fixes.Progress)) error

	// Scanners lets other scanners that are installed look at an image; what
	// they say comes as an update. Nil disables the key.
	Scanners func(ctx context.Context, ref checks.Ref, progress func(fixes.Progress)) error

	// Observe begins to follow what a container uses, or ends that; what is seen
	// comes with the updates. Nil disables the key.
	Observe func(ctx context.Context, ref checks.Ref, on bool)

	// QuickLook looks at the packages of the distribution in an image without
	// reading its layers, by making a container that never starts; what it sees
	// comes as an update. Nil disables the key.
	QuickLook func(ctx context.Context, ref checks.Ref) error

	History *History // what is remembered; nil: nothing

	// Lookout watches what containers do; nil: nobody does.
	Lookout Lookout

	// Engines are those that can be turned to; nil disables the key.
	Engines Engines

	ReadOnly bool   // show, never change
	Demo     bool   // the world is made up
	DemoHint string // command that opens the demo: "plimsoll --demo"

	Now func() time.Time // the clock; nil means time.Now
	FPS int              // frames per second at most; 0 means 60
}

// Run shows the screen until the user quits or ctx ends. It returns after
// changes that were under way have come to their end. More options are for
// tests and for unusual terminals.
func Run(ctx context.Context, o Options, program ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	m := New(ctx, o)
	program = append([]tea.ProgramOption{tea.WithContext(ctx)}, program...)
	if o.FPS > 0 {
		program = append(program, tea.WithFPS(o.FPS))
	}
	_, err := tea.NewProgram(m, program...).Run()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		err = nil
	}
	cancel()
	m.crew.jobs.Wait()
	if write := m.unwritten(); write != nil {
		err = errors.Join(err, write())
	}
	return err
}
