package checks

import "strings"

// FromRegistry reports whether an image called name, without tag and digest, is
// in one of the places that rules name: a registry ("ghcr.io",
// "*.example.com"), a folder of one ("ghcr.io/acme"), or one of Docker Hub
// ("acme").
func FromRegistry(rules []string, name string) bool {
	host, rest := splitRegistry(name)
	for _, rule := range rules {
		wanted, folder := splitRule(rule)
		if matchHost(wanted, host) && (folder == "" || rest == folder || strings.HasPrefix(rest, folder+"/")) {
			return true
		}
	}
	return false
}

// splitRegistry returns the registry and the full name in it of an image.
func splitRegistry(name string) (host, rest string) {
	host, rest, ok := strings.Cut(name, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, rest = "docker.io", name
	}
	if host == "index.docker.io" {
		host = "docker.io"
	}
	if host == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return host, rest
}

// splitRule reads "registry", "registry/folder" or "folder" of Docker Hub.
func splitRule(rule string) (host, folder string) {
	rule = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(rule), "/*"), "/")
	host, folder, _ = strings.Cut(rule, "/")
	if !strings.ContainsAny(host, ".:*") && host != "localhost" {
		return "docker.io", rule
	}
	return host, folder
}

func matchHost(rule, host string) bool {
	if end, ok := strings.CutPrefix(rule, "*"); ok {
		return strings.HasSuffix(host, end)
	}
	return rule == host
}
