package assets_test

import (
	"testing"

	"plimsoll/assets"
)

func TestParseLanguage(t *testing.T) {
	for s, want := range map[string]assets.Language{
		"en": assets.English, "EN": assets.English, "en_GB.UTF-8": assets.English, "C": assets.English, "C.UTF-8": assets.English, "POSIX": assets.English,
		"de": assets.German, " De ": assets.German, "de_AT.UTF-8": assets.German, "de-CH": assets.German, "de@euro": assets.German,
	} {
		if got, err := assets.ParseLanguage(s); err != nil || got != want {
			t.Errorf("ParseLanguage(%q) = %q, %v; want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"", "fr", "deutsch", "den", "_de"} {
		if got, err := assets.ParseLanguage(s); err == nil {
			t.Errorf("ParseLanguage(%q) = %q, want an error", s, got)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		name, flag, config string
		env                map[string]string
		want               assets.Language
	}{
		{"nothing is English", "", "", nil, assets.English},
		{"LANG", "", "", map[string]string{"LANG": "de_DE.UTF-8"}, assets.German},
		{"LC_MESSAGES before LANG", "", "", map[string]string{"LC_MESSAGES": "en_US", "LANG": "de_DE"}, assets.English},
		{"LC_ALL before all", "", "", map[string]string{"LC_ALL": "de", "LC_MESSAGES": "en", "LANG": "en"}, assets.German},
		{"LC_ALL=C hides LANG", "", "", map[string]string{"LC_ALL": "C", "LANG": "de_DE"}, assets.English},
		{"a foreign LC_ALL hides LANG", "", "", map[string]string{"LC_ALL": "fr_FR", "LANG": "de_DE"}, assets.English},
		{"configuration before environment", "", "de", map[string]string{"LC_ALL": "en"}, assets.German},
		{"flag before configuration", "en", "de", map[string]string{"LC_ALL": "de"}, assets.English},
		{"an unknown flag counts as unset", "xx", "de", nil, assets.German},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := assets.Detect(c.flag, c.config, func(name string) string { return c.env[name] }); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTranslate(t *testing.T) {
	const known, unknown = "Least privilege", "no such format %d"
	for lang, want := range map[assets.Language]string{assets.English: known, assets.German: "Geringste Rechte", "fr": known} {
		translate := assets.Translate(lang)
		if got := translate(known); got != want {
			t.Errorf("%s: %q became %q, want %q", lang, known, got, want)
		}
		if got := translate(unknown); got != unknown {
			t.Errorf("%s: %q became %q, want it unchanged", lang, unknown, got)
		}
	}
}

func TestExplainFallsBack(t *testing.T) {
	e, ok := assets.Explain("fr", "final-user-root")
	if !ok || e.Language != assets.English {
		t.Errorf("explained in %q, %v; want English", e.Language, ok)
	}
	for _, id := range []string{"", "no-such-check", "../de/final-user-root/..", "README"} {
		if _, ok := assets.Explain(assets.German, id); ok {
			t.Errorf("there is an explanation of %q", id)
		}
	}
}
