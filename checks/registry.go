package checks

import (
	"slices"
	"strings"
)

// FromRegistry reports whether an image called name, without tag and digest, is
// in one of the places that rules name: a registry ("ghcr.io",
// "*.example.com"), a folder of one ("ghcr.io/acme"), or one of Docker Hub
// ("acme"). How a name is spelled does not matter: whatever an engine asks the
// same registry for is in the same place.
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
	// Folders have no capital letters, so that docker takes Acme/shop for a host.
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" && host == strings.ToLower(host) {
		host, rest = dockerHub, name
	}
	host = oneSpelling(host)
	if host == dockerHub && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return host, strings.ToLower(rest)
}

// splitRule reads "registry", "registry/folder" or "folder" of Docker Hub.
func splitRule(rule string) (host, folder string) {
	rule = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(rule), "/*"), "/"))
	host, folder, _ = strings.Cut(rule, "/")
	if !strings.ContainsAny(host, ".:*") && host != "localhost" {
		return dockerHub, rule
	}
	return oneSpelling(host), folder
}

const dockerHub = "docker.io"

// hubHosts are the names by which Docker Hub answers.
var hubHosts = []string{dockerHub, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}

// oneSpelling returns a registry in small letters, without the port that is
// meant anyway, and Docker Hub by its one name.
func oneSpelling(host string) string {
	host = strings.ToLower(host)
	// The brackets of an IPv6 address have colons, its port is behind them.
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		port := strings.TrimLeft(host[at+1:], "0")
		if host = host[:at]; port != "443" {
			return host + ":" + port
		}
	}
	if slices.Contains(hubHosts, host) {
		return dockerHub
	}
	return host
}

func matchHost(rule, host string) bool {
	end, any := strings.CutPrefix(rule, "*")
	switch {
	case !any:
		return rule == host
	case host == dockerHub:
		return slices.ContainsFunc(hubHosts, func(name string) bool { return strings.HasSuffix(name, end) })
	}
	return strings.HasSuffix(host, end)
}
