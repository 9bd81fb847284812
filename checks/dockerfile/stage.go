package dockerfile

import (
	"bytes"
	"path"
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

	root    *Stage // what the chain begins with
	shipped bool   // the final image has what happens here
	windows bool   // built on Windows, where users, paths and shells are others
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
	return s.root
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
	return s != nil && s.shipped
}

// divide finds the stages, and what they hand down to their instructions.
func (f *File) divide() {
	byName := map[string]*Stage{}
	last := map[*Stage]*Instruction{} // the last instruction of each stage
	global := variables{}
	declared := map[string]bool{} // names of the ARGs before the first FROM
	var current *Stage
	var user *Instruction
	posix := true
	for _, in := range f.Instructions {
		if in.Keyword == "FROM" {
			current = &Stage{Index: len(f.Stages), From: in}
			current.root = current
			user, posix = nil, true
			words := in.Words()
			if len(words) > 0 {
				current.Base = words[0]
				current.Image, current.Certain = f.expand(words[0].Text, global)
				current.Certain = current.Certain || neverSet(words[0].Text, current.Image, declared)
				current.Parent = byName[strings.ToLower(current.Image)]
			}
			if p := current.Parent; p != nil {
				current.root = p.root
				user, posix = last[p].user, last[p].posix
				if last[p].Keyword == "USER" {
					user = last[p]
				}
			}
			if len(words) > 2 && strings.EqualFold(words[1].Text, "as") {
				current.Name = words[2].Text
				byName[strings.ToLower(current.Name)] = current
			}
			current.windows = f.onWindows(current)
			f.Stages = append(f.Stages, current)
		} else if current != nil {
			current.Instructions = append(current.Instructions, in)
		} else if in.Keyword == "ARG" {
			f.declare(global, in, nil)
			for _, p := range f.Pairs(in) {
				declared[p.Name] = true
			}
		}
		if current != nil && !current.windows {
			current.windows = f.windowsPath(in, current)
		}
		if in.Keyword == "SHELL" && len(in.Exec) > 0 {
			posix = isShell(path.Base(in.Exec[0]))
			if current != nil {
				current.windows = current.windows || windowsShell(in.Exec[0])
			}
		}
		in.Stage, in.user, in.posix = current, user, posix
		if in.Keyword == "USER" {
			user = in
		}
		if current != nil {
			last[current] = in
		}
	}
	for s := f.Final(); s != nil; s = s.Parent {
		s.shipped = true
	}
}

// neverSet reports whether all variables in base are ones that no ARG declares,
// so that nothing can set them, and image is a name all the same.
func neverSet(base, image string, declared map[string]bool) bool {
	if image == "" || strings.HasSuffix(image, ":") || strings.HasSuffix(image, "@") || strings.HasSuffix(image, "-") || strings.HasSuffix(image, "/") {
		return false
	}
	for _, part := range strings.Split(base, "$")[1:] {
		name := strings.TrimPrefix(part, "{")
		end := strings.IndexFunc(name, func(r rune) bool { return r != '_' && (r > 'z' || !isLetterOrDigit(byte(r))) })
		if end >= 0 {
			if name[end] == ':' && strings.HasPrefix(part, "{") {
				return false // a default
			}
			name = name[:end]
		}
		if name == "" || declared[name] || predefined(name) {
			return false
		}
	}
	return strings.Contains(base, "$")
}

// onWindows reports whether s begins on an image for Windows.
func (f *File) onWindows(s *Stage) bool {
	if s.Parent != nil {
		return s.Parent.windows
	}
	if f.Escape == '`' && !linuxOnly[parseReference(s.Image).official()] {
		return true
	}
	image := strings.ToLower(s.Image)
	if strings.Contains(image, "windows") || strings.Contains(image, "nanoserver") {
		return true
	}
	for _, platform := range s.From.Flag("platform") {
		if strings.HasPrefix(strings.ToLower(platform), "windows") {
			return true
		}
	}
	return bytes.Contains(f.Source, []byte("# hadolint shell=powershell")) && !linuxOnly[parseReference(s.Image).official()]
}

// windowsPath reports whether in puts something at a path with a drive letter,
// which no stage of another system does.
func (f *File) windowsPath(in *Instruction, s *Stage) bool {
	if s.Parent == nil && linuxOnly[parseReference(s.Image).official()] {
		return false
	}
	switch in.Keyword {
	case "WORKDIR", "VOLUME", "COPY", "ADD":
		words := in.operands()
		if len(words) == 0 {
			return false
		}
		p := strings.Trim(words[len(words)-1], `"'`)
		return len(p) > 2 && p[0] > '9' && isLetterOrDigit(p[0]) && p[1] == ':' && (p[2] == '/' || p[2] == '\\')
	}
	return false
}

// linuxOnly are official images of distributions: none of them exists for
// Windows, whatever continues a line.
var linuxOnly = map[string]bool{
	"debian": true, "ubuntu": true, "alpine": true, "busybox": true, "fedora": true, "rockylinux": true,
	"almalinux": true, "centos": true, "amazonlinux": true, "archlinux": true, "buildpack-deps": true,
}

func windowsShell(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "powershell") || strings.HasPrefix(name, "cmd") || strings.HasSuffix(name, ".exe")
}

// label names s for people and for the key of a finding, in the one spelling
// that all spellings of a stage mean.
func (s *Stage) label() string {
	if s.Name != "" {
		return strings.ToLower(s.Name)
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
