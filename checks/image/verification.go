package image

import (
	"slices"
	"strings"

	"plimsoll/checks"
)

var historyVerification = historyRule(checks.Check{
	ID:       "image-history-tls-or-signature-off",
	Title:    "Image was built with verification switched off",
	Severity: checks.High,
	Chapter:  checks.ScanningAndSigning,
	Refs:     []string{"checkov CKV2_DOCKER_2", "checkov CKV2_DOCKER_3", "checkov CKV2_DOCKER_8", "CWE-295"},
}, func(s step) bool {
	switch s.instruction {
	case "ENV":
		return slices.ContainsFunc(strings.Fields(s.text), unverifiedVariable)
	case "RUN":
		return slices.ContainsFunc(strings.FieldsFunc(s.text, func(r rune) bool { return r == ' ' || r == ';' || r == '&' || r == '\n' }), unverifiedVariable) ||
			slices.ContainsFunc(commands(s.text), unverified)
	}
	return false
}, func(name string) checks.Message {
	return checks.Msg("a layer of %s was downloaded without verifying from whom: what it brought may be anything", name)
})

// unverifiedVariables switch verification off for one tool each.
var unverifiedVariables = map[string][]string{
	"GIT_SSL_NO_VERIFY":            nil, // with any value
	"NODE_TLS_REJECT_UNAUTHORIZED": {"0"},
	"PYTHONHTTPSVERIFY":            {"0"},
	"NPM_CONFIG_STRICT_SSL":        {"false"},
	"npm_config_strict_ssl":        {"false"},
	"PIP_TRUSTED_HOST":             nil,
}

func unverifiedVariable(word string) bool {
	name, value, ok := strings.Cut(word, "=")
	values, known := unverifiedVariables[name]
	value = strings.Trim(value, `"'`)
	return ok && known && value != "" && (values == nil || slices.Contains(values, value))
}

// unverifiedOptions are options that switch verification off, by program.
var unverifiedOptions = map[string][]string{
	"curl":     {"--insecure"},
	"wget":     {"--no-check-certificate"},
	"pip":      {"--trusted-host"},
	"apk":      {"--allow-untrusted"},
	"apt":      {"--allow-unauthenticated", "--force-yes", "--allow-insecure-repositories"},
	"apt-get":  {"--allow-unauthenticated", "--force-yes", "--allow-insecure-repositories"},
	"yum":      {"--nogpgcheck"},
	"dnf":      {"--nogpgcheck"},
	"microdnf": {"--nogpgcheck"},
	"zypper":   {"--no-gpg-checks"},
	"tdnf":     {"--nogpgcheck"},
	"rpm":      {"--nosignature", "--nogpg"},
}

func unverified(words []string) bool {
	program := words[0][strings.LastIndexByte(words[0], '/')+1:]
	args := words[1:]
	if strings.HasPrefix(program, "python") && len(args) > 1 && args[0] == "-m" {
		program, args = args[1], args[2:]
	}
	if strings.Trim(strings.TrimPrefix(program, "pip"), "0123456789.") == "" {
		program = "pip"
	}
	for _, a := range args {
		option, _, _ := strings.Cut(a, "=")
		if slices.Contains(unverifiedOptions[program], option) {
			return true
		}
	}
	joined := strings.ToLower(strings.Join(args, " "))
	switch program {
	case "curl":
		return slices.ContainsFunc(args, insecureFlags)
	case "git":
		return strings.Contains(joined, "http.sslverify=false") || strings.Contains(joined, "http.sslverify false")
	case "npm", "yarn":
		return strings.Contains(joined, "strict-ssl false") || strings.Contains(joined, "strict-ssl=false")
	case "yum", "dnf", "microdnf", "tdnf":
		return strings.Contains(joined, "gpgcheck=0") || strings.Contains(joined, "gpgcheck=false")
	case "apt", "apt-get":
		return strings.Contains(joined, "allowinsecurerepositories=true") || strings.Contains(joined, "allowunauthenticated=true")
	}
	return false
}

// insecureFlags recognises -k among bundled flags of curl. Flags that take a
// value end the bundle.
func insecureFlags(arg string) bool {
	if len(arg) < 2 || arg[0] != '-' || arg[1] == '-' {
		return false
	}
	for _, c := range arg[1:] {
		if c == 'k' {
			return true
		}
		if strings.ContainsRune("ACDEFHKQTUXYbcdehmortuwxyz", c) {
			return false
		}
	}
	return false
}
