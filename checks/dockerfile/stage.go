package dockerfile

import (
	"slices"
	"strconv"
	"strings"
)

// A Stage is one FROM and what follows it.
type Stage struct {
	Index        int
	Name         string // after AS, as written; "" without
	From         *Instruction
	Instructions []*Instruction // without FROM

	Base    Word   // as written
	Image   string // Base with the defaults of ARGs filled in
	Certain bool   // every variable in Base had a value
	Parent  *Stage // the earlier stage that Base names, or nil
}

// External reports whether s builds on an image rather than on an earlier stage
// or on nothing.
func (s *Stage) External() bool { return s.Parent == nil && s.Image != "scratch" && s.Image != "" }

// Chain returns s and the stages it is built on, s first.
func (s *Stage) Chain() []*Stage {
	var out []*Stage
	for ; s != nil; s = s.Parent {
		out = append(out, s)
	}
	return out
}

// Root returns the stage that the chain of s begins with.
func (s *Stage) Root() *Stage {
	for s.Parent != nil {
		s = s.Parent
	}
	return s
}

// Final returns the stage that is built by default, nil when there is none.
func (f *File) Final() *Stage {
	if len(f.Stages) == 0 {
		return nil
	}
	return f.Stages[len(f.Stages)-1]
}

// Shipped reports whether what happens in s is part of the final image.
func (f *File) Shipped(s *Stage) bool {
	return s != nil && slices.Contains(f.Final().Chain(), s)
}

// divide finds the stages.
func (f *File) divide() {
	byName := map[string]*Stage{}
	var current *Stage
	for _, in := range f.Instructions {
		if in.Keyword != "FROM" {
			in.Stage = current
			if current != nil {
				current.Instructions = append(current.Instructions, in)
			}
			continue
		}
		current = &Stage{Index: len(f.Stages), From: in}
		in.Stage = current
		words := in.Words()
		if len(words) > 0 {
			current.Base = words[0]
			current.Image, current.Certain = f.expand(words[0].Text, f.global())
			current.Parent = byName[strings.ToLower(current.Image)]
		}
		if len(words) > 2 && strings.EqualFold(words[1].Text, "as") {
			current.Name = words[2].Text
			byName[strings.ToLower(current.Name)] = current
		}
		f.Stages = append(f.Stages, current)
	}
}

// label names s for people and for the key of a finding.
func (s *Stage) label() string {
	if s.Name != "" {
		return s.Name
	}
	return strconv.Itoa(s.Index)
}

// base returns what is known of the image that the chain of s begins with.
func (f *File) base(s *Stage) (Base, bool) {
	root := s.Root()
	if root.Image == "scratch" {
		return Base{}, true
	}
	b, ok := f.Bases[root.Image]
	return b, ok && root.Certain
}

// windows reports whether s is built on Windows, where users, paths and shells
// are others.
func (f *File) windows(s *Stage) bool {
	if f.Escape == '`' {
		return true
	}
	for _, stage := range s.Chain() {
		image := strings.ToLower(stage.Image)
		if strings.Contains(image, "windows") || strings.Contains(image, "nanoserver") {
			return true
		}
		for _, flag := range stage.From.Flag("platform") {
			if strings.HasPrefix(strings.ToLower(flag), "windows") {
				return true
			}
		}
		for _, in := range stage.Instructions {
			if in.Keyword == "SHELL" && len(in.Exec) > 0 {
				name := strings.ToLower(in.Exec[0])
				if strings.HasPrefix(name, "powershell") || strings.HasPrefix(name, "cmd") || strings.HasSuffix(name, ".exe") {
					return true
				}
			}
		}
	}
	return false
}
