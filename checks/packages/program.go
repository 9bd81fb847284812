package packages

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/json"
	"io"
)

// What is kept of a program in order to look for the list that cargo-auditable
// puts into a section of its own.
const largestProgram = 24 << 20

var (
	elfMagic    = []byte("\x7fELF")
	rustSection = ".dep-v0"
)

// A program is a file that may be executable: Go and Rust programs say what
// they were built from.
type program struct {
	file   *File
	done   func(*File)
	head   []byte
	isELF  bool
	other  bool // PE or Mach-O, or a script: Go only, or nothing
	golang goProgram
	size   int64 // bytes, as its header claims
	kept   []byte
	give   func([]byte) // takes kept back, for the next program
}

func (p *program) Write(b []byte) (int, error) {
	if len(p.head) < len(elfMagic) {
		p.head = append(p.head, b[:min(len(b), len(elfMagic)-len(p.head))]...)
		if len(p.head) == len(elfMagic) {
			p.isELF = bytes.Equal(p.head, elfMagic)
			p.other = !p.isELF
		}
	}
	if p.other {
		return 0, io.ErrShortWrite // nothing of interest: no need to read on
	}
	p.keep(b)
	return p.golang.Write(b)
}

// keep remembers b, unless the program is one that cannot be kept whole: where
// its sections are stands at its end.
func (p *program) keep(b []byte) {
	if p.size > largestProgram || p.golang.found != nil {
		return
	}
	if int64(cap(p.kept)) < p.size {
		larger := min(largestProgram, max(p.size, 2*int64(cap(p.kept))))
		p.kept = append(make([]byte, 0, larger), p.kept...)
	}
	if len(p.kept)+len(b) <= cap(p.kept) {
		p.kept = append(p.kept, b...)
	}
}

func (p *program) Close() error {
	p.file.Packages = p.golang.found
	if len(p.file.Packages) == 0 && bytes.Contains(p.kept, []byte(rustSection)) {
		p.file.Packages = readRust(p.kept)
	}
	p.give(p.kept[:0])
	p.done(p.file)
	return nil
}

// readRust reads the list of crates in a program that was built by cargo
// auditable: JSON, compressed by zlib.
func readRust(data []byte) []Package {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	section := f.Section(rustSection)
	if section == nil || section.Size > largestGoInfo {
		return nil
	}
	packed, err := section.Data()
	if err != nil {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	var doc struct {
		Packages []struct{ Name, Version, Kind string }
	}
	if json.NewDecoder(io.LimitReader(z, 8*largestGoInfo)).Decode(&doc) != nil {
		return nil
	}
	var out []Package
	for _, p := range doc.Packages {
		if p.Name != "" && p.Version != "" && (p.Kind == "" || p.Kind == "runtime") {
			out = append(out, Package{Type: Cargo, Name: p.Name, Version: p.Version})
		}
	}
	return out
}
