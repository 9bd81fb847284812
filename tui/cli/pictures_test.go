package cli

import (
	"context"
	"flag"
	"fmt"
	"html"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"plimsoll/checks/suite"
	"plimsoll/tui"
)

var update = flag.Bool("update", false, "write the pictures of the README anew")

// TestPictures uses the demo as a new user would: it looks, fixes a Dockerfile
// and a container, and takes the last change back. With -update it writes the
// pictures of the README on the way.
func TestPictures(t *testing.T) {
	home(t)
	ctx, quit := context.WithCancel(t.Context())
	defer quit()
	a := &app{out: io.Discard, err: io.Discard, demo: true, suite: suite.All()}
	a.speak("en")
	s, err := a.open(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	x := open(t, a.screenOptions(ctx, s), ctx)

	x.see(t, "web/Dockerfile", "runner", "posture")
	x.press("/", "proxy", "\r", "\x1b[B", "\x1b[B", "\t")
	x.see(t, "How we know", "docker.sock")
	x.picture(t, "main")

	x.press("\x1b", "\x1b", "/", "web/Dockerfile", "\r", "\x1b[H", "\x1b[B", "\x1b[B", "F")
	x.see(t, "enter plan")
	x.press("\r")
	x.see(t, "enter apply", "no-install-recommends")
	x.picture(t, "fix")
	x.press("\r")
	x.see(t, "Verified")
	x.press("\r")

	x.press("\x1b", "\x1b", "/", "db", "\r", "\x1b[H", "\x1b[B", "\x1b[B", "\t", "/", "memory", "\r", "f")
	x.see(t, "enter apply")
	x.press("\r")
	x.see(t, "Verified", "not restarted")
	x.picture(t, "receipt")
	x.press("u")
	x.see(t, "Done")

	quit()
	if err := <-x.done; err != nil {
		t.Error(err)
	}
}

// A screenUser is somebody at a terminal in memory.
type screenUser struct {
	*vt.SafeEmulator
	keys *io.PipeWriter
	done chan error
}

const columns, rows = 132, 38

func open(t *testing.T, o tui.Options, ctx context.Context) *screenUser {
	input, keys := io.Pipe()
	x := &screenUser{vt.NewSafeEmulator(columns, rows), keys, make(chan error, 1)}
	go io.Copy(keys, x) // the emulator's answers to queries
	t.Cleanup(func() { input.Close() })
	x.Write([]byte(ansi.SetModeLineFeedNewLine)) // input is not a TTY: Bubble Tea counts on it
	go func() {
		x.done <- tui.Run(ctx, o, tea.WithInput(input), tea.WithOutput(x), tea.WithoutSignals(), tea.WithWindowSize(columns, rows),
			tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithColorProfile(colorprofile.TrueColor))
	}()
	return x
}

// press types keys as a person does: one after the other.
func (x *screenUser) press(keys ...string) {
	time.Sleep(500 * time.Millisecond) // dialogs that opened by themselves take no keys yet
	for _, k := range keys {
		io.WriteString(x.keys, k)
		time.Sleep(60 * time.Millisecond) // or esc and a letter would be one key
	}
}

// see waits until every text is on the screen.
func (x *screenUser) see(t *testing.T, texts ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for _, text := range texts {
		for !strings.Contains(ansi.Strip(x.Render()), text) {
			if time.Now().After(deadline) {
				t.Fatalf("never saw %q on the screen:\n%s", text, ansi.Strip(x.Render()))
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// seek moves on through a form until a field is chosen.
func (x *screenUser) seek(t *testing.T, field string) {
	t.Helper()
	for i := 0; !strings.Contains(ansi.Strip(x.Render()), field); i++ {
		if i == 60 {
			t.Fatalf("no key leads to the field:\n%s", ansi.Strip(x.Render()))
		}
		// One key, then the frame that answers it: a slow machine would be past
		// the field before it is seen.
		shown := ansi.Strip(x.Render())
		io.WriteString(x.keys, "\t")
		for began := time.Now(); ansi.Strip(x.Render()) == shown && time.Since(began) < 5*time.Second; {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// picture writes the screen as assets/screens/NAME.svg when asked to.
func (x *screenUser) picture(t *testing.T, name string) {
	t.Helper()
	if !*update {
		return
	}
	time.Sleep(300 * time.Millisecond) // let the last frame come
	path := filepath.Join(moduleRoot(t), "assets", "screens", name+".svg")
	if err := os.WriteFile(path, []byte(svg(x)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// svg draws the cells of a terminal with a dark background.
func svg(x *screenUser) string {
	const w, h = 8.4, 18
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">`+"\n", w*columns+24, h*rows+24)
	fmt.Fprint(&b, `<rect width="100%" height="100%" rx="10" fill="#14181f"/>`+"\n")
	for y := range rows {
		for i := 0; i < columns; {
			cell := x.CellAt(i, y)
			start, text := i, ""
			for i < columns {
				c := x.CellAt(i, y)
				if c == nil || cell == nil || !c.Style.Equal(&cell.Style) {
					break
				}
				if c.Content == "" {
					text += " "
				} else {
					text += c.Content
				}
				i += max(1, c.Width)
			}
			if i == start {
				i++
				continue
			}
			drawRun(&b, cell.Style, text, 12+w*float64(start), 12+h*y, w*float64(i-start), h)
		}
	}
	return b.String() + "</svg>\n"
}

// drawRun draws cells of one style.
func drawRun(b *strings.Builder, s uv.Style, text string, x float64, y int, width float64, height int) {
	fg, bg := s.Fg, s.Bg
	if s.Attrs&uv.AttrReverse != 0 {
		fg, bg = bg, fg
	}
	if bg != nil {
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, x, y, width, height, hex(bg, "#d8dee9"))
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	extra := ""
	if s.Attrs&uv.AttrBold != 0 {
		extra += ` font-weight="bold"`
	}
	if s.Attrs&uv.AttrFaint != 0 {
		extra += ` opacity="0.6"`
	}
	if s.Attrs&uv.AttrItalic != 0 {
		extra += ` font-style="italic"`
	}
	fallback := "#d8dee9"
	if bg != nil && s.Attrs&uv.AttrReverse != 0 {
		fallback = "#14181f"
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d" xml:space="preserve" textLength="%.1f" fill="%s"%s>%s</text>`+"\n",
		x, y+height-5, width, hex(fg, fallback), extra, html.EscapeString(text))
}

func hex(c color.Color, fallback string) string {
	if c == nil {
		return fallback
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("where is this file?")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}
