package secret

import (
	"slices"
	"strings"
	"sync"
)

// sensitive words mark a name as that of a secret when they stand alone in it.
const sensitive = " password passwd passphrase pass pwd pword psw secret secrets token apikey apitoken authtoken credential credentials auth key requirepass masterauth "

// qualifiers mark, after the last sensitive word, a name as that of something
// that is about a secret but not one: PASSWORD_FILE, KEY_ID, TOKEN_URL.
const qualifiers = " file files path dir url uri endpoint id ids name names version ttl timeout expiry expires expiration lifetime length size type method mode scheme realm provider algorithm alg prefix suffix enabled enable disabled required host hostname port user username domain audience issuer server service servers policy count limit header headers field format fingerprint map config conf store helper helpers "

// public words mark a name as harmless wherever they stand.
const public = " public pub "

// keyKinds say before "key" that it opens nothing: GPG_KEY holds the
// fingerprint that downloads are verified with.
const keyKinds = " gpg pgp primary foreign sort partition cache host "

// endings make a longer word sensitive: PGPASSWORD, accesstoken.
var endings = []string{"password", "passwd", "passphrase", "apikey", "secretkey", "accesstoken", "authtoken"}

// A class is what a word does in a name.
type class uint8

const (
	isSensitive class = 1 << iota
	isQualifier
	isPublic
	isKeyKind
)

// classes are those of all words above, which is quicker than to search lists.
var classes = sync.OnceValue(func() map[string]class {
	all := map[string]class{}
	for c, list := range map[class]string{isSensitive: sensitive, isQualifier: qualifiers, isPublic: public, isKeyKind: keyKinds} {
		for _, word := range strings.Fields(list) {
			all[word] |= c
		}
	}
	return all
})

// SensitiveName reports whether a variable, argument or label called name is
// likely to hold a secret.
func SensitiveName(name string) bool {
	if len(name) > 200 {
		return false
	}
	found := false
	before, classes := class(0), classes()
	for _, w := range split(name) {
		c := classes[w]
		switch {
		case c&isPublic != 0:
			return false
		case w == "key" && before&isKeyKind != 0:
			found = false
		case c&isSensitive != 0 || slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(w, e) }):
			found = true
		case c&isQualifier != 0:
			found = false
		}
		before = c
	}
	return found
}

// split cuts name into lower-case words at _ - . / and at camel-case humps, and
// takes the numbers off their ends: TOKEN2 is a token.
func split(name string) []string {
	var out []string
	start := 0
	cut := func(end int) {
		if end > start {
			word := strings.ToLower(name[start:end])
			if word != "auth0" {
				word = strings.TrimRight(word, "0123456789")
			}
			out = append(out, word)
		}
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '_' || c == '-' || c == '.' || c == '/' || c == ' ':
			cut(i)
			start = i + 1
		case i > start && 'A' <= c && c <= 'Z' && 'a' <= name[i-1] && name[i-1] <= 'z':
			cut(i)
			start = i
		}
	}
	cut(len(name))
	return out
}
