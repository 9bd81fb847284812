package packages

import (
	"bytes"
	"encoding/binary"
	"runtime/debug"
	"strings"
)

// What the linker of Go writes into each program since Go 1.18: the marker, the
// size of a pointer, flags, and in line the version and the list of modules.
// The format is described in debug/buildinfo, which wants to jump about in a
// file, and not see it once as it streams by.
var goMarker = []byte("\xff Go buildinf:")

const (
	goHeader      = 32
	goInline      = 2       // flag: strings follow the header
	largestGoInfo = 4 << 20 // of the list of modules
	goSentinel    = 16      // bytes around the list
)

// A goProgram finds the build information in a program that is written to it.
type goProgram struct {
	tail  []byte // of what came before, shorter than the marker
	info  []byte // from the marker on, once it was seen
	done  bool
	found []Package
}

func (g *goProgram) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0 && !g.done; {
		if g.info == nil {
			edge := append(g.tail, rest[:min(len(rest), len(goMarker)-1)]...)
			if at := bytes.Index(edge, goMarker); at >= 0 {
				g.info = append(bytes.Clone(edge[at:len(g.tail)]), rest...)
			} else if at := bytes.Index(rest, goMarker); at >= 0 {
				g.info = bytes.Clone(rest[at:])
			} else {
				if len(rest) >= len(goMarker) {
					edge = rest
				}
				g.tail = append(g.tail[:0], edge[len(edge)-min(len(edge), len(goMarker)-1):]...)
				break
			}
			g.tail, rest = nil, nil
		} else {
			g.info = append(g.info, rest...)
			rest = nil
		}
		rest = g.read(rest)
	}
	return len(b), nil
}

// read tries what is there. What turns out to be no build information, such as
// the marker in a program that looks for it, is searched for the next one.
func (g *goProgram) read([]byte) (again []byte) {
	found, need := readGoInfo(g.info)
	switch {
	case found != nil:
		g.found, g.done, g.info = found, true, nil
	case need:
	default:
		again, g.info = g.info[1:], nil
	}
	return again
}

// readGoInfo reads build information that begins at data; more says that it
// goes on behind the end of data.
func readGoInfo(data []byte) (found []Package, more bool) {
	if len(data) < goHeader {
		return nil, true
	}
	if data[15]&goInline == 0 {
		return nil, false
	}
	version, rest, more := goString(data[goHeader:])
	if more || version == "" {
		return nil, more
	}
	list, _, more := goString(rest)
	if more {
		return nil, true
	}
	if !strings.HasPrefix(version, "go") && !strings.HasPrefix(version, "devel") {
		return nil, false
	}
	// "go1.26.8 X:jsonv2" and "go1.26.8-X:jsonv2" name experiments.
	if at := strings.IndexAny(version, " -+"); at >= 0 {
		version = version[:at]
	}
	if strings.HasPrefix(version, "go") {
		found = append(found, Package{Type: Go, Name: "stdlib", Version: strings.TrimPrefix(version, "go")})
	}
	if len(list) < 2*goSentinel {
		return found, false
	}
	info, err := debug.ParseBuildInfo(list[goSentinel : len(list)-goSentinel])
	if err != nil {
		return found, false
	}
	add := func(m *debug.Module) {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Path != "" && m.Version != "" && m.Version != "(devel)" {
			found = append(found, Package{Type: Go, Name: m.Path, Version: strings.TrimPrefix(m.Version, "v")})
		}
	}
	add(&info.Main)
	for _, m := range info.Deps {
		add(m)
	}
	return found, false
}

// goString reads a string with its length in front.
func goString(data []byte) (s string, rest []byte, more bool) {
	length, n := binary.Uvarint(data)
	switch {
	case n == 0:
		return "", nil, true
	case n < 0 || length > largestGoInfo:
		return "", nil, false
	case uint64(len(data)-n) < length:
		return "", nil, true
	}
	return string(data[n : n+int(length)]), data[n+int(length):], false
}
