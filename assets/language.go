package assets

import (
	"fmt"
	"strings"
)

// A Language is one that plimsoll speaks.
type Language string

const (
	English Language = "en"
	German  Language = "de"
)

// Languages lists every language, the default first.
var Languages = []Language{English, German}

// ParseLanguage returns the language that s names, as a code such as "de" or
// as a locale such as "de_AT.UTF-8". The locales "C" and "POSIX" are English.
func ParseLanguage(s string) (Language, error) {
	code, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ".")
	code, _, _ = strings.Cut(code, "@")
	code, _, _ = strings.Cut(strings.ReplaceAll(code, "-", "_"), "_")
	switch code {
	case "en", "c", "posix":
		return English, nil
	case "de":
		return German, nil
	}
	return "", fmt.Errorf("unknown language %q: use en or de", s)
}

// Detect returns the language to speak: that of the command line, else of the
// configuration, else of the first of LC_ALL, LC_MESSAGES and LANG that is set,
// else English. A value that names no known language counts as unset on the
// command line and in the configuration, where it should have been refused,
// and as English in the environment, where it is legitimate.
func Detect(flag, config string, getenv func(string) string) Language {
	for _, s := range []string{flag, config} {
		if l, err := ParseLanguage(s); err == nil {
			return l
		}
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if s := getenv(name); s != "" {
			if l, err := ParseLanguage(s); err == nil {
				return l
			}
			return English
		}
	}
	return English
}
