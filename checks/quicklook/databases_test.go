package quicklook

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"plimsoll/checks/packages"
)

// packed returns an archive of headers, each with its text.
func packed(t *testing.T, entries ...any) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		h, text := entries[i].(tar.Header), entries[i+1].(string)
		h.Size = int64(len(text))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }

func TestHostileArchives(t *testing.T) {
	whole := packed(t, file("status"), debianStatus)
	for name, test := range map[string]struct {
		archive []byte
		reading reading
		link    bool
		err     error
	}{
		"whole":      {archive: whole, reading: reading{budget: mostBytes, entries: 9}},
		"truncated":  {archive: whole[:600], reading: reading{budget: mostBytes, entries: 9}, err: io.ErrUnexpectedEOF},
		"too large":  {archive: whole, reading: reading{budget: 700, entries: 9}, err: errLarge},
		"too many":   {archive: packed(t, file("status"), "", file("status"), ""), reading: reading{budget: mostBytes, entries: 1}, err: errLarge},
		"a link":     {archive: packed(t, tar.Header{Name: "status", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"}, ""), reading: reading{budget: mostBytes, entries: 9}, link: true},
		"elsewhere":  {archive: packed(t, file("../../../etc/os-release"), "ID=debian\n"), reading: reading{budget: mostBytes, entries: 9}},
		"no archive": {archive: []byte(strings.Repeat("x", 1024)), reading: reading{budget: mostBytes, entries: 9}, err: tar.ErrHeader},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.reading
			link, err := r.read(bytes.NewReader(test.archive), "var/lib/dpkg", false)
			if link != test.link || !errors.Is(err, test.err) {
				t.Errorf("%t, %v", link, err)
			}
			for _, f := range r.collector.Files() {
				if f.Path != "var/lib/dpkg/status" {
					t.Errorf("read %s", f.Path)
				}
			}
			if n := len(r.collector.Files()); n > 0 != (name == "whole") {
				t.Errorf("%d files say something", n)
			}
		})
	}
}

func TestOnce(t *testing.T) {
	var all []packages.Package
	for _, dir := range []string{"usr/lib/sysimage/rpm", "var/lib/rpm"} { // one is a link to the other
		for n := range 2 {
			all = append(all, packages.Package{Type: packages.RPM, Name: fmt.Sprint("p", n), Version: "1-1", Path: dir + "/rpmdb.sqlite"})
		}
	}
	got := once(all)
	if len(got) != 2 || got[0].Layer != -1 || got[0].Name == got[1].Name {
		t.Errorf("%+v", got)
	}
}
