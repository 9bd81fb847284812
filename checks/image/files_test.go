package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
)

// An entry is a file of a layer.
type entry struct {
	name    string
	mode    int64
	content string
	pax     map[string]string
}

// read makes layers and reads them as an engine would save them.
func read(t *testing.T, parts ...[]entry) *layers.Summary {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	put := func(w *tar.Writer, e entry) {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), PAXRecords: e.pax}
		if e.mode == 0 {
			h.Mode = 0o644
		}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	var names, ids []string
	var history []map[string]any
	for n, part := range parts {
		var layer bytes.Buffer
		lw := tar.NewWriter(&layer)
		for _, e := range part {
			put(lw, e)
		}
		lw.Close()
		names, ids = append(names, fmt.Sprintf("%d/layer.tar", n)), append(ids, fmt.Sprintf("sha256:%064d", n))
		history = append(history, map[string]any{"created_by": "RUN step"})
		put(w, entry{name: names[n], content: layer.String()})
	}
	config, _ := json.Marshal(map[string]any{"rootfs": map[string]any{"diff_ids": ids}, "history": history})
	manifest, _ := json.Marshal([]any{map[string]any{"Config": "c.json", "Layers": names}})
	put(w, entry{name: "c.json", content: string(config)})
	put(w, entry{name: "manifest.json", content: string(manifest)})
	w.Close()
	contents, err := layers.Read(t.Context(), &archive, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return contents.Summary()
}

var (
	pem      = "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\n", 4) + "-----END PRIVATE KEY-----\n"
	elf      = "\x7fELF" + strings.Repeat(".", 100)
	caps     = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
	megabyte = strings.Repeat("0123456789abcdef", 1<<16)
	status   = "Package: base-files\nStatus: install ok installed\nVersion: 12.4\nArchitecture: amd64\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
)

// fileCases name the layers of an image and all that is found then.
var fileCases = []struct {
	name   string
	layers [][]entry
	want   []string
}{
	{"nothing", [][]entry{{{name: "shop", mode: 0o755, content: elf}}}, nil},

	{"setuid of its own", [][]entry{{{name: "opt/helper", mode: 0o4755, content: elf}}}, []string{"image-setuid-setgid-files"}},
	{"setuid of the distribution", [][]entry{{{name: "usr/bin/passwd", mode: 0o4755, content: elf}}}, []string{"image-setuid-setgid-files low"}},
	{"setuid that cannot be run", [][]entry{{{name: "opt/x", mode: 0o4644}}}, nil},
	{"setuid taken away later", [][]entry{{{name: "opt/x", mode: 0o4755}}, {{name: "opt/x", mode: 0o755}}}, nil},
	{"capability", [][]entry{{{name: "usr/bin/dumpcap", mode: 0o755, content: elf, pax: caps}}}, []string{"image-file-capabilities"}},
	{"open to all", [][]entry{{{name: "srv/data/", mode: 0o777}, {name: "srv/x", mode: 0o666}}}, []string{"image-world-writable-files"}},
	{"open to all, as it should be", [][]entry{{{name: "tmp/", mode: 0o1777}, {name: "var/spool/x/", mode: 0o1777}, {name: "dev/null", mode: 0o666}}}, nil},

	{"key", [][]entry{{{name: "etc/ssh/ssh_host_ed25519_key", mode: 0o600, content: pem}}}, []string{"image-private-key etc/ssh/ssh_host_ed25519_key"}},
	{"certificate", [][]entry{{{name: "etc/tls/ca.pem", content: strings.ReplaceAll(pem, "PRIVATE KEY", "CERTIFICATE")}}}, nil},
	{"credentials", [][]entry{{{name: "app/.env", content: "DB_PASSWORD=hunter2\n"}}}, []string{"image-credential-file app/.env"}},
	{"example of credentials", [][]entry{{{name: "app/.env.example", content: "DB_PASSWORD=hunter2\n"}, {name: "app/.env", content: "PORT=80\n"}}}, nil},
	{"token", [][]entry{{{name: "app/settings.yaml", content: "github: " + token}}}, []string{"image-secret-in-file app/settings.yaml"}},
	{"token in a library", [][]entry{{{name: "usr/lib/x/test.py", content: "x = '" + token + "'"}}}, nil},
	{"deleted too late", [][]entry{{{name: "root/.netrc", content: "machine example.com password hunter2\n"}}, {{name: "root/.wh..netrc"}}}, []string{"image-secret-in-hidden-layer root/.netrc@1"}},
	{"overwritten too late", [][]entry{{{name: "app/.env", content: "API_TOKEN=hunter2\n"}}, {{name: "app/.env", content: "PORT=80\n"}}}, []string{"image-secret-in-hidden-layer app/.env@1"}},
	{"deleted with its directory", [][]entry{{{name: "root/.ssh/id_rsa", content: pem}}, {{name: "root/.wh..ssh"}}}, []string{"image-secret-in-hidden-layer root/.ssh/id_rsa@1"}},
	{"made and deleted in one layer", [][]entry{{{name: "app/x"}}}, nil},

	{"no password", [][]entry{{{name: "etc/passwd", content: "root::0:0::/:\n"}}}, []string{"image-empty-password root"}},
	{"no password in the shadow", [][]entry{{{name: "etc/passwd", content: "app:x:7:7::/:\n"}, {name: "etc/shadow", content: "app::1:0::::\n"}}}, []string{"image-empty-password app"}},
	{"locked", [][]entry{{{name: "etc/passwd", content: "root:x:0:0::/:\n"}, {name: "etc/shadow", content: "root:*:1:0::::\n"}}}, nil},
	{"second root", [][]entry{{{name: "etc/passwd", content: "root:x:0:0::/:\ntoor:x:0:0::/:\n"}}}, []string{"image-extra-uid0-account toor"}},
	{"same number", [][]entry{{{name: "etc/passwd", content: "a:x:7:7::/:\nb:x:7:8::/:\n"}}}, []string{"image-duplicate-uid-gid"}},
	{"same group", [][]entry{{{name: "etc/group", content: "a:x:7:\na:x:8:\n"}}}, []string{"image-duplicate-uid-gid"}},
	{"sound accounts", [][]entry{{{name: "etc/passwd", content: "root:x:0:0::/:\na:x:7:7::/:\n+::::::\n"}, {name: "etc/group", content: "root:x:0:\na:x:7:\n"}}}, nil},

	{"package manager", [][]entry{{{name: "usr/bin/apt-get", mode: 0o755}}}, []string{"image-package-manager-present"}},
	{"shell", [][]entry{{{name: "bin/busybox", mode: 0o755}}}, []string{"image-shell-present"}},
	{"attack tools", [][]entry{{{name: "usr/bin/nmap", mode: 0o755}, {name: "usr/bin/strace", mode: 0o755}}}, []string{"image-attack-tools-present"}},
	{"compiler", [][]entry{{{name: "usr/bin/x86_64-linux-gnu-gcc-12", mode: 0o755}}}, []string{"image-compiler-present"}},
	{"linker", [][]entry{{{name: "usr/bin/x86_64-linux-gnu-ld.bfd", mode: 0o755}}}, []string{"image-compiler-present"}},
	{"SSH server", [][]entry{{{name: "usr/sbin/sshd", mode: 0o755}}}, []string{"image-ssh-server-present"}},
	{"sudo", [][]entry{{{name: "usr/bin/doas", mode: 0o755}}}, []string{"image-sudo-present"}},
	{"names alone", [][]entry{{{name: "usr/share/doc/nmap", mode: 0o644}, {name: "app/gcc", mode: 0o755}, {name: "usr/bin/nmap", mode: 0o644}}}, nil},

	{"junk", [][]entry{{{name: "app/.git/"}, {name: "app/Dockerfile"}}}, []string{"image-junk-files"}},
	{"waste", [][]entry{{{name: "a", content: strings.Repeat(megabyte, 12)}}, {{name: ".wh.a"}}}, []string{"image-wasted-space"}},
	{"little waste", [][]entry{{{name: "a", content: megabyte}}, {{name: ".wh.a"}}}, nil},
	{"copies", [][]entry{{{name: "a", content: strings.Repeat(megabyte, 6)}, {name: "b", content: strings.Repeat(megabyte, 6)}, {name: "c", content: strings.Repeat(megabyte, 6)}}}, []string{"image-duplicate-files"}},
	{"copies with other content", [][]entry{{{name: "a", content: strings.Repeat(megabyte, 12)}, {name: "b", content: "x" + strings.Repeat(megabyte, 12)[1:]}}}, nil},
	{"cache", [][]entry{{{name: "var/lib/apt/lists/x", content: megabyte}}}, []string{"image-history-cache-left"}},
	{"cache deleted too late", [][]entry{{{name: "var/lib/apt/lists/x", content: megabyte}}, {{name: "var/lib/apt/lists/.wh.x"}}}, []string{"image-history-cache-left"}},
	{"cache that is empty", [][]entry{{{name: "var/lib/apt/lists/lock"}}}, nil},

	{"unowned", [][]entry{{
		{name: "var/lib/dpkg/info/coreutils.list", content: "/.\n/bin\n/bin/ls\n"}, {name: "usr/bin/ls", mode: 0o755, content: elf}, {name: "usr/local/bin/tool", mode: 0o755, content: elf},
		{name: "usr/local/lib/libx.so.1", mode: 0o755, content: elf}, {name: "usr/bin/script", mode: 0o755, content: "#!/bin/sh\n"},
		{name: "app/node_modules/esbuild/bin/esbuild", mode: 0o755, content: elf},
	}}, []string{"image-unowned-binaries"}},
	{"owned", [][]entry{{
		{name: "lib/apk/db/installed", content: "P:busybox\nV:1.36\nA:x86_64\nL:GPL-2.0-only\nF:usr/bin\nR:ls\n\n"}, {name: "usr/bin/ls", mode: 0o755, content: elf},
	}}, nil},
	{"owned, distroless", [][]entry{{
		{name: "var/lib/dpkg/status.d/x.md5sums", content: "d41d8  usr/bin/ls\n"}, {name: "usr/bin/ls", mode: 0o755, content: elf},
	}}, nil},
	{"packages unknown", [][]entry{{{name: "var/lib/rpm/rpmdb.sqlite", content: "x"}, {name: "usr/bin/x", mode: 0o755, content: elf}}}, nil},
	{"sources that are trusted blindly", [][]entry{{{name: "etc/apt/sources.list", content: "# x\ndeb [trusted=yes] http://example.com ./\n"}}}, []string{"image-packages-unverified"}},
	{"apt that is told to trust", [][]entry{{{name: "etc/apt/apt.conf.d/99x", content: "APT::Get::AllowUnauthenticated \"true\";\n"}}}, []string{"image-packages-unverified"}},
	{"yum without signatures", [][]entry{{{name: "etc/yum.repos.d/x.repo", content: "[x]\ngpgcheck=0\n"}}}, []string{"image-packages-unverified"}},
	{"pip that trusts a host", [][]entry{{{name: "etc/pip.conf", content: "[global]\ntrusted-host = example.com\n"}}}, []string{"image-packages-unverified"}},
	{"verified packages", [][]entry{{
		{name: "etc/apt/sources.list", content: "# deb [trusted=yes] x\ndeb [signed-by=/x] http://example.com x main\n"},
		{name: "etc/apt/apt.conf.d/99x", content: "APT::Get::AllowUnauthenticated \"false\";\n// AllowUnauthenticated \"true\";\n"},
		{name: "etc/yum.repos.d/x.repo", content: "[x]\ngpgcheck=1\n"},
	}}, nil},
	{"blindly trusted once", [][]entry{{{name: "etc/apt/sources.list", content: "deb [trusted=yes] http://example.com ./\n"}}, {{name: "etc/apt/.wh.sources.list"}}}, nil},
	{"denied licence", [][]entry{{{name: "lib/apk/db/installed", content: "P:mongo\nV:1\nL:AGPL-3.0-only\n\n"}}}, []string{"image-license-denied"}},
	{"denied licence, Debian", [][]entry{{
		{name: "var/lib/dpkg/status", content: status}, {name: "usr/share/doc/base-files/copyright", content: "Format: x\nLicense: AGPL-3+\n"}, {name: "usr/share/doc/gone/copyright", content: "Format: x\nLicense: AGPL-3\n"},
	}}, []string{"image-license-denied"}},
	{"licence to choose", [][]entry{{{name: "app/node_modules/x/package.json", content: `{"name":"x","version":"1","license":"(MIT OR AGPL-3.0-only)"}`}}}, nil},
	{"old distribution", [][]entry{{{name: "usr/lib/os-release", content: "ID=debian\nVERSION_ID=\"10\"\n"}}}, []string{"image-eol-os"}},
	{"distribution of today", [][]entry{{{name: "usr/lib/os-release", content: "ID=debian\nVERSION_ID=\"12\"\n"}}}, nil},
	{"distribution that rolls", [][]entry{{{name: "usr/lib/os-release", content: "ID=wolfi\nVERSION_ID=20230201\n"}}}, nil},
}

func TestFiles(t *testing.T) {
	for _, test := range fileCases {
		t.Run(test.name, func(t *testing.T) {
			i := sound()
			i.Rules.Licenses = []string{"AGPL-3.0-*"}
			i = i.WithFiles(read(t, test.layers...), nil)
			report := checks.Run(i, Checks(), nil)
			for _, err := range report.Errors {
				t.Error(err)
			}
			var got []string
			for _, f := range report.Findings {
				name := strings.TrimSpace(f.Check.ID + " " + f.Key)
				if f.Severity != f.Check.Severity {
					name += " " + f.Severity.String()
				}
				got = append(got, name)
				shown := f.Message.String() + fmt.Sprint(f.Evidence)
				for _, s := range []string{"hunter2", token, "QUJD"} {
					if strings.Contains(shown, s) {
						t.Errorf("%s shows %q", f.Check.ID, s)
					}
				}
				if len(f.Evidence) == 0 {
					t.Errorf("%s: no evidence", f.Check.ID)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

func TestHiddenSecretIsNamed(t *testing.T) {
	i := sound()
	steps(i, "COPY .env /app/"+buildkit, "RUN /bin/sh -c rm /app/.env"+buildkit)
	i = i.WithFiles(read(t, []entry{{name: "app/.env", content: "API_TOKEN=hunter2\n"}}, []entry{{name: "app/.wh..env"}}), nil)
	findings := checks.Run(i, Checks(), nil).Findings
	if len(findings) != 1 {
		t.Fatalf("found %v", findings)
	}
	var got []string
	for _, e := range findings[0].Evidence {
		got = append(got, e.String())
	}
	want := []string{
		"layer 1 of 2 (history, step 1): /app/.env, 18 B, environment file, at byte 10",
		"history, step 1: COPY .env /app/ # buildkit",
		"layer 2 of 2 (history, step 2): deletes or replaces it, which a container sees and a copy of the image does not",
		"history, step 2: RUN /bin/sh -c rm /app/.env # buildkit",
		"to see it: docker save shop:1.2 | tar -xOf - 0/layer.tar | tar -xOf - app/.env",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPasswdOfTheFilesCounts(t *testing.T) {
	i := sound()
	i.Inspect.Config.User = "admin"
	i = i.WithFiles(read(t, []entry{{name: "etc/passwd", content: "root:x:0:0::/:\nadmin:x:0:0::/:\n"}}), nil)
	for _, f := range checks.Run(i, Checks(), nil).Findings {
		if f.Check == userRoot {
			return
		}
	}
	t.Error("an alias of root is not seen")
}

func TestDeniedLicense(t *testing.T) {
	rules := []string{"GPL-3.0-only", "agpl-*"}
	for _, c := range []struct{ expression, want string }{
		{"MIT", ""},
		{"GPL-3", "GPL-3.0-only"},
		{"GPL-3+", ""},
		{"GPL-2 AND GPL-3", "GPL-3.0-only"},
		{"MIT OR GPL-3.0-only", ""},
		{"(AGPL-3.0-only OR GPL-3.0-only) AND MIT", "AGPL-3.0-only"},
		{"GPL-3.0-only WITH Classpath-exception-2.0", "GPL-3.0-only"},
		{"Expat", ""},
		{"", ""},
		{" AND  OR ", ""},
	} {
		if got := deniedLicense(c.expression, rules); got != c.want {
			t.Errorf("%q: got %q, want %q", c.expression, got, c.want)
		}
	}
}

func TestHostileFileNames(t *testing.T) {
	const evil = "a\x1b[2J\u202e\n"
	i := sound().WithFiles(read(t, []entry{
		{name: "app/" + evil + "/.env", content: "API_TOKEN=hunter2\n"}, {name: "opt/" + evil, mode: 0o4755}, {name: "etc/passwd", content: evil + "::0:0::/:\n\x1b[1m::0:0:::\n"},
	}), nil)
	report := checks.Run(i, Checks(), nil)
	if len(report.Findings) < 3 {
		t.Errorf("%d findings", len(report.Findings))
	}
	for _, f := range report.Findings {
		if shown := f.Message.String() + fmt.Sprint(f.Evidence); strings.ContainsAny(shown, "\x1b\u202e\n") {
			t.Errorf("%s shows %q", f.Check.ID, shown)
		}
	}
}
