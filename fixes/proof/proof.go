// Package proof has the engine build a Dockerfile as it is and as a plan would
// leave it, runs both images for a moment, and compares what came of it.
//
// That a build succeeds proves little: a USER can be swallowed by the line
// before it, come out empty, or name nobody, and everything still builds. So
// what counts is what the images say and do.
//
// Everything happens in a sandbox: images and containers carry a label of
// their own and are removed afterwards, those of an earlier run that was cut
// short too; steps and containers have no network as far as that is possible.
package proof

import (
	"time"

	"plimsoll/checks"
)

// A Proof is two builds side by side.
type Proof struct {
	Facts []Fact
	Cured []checks.Finding // of the image as it is now, and no more of the patched one
	Wrong []checks.Message // why the patch is not proved, the worst first; none if it is
	Notes []checks.Message // how the proof was made, where that matters
	Log   string           // the last of what a build printed that failed; fit to be shown
	Took  time.Duration
}

// Proved reports whether the patched file does what it should and everything
// that the original does.
func (p *Proof) Proved() bool { return len(p.Wrong) == 0 }

// A Fact is one observation of both images.
type Fact struct {
	Name          checks.Message
	Before, After checks.Message
	Verdict       Verdict
}

// A Verdict is what comes of comparing the two sides of a fact.
type Verdict int

const (
	Same    Verdict = iota
	Meant           // differs, and the patch says so
	Better          // differs for the better
	NotWell         // differs, and should not
)
