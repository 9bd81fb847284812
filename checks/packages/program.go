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
	if len(p.kept)+len(b) <= largestProgram {
		p.kept = append(p.kept, b...)
	}
	return p.golang.Write(b)
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
