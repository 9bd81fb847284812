// Package attack combines what is known of containers, their images and
// networks, and the engine into attack paths: short stories that begin where
// an attacker may come in and end with what is lost.
//
// What is known of a subject are facts ([Map.Put]). A [Rule] is one way in which
// an attacker gets from one place to the next, given certain facts; there are
// few of them, and a path is what a search over them finds. Everything here is
// pure: the same facts give the same paths.
package attack

import (
	"strings"

	"plimsoll/checks"
)

// A Rule is one way in which an attacker gets on.
type Rule struct {
	ID    string   // "path-engine-socket"; names the explanation file
	Title string   // the step in a few words, without a period
	Refs  []string // techniques of MITRE ATT&CK: "T1611"

	enter  func(*Rule, *search, *node)    // from outside; asked of every container
	begin  func(*Rule, *search, *engine)  // from outside; asked of the engine
	escape func(*Rule, *search, *arrival) // from within a container to the host; asked where an attacker arrives
	move   func(*Rule, *search, *arrival) // from within a container elsewhere; asked where the host stands

	elsewhere bool // what helps is not at the container: one path stands for all
}

// An Impact is what is lost at the end of a path.
type Impact string

const (
	Takeover    Impact = "takeover"    // of the host
	Data        Impact = "data"        // of a data store
	Credentials Impact = "credentials" // that work elsewhere
	Cloud       Impact = "cloud"       // identity of the machine at its cloud
)

// An Entry is how an attacker comes in.
type Entry string

const (
	Network  Entry = "network"  // connects to something that listens
	Supplier Entry = "supplier" // controls what a tag means, or the registry
	Account  Entry = "account"  // has an ordinary account on the host
)

// A Path leads from an entry to an impact.
type Path struct {
	ID       string // the same for as long as the path is the same
	Severity checks.Severity
	Entry    Entry
	Impact   Impact
	Target   Spot    // what falls
	Ease     float64 // from 0 to 1: how little stands in the way
	Planned  bool    // in a compose file rather than in what runs

	steps []step // at least one
	also  []step // other ways to take the last step, the easiest first
}

// Steps returns the steps from the entry to the impact, at least one.
func (p *Path) Steps() []Step { return told(p.steps) }

// Also returns other ways to take the last step, the easiest first.
func (p *Path) Also() []Step { return told(p.also) }

// Through is where p begins: the first container, or the host.
func (p *Path) Through() Spot { return p.steps[0].at }

// Len returns how many steps p has.
func (p *Path) Len() int { return len(p.steps) }

// A Step is one rule that was followed.
type Step struct {
	Rule    *Rule
	At      Spot // where the attacker is after it
	Message checks.Message
	Grounds []Ground // what it rests on; the first decides
	Ease    float64
}

// A Spot is a container, a service of a compose file, or the host.
type Spot struct {
	Ref     checks.Ref
	Service string // of a compose file
}

// Name returns what people call s; not yet sanitised.
func (s Spot) Name() string {
	if s.Service != "" {
		return s.Service
	}
	return s.Ref.Name
}

// A Ground is a fact that a step rests on.
type Ground struct {
	Subject  checks.Ref
	Check    string // id of the check that reports it, whether or not it is in the suite
	Key      string // of its finding; "" is any
	Label    checks.Message
	Evidence checks.Evidence
}

// Finding returns the finding of report that g rests on, nil when there is none.
func (g Ground) Finding(report *checks.Report) *checks.Finding {
	for i := range report.Findings {
		if f := &report.Findings[i]; f.Check.ID == g.Check && (g.Key == "" || f.Key == g.Key) {
			return f
		}
	}
	return nil
}

// What says in a few words what is lost.
func (p *Path) What() checks.Message {
	name := p.Target.Name()
	var m checks.Message
	switch p.Impact {
	case Takeover:
		m = checks.Msg("takeover of the host")
	case Data:
		m = checks.Msg("the data of %s", name)
	case Credentials:
		m = checks.Msg("the secrets of %s", name)
	default:
		m = checks.Msg("the cloud identity of the host")
	}
	return m.Clean()
}

// From says where it begins.
func (p *Path) From() checks.Message {
	through := p.steps[0].at.Name()
	var m checks.Message
	switch {
	case p.Entry == Account:
		m = checks.Msg("from an ordinary account")
	case p.Entry == Supplier:
		m = checks.Msg("through the image of %s", through)
	case len(p.steps) == 1 && p.Impact == Takeover:
		m = checks.Msg("from the network")
	default:
		m = checks.Msg("from the network through %s", through)
	}
	return m.Clean()
}

// Story returns the grounds in a few words each, in order, each once.
func (p *Path) Story() []checks.Message {
	var all []checks.Message
	seen := map[string]bool{}
	for _, s := range p.Steps() {
		for _, g := range s.Grounds {
			if text := g.Label.String(); !seen[text] && !g.Label.IsZero() {
				seen[text] = true
				all = append(all, g.Label)
			}
		}
	}
	return all
}

// Equation returns the story in one line of the language of translate:
// "a + b + c = takeover of the host".
func (p *Path) Equation(translate func(string) string) string {
	var parts []string
	for _, m := range p.Story() {
		parts = append(parts, m.In(translate))
	}
	return strings.Join(parts, " + ") + " = " + p.What().In(translate)
}

// Rules lists every rule, from the entries to the impacts.
func Rules() []*Rule {
	return []*Rule{
		publishedPort, mutableImage, engineTCP, dockerGroup,
		sharedNetwork, sharedVolume, hostNetwork,
		engineSocket, privilegedMode, hostPath, hostDevice, capability, hostProcesses, runtimeEscape,
		dataStore, secretsOfEnvironment, metadataService,
	}
}

// severities of what is lost when nothing stands in the way.
var severities = map[Impact]checks.Severity{
	Takeover: checks.Critical, Data: checks.High, Credentials: checks.High, Cloud: checks.High,
}

// Thresholds of ease: below the first a path counts one severity lower, below
// the second two.
const (
	Likely   = 0.5
	Possible = 0.2
)

func severityOf(impact Impact, ease float64, rootless bool) checks.Severity {
	s := severities[impact]
	if rootless && impact == Takeover {
		s-- // the account that runs the engine is not the machine
	}
	if ease < Likely {
		s--
	}
	if ease < Possible {
		s--
	}
	return max(s, checks.Info)
}
