package secret

import "testing"

func TestVariable(t *testing.T) {
	const fingerprint = "A035C8C19219BA821ECEA86B64E628F8D684696D"
	tests := []struct {
		name, value string
		want        bool
	}{
		{"DB_PASSWORD", "hunter2", true},
		{"apiToken", "x1", true},
		{"X", "ghp_0123456789abcdefghijABCDEFGHIJ012345", true},
		{"API_KEY", fingerprint, true},
		{"KEY", "open sesame", true},
		{"JWT_SECRET", "/not/a-known-folder", true},

		{"GPG_KEY", fingerprint, false},
		{"GPG_KEYS", fingerprint + " " + fingerprint, false},
		{"key", fingerprint, false},
		{"DB_PASSWORD", "", false},
		{"DB_PASSWORD", "${DB_PASSWORD}", false},
		{"DB_PASSWORD_FILE", "x", false},
		{"TLS_KEY", "/etc/tls/key.pem", false},
		{"MODE", "production", false},
	}
	for _, test := range tests {
		if got := Variable(test.name, test.value); got != test.want {
			t.Errorf("%s=%s: %v", test.name, test.value, got)
		}
	}
}
