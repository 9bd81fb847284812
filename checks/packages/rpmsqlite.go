package packages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// The file format of SQLite is documented at https://sqlite.org/fileformat2.html
// and frozen. Reading one table from beginning to end needs its b-tree pages
// and overflow pages only.
var sqliteMagic = []byte("SQLite format 3\x00")

const (
	sqliteLeaf     = 13
	sqliteInterior = 5
	deepestTree    = 32
)

var errSQLite = errors.New("the sqlite database of rpm is damaged")

type sqlite struct {
	data   []byte
	page   int // bytes
	usable int // bytes of a page that hold something
	left   int // pages that may still be looked at: each is needed once
}

// sqliteBlobs returns the last column of each row of table, which for that of
// rpm is the header of a package.
func sqliteBlobs(data []byte, table string) ([][]byte, error) {
	if len(data) < 512 {
		return nil, errSQLite
	}
	db := &sqlite{data: data, page: int(binary.BigEndian.Uint16(data[16:]))}
	if db.page == 1 {
		db.page = 1 << 16
	}
	if db.page < 512 || db.page&(db.page-1) != 0 {
		return nil, errSQLite
	}
	db.usable = db.page - int(data[20])
	if db.usable < 480 {
		return nil, errSQLite
	}
	db.left = len(data)/db.page + 1
	root := 0
	err := db.walk(1, 0, func(row []byte) error {
		columns, err := sqliteRow(row)
		if err != nil {
			return err
		}
		if len(columns) >= 4 && string(columns[0]) == "table" && strings.EqualFold(string(columns[1]), table) {
			for _, b := range columns[3] {
				root = root<<8 | int(b)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if root == 0 {
		return nil, fmt.Errorf("%w: it has no table %s", errSQLite, table)
	}
	var out [][]byte
	err = db.walk(root, 0, func(row []byte) error {
		columns, err := sqliteRow(row)
		if err == nil && len(columns) > 0 {
			out = append(out, columns[len(columns)-1])
		}
		return err
	})
	return out, err
}

// walk calls f with each row of the table whose root is page number n.
func (db *sqlite) walk(n, depth int, f func([]byte) error) error {
	start := (n - 1) * db.page
	if db.left--; db.left < 0 || n < 1 || start+db.page > len(db.data) || depth > deepestTree {
		return errSQLite
	}
	page, at := db.data[start:start+db.page], 0
	if n == 1 {
		at = 100 // the header of the file
	}
	kind, cells := page[at], int(binary.BigEndian.Uint16(page[at+3:]))
	head := at + 8
	if kind == sqliteInterior {
		head += 4
	}
	if kind != sqliteInterior && kind != sqliteLeaf || head+2*cells > len(page) {
		return errSQLite
	}
	for i := range cells {
		cell := int(binary.BigEndian.Uint16(page[head+2*i:]))
		if cell+4 > len(page) {
			return errSQLite
		}
		if kind == sqliteInterior {
			if err := db.walk(int(binary.BigEndian.Uint32(page[cell:])), depth+1, f); err != nil {
				return err
			}
			continue
		}
		row, err := db.payload(page, cell)
		if err == nil {
			err = f(row)
		}
		if err != nil {
			return err
		}
	}
	if kind == sqliteInterior {
		return db.walk(int(binary.BigEndian.Uint32(page[at+8:])), depth+1, f)
	}
	return nil
}

// payload returns the row in the cell of a leaf, what overflows included.
func (db *sqlite) payload(page []byte, cell int) ([]byte, error) {
	size, n := sqliteVarint(page[cell:])
	_, m := sqliteVarint(page[min(len(page), cell+n):])
	if n == 0 || m == 0 || size > uint64(len(db.data)) {
		return nil, errSQLite
	}
	total, rest := int(size), page[cell+n+m:]
	local := total
	if most := db.usable - 35; total > most {
		least := (db.usable-12)*32/255 - 23
		if local = least + (total-least)%(db.usable-4); local > most {
			local = least
		}
	}
	if local == total {
		if total > len(rest) {
			return nil, errSQLite
		}
		return rest[:total], nil
	}
	if local+4 > len(rest) {
		return nil, errSQLite
	}
	out := append(make([]byte, 0, total), rest[:local]...)
	next := int(binary.BigEndian.Uint32(rest[local:]))
	for len(out) < total {
		start := (next - 1) * db.page
		if db.left--; db.left < 0 || next < 1 || start+db.page > len(db.data) {
			return nil, errSQLite
		}
		chunk := db.data[start : start+db.usable]
		out = append(out, chunk[4:][:min(total-len(out), len(chunk)-4)]...)
		next = int(binary.BigEndian.Uint32(chunk))
	}
	return out, nil
}

// sqliteRow returns the columns of a record; numbers as their bytes.
func sqliteRow(row []byte) ([][]byte, error) {
	size, n := sqliteVarint(row)
	if n == 0 || size > uint64(len(row)) || int(size) < n {
		return nil, errSQLite
	}
	types, body := row[n:size], row[size:]
	var out [][]byte
	for len(types) > 0 {
		t, n := sqliteVarint(types)
		if n == 0 {
			return nil, errSQLite
		}
		types = types[n:]
		length := uint64(0)
		switch {
		case t >= 12:
			length = (t - 12) / 2
		case t >= 1 && t <= 7:
			length = [...]uint64{0, 1, 2, 3, 4, 6, 8, 8}[t]
		}
		if length > uint64(len(body)) {
			return nil, errSQLite
		}
		out, body = append(out, body[:length]), body[length:]
	}
	return out, nil
}

// sqliteVarint reads a number of one to nine bytes; n is 0 when it is cut short.
func sqliteVarint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	if n == 8 && len(b) > 8 {
		return v<<8 | uint64(b[8]), 9
	}
	return 0, 0
}
