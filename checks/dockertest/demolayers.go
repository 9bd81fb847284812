package dockertest

import "strings"

// demoContent returns what the layers of an image of the demo hold.
func demoContent(tag string) [][]File {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\napp:x:10001:10001:app:/app:/sbin/nologin\n"
	program := func(path string, size int64) File { return File{Path: path, Mode: 0o755, Text: "\x7fELF", Size: size} }
	setuid := func(path string) File { return File{Path: path, Mode: 0o4755, Text: "\x7fELF", Size: 60_000} }
	debian := []File{
		{Path: "etc/"}, {Path: "etc/passwd", Text: passwd}, {Path: "etc/group", Text: "root:x:0:\napp:x:10001:\n"},
		{Path: "usr/lib/os-release", Text: "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"},
		{Path: "usr/bin/"}, program("usr/bin/apt-get", 50_000), program("usr/bin/bash", 1_260_000), setuid("usr/bin/su"), setuid("usr/bin/passwd"), program("usr/bin/ls", 150_000),
		{Path: "usr/share/doc/base-files/copyright", Text: "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: GPL-2+\n"},
		{Path: "var/lib/dpkg/info/base.list", Text: "/usr/bin/apt-get\n/usr/bin/bash\n/usr/bin/su\n/usr/bin/passwd\n/usr/bin/ls\n"},
		{Path: "tmp/", Mode: 0o1777},
	}
	key := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("ZGVtby1ub3QtYS1yZWFsLWtleS1vZi1hbnl0aGluZy0wODE1\n", 4) + "-----END PRIVATE KEY-----\n"
	switch tag {
	case "shop/proxy:latest":
		return [][]File{debian, {
			{Path: "var/lib/apt/lists/deb.example_dists_bookworm_main_Packages", Size: 900_000}, program("usr/sbin/proxy", 1_400_000), program("usr/bin/curl", 260_000),
			{Path: "etc/proxy/tls.key", Mode: 0o600, Text: key}, {Path: "etc/proxy/proxy.conf", Text: "listen 80\nworkers 2\n"},
		}}
	case "shop/web:1.4":
		return [][]File{debian, {
			{Path: "app/"}, {Path: "app/package.json", Text: "{\n  \"name\": \"shop\",\n  \"version\": \"1.4.0\"\n}\n"}, {Path: "app/server.js", Text: "require('./shop').listen(3000)\n"},
			{Path: "app/.env", Text: "SESSION_SECRET=demo-not-a-real-secret-4711\n"}, {Path: "app/Dockerfile", Text: "FROM shop/base\n"}, {Path: "app/uploads/", Mode: 0o777},
		}, {
			{Path: "app/.npmrc", Text: "//registry.example/:_authToken=npm_DEMOnotARealToken0123456789abcdefABCD\n"},
			{Path: "app/node_modules/left-pad/package.json", Text: `{"name":"left-pad","version":"1.3.0","license":"WTFPL"}`}, {Path: "root/.npm/_cacache/index", Size: 700_000},
		}, {{Path: "app/.npmrc", Deleted: true}, {Path: "app/server.js", Text: "require('./shop').listen(process.env.PORT || 3000)\n"}}}
	case "tools/runner:3":
		return [][]File{debian, {
			program("usr/bin/runner", 3_000_000), program("usr/bin/gcc-12", 900_000), program("usr/bin/nmap", 2_700_000), setuid("usr/bin/sudo"), setuid("opt/runner/helper"), program("usr/sbin/sshd", 900_000),
		}}
	case "shop/payments:3.1.0":
		return [][]File{{}, {{Path: "app/"}, program("app/payments", 2_000_000)}}
	}
	return [][]File{debian, {{Path: "app/"}, program("app/"+strings.NewReplacer("/", "-", ":", "-").Replace(tag), 2_000_000)}}
}
