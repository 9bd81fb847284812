package layers

import (
	"bytes"
	"io"
	"path"
	"strings"

	"plimsoll/checks/secret"
)

// largestSniffed is the size above which a file is not looked into: what people
// write by hand and what tools keep credentials in is smaller.
const largestSniffed = 256 << 10

// secrets is the visitor that looks for credentials by name and content.
type secrets struct {
	layer *Layer
	collector
	path string
}

func (s *secrets) Visit(f *File) io.WriteCloser {
	if f.Kind != Regular || f.Size == 0 || belongsToDistribution(f.Path) {
		return nil
	}
	if keyStore(f.Path) {
		s.layer.Secrets = append(s.layer.Secrets, Secret{Path: f.Path, Kind: PrivateKey, Rule: "key-store"})
		return nil
	}
	if f.Size > largestSniffed {
		return nil
	}
	s.path = f.Path
	s.data, s.limit = s.data[:0], largestSniffed+1
	return s
}

func (s *secrets) Write(p []byte) (int, error) {
	if len(s.data) == 0 && bytes.IndexByte(p[:min(len(p), 512)], 0) >= 0 {
		return 0, errEnough // binary
	}
	return s.collector.Write(p)
}

// Close looks into what was collected and forgets it.
func (s *secrets) Close() error {
	text := string(s.data)
	clear(s.data)
	if found, ok := sniff(s.path, text); ok {
		s.layer.Secrets = append(s.layer.Secrets, found)
	}
	return nil
}

// sniff returns the worst secret of a file.
func sniff(name, text string) (Secret, bool) {
	var token *secret.Match
	for _, m := range secret.Tokens(text) {
		switch {
		case m.Rule == "private-key":
			if isKey(text[m.Start:m.End]) {
				return Secret{name, PrivateKey, m.Rule, m.Start, m.End}, true
			}
		case token == nil:
			token = &m
		}
	}
	if strings.HasPrefix(text, "PuTTY-User-Key-File-") {
		return Secret{name, PrivateKey, "private-key", 0, len(text)}, true
	}
	if kind, needles := credentialFile(name); kind != "" {
		if m, ok := credentialIn(text, needles); ok {
			return Secret{name, Credential, kind, m.Start, m.End}, true
		}
	}
	if token != nil {
		return Secret{name, Token, token.Rule, token.Start, token.End}, true
	}
	return Secret{}, false
}

// credentialIn returns where text holds one of needles; without needles, where
// it assigns something to the name of a secret.
func credentialIn(text string, needles []string) (secret.Match, bool) {
	for _, n := range needles {
		if i := strings.Index(text, n); i >= 0 {
			return secret.Match{Start: i, End: len(text)}, true
		}
	}
	if len(needles) > 0 {
		return secret.Match{}, false
	}
	found := secret.Find(text)
	if len(found) == 0 {
		return secret.Match{}, false
	}
	return found[0], true
}

// isKey tells the block of a real private key from a program that mentions how
// one begins.
func isKey(block string) bool {
	_, body, ok := strings.Cut(block, "PRIVATE KEY")
	body, _, ended := strings.Cut(body, "-----END ")
	if !ok || !ended {
		return false
	}
	base64 := 0
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/':
			base64++
		case strings.IndexByte("\"'`(){}<>$", c) >= 0:
			return false
		}
	}
	return base64 >= 64
}

// credentialFiles are files whose tools keep credentials in them, as those
// tools document. Without needles any assignment to a secret's name counts.
var credentialFiles = []struct {
	pattern string // of the last element or the last two
	kind    string
	needles []string
}{
	{".env", "environment file", nil},
	{".env.*", "environment file", nil},
	{"*.env", "environment file", nil},
	{".npmrc", "npm credentials", nil},
	{".yarnrc.yml", "yarn credentials", nil},
	{".netrc", "passwords for hosts", []string{"password"}},
	{"_netrc", "passwords for hosts", []string{"password"}},
	{".pypirc", "credentials for package indexes", nil},
	{".git-credentials", "git credentials", []string{"://"}},
	{".pgpass", "database passwords", []string{":"}},
	{".my.cnf", "database passwords", nil},
	{".htpasswd", "password hashes", []string{":"}},
	{".dockercfg", "registry credentials", nil},
	{".docker/config.json", "registry credentials", nil},
	{"containers/auth.json", "registry credentials", nil},
	{".aws/credentials", "AWS credentials", nil},
	{".kube/config", "access to a cluster", nil},
	{"kubeconfig", "access to a cluster", nil},
	{"*.kubeconfig", "access to a cluster", nil},
	{"application_default_credentials.json", "cloud credentials", nil},
	{"service-account*.json", "cloud credentials", nil},
	{"service_account*.json", "cloud credentials", nil},
	{"credentials.json", "cloud credentials", nil},
	{".m2/settings.xml", "Maven credentials", []string{"<password>"}},
	{".composer/auth.json", "Composer credentials", []string{"http-basic", "github-oauth", "gitlab-token", "bearer"}},
	{".cargo/credentials", "Cargo credentials", nil},
	{".cargo/credentials.toml", "Cargo credentials", nil},
	{"credentials.tfrc.json", "Terraform credentials", nil},
	{"terraform.tfstate", "secrets of an infrastructure", []string{`"resources"`}},
	{"wp-config.php", "database passwords", nil},
	{"database.yml", "database passwords", nil},
}

var examples = []string{".example", ".sample", ".template", ".dist", ".tmpl", ".defaults", ".schema", ".pub"}

// credentialFile returns what kind of credentials a file of this name holds.
func credentialFile(name string) (kind string, needles []string) {
	dir, base := path.Split(name)
	for _, e := range examples {
		if strings.HasSuffix(base, e) {
			return "", nil
		}
	}
	two := path.Join(path.Base(dir), base)
	for _, c := range credentialFiles {
		of := base
		if strings.Contains(c.pattern, "/") {
			of = two
		}
		if ok, _ := path.Match(c.pattern, of); ok {
			return c.kind, c.needles
		}
	}
	return "", nil
}

// keyStore recognises files of private keys that are not text.
func keyStore(name string) bool {
	switch path.Ext(name) {
	case ".p12", ".pfx", ".jks", ".keystore":
		return true
	}
	return false
}

// distribution are the trees that packages of a distribution fill. What looks
// like a secret there is the same in every installation in the world.
var distribution = []string{
	"bin/", "boot/", "dev/", "etc/ca-certificates/", "etc/ssl/certs/", "lib/", "lib32/", "lib64/", "proc/", "sbin/", "sys/",
	"usr/bin/", "usr/include/", "usr/lib/", "usr/lib32/", "usr/lib64/", "usr/libexec/", "usr/sbin/", "usr/share/",
	"usr/local/go/", "var/cache/", "var/lib/apt/", "var/lib/dpkg/", "var/lib/rpm/", "etc/apk/", "etc/pki/ca-trust/",
}

// packageTrees are directories that package managers of languages fill.
var packageTrees = []string{"/node_modules/", "/site-packages/", "/dist-packages/", "/vendor/", "/gems/", "/.git/objects/"}

func belongsToDistribution(name string) bool {
	if strings.HasPrefix(name, "usr/share/nginx/html/") {
		return false // the web pages of the image's own making
	}
	for _, tree := range distribution {
		if strings.HasPrefix(name, tree) {
			return true
		}
	}
	for _, p := range packageTrees {
		if strings.Contains("/"+name, p) {
			return true
		}
	}
	return false
}
