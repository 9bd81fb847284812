package secret

import "strings"

// sensitiveWords mark a name as that of a secret when they stand alone in it.
var sensitiveWords = words("password passwd passphrase pass pwd pword secret secrets token apikey apitoken authtoken credential credentials auth key")

// harmlessWords mark a name as that of something that is not itself secret.
var harmlessWords = words("public pub file path dir url uri id name version ttl expiry expires length size type algorithm prefix enabled disabled required host port user username")

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// SensitiveName reports whether a variable, argument or label called name is
// likely to hold a secret.
func SensitiveName(name string) bool {
	sensitive := false
	for _, w := range split(name) {
		if harmlessWords[w] {
			return false
		}
		sensitive = sensitive || sensitiveWords[w]
	}
	return sensitive
}

// split cuts name into lower-case words at _ - . / and at camel-case humps.
func split(name string) []string {
	var out []string
	start := 0
	cut := func(end int) {
		if end > start {
			out = append(out, strings.ToLower(name[start:end]))
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
