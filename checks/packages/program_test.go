package packages

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"io"
	"testing"
)

// rustProgram returns an ELF file of about size bytes with the section that
// cargo auditable writes, its section table at the end as linkers put it.
func rustProgram(t *testing.T, size int, list string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := io.WriteString(z, list); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	const head = 64 // of the file, and of each section in the table
	names := "\x00.dep-v0\x00.shstrtab\x00"
	dep := uint64(head + size)
	text := dep + uint64(packed.Len())
	table := text + uint64(len(names))
	ident := [elf.EI_NIDENT]byte{'\x7f', 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	var out bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&out, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	put(elf.Header64{Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: table, Ehsize: head, Shentsize: head, Shnum: 3, Shstrndx: 2})
	out.Write(make([]byte, size))
	out.Write(packed.Bytes())
	out.WriteString(names)
	put(elf.Section64{})
	put(elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: dep, Size: uint64(packed.Len())})
	put(elf.Section64{Name: 9, Type: uint32(elf.SHT_STRTAB), Off: text, Size: uint64(len(names))})
	return out.Bytes()
}

const crates = `{"packages":[{"name":"time","version":"0.1.43","source":"crates.io"},{"name":"cc","version":"1.0","source":"crates.io","kind":"build"}]}`

func TestRustProgram(t *testing.T) {
	c := &Collector{}
	for name, size := range map[string]int{"small": 10 << 10, "later": 5 << 20, "again": 100 << 10} {
		data := rustProgram(t, size, crates)
		w := c.Content("usr/bin/"+name, true, int64(len(data)))
		if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(data)}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		files := c.Files()
		found := files[len(files)-1].Packages
		if want := (Package{Type: Cargo, Name: "time", Version: "0.1.43"}); len(found) != 1 || found[0].Type != want.Type || found[0].Name != want.Name || found[0].Version != want.Version {
			t.Errorf("%s: found %+v, want %+v alone: what only builds is not in the program", name, found, want)
		}
	}
	if got := int64(cap(c.kept)); got > 12<<20 {
		t.Errorf("%d bytes are kept for programs of at most 5 MiB", got)
	}
}

// A program that is too large to keep costs no memory, whatever its header
// claims.
func TestLargeProgramIsNotKept(t *testing.T) {
	for _, claimed := range []int64{largestProgram + 1, 1 << 40} {
		c := &Collector{}
		w := c.Content("usr/bin/huge", true, claimed)
		data := append([]byte("\x7fELF"), make([]byte, 1<<20)...)
		for range 30 {
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if cap(c.kept) > 0 {
			t.Errorf("claimed %d: %d bytes are kept", claimed, cap(c.kept))
		}
	}
}
