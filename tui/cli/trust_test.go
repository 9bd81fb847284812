package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks/signature"
)

// TestIdentityConfig reads who may sign without a key.
func TestIdentityConfig(t *testing.T) {
	const rule = "signed-by:\n  - images: [ghcr.io/acme]\n    "
	for text, wrong := range map[string]string{
		`identities: [{issuer: "https://login.example", subject: "release@acme.example"}]`:                                       "",
		`identities: [{issuer-regexp: "https://login[.]example", subject-regexp: "https://github[.]com/acme/.+"}]`:               "",
		`identities: [{issuer: "https://login.example", subject: "https://github.com/acme/*"}]`:                                  "subject-regexp",
		`identities: [{issuer: "https://login.example", subjectRegExp: ".*"}]`:                                                   "subjectRegExp",
		"identities: [{issuer: \"https://login.example\", subject: \"release@acme.example\"}]\n    trusted-root: root.json":      "root.json",
		"identities: [{issuer: \"https://login.example\", subject: \"release@acme.example\"}]\n    trusted-root: not-a-root.txt": "no root of trust",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "not-a-root.txt"), []byte("hunter2"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := parseConfig([]byte(rule+text), filepath.Join(dir, configName), Config{}, nil)
		if err == nil {
			_, err = signature.Load(c.Signed)
		}
		if (err == nil) != (wrong == "") || err != nil && (!strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestPublicRootIsAskedFor holds that nobody hears of it who is not to be asked.
func TestPublicRootIsAskedFor(t *testing.T) {
	home(t)
	for _, c := range []struct {
		app  app
		want bool
	}{
		{app{}, true}, {app{config: Config{Ask: "all"}}, true},
		{app{config: Config{Ask: "off"}}, false}, {app{offline: true}, false}, {app{demo: true}, false},
	} {
		asks, err := c.app.asks()
		if err != nil {
			t.Fatal(err)
		}
		if p, err := c.app.signatures(asks); err != nil || (p.Public != nil) != c.want {
			t.Errorf("%+v: %v, %v", c.app.config, p, err)
		}
	}
}
