package dockerfile

import "plimsoll/checks"

// child returns f with a stage added that is built on the final one and carries
// out what ONBUILD left to it, as every build on the image will; nil without
// ONBUILD. Only findings about those instructions are of interest.
func (f *File) child() *File {
	final := f.Final()
	if final == nil {
		return nil
	}
	var triggers []*Instruction
	for _, s := range final.Chain() {
		for i := len(s.Instructions) - 1; i >= 0; i-- {
			if t := f.trigger(s.Instructions[i]); t != nil {
				triggers = append([]*Instruction{t}, triggers...)
			}
		}
	}
	if len(triggers) == 0 {
		return nil
	}
	last := final.From
	if n := len(final.Instructions); n > 0 {
		last = final.Instructions[n-1]
	}
	stage := &Stage{
		Index: final.Index, Name: final.Name, From: final.From, Base: final.Base, Image: final.Image, Certain: final.Certain,
		Parent: final, root: final.root, shipped: true, windows: final.windows, Instructions: triggers,
	}
	user, posix := last.user, last.posix
	if last.Keyword == "USER" {
		user = last
	}
	for _, t := range triggers {
		t.Stage, t.user, t.posix = stage, user, posix
		if t.Keyword == "USER" {
			user = t
		}
	}
	child := *f
	child.globals = &globals{}
	child.Stages = append(append([]*Stage{}, f.Stages...), stage)
	child.Instructions = append(append([]*Instruction{}, f.Instructions...), triggers...)
	return &child
}

// trigger returns the instruction that in, an ONBUILD, leaves to others.
func (f *File) trigger(in *Instruction) *Instruction {
	if in.Keyword != "ONBUILD" || in.Args.String == "" || in.open {
		return nil
	}
	t := &Instruction{Line: in.Line, EndLine: in.EndLine, End: in.End, Heredocs: in.Heredocs, trigger: true}
	if !t.split(in.Args, f.Escape) || !isKeyword(t.Keyword) {
		return nil
	}
	switch t.Keyword {
	case "FROM", "ONBUILD", "MAINTAINER":
		return nil // refused, see onbuild-invalid
	case "ENV", "ARG":
		t.pairs = t.parsePairs(f.Escape)
	}
	return t
}

// runOnTriggers reports what run finds in instructions left to others. A line
// put before such an instruction would not be left to them, so there is no fix.
func (f *File) runOnTriggers(run func(*File, func(checks.Finding)), report func(checks.Finding)) {
	if f.triggers == nil {
		return
	}
	lines := map[int]bool{}
	for _, in := range f.triggers.Instructions {
		if in.trigger {
			for line := in.Line; line <= in.EndLine; line++ {
				lines[line] = true
			}
		}
	}
	run(f.triggers, func(finding checks.Finding) {
		if lines[finding.Line] {
			finding.Fixes = nil
			report(finding)
		}
	})
}
