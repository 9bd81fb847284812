package assets_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	layerLine = regexp.MustCompile(`^([-dl][-rwxstST]{9}) +(\S+)(?: +(.*))?$`)
	layerNote = regexp.MustCompile(`^\((.*)\)$`)
)

// archiveOf returns what docker save writes of an image whose layers source
// lists, one entry a line: what ls shows of its mode, its path, and its content
// or a note about it. A line of dashes begins the next layer, and "deleted"
// in place of the mode deletes.
func archiveOf(source string) ([]byte, error) {
	var archive bytes.Buffer
	out := tar.NewWriter(&archive)
	var names, ids []string
	for part := range strings.SplitSeq(source, "---\n") {
		layer, err := layerOf(part)
		if err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprintf("%d/layer.tar", len(names)))
		ids = append(ids, fmt.Sprintf("sha256:%x", sha256.Sum256(layer)))
		if err := put(out, &tar.Header{Name: names[len(names)-1], Mode: 0o644}, layer); err != nil {
			return nil, err
		}
	}
	config, err := json.Marshal(map[string]any{"rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "Layers": names}})
	if err != nil {
		return nil, err
	}
	if err := put(out, &tar.Header{Name: "config.json", Mode: 0o644}, config); err != nil {
		return nil, err
	}
	if err := put(out, &tar.Header{Name: "manifest.json", Mode: 0o644}, manifest); err != nil {
		return nil, err
	}
	return archive.Bytes(), out.Close()
}

func layerOf(part string) ([]byte, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for line := range strings.Lines(part) {
		line = strings.TrimRight(line, "\n")
		if path, ok := strings.CutPrefix(line, "deleted"); ok {
			path = strings.TrimSpace(path)
			at := strings.LastIndexByte(path, '/') + 1
			if err := put(w, &tar.Header{Name: path[:at] + ".wh." + path[at:]}, nil); err != nil {
				return nil, err
			}
			continue
		}
		m := layerLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%q is no entry of a layer", line)
		}
		h := &tar.Header{Name: m[2], Mode: modeOf(m[1]), PAXRecords: map[string]string{}}
		content := []byte(strings.ReplaceAll(m[3], `\n`, "\n"))
		if note := layerNote.FindStringSubmatch(m[3]); note != nil {
			text, same, megabytes := m[2], false, 0
			content = nil
			for word := range strings.SplitSeq(note[1], ", ") {
				number, unit, _ := strings.Cut(word, " ")
				n, err := strconv.Atoi(number)
				switch {
				case word == "program":
					content = append(content, "\x7fELF..."...)
				case word == "same":
					same = true
				case word == "capability":
					h.PAXRecords["SCHILY.xattr.security.capability"] = "\x01"
				case err == nil && unit == "MB":
					megabytes = n
				default:
					return nil, fmt.Errorf("%q says nothing about a file", word)
				}
			}
			if same {
				text = "the same"
			}
			if megabytes > 0 {
				for len(content) < megabytes*1_000_000 {
					content = append(content, text...)
				}
				content = content[:megabytes*1_000_000]
			}
		}
		switch m[1][0] {
		case 'd':
			h.Typeflag = tar.TypeDir
		case 'l':
			h.Typeflag, h.Linkname, content = tar.TypeSymlink, strings.TrimPrefix(m[3], "-> "), nil
		}
		if err := put(w, h, content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return layer.Bytes(), err
}

func put(w *tar.Writer, h *tar.Header, content []byte) error {
	h.Size = int64(len(content))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// modeOf reads a mode as ls shows it.
func modeOf(shown string) (mode int64) {
	for i, c := range shown[1:] {
		bit := int64(1) << (8 - i)
		special := int64(1) << (11 - i/3)
		switch c {
		case 'r', 'w', 'x':
			mode |= bit
		case 's', 't':
			mode |= bit | special
		case 'S', 'T':
			mode |= special
		}
	}
	return mode
}
