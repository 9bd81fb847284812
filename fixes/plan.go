// Package fixes turns what a check says should change into a plan, proves it
// on a copy, carries it out step by step, verifies the result and can take it
// back, also after a crash.
//
// A [Plan] is data. Package fixer makes plans and applies them; its parts are
// in the packages dockerfile (files), container (live update and recreation)
// and ledger (what was done, and its inverse, on disk).
package fixes

import (
	"time"

	"plimsoll/checks"
)

// A Mechanism is the way in which a plan changes the world.
type Mechanism string

const (
	Patch    Mechanism = "patch"    // edits files
	Update   Mechanism = "update"   // changes a running container, no restart
	Recreate Mechanism = "recreate" // replaces a container, the original is kept
	Service  Mechanism = "service"  // changes the Swarm service that a container is a task of

	Tag Mechanism = "tag" // gives an image one more name

	Quarantine Mechanism = "quarantine" // isolates a container and keeps evidence
)

// A Plan is a change that nothing has yet carried out.
type Plan struct {
	ID        string // also the id of its ledger entry
	Title     checks.Message
	Subject   checks.Ref
	Mechanism Mechanism
	Engine    string // id of the engine it was made for; "" where none is needed

	// Members are the containers that the plan changes, where its subject is an
	// image; in the order in which it does. Of the task of a Swarm service it is
	// that service.
	Members []checks.Ref

	// Cures and Leaves are the findings of the subject that were proved to be
	// gone, and to be still there, after the plan was tried on a copy.
	Cures, Leaves []checks.Finding

	// After are the containers, or the file, as they would be: the copies that it
	// was proved on. What else follows from the change can be asked of them.
	After []checks.Subject

	Choices []Choice // every decision, with the value that this plan uses
	Files   []FileChange
	Changes []Change // of container settings, by field
	Steps   []Step
	Notes   []checks.Message // what the user should know: downtime, secrets moved, what may break

	// Fetch is the image that has to be fetched before it is known what the plan
	// changes, as shown; "" when it is. Applying the plan as it is fetches it too.
	Fetch string

	// Card says what another image changes; nil when none does.
	Card *Card

	// Deploy is a command that makes what runs be as the changed file says; nil
	// if there is none. It is run when the user asks for it, and only then.
	Deploy []string

	// Redeploy does the same once the change was undone.
	Redeploy []string

	// Blocked says why the plan cannot be applied, and what to do instead;
	// zero when it can. A blocked plan is still shown.
	Blocked checks.Message

	// Downtime is how long the container is expected to be away; 0 if it is not.
	Downtime time.Duration

	// Fingerprint of what the plan was made from. Apply refuses when the world
	// no longer matches it.
	Fingerprint string

	// Detail is what the mechanism needs to apply the plan. It may hold
	// secrets and is neither shown nor stored.
	Detail any
}

// OnlyTags reports whether p replaces nothing by itself: it moves a tag, which
// what p deploys follows.
func (p *Plan) OnlyTags() bool {
	return p.Mechanism == Recreate && p.Subject.Kind == checks.Image && len(p.Members) == 0
}

// A Choice is a decision together with the value in force.
type Choice struct {
	checks.Choice
	Value string
}

// A FileChange is the whole content of one file before and after. Secrets are
// in Before as they are in the file: show it through [FileChange.Hunks], which
// masks them.
type FileChange struct {
	Path    string // absolute, of the file that is written
	Name    string // shown
	Created bool   // Path does not exist yet
	Before  []byte // of the file that is hardened, also where Path is one beside it
	After   []byte
	Edits   []checks.Edit // of Before, in order; Edit.Path is empty
}

// A Change is one setting before and after, as shown: secrets masked.
type Change struct {
	Field         string // "HostConfig.Memory"
	Before, After string // "unlimited", "256 MiB"
	Why           checks.Message
}

// A Step is one call to the engine or one write of a file.
type Step struct {
	Op      string         // "create", "stop", "rename", "start", "update", "connect", "pull", "write", "verify", …
	Target  string         // container, image, network or file, as shown
	Why     checks.Message // why this step, why now
	Command string         // equivalent shell command, secrets masked; "" if there is none
}

// Commands returns the equivalent commands of all steps.
func (p *Plan) Commands() []string {
	var out []string
	for _, s := range p.Steps {
		if s.Command != "" {
			out = append(out, s.Command)
		}
	}
	return out
}

// Progress tells how far the application of a plan is.
type Progress struct {
	Part    int // index into Batch.Parts; 0 for a plan by itself
	Step    int // index into Plan.Steps
	Message checks.Message
	Ratio   float64 // 0..1 of this step, -1 when unknown
	Undoing bool    // the plan failed and is being rolled back

	// Transfer is set while an image is fetched; it is not changed afterwards.
	Transfer *Transfer
}

// An Original is what a change replaced, kept as the way back.
type Original struct {
	Name string
	Size int64     // bytes that it takes by itself: what it wrote, without its image and volumes
	Kept time.Time // since when
}

// A Receipt is the proof of an applied plan.
type Receipt struct {
	Entry string           // id in the ledger
	Proof []checks.Message // what was verified, one observation each
	Cured []checks.Finding
	Left  []checks.Finding

	// Files are what was written for the user, who may remove them: undo leaves
	// them alone.
	Files []string

	// Reminders say what only a person can do now, and why: the value of a
	// secret that was seen has to be replaced.
	Reminders []checks.Message

	Took time.Duration
	Away time.Duration // measured downtime

	// Stopping is the part of Away that the program itself took to end.
	Stopping time.Duration
}
