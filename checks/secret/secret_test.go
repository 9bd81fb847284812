package secret

import (
	"strings"
	"testing"
	"time"
)

func TestSensitiveName(t *testing.T) {
	for _, name := range strings.Fields(`PASSWORD DB_PASSWORD db-password dbPassword MYSQL_ROOT_PASSWORD PGPASSWORD
		SECRET SECRET_KEY_BASE AWS_SECRET_ACCESS_KEY API_KEY apiKey APIKEY x.api.key TOKEN NPM_TOKEN TOKEN2 GITHUB_TOKEN
		ID_TOKEN USER_PASSWORD HOST_SECRET URL_SIGNING_KEY FILE_PASSWORD PASSPHRASE GPG_PASSPHRASE REDIS_PASS ARTIFACTORY_PSW
		SSH_PRIVATE_KEY GOOGLE_CREDENTIALS BASIC_AUTH accesstoken`) {
		if !SensitiveName(name) {
			t.Errorf("%s is not sensitive", name)
		}
	}
	for _, name := range strings.Fields(`PATH HOME PASSWORD_FILE DB_PASSWORD_FILE AWS_ACCESS_KEY_ID SECRET_NAME TOKEN_URL TOKEN_TTL
		PUBLIC_KEY SSH_PUBLIC_KEY KEY_PATH AUTH_URL AUTH_ENABLED AUTH0_DOMAIN AUTH_TYPE KEYBOARD MONKEY TURKEY AUTHOR AUTHORS BYPASS
		COMPASS PASSENGER_VERSION TOKENIZERS_PARALLELISM MAX_TOKENS GPG_KEY KEYRING SECRETARY PASSWORD_POLICY KEY_ID PRIMARY_KEY TZ`) {
		if SensitiveName(name) {
			t.Errorf("%s is sensitive", name)
		}
	}
}

func TestLiteral(t *testing.T) {
	for _, v := range []string{"hunter2", `"hunter2"`, "s3cr3t/with/slash", "/base64+like=/x/"} {
		if !Literal(v) {
			t.Errorf("%s is not a literal", v)
		}
	}
	for _, v := range []string{"", `""`, "true", "0", "$X", "${X:-y}", `"$X"`, "<your-token>", "/run/secrets/x", "/etc/app/key.json", "./key.json", Mask} {
		if Literal(v) {
			t.Errorf("%s is a literal", v)
		}
	}
}

// tokens are put together here, so that no scanner takes them for real ones.
var tokens = map[string]string{
	"github-token":    "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6",
	"gitlab-token":    "glpat-" + "aB3dE6gH9jK2mN5pQ8sT",
	"aws-access-key":  "AKIA" + "Q3EGRT5KLMNOPABC",
	"stripe-key":      "sk_live_" + "aB3dE6gH9jK2mN5pQ8sT1vW4",
	"npm-token":       "npm_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6",
	"json-web-token":  "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlLWhlcmU",
	"slack-token":     "xoxb-" + "123456789012-abcdefGHIJ",
	"google-api-key":  "AIza" + "SyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v",
	"password-in-url": "correct-horse",
	"private-key":     "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----",
}

func TestTokens(t *testing.T) {
	for rule, token := range tokens {
		text := "before " + token + " after"
		if rule == "password-in-url" {
			text = "postgres://app:" + token + "@db:5432/x"
		}
		found := Tokens(text)
		if len(found) != 1 || found[0].Rule != rule || text[found[0].Start:found[0].End] != token {
			t.Errorf("%s: found %v in %q", rule, found, text)
		}
		if red := Redact(text); strings.Contains(red, token) {
			t.Errorf("%s: Redact left it: %s", rule, red)
		}
	}
}

func TestNoTokens(t *testing.T) {
	for _, text := range []string{
		"ghp_" + strings.Repeat("x", 36), "AKIA" + "IOSFODNN7EXAMPLE", "task-disk-risk-sk-short",
		"https://example.com/a:b@c", "https://user:$PASSWORD@host/", "https://user:${PASSWORD}@host/", "git@github.com:org/repo",
		"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "http://[::1]:80/",
		"sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1", "debian:12@sha256:4bcff63911fc",
	} {
		if found := Tokens(text); len(found) > 0 {
			t.Errorf("%q: %v", text, found)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, c := range [][2]string{
		{`DB_PASSWORD=hunter2 make`, `DB_PASSWORD=` + Mask + ` make`},
		{`password: "hun ter"`, `password: "` + Mask + `"`},
		{`mysql --password hunter2 db`, `mysql --password ` + Mask + ` db`},
		{`docker run -e API_KEY=abc img`, `docker run -e API_KEY=` + Mask + ` img`},
		{`curl -H "Authorization: Bearer abcdef123456"`, `curl -H "Authorization: Bearer ` + Mask + `"`},
		{`--build-arg=NPM_TOKEN=abc123`, `--build-arg=NPM_TOKEN=` + Mask},
		{`PASSWORD_FILE=/run/secrets/x TZ=UTC`, `PASSWORD_FILE=/run/secrets/x TZ=UTC`},
		{`PASSWORD=$OTHER`, `PASSWORD=$OTHER`},
		{`nothing here`, `nothing here`},
	} {
		if got := Redact(c[0]); got != c[1] {
			t.Errorf("Redact(%q) = %q, want %q", c[0], got, c[1])
		}
		if again := Redact(Redact(c[0])); again != Redact(c[0]) {
			t.Errorf("Redact twice of %q: %q", c[0], again)
		}
	}
}

// TestFindIsLinear feeds what makes careless searches quadratic: those would
// take hours.
func TestFindIsLinear(t *testing.T) {
	for _, unit := range []string{"sk-", "eyJ.", "://", "://a:", "-----BEGIN PRIVATE KEY", "a=", "password=", "ghp_", "--a ", `"`, "-----BEGIN RSA PRIVATE KEY-----\n"} {
		text := strings.Repeat(unit, 1<<19/len(unit))
		start := time.Now()
		Find(text)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%q took %v", unit, took)
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, token := range tokens {
		f.Add("x=" + token)
	}
	f.Add(`PASSWORD="a\"b" --token 'x'`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range Find(text) {
			if m.Start < 0 || m.End > len(text) || m.Start >= m.End {
				t.Fatalf("%v in %d bytes", m, len(text))
			}
		}
		Redact(text)
	})
}

// TestTokensAreNotOverlooked holds the quick look at words to what the forms
// themselves find.
func TestTokensAreNotOverlooked(t *testing.T) {
	for _, f := range forms {
		for _, hint := range f.hints {
			for _, before := range []string{"", " ", "=", "\"", "é"} {
				if text := before + hint; !mayHoldToken(text) {
					t.Errorf("%q is not looked at", text)
				}
			}
			if text := "x" + hint; f.find(text, nil) != nil {
				t.Errorf("%q begins within a word", text)
			}
		}
	}
	for _, text := range []string{"", "s", "/usr/bin/app --listen :8080", "container-runs-as-root", "80:80/tcp"} {
		if mayHoldToken(text) && Tokens(text) != nil {
			t.Errorf("%q holds a token", text)
		}
	}
	if got := Tokens("://:p@"); len(got) != 1 {
		t.Errorf("the shortest secret is not found: %v", got)
	}
}

func TestPasswordsOfCurl(t *testing.T) {
	for text, want := range map[string]string{
		"RUN curl -u me:s3same https://x":         "RUN curl -u me:" + Mask + " https://x",
		"curl -ume:s3same https://x":              "curl -ume:" + Mask + " https://x",
		"curl --user 'me:s3 same' https://x":      "curl --user 'me:" + Mask + "' https://x",
		"curl --proxy-user=me:s3same x | sh":      "curl --proxy-user=me:" + Mask + " x | sh",
		"curl -u me:$PASSWORD https://x":          "curl -u me:$PASSWORD https://x",
		"curl -u me https://x:80/":                "curl -u me https://x:80/",
		"docker run -u 1000:1000 curlimages/curl": "docker run -u 1000:1000 curlimages/curl",
		"curl --user-agent a:b https://x":         "curl --user-agent a:b https://x",
		"useradd -u 10:staff app":                 "useradd -u 10:staff app",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// Text that was made to be read again and again takes time by its length. By
// the square of it this would not end before the tests are stopped.
func TestNoTextTakesForEver(t *testing.T) {
	for _, piece := range []string{"key:$", "key=", `key:"$`, "key:'$", "--a", "--key ", "curl /-u=", "curl -u x", "-u=a:$", "://a:", "-----BEGIN PRIVATE KEY-----", "key:/", "authorization: "} {
		Find("curl " + strings.Repeat(piece, 2<<20/len(piece)))
	}
}

func TestRedactColoured(t *testing.T) {
	for _, text := range []string{
		"\x1b[36mpassword\x1b[0m=hunter2abc", "password\x1b[0m=\x1b[1;31mhunter2abc\x1b[0m", "\x1b]8;;https://x\x07password\x1b]8;;\x07: hunter2abc", "pass\x1b[Kword=hunter2abc",
		"password=hun\x1b[0mter2abc", "\u009b36mpassword\u009b0m=hunter2abc",
	} {
		if got := Redact(text); strings.Contains(got, "hunter2") || strings.Contains(got, "ter2abc") {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := Redact("\x1b[31mred\x1b[0m"); got != "\x1b[31mred\x1b[0m" {
		t.Errorf("colours become %q: whoever shows them makes them visible", got)
	}
}
