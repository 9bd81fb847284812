package packages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// readRPM reads the database of RPM in each of its three forms. The libraries
// for it want a file on disk, and read hostile ones in goroutines whose panics
// nobody can stop; of the database no more is needed than all values of one
// table.
func readRPM(data []byte) (out []Package, owns []string, err error) {
	var blobs [][]byte
	switch {
	case bytes.HasPrefix(data, sqliteMagic):
		blobs, err = sqliteBlobs(data, "Packages")
	case bytes.HasPrefix(data, ndbMagic):
		blobs, err = ndbBlobs(data)
	default:
		blobs, err = bdbBlobs(data)
	}
	for _, blob := range blobs {
		h, wrong := readHeader(blob)
		if wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		if p, ok := h.pkg(); ok {
			out = append(out, p)
			owns = append(owns, h.owns()...)
		}
	}
	return out, owns, err
}

// Tags of a header, by rpmtag.h.
const (
	rpmName       = 1000
	rpmVersion    = 1001
	rpmRelease    = 1002
	rpmEpoch      = 1003
	rpmArch       = 1022
	rpmSource     = 1044 // "glibc-2.34-60.el9.src.rpm"
	rpmDirIndexes = 1116
	rpmBaseNames  = 1117
	rpmDirNames   = 1118
)

// Types of an entry of a header.
const (
	rpmInt32  = 4
	rpmText   = 6
	rpmTexts  = 8
	rpmI18N   = 9
	rpmEntry  = 16 // bytes of the description of one entry
	mostFiles = 1 << 20
)

// A header describes one package: an index of entries, and a store that they
// point into. Numbers are big-endian.
type header struct {
	entries map[uint32]entry
	store   []byte
}

type entry struct{ kind, offset, count uint32 }

// readHeader reads a header as the database holds it.
func readHeader(blob []byte) (*header, error) {
	if len(blob) < 8 {
		return nil, errors.New("a header of rpm is cut short")
	}
	entries, size := uint64(binary.BigEndian.Uint32(blob)), uint64(binary.BigEndian.Uint32(blob[4:]))
	if 8+entries*rpmEntry+size > uint64(len(blob)) {
		return nil, fmt.Errorf("a header of rpm claims %d entries and %d bytes in %d", entries, size, len(blob))
	}
	h := &header{entries: map[uint32]entry{}, store: blob[8+entries*rpmEntry:][:size]}
	for i := range entries {
		at := blob[8+i*rpmEntry:]
		tag := binary.BigEndian.Uint32(at)
		if _, seen := h.entries[tag]; !seen {
			h.entries[tag] = entry{binary.BigEndian.Uint32(at[4:]), binary.BigEndian.Uint32(at[8:]), binary.BigEndian.Uint32(at[12:])}
		}
	}
	return h, nil
}

// texts returns the strings of tag.
func (h *header) texts(tag uint32) []string {
	e, ok := h.entries[tag]
	if !ok || e.kind != rpmText && e.kind != rpmTexts && e.kind != rpmI18N || uint64(e.offset) > uint64(len(h.store)) {
		return nil
	}
	var out []string
	for rest := h.store[e.offset:]; uint32(len(out)) < min(e.count, mostFiles); {
		text, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			break
		}
		out, rest = append(out, string(text)), after
	}
	return out
}

func (h *header) text(tag uint32) string {
	if all := h.texts(tag); len(all) > 0 {
		return all[0]
	}
	return ""
}

// numbers returns the 32-bit numbers of tag.
func (h *header) numbers(tag uint32) []uint32 {
	e, ok := h.entries[tag]
	if !ok || e.kind != rpmInt32 || uint64(e.offset)+4*uint64(e.count) > uint64(len(h.store)) {
		return nil
	}
	out := make([]uint32, e.count)
	for i := range out {
		out[i] = binary.BigEndian.Uint32(h.store[e.offset+4*uint32(i):])
	}
	return out
}

// pkg returns the package; false for a key of a signer, which rpm keeps among
// them.
func (h *header) pkg() (Package, bool) {
	p := Package{Type: RPM, Name: h.text(rpmName), Arch: h.text(rpmArch)}
	version, release := h.text(rpmVersion), h.text(rpmRelease)
	if p.Name == "" || version == "" || p.Name == "gpg-pubkey" {
		return p, false
	}
	p.Version = version + "-" + release
	if epoch := h.numbers(rpmEpoch); len(epoch) > 0 && epoch[0] > 0 {
		p.Version = strconv.FormatUint(uint64(epoch[0]), 10) + ":" + p.Version
	}
	if source, ok := strings.CutSuffix(h.text(rpmSource), ".src.rpm"); ok {
		if rest, _, ok := cutLast(source, "-"); ok {
			if name, _, ok := cutLast(rest, "-"); ok && name != p.Name {
				p.Source = name
			}
		}
	}
	return p, true
}

// owns returns the files of the package that may say something about others.
func (h *header) owns() []string {
	dirs, bases, index := h.texts(rpmDirNames), h.texts(rpmBaseNames), h.numbers(rpmDirIndexes)
	var out []string
	for i, base := range bases[:min(len(bases), len(index))] {
		if int(index[i]) >= len(dirs) {
			continue
		}
		if name := strings.TrimPrefix(path.Join(dirs[index[i]], base), "/"); ofInterest(name) {
			out = append(out, name)
		}
	}
	return out
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
