package secret

import (
	"regexp"
	"strings"
	"sync"
)

// Variable reports whether value, assigned to a variable, argument or label
// called name, is a secret: a token of a known form, or a literal under a name
// that promises one. Key fingerprints and paths of files are not secret.
func Variable(name, value string) bool {
	if len(Tokens(value)) > 0 {
		return true
	}
	return SensitiveName(name) && Literal(value) && !isFingerprint(name, value)
}

var hexWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:0x)?[0-9A-Fa-f]{8,40}(?:[\s,]+(?:0x)?[0-9A-Fa-f]{8,40})*$`)
})

// isFingerprint recognises what images carry to verify downloads with, such as
// GPG_KEY of the Python image: names of public keys, not keys.
func isFingerprint(name, value string) bool {
	lower := strings.ToLower(name)
	public := lower == "key" || lower == "keys" || strings.Contains(lower, "gpg") || strings.Contains(lower, "pgp")
	return public && hexWords().MatchString(strings.Trim(value, `"' `))
}

var systemPath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/(?:app|certs|config|credentials|data|etc|home|keys|mnt|opt|root|run|secrets?|srv|tmp|usr|var)(?:/[\w.@-]+)+/?$`)
})

// isPath reports whether value names a file rather than being a secret.
func isPath(value string) bool {
	const longestPath = 4096 // that Linux opens
	for _, start := range []string{"./", "../", "~/", "/run/secrets/"} {
		if strings.HasPrefix(value, start) {
			return true
		}
	}
	return strings.HasPrefix(value, "/") && len(value) <= longestPath && systemPath().MatchString(value)
}
