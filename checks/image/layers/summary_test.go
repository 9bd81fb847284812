package layers

import (
	"archive/tar"
	"slices"
	"strings"
	"testing"
)

// Values that play secrets.
var (
	canary = "canary" + strings.Repeat("0f", 12)
	token  = "ghp_" + strings.Repeat("c4nAry", 6)
	pem    = "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("bm90IGEgcmVhbCBrZXk", 6) + "\n-----END PRIVATE KEY-----\n"
)

func summaryOf(t testing.TB, layers ...[]byte) *Summary {
	t.Helper()
	archive, _ := imageOf(t, layout{}, layers...)
	s := mustRead(t, archive).Summary()
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

func paths(found []Found) (out []string) {
	for _, f := range found {
		out = append(out, f.Path)
	}
	return out
}

func secretPaths(found []FoundSecret) (out []string) {
	for _, f := range found {
		out = append(out, f.Path+" "+f.Rule)
	}
	return out
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestPermissions(t *testing.T) {
	s := summaryOf(t, layerOf(t,
		planted{name: "usr/bin/su", mode: 0o4755}, planted{name: "usr/bin/wall", mode: 0o2755}, planted{name: "var/mail/", mode: 0o2775},
		planted{name: "data", mode: 0o4644}, planted{name: "bin/mount", mode: 0o4755, flag: tar.TypeSymlink, link: "x"},
		planted{name: "usr/bin/ping", mode: 0o755, pax: map[string]string{capabilities: "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00"}},
		planted{name: "tmp/", mode: 0o777}, planted{name: "tmp/x", mode: 0o666}, planted{name: "var/open/", mode: 0o777},
		planted{name: "var/sticky/", mode: 0o1777}, planted{name: "app/x", mode: 0o666}, planted{name: "dev/null", mode: 0o666, flag: tar.TypeChar},
		planted{name: "link", mode: 0o777, flag: tar.TypeSymlink, link: "x"},
	))
	same(t, "setuid", paths(s.SetID), "usr/bin/su", "usr/bin/wall")
	same(t, "capable", paths(s.Capable), "usr/bin/ping")
	same(t, "writable", paths(s.WorldWritable), "app/x", "var/open")
}

func TestUpperLayersHide(t *testing.T) {
	big := strings.Repeat("x", 1000)
	s := summaryOf(t,
		layerOf(t, planted{name: "a/"}, planted{name: "a/one", content: big}, planted{name: "a/two", content: big}, planted{name: "b/c/d", content: big},
			planted{name: "e/f", content: big}, planted{name: "g", content: big}, planted{name: "h/i", content: big}, planted{name: "kept", content: big}),
		layerOf(t, planted{name: "a/"}, planted{name: "a/.wh.one"}, planted{name: ".wh.b"}, planted{name: "e/"}, planted{name: "e/.wh..wh..opq"}, planted{name: "e/new", content: "y"},
			planted{name: ".wh..wh.plnk/1"}),
		layerOf(t, planted{name: "g", content: "z"}, planted{name: "h", flag: tar.TypeSymlink, link: "kept"}),
	)
	if s.Wasted != 5000 {
		t.Errorf("wasted %d", s.Wasted)
	}
	same(t, "wasted", paths(s.WastedFiles), "a/one", "b/c/d", "e/f", "g", "h/i")
	if s.Files != 7 { // a, a/two, kept, e, e/new, g, h
		t.Errorf("%d files", s.Files)
	}
	if s.Layers[0].Size != 7000 || s.Layers[1].Step != 2 {
		t.Errorf("%+v", s.Layers)
	}
}

func TestOpaqueSpares(t *testing.T) {
	s := summaryOf(t, layerOf(t, planted{name: "d/old", content: "x"}), layerOf(t, planted{name: "d/.wh..wh..opq"}, planted{name: "d/new", content: "y"}))
	if s.Files != 1 || s.Wasted != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRepeatedPath(t *testing.T) {
	s := summaryOf(t, layerOf(t, planted{name: "x", mode: 0o4755}, planted{name: "x", mode: 0o755}))
	same(t, "setuid", paths(s.SetID))
}

func TestSecrets(t *testing.T) {
	s := summaryOf(t,
		layerOf(t,
			planted{name: "root/.ssh/id_ed25519", content: pem}, planted{name: "app/.env", content: "DB_PASSWORD=" + canary},
			planted{name: "app/later.txt", content: "a " + token}, planted{name: "app/moved.json", content: token},
		),
		layerOf(t,
			planted{name: "root/.ssh/.wh.id_ed25519"}, planted{name: "app/.env", content: "DB_PASSWORD=" + canary + "2"},
			planted{name: "app/moved.json", content: "{}"},
			planted{name: "home/u/.docker/config.json", content: `{"auths":{"x":{"auth":"` + canary + `"}}}`},
			planted{name: "etc/ssh/ssh_host_rsa_key", content: pem}, planted{name: "srv/tls.p12", content: "\x30\x00"},
		),
	)
	same(t, "secrets", secretPaths(s.Secrets),
		"app/.env environment file", "app/later.txt github-token", "etc/ssh/ssh_host_rsa_key private-key", "home/u/.docker/config.json registry credentials", "srv/tls.p12 key-store")
	same(t, "hidden", secretPaths(s.Hidden), "app/moved.json github-token", "root/.ssh/id_ed25519 private-key")
	if h := s.Hidden[1]; h.Layer != 0 || h.Above != 1 || h.Size != int64(len(pem)) {
		t.Errorf("%+v", h)
	}
	if later := s.Secrets[1]; later.Start != 2 || later.End != 2+len(token) {
		t.Errorf("%+v", later)
	}
}

func TestNoSecrets(t *testing.T) {
	s := summaryOf(t, layerOf(t,
		planted{name: "app/.env", content: "PORT=80\nDB_PASSWORD=\nTOKEN=$TOKEN\n"}, planted{name: "app/.env.example", content: "DB_PASSWORD=changeme"},
		planted{name: "app/.npmrc", content: "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n"},
		planted{name: "app/pem.js", content: "if (s.startsWith('-----BEGIN PRIVATE KEY-----')) x(s, \"-----END PRIVATE KEY-----\")"},
		planted{name: "usr/share/doc/key.pem", content: pem}, planted{name: "app/node_modules/x/test.pem", content: pem},
		planted{name: "app/cert.pem", content: "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"},
		planted{name: "app/large", content: strings.Repeat("x", largestSniffed) + token},
		planted{name: "app/binary", content: "\x7fELF\x00" + token},
		planted{name: "home/u/.config.json", content: `{"auth":"` + canary + `"}`},
	))
	same(t, "secrets", secretPaths(s.Secrets))
}

func TestAccounts(t *testing.T) {
	s := summaryOf(t,
		layerOf(t, planted{name: "etc/passwd", content: "old:x:0:0::/:\n"}, planted{name: "etc/os-release", content: "ID=debian\nVERSION_ID=\"12\"\n"}),
		layerOf(t, planted{name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\n# no\nbroken\napp::1000:1000::/:\nweb:x:33:33::/:\n"},
			planted{name: "etc/shadow", content: "root:$6$" + canary + ":1::::::\nweb::1::::::\n"}, planted{name: "etc/group", content: "root:x:0:\napp:x:0:\n"}),
	)
	want := []Account{{"root", 0, 0, false}, {"app", 1000, 1000, true}, {"web", 33, 33, true}}
	if !slices.Equal(s.Accounts, want) || s.Installed.Release.ID != "debian" || !slices.Equal(s.Groups, []Group{{"root", 0}, {"app", 0}}) {
		t.Errorf("%+v %v %+v", s.Accounts, s.Installed.Release, s.Groups)
	}
}

func TestTools(t *testing.T) {
	s := summaryOf(t, layerOf(t,
		planted{name: "usr/bin/apt", mode: 0o755}, planted{name: "bin/sh", flag: tar.TypeSymlink, link: "busybox"}, planted{name: "usr/bin/nc", flag: tar.TypeSymlink, link: "/bin/busybox"},
		planted{name: "usr/bin/nmap", mode: 0o755}, planted{name: "usr/bin/x86_64-linux-gnu-gcc-12", mode: 0o755}, planted{name: "usr/sbin/sshd", mode: 0o755},
		planted{name: "usr/bin/sudo", mode: 0o4755}, planted{name: "usr/share/bash", mode: 0o755}, planted{name: "usr/bin/zsh", mode: 0o644}, planted{name: "usr/bin/python3.11", mode: 0o755},
	))
	var got []string
	for _, f := range s.Tools {
		got = append(got, f.Path+" "+f.Rule)
	}
	same(t, "tools", got, "bin/sh shell", "usr/bin/apt package-manager", "usr/bin/nmap attack-tool", "usr/bin/sudo sudo", "usr/bin/x86_64-linux-gnu-gcc-12 compiler", "usr/sbin/sshd ssh-server")
}

func TestJunk(t *testing.T) {
	s := summaryOf(t, layerOf(t,
		planted{name: "app/.git/"}, planted{name: "app/Dockerfile"}, planted{name: "app/docker-compose.yml"}, planted{name: "app/compose.go"}, planted{name: "app/x.swp"},
		planted{name: "var/cache/apt/archives/a.deb"}, planted{name: "usr/share/doc/Dockerfile"}, planted{name: "root/.cache/"}, planted{name: "app/.gitignore"},
	))
	same(t, "junk", paths(s.Junk), "app/.git", "app/Dockerfile", "app/docker-compose.yml", "app/x.swp", "root/.cache", "var/cache/apt/archives/a.deb")
}

func TestExtract(t *testing.T) {
	s := &Summary{Layers: []Info{{Ref: Ref{Name: "0/layer.tar"}}, {Ref: Ref{Name: "blobs/sha256/1", Packed: "gzip"}, Prefix: "./"}}}
	for want, got := range map[string]string{
		"docker save shop:1 | tar -xOf - 0/layer.tar | tar -xOf - app/.env":                    s.Extract("shop:1", 0, "app/.env"),
		"docker save shop:1 | tar -xOf - blobs/sha256/1 | tar -xzOf - './a b'\\''; $(reboot)'": s.Extract("shop:1", 1, "a b'; $(reboot)"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
