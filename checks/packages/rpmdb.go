package packages

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// The database of SUSE ("ndb", lib/backend/ndb/rpmpkg.c of rpm): pages of
// slots, each of which points to a blob. Numbers are little-endian.
var ndbMagic = []byte("RpmP")

const (
	ndbPage = 4096
	ndbSlot = 16
	ndbUnit = 16 // bytes that offsets count in
)

var errNDB = errors.New("the ndb database of rpm is damaged")

func ndbBlobs(data []byte) ([][]byte, error) {
	if len(data) < ndbPage {
		return nil, errNDB
	}
	slots := uint64(binary.LittleEndian.Uint32(data[12:])) * ndbPage
	if slots > uint64(len(data)) {
		return nil, errNDB
	}
	var out [][]byte
	for at := 2 * ndbSlot; at < int(slots); at += ndbSlot { // the first two are the header
		slot := data[at : at+ndbSlot]
		if !bytes.HasPrefix(slot, []byte("Slot")) {
			return out, errNDB
		}
		if binary.LittleEndian.Uint32(slot[4:]) == 0 {
			continue // free
		}
		blob := uint64(binary.LittleEndian.Uint32(slot[8:])) * ndbUnit
		if blob+ndbUnit > uint64(len(data)) || !bytes.HasPrefix(data[blob:], []byte("BlbS")) {
			return out, errNDB
		}
		length := uint64(binary.LittleEndian.Uint32(data[blob+12:]))
		if blob+ndbUnit+length > uint64(len(data)) {
			return out, errNDB
		}
		out = append(out, data[blob+ndbUnit:][:length])
	}
	return out, nil
}

// The database of rpm before 4.16: a hash table of Berkeley DB (dbinc/db_page.h
// of libdb). Keys are numbers; values, being large, are on overflow pages.
const (
	bdbMagic    = 0x061561
	bdbHeader   = 26
	bdbUnsorted = 2 // types of pages
	bdbOverflow = 7
	bdbSorted   = 13
	bdbInPlace  = 1 // types of items
	bdbOffPage  = 3
)

var errBDB = errors.New("the Berkeley database of rpm is damaged")

type bdb struct {
	data  []byte
	order binary.ByteOrder
	page  int
	left  int // pages that may still be followed
}

func bdbBlobs(data []byte) ([][]byte, error) {
	if len(data) < 512 {
		return nil, errBDB
	}
	db := &bdb{data: data}
	switch {
	case binary.LittleEndian.Uint32(data[12:]) == bdbMagic:
		db.order = binary.LittleEndian
	case binary.BigEndian.Uint32(data[12:]) == bdbMagic:
		db.order = binary.BigEndian
	default:
		return nil, errBDB
	}
	db.page = int(db.order.Uint32(data[20:]))
	if db.page < 512 || db.page > 64<<10 || db.page&(db.page-1) != 0 {
		return nil, errBDB
	}
	db.left = len(data) / db.page
	var out [][]byte
	for start := db.page; start+db.page <= len(data); start += db.page {
		page := data[start : start+db.page]
		if page[25] != bdbSorted && page[25] != bdbUnsorted {
			continue
		}
		entries := int(db.order.Uint16(page[20:]))
		if bdbHeader+2*entries > len(page) {
			return out, errBDB
		}
		for i := 1; i < entries; i += 2 { // key, value, key, value …
			value, err := db.value(page, i)
			if err != nil {
				return out, err
			}
			if len(value) > 16 { // what has no header is a counter
				out = append(out, value)
			}
		}
	}
	return out, nil
}

// value returns item i of a page. Items stand one below the other, so that one
// ends where the one before it begins.
func (db *bdb) value(page []byte, i int) ([]byte, error) {
	at := int(db.order.Uint16(page[bdbHeader+2*i:]))
	end := int(db.order.Uint16(page[bdbHeader+2*(i-1):]))
	if at >= len(page) {
		return nil, errBDB
	}
	switch page[at] {
	case bdbInPlace:
		if end <= at || end > len(page) {
			return nil, errBDB
		}
		return page[at+1 : end], nil
	case bdbOffPage:
		if at+12 > len(page) {
			return nil, errBDB
		}
		return db.overflow(db.order.Uint32(page[at+4:]), db.order.Uint32(page[at+8:]))
	}
	return nil, nil
}

// overflow returns length bytes from page number n on and those it leads to.
func (db *bdb) overflow(n, length uint32) ([]byte, error) {
	if uint64(length) > uint64(len(db.data)) {
		return nil, errBDB
	}
	out := make([]byte, 0, length)
	for len(out) < int(length) {
		start := int(n) * db.page
		if db.left--; db.left < 0 || n == 0 || start+db.page > len(db.data) {
			return nil, errBDB
		}
		page := db.data[start : start+db.page]
		if page[25] != bdbOverflow {
			return nil, errBDB
		}
		out = append(out, page[bdbHeader:][:min(int(length)-len(out), db.page-bdbHeader)]...)
		n = db.order.Uint32(page[16:])
	}
	return out, nil
}
