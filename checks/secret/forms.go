package secret

import (
	"regexp"
	"strings"
	"sync"
)

// A form is a token format whose every instance is a secret. The expression is
// tried only where hint stands, which is how a token begins, so that a text
// without tokens costs no more than a search for a few words.
type form struct {
	rule   string
	hints  []string
	expr   string // anchored; what it matches is the secret
	regexp func() *regexp.Regexp
}

// forms are facts published by the issuers of the tokens.
var forms = compileLater([]form{
	{rule: "aws-access-key", hints: []string{"AKIA"}, expr: `AKIA[A-Z2-7]{16}\b`},
	{rule: "github-token", hints: []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, expr: `gh[pousr]_[A-Za-z0-9]{36,255}\b`},
	{rule: "github-token", hints: []string{"github_pat_"}, expr: `github_pat_[A-Za-z0-9_]{22,255}\b`},
	{rule: "gitlab-token", hints: []string{"glpat-", "gldt-", "glrt-", "glptt-", "glsoat-"}, expr: `gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,}`},
	{rule: "slack-token", hints: []string{"xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-"}, expr: `xox[abeoprs]-[A-Za-z0-9-]{10,}`},
	{rule: "slack-webhook", hints: []string{"https://hooks.slack.com/"}, expr: `https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{40,}`},
	{rule: "stripe-key", hints: []string{"sk_live_", "rk_live_"}, expr: `[sr]k_live_[A-Za-z0-9]{16,}\b`},
	{rule: "google-api-key", hints: []string{"AIza"}, expr: `AIza[A-Za-z0-9_-]{35}`},
	{rule: "npm-token", hints: []string{"npm_"}, expr: `npm_[A-Za-z0-9]{36}\b`},
	{rule: "pypi-token", hints: []string{"pypi-AgE"}, expr: `pypi-AgE[A-Za-z0-9_-]{50,}`},
	{rule: "docker-token", hints: []string{"dckr_pat_", "dckr_oat_"}, expr: `dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}`},
	{rule: "sendgrid-key", hints: []string{"SG."}, expr: `SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}`},
	{rule: "openai-key", hints: []string{"sk-"}, expr: `sk-(?:proj-|svcacct-|admin-|ant-)?[A-Za-z0-9_-]{32,}`},
	{rule: "hugging-face-token", hints: []string{"hf_"}, expr: `hf_[A-Za-z0-9]{30,}\b`},
	{rule: "digitalocean-token", hints: []string{"dop_v1_", "doo_v1_", "dor_v1_"}, expr: `do[opr]_v1_[a-f0-9]{64}\b`},
	{rule: "vault-token", hints: []string{"hvs."}, expr: `hvs\.[A-Za-z0-9_-]{24,}`},
	{rule: "json-web-token", hints: []string{"eyJ"}, expr: `eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`},
})

// beginnings are the first two characters of every hint.
var beginnings = sync.OnceValue(func() *[1 << 16]bool {
	var b [1 << 16]bool
	for _, f := range forms {
		for _, hint := range f.hints {
			b[int(hint[0])<<8|int(hint[1])] = true
		}
	}
	return &b
})

// mayHoldToken reports whether a token can begin anywhere in text. Most texts
// are told apart from those with tokens by one look at each of their words.
func mayHoldToken(text string) bool {
	begins := beginnings()
	for i := 0; i+1 < len(text); i++ {
		if begins[int(text[i])<<8|int(text[i+1])] && (i == 0 || !continues(text[i-1])) {
			return true
		}
	}
	return false
}

func compileLater(forms []form) []form {
	for i := range forms {
		expr := forms[i].expr
		forms[i].regexp = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + expr + `)`) })
	}
	return forms
}

// find adds the instances of f in text to found.
func (f *form) find(text string, found []Match) []Match {
	for _, hint := range f.hints {
		for at := 0; ; {
			i := strings.Index(text[at:], hint)
			if i < 0 {
				break
			}
			start := at + i
			at = start + len(hint)
			if start > 0 && continues(text[start-1]) {
				continue
			}
			if n := f.regexp().FindStringIndex(text[start:]); n != nil && !placeholder(text[start+len(hint):start+n[1]]) {
				found = append(found, Match{f.rule, start, start + n[1]})
				at = start + n[1]
			}
		}
	}
	return found
}

// continues reports whether a token cannot begin after c, because c would be a
// part of it.
func continues(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// placeholder reports whether what follows the beginning of a token is filling:
// a handful of characters again and again, or an example of the documentation.
func placeholder(s string) bool {
	var seen [256]bool
	distinct := 0
	for i := 0; i < len(s); i++ {
		if !seen[s[i]] {
			seen[s[i]] = true
			distinct++
		}
	}
	return distinct < 6 || strings.HasSuffix(s, "EXAMPLE")
}

// privateKeys adds the PEM blocks of private keys. One that does not end goes
// on to the end of the text.
func privateKeys(text string, found []Match) []Match {
	const begin, marker, end = "-----BEGIN ", "PRIVATE KEY", "-----END "
	for at := 0; ; {
		i := strings.Index(text[at:], begin)
		if i < 0 {
			return found
		}
		start := at + i
		at = start + len(begin)
		label, _, ok := strings.Cut(text[at:min(len(text), at+60)], "-----")
		if !ok || !strings.Contains(label, marker) {
			continue
		}
		stop := len(text)
		if j := strings.Index(text[at:], end+label+"-----"); j >= 0 {
			stop = at + j + len(end) + len(label) + len("-----")
		}
		found = append(found, Match{"private-key", start, stop})
		at = stop
	}
}

// urlPasswords adds the passwords of URLs: scheme://user:password@host.
func urlPasswords(text string, found []Match) []Match {
	for at := 0; ; {
		i := strings.Index(text[at:], "://")
		if i < 0 {
			return found
		}
		start := at + i + len("://")
		at = start
		end := start
		for end < len(text) && !strings.ContainsRune("/ \t\r\n\"'`<>{}|\\?#", rune(text[end])) {
			end++
		}
		authority := text[start:end]
		host := strings.LastIndexByte(authority, '@')
		if host < 0 {
			continue
		}
		colon := strings.IndexByte(authority[:host], ':')
		if colon < 0 {
			continue
		}
		password := authority[colon+1 : host]
		if password != "" && !strings.ContainsAny(password, "$%") && strings.Trim(password, "*x") != "" {
			found = append(found, Match{"password-in-url", start + colon + 1, start + host})
		}
	}
}
