package packages

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plimsoll/checks/dockertest"
)

// collect gathers what files, by path, say, as one layer.
func collect(files map[string][]byte) []File {
	var c Collector
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range files {
			if !yield(name) {
				return
			}
		}
	}) {
		w := c.Content(name, true, int64(len(files[name])))
		if w == nil {
			continue
		}
		for chunk := range slices.Chunk(files[name], 1000) {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		w.Close()
	}
	return c.Files()
}

func all(int, string) bool { return true }

// names lists packages as "type name version".
func names(packages []Package) []string {
	var out []string
	for _, p := range packages {
		out = append(out, fmt.Sprintf("%s %s %s", p.Type, p.Name, p.Version))
	}
	return out
}

func TestReaders(t *testing.T) {
	cases := map[string]struct {
		path, content string
		want          []string
	}{
		"dpkg": {"var/lib/dpkg/status", "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9+deb12u10\nDescription: x\n Version: 9\n\n" +
			"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: bsdutils\nStatus: install ok installed\nSource: util-linux (2.38.1-5)\nVersion: 1:2.38.1-5\n",
			[]string{"deb bsdutils 1:2.38.1-5", "deb libc6 2.36-9+deb12u10"}},
		"distroless":     {"var/lib/dpkg/status.d/base", "Package: base-files\r\nVersion: 12.4+deb12u5\r\nArchitecture: amd64\r\n", []string{"deb base-files 12.4+deb12u5"}},
		"distroless md5": {"var/lib/dpkg/status.d/base.md5sums", "Package: x\nVersion: 1\n", nil},
		"apk":            {"lib/apk/db/installed", "C:Q1\nP:musl-utils\nV:1.1.19-r10\nA:x86_64\no:musl\nF:usr/bin\nR:getconf\n\nP:musl\nV:1.1.19-r10\no:musl\n\n", []string{"apk musl 1.1.19-r10", "apk musl-utils 1.1.19-r10"}},
		"dist-info":      {"usr/lib/python3/site-packages/Jinja2-3.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: Flask_Login.x\nVersion: 0.6\n\nName: no\n", []string{"pypi flask-login-x 0.6"}},
		"egg-info":       {"srv/x.egg-info/PKG-INFO", "Name: x\nVersion: 2\n", []string{"pypi x 2"}},
		"egg file":       {"usr/lib/python3/dist-packages/y-1.egg-info", "Name: y\nVersion: 1\n", []string{"pypi y 1"}},
		"other METADATA": {"srv/METADATA", "Name: x\nVersion: 2\n", nil},
		"poetry":         {"srv/poetry.lock", "[[package]]\nname = \"Foo_bar\"\nversion = \"1.2\"\n\n[metadata]\nversion = \"9\"\n", []string{"pypi foo-bar 1.2"}},
		"npm":            {"app/node_modules/lodash/package.json", `{"name":"lodash","version":"4.17.20"}`, []string{"npm lodash 4.17.20"}},
		"npm scoped":     {"app/node_modules/@a/b/package.json", `{"name":"@a/b","version":"1.0.0"}`, []string{"npm @a/b 1.0.0"}},
		"npm inside":     {"app/node_modules/a/test/package.json", `{"name":"fixture","version":"1.0.0"}`, nil},
		"npm own":        {"app/package.json", `{"name":"app","version":"1.0.0"}`, nil},
		"npm lock 3":     {"app/package-lock.json", `{"lockfileVersion":3,"packages":{"":{"name":"app","version":"1"},"node_modules/a":{"version":"1.0.0"},"node_modules/a/node_modules/@b/c":{"version":"2.0.0"},"node_modules/d":{"version":"3.0.0","dev":true},"l":{"name":"l","version":"1"}}}`, []string{"npm @b/c 2.0.0", "npm a 1.0.0"}},
		"npm lock 1":     {"app/package-lock.json", `{"lockfileVersion":1,"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}},"d":{"version":"3.0.0","dev":true},"g":{"version":"git+ssh://x"}}}`, []string{"npm a 1.0.0", "npm b 2.0.0"}},
		"npm broken":     {"app/package-lock.json", `{"packages":[`, nil},
		"composer":       {"srv/vendor/composer/installed.json", `{"packages":[{"name":"symfony/http","version":"v5.4.1"}]}`, []string{"composer symfony/http 5.4.1"}},
		"composer 1":     {"srv/vendor/composer/installed.json", `[{"name":"a/b","version":"1.0"}]`, []string{"composer a/b 1.0"}},
		"gem":            {"usr/lib/ruby/gems/3.1.0/specifications/rack-2.2.3.gemspec", "Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.2.3\"\n", []string{"gem rack 2.2.3"}},
		"gem lock":       {"app/Gemfile.lock", "GIT\n  specs:\n    x (1)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.13.3-x86_64-linux)\n      racc (~> 1.4)\n    racc (1.6.0)\n\nPLATFORMS\n  ruby\n", []string{"gem nokogiri 1.13.3", "gem racc 1.6.0"}},
		"cargo":          {"app/Cargo.lock", "version = 3\n\n[[package]]\nname = \"time\"\nversion = \"0.1.43\"\nsource = \"registry\"\n", []string{"cargo time 0.1.43"}},
		"script":         {"usr/bin/x", "#!/bin/sh\n" + strings.Repeat("echo\n", 2000), nil},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			got := names(joined(collect(map[string][]byte{test.path: []byte(test.content)})).Packages)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// joined is the inventory of one layer that a container sees as a whole.
func joined(files []File) *Inventory {
	got, _ := Join([][]File{files}, all)
	return got
}

func TestRelease(t *testing.T) {
	files := collect(map[string][]byte{"usr/lib/os-release": []byte("PRETTY_NAME=\"Alpine Linux v3.20\"\nID=alpine\nVERSION_ID='3.20.3'\n")})
	r := joined(files).Release
	if r == nil || *r != (Release{ID: "alpine", Version: "3.20.3", Pretty: "Alpine Linux v3.20"}) {
		t.Errorf("%+v", r)
	}
}

// TestJoin: what counts is what a container sees; a package belongs to the
// layer that brought its version, not to the one that rewrote the database.
func TestJoin(t *testing.T) {
	status := func(lines ...string) []byte {
		var b strings.Builder
		for _, l := range lines {
			name, version, _ := strings.Cut(l, " ")
			fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nVersion: %s\n\n", name, version)
		}
		return []byte(b.String())
	}
	const db = "var/lib/dpkg/status"
	layers := [][]File{
		collect(map[string][]byte{db: status("a 1", "b 1"), "var/lib/dpkg/info/python3-pip.list": []byte("/.\n/usr/lib/python3/dist-packages/pip-23.dist-info/METADATA\n/bin/tool\n"),
			"usr/lib/python3/dist-packages/pip-23.dist-info/METADATA": []byte("Name: pip\nVersion: 23\n")}),
		collect(map[string][]byte{db: status("a 1", "b 2", "c 1"), "usr/local/lib/python3/site-packages/x-1.dist-info/METADATA": []byte("Name: x\nVersion: 1\n")}),
		collect(map[string][]byte{db: status("a 1", "b 2")}),
	}
	got, _ := Join(layers, func(layer int, path string) bool { return path != db || layer == 2 })
	var lines []string
	for _, p := range got.Packages {
		lines = append(lines, fmt.Sprintf("%s %s layer %d owned %t", p.Name, p.Version, p.Layer, p.Owned))
	}
	want := []string{"a 1 layer 0 owned false", "b 2 layer 1 owned false", "pip 23 layer 0 owned true", "x 1 layer 1 owned false"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

// TestGoProgram reads this very test, which a Go linker wrote.
func TestGoProgram(t *testing.T) {
	data, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	got := names(joined(collect(map[string][]byte{"usr/bin/tool": data})).Packages)
	if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "go stdlib 1.") }) {
		t.Errorf("got %q", got)
	}
}

// TestGoMarkerInData: a program may hold the marker as a string before the
// real thing, and reads may end anywhere.
func TestGoMarkerInData(t *testing.T) {
	info := append(bytes.Clone(goMarker), 8, goInline)
	info = append(info, make([]byte, goHeader-len(info))...)
	text := "path\tx\nmod\texample.com/x\tv1.2.3\t\ndep\texample.com/y\tv0.9.0\t\n"
	list := strings.Repeat("s", goSentinel) + text + strings.Repeat("s", goSentinel)
	info = append(info, byte(len("go1.22.1")))
	info = append(info, "go1.22.1"...)
	info = append(info, byte(len(list)))
	info = append(info, list...)
	data := slices.Concat(elfMagic, goMarker, []byte("not it, and far from it: the marker stands in a table"), bytes.Repeat([]byte{0}, 5000), info)
	want := []string{"go example.com/x 1.2.3", "go example.com/y 0.9.0", "go stdlib 1.22.1"}
	for size := 1; size < 200; size += 7 {
		var c Collector
		w := c.Content("x", true, int64(len(data)))
		for chunk := range slices.Chunk(data, size) {
			w.Write(chunk)
		}
		w.Close()
		if got := names(joined(c.Files()).Packages); !slices.Equal(got, want) {
			t.Fatalf("in chunks of %d: %q", size, got)
		}
	}
}

func TestJar(t *testing.T) {
	inner := zipped(t, map[string]string{"META-INF/maven/g/inner/pom.properties": "groupId=g\nartifactId=inner\nversion=2.0\n"})
	outer := zipped(t, map[string]string{"META-INF/maven/g/app/pom.properties": "version=1.0\r\ngroupId=g\r\nartifactId=app\r\n", "BOOT-INF/lib/inner.jar": inner})
	got := names(joined(collect(map[string][]byte{"app.jar": []byte(outer), "broken.jar": []byte(outer[:100])})).Packages)
	if want := []string{"maven g:app 1.0", "maven g:inner 2.0"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestRPM reads databases of real distributions.
func TestRPM(t *testing.T) {
	dir := dockertest.Samples(t, "rpm")
	for file, test := range map[string]struct {
		path string
		n    int
		has  string
	}{
		"Packages":     {"var/lib/rpm/Packages", 148, "rpm bash 4.2.46-34.el7"},
		"Packages.db":  {"usr/lib/sysimage/rpm/Packages.db", 132, "rpm coreutils 8.32-150400.7.5"},
		"rpmdb.sqlite": {"var/lib/rpm/rpmdb.sqlite", 141, "rpm openssl-libs 1:3.0.7-6.el9_2"},
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		files := collect(map[string][]byte{test.path: data})
		got := names(joined(files).Packages)
		if len(got) != test.n || !slices.Contains(got, test.has) || files[0].Trouble != "" {
			t.Errorf("%s: %d packages, %q, want %d with %s: %q", file, len(got), files[0].Trouble, test.n, test.has, got)
		}
		// What is cut short or scribbled over is no package, and no hang.
		for at := 0; at < len(data); at += len(data)/13 + 1 {
			collect(map[string][]byte{test.path: data[:at]})
			broken := bytes.Clone(data)
			for i := at; i < min(at+64, len(broken)); i++ {
				broken[i] ^= 0xa5
			}
			collect(map[string][]byte{test.path: broken})
		}
	}
}

// TestDebian compares with what dpkg-query says of a real database.
func TestDebian(t *testing.T) {
	const dir = "../../../shared/vulnerability"
	packed, err := os.Open(filepath.Join(dir, "deb12-dpkg-status.gz"))
	if err != nil {
		t.Skip("no reference material: ", err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	status, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range joined(collect(map[string][]byte{"var/lib/dpkg/status": status})).Packages {
		source, version := p.Origin()
		got = append(got, strings.Join([]string{p.Name, p.Version, source, version}, "\t"))
	}
	truth, err := os.Open(filepath.Join(dir, "deb12-dpkg-query.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer truth.Close()
	var want []string
	for lines := bufio.NewScanner(truth); lines.Scan(); {
		want = append(want, lines.Text())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d packages, dpkg-query has %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("got %q, want %q", got[i], want[i])
			}
		}
	}
}

func FuzzCollect(f *testing.F) {
	f.Add("var/lib/dpkg/status", []byte("Package: a\nVersion: 1\nStatus: install ok installed\n"))
	f.Add("lib/apk/db/installed", []byte("P:a\nV:1\n\n"))
	f.Add("var/lib/rpm/rpmdb.sqlite", append(bytes.Clone(sqliteMagic), make([]byte, 1024)...))
	f.Add("var/lib/rpm/Packages.db", append([]byte("RpmP"), make([]byte, 8192)...))
	f.Add("a.jar", []byte("PK\x03\x04"))
	f.Add("bin/x", append(bytes.Clone(elfMagic), goMarker...))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		joined(collect(map[string][]byte{name: data}))
	})
}
