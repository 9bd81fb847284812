package tui

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"plimsoll/checks/inventory"
	"plimsoll/fixes"
)

// A program runs for real, against a terminal in memory.
type program struct {
	*vt.SafeEmulator
	keys *io.PipeWriter
	done chan error
}

func start(t *testing.T, ctx context.Context, o Options, w, h int) *program {
	t.Helper()
	// Keys do not go through the emulator, which would hold its lock until they
	// are read, while the program may be waiting for it to draw. Its answers to
	// queries do.
	input, keys := io.Pipe()
	x := &program{vt.NewSafeEmulator(w, h), keys, make(chan error, 1)}
	go io.Copy(keys, x)
	t.Cleanup(func() { input.Close() })
	x.Write([]byte(ansi.SetModeLineFeedNewLine)) // input is not a TTY: Bubble Tea counts on it
	go func() {
		x.done <- Run(ctx, o, tea.WithInput(input), tea.WithOutput(x), tea.WithoutSignals(), tea.WithWindowSize(w, h),
			tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithColorProfile(colorprofile.TrueColor))
	}()
	return x
}

func (x *program) waitFor(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(ansi.Strip(x.Render()), text) {
		if time.Now().After(deadline) {
			t.Fatalf("never saw %q on the screen:\n%s", text, ansi.Strip(x.Render()))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (x *program) waitExit(t *testing.T) {
	t.Helper()
	select {
	case err := <-x.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the program did not end")
	}
}

func (x *program) press(keys ...string) {
	bytes := map[string]string{"enter": "\r", "tab": "\t", "down": "\x1b[B", "end": "\x1b[F"}
	for _, k := range keys {
		if b, ok := bytes[k]; ok {
			k = b
		}
		io.WriteString(x.keys, k)
	}
}

func TestProgram(t *testing.T) {
	updates := make(chan inventory.Update, 1)
	x := start(t, t.Context(), Options{Updates: updates, Fixer: &fakeFixer{}}, 120, 40)
	x.waitFor(t, "connecting")
	updates <- fixture()
	x.waitFor(t, "container is privileged")
	x.press("/", "w", "e", "b", "enter", "down", "down", "tab", "down")
	x.waitFor(t, "memory is not limited")
	x.press("f")
	x.waitFor(t, "apply")
	x.press("enter")
	x.waitFor(t, "the container kept its id")
	x.press("enter", "q")
	x.waitExit(t)
}

func TestProgramEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	x := start(t, ctx, Options{Updates: make(chan inventory.Update)}, 80, 24)
	x.waitFor(t, "plimsoll")
	cancel()
	x.waitExit(t)
}

// TestRunWaitsForChanges cancels the program in the middle of a change.
func TestRunWaitsForChanges(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	updates := make(chan inventory.Update, 1)
	updates <- fixture()
	f := &slowFixer{rolledBack: make(chan bool, 1)}
	x := start(t, ctx, Options{Updates: updates, Fixer: f}, 120, 40)
	x.waitFor(t, "container is privileged")
	x.press("/", "w", "e", "b", "enter", "down", "down", "tab", "down", "f")
	x.waitFor(t, "apply")
	x.press("enter")
	x.waitFor(t, "0 of 100 MB")
	cancel()
	x.waitExit(t)
	select {
	case <-f.rolledBack:
	default:
		t.Error("Run returned before the change was put back")
	}
}

// A slowFixer takes its time to put things back.
type slowFixer struct {
	fakeFixer
	rolledBack chan bool
}

func (f *slowFixer) Apply(ctx context.Context, p *fixes.Plan, progress func(fixes.Progress)) (*fixes.Receipt, error) {
	f.delay = time.Hour
	_, err := f.fakeFixer.Apply(ctx, p, progress)
	time.Sleep(50 * time.Millisecond)
	f.rolledBack <- errors.Is(err, context.Canceled)
	return nil, err
}
