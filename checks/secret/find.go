package secret

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A form is a token format whose every instance is a secret.
type form struct {
	rule   string
	hint   string // must occur in the text, so that the expression is rarely run
	expr   string // its first group, or all of it, is the secret
	regexp func() *regexp.Regexp
}

// forms are facts published by the issuers of the tokens.
var forms = compileLater([]form{
	{rule: "private-key", hint: "PRIVATE KEY", expr: `-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\z)`},
	{rule: "aws-access-key", hint: "AKIA", expr: `\b(AKIA[A-Z2-7]{16})\b`},
	{rule: "github-token", hint: "gh", expr: `\b(gh[pousr]_[A-Za-z0-9]{36,255})\b`},
	{rule: "github-token", hint: "github_pat_", expr: `\b(github_pat_[A-Za-z0-9_]{22,255})\b`},
	{rule: "gitlab-token", hint: "gl", expr: `\b(gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,})`},
	{rule: "slack-token", hint: "xox", expr: `\b(xox[abeoprs]-[A-Za-z0-9-]{10,})`},
	{rule: "slack-webhook", hint: "hooks.slack.com", expr: `(https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{40,})`},
	{rule: "stripe-key", hint: "_live_", expr: `\b((?:sk|rk)_live_[A-Za-z0-9]{16,})\b`},
	{rule: "google-api-key", hint: "AIza", expr: `\b(AIza[A-Za-z0-9_-]{35})\b`},
	{rule: "npm-token", hint: "npm_", expr: `\b(npm_[A-Za-z0-9]{36})\b`},
	{rule: "pypi-token", hint: "pypi-", expr: `\b(pypi-AgE[A-Za-z0-9_-]{50,})`},
	{rule: "docker-token", hint: "dckr_", expr: `\b(dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,})`},
	{rule: "sendgrid-key", hint: "SG.", expr: `\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})`},
	{rule: "openai-key", hint: "sk-", expr: `\b(sk-(?:proj-|svcacct-|admin-|ant-)?[A-Za-z0-9_-]{32,})`},
	{rule: "hugging-face-token", hint: "hf_", expr: `\b(hf_[A-Za-z0-9]{30,})\b`},
	{rule: "digitalocean-token", hint: "do", expr: `\b(do[opr]_v1_[a-f0-9]{64})\b`},
	{rule: "vault-token", hint: "hvs.", expr: `\b(hvs\.[A-Za-z0-9_-]{24,})`},
	{rule: "json-web-token", hint: "eyJ", expr: `\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})`},
	{rule: "password-in-url", hint: "://", expr: `[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:'"]*:([^\s/@'"$<>{}]+)@`},
})

func compileLater(forms []form) []form {
	for i := range forms {
		expr := forms[i].expr
		forms[i].regexp = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
	}
	return forms
}

// assignment matches NAME=value, NAME: value and --name value, quoted or not.
var assignment = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([A-Za-z][A-Za-z0-9_.-]*)["']?\s*[=:]\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s"',;&|]+))`)
})

// Find returns the secrets in text in order and without overlap: tokens of a
// known form, and values assigned to sensitive names.
func Find(text string) []Match {
	var found []Match
	found = append(found, Tokens(text)...)
	if strings.ContainsAny(text, "=:") {
		for _, m := range assignment().FindAllStringSubmatchIndex(text, -1) {
			for g := 4; g <= 8; g += 2 {
				if m[g] >= 0 && SensitiveName(text[m[2]:m[3]]) && Literal(text[m[g]:m[g+1]]) {
					found = append(found, Match{"sensitive-name", m[g], m[g+1]})
				}
			}
		}
	}
	return disjoint(found)
}

// Tokens returns the secrets in text that are recognised by their form alone.
func Tokens(text string) []Match {
	var found []Match
	for _, f := range forms {
		if !strings.Contains(text, f.hint) {
			continue
		}
		for _, m := range f.regexp().FindAllStringSubmatchIndex(text, -1) {
			if len(m) > 2 {
				m = m[2:]
			}
			found = append(found, Match{f.rule, m[0], m[1]})
		}
	}
	return disjoint(found)
}

// Literal reports whether value can be a secret itself, rather than nothing, a
// reference to a variable, a switch or a placeholder.
func Literal(value string) bool {
	v := strings.Trim(value, `"' `)
	switch strings.ToLower(v) {
	case "", "true", "false", "yes", "no", "on", "off", "null", "none", "0", "1", Mask:
		return false
	}
	return !strings.HasPrefix(v, "$") && !(strings.HasPrefix(v, "<") && strings.HasSuffix(v, ">")) && !strings.HasPrefix(v, "/run/secrets/")
}

func disjoint(found []Match) []Match {
	slices.SortFunc(found, func(a, b Match) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return b.End - a.End
	})
	out := found[:0]
	end := -1
	for _, m := range found {
		if m.Start >= end {
			out = append(out, m)
			end = m.End
		}
	}
	return out
}
