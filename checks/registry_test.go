package checks

import "testing"

// TestFromRegistry has one place spelled in all the ways that engines understand,
// and others that look like it.
func TestFromRegistry(t *testing.T) {
	for _, c := range []struct {
		rule, name string
		want       bool
	}{
		{"ghcr.io/acme", "ghcr.io/acme/shop", true},
		{"ghcr.io/acme", "GHCR.IO/acme/shop", true},
		{"ghcr.io/acme", "ghcr.io:443/acme/shop", true},
		{"ghcr.io/acme", "Ghcr.io:0443/acme/shop", true},
		{"GHCR.io:443/Acme/", "ghcr.io/acme/shop", true},
		{"ghcr.io/acme", "ghcr.io/acmes/shop", false},
		{"ghcr.io/acme", "ghcr.io:8443/acme/shop", false},
		{"ghcr.io/acme", "ghcr.io.example.com/acme/shop", false},
		{"registry.lan:5000/acme", "registry.lan:05000/acme/shop", true},
		{"registry.lan:5000/acme", "registry.lan/acme/shop", false},
		{"[::1]/acme", "[::1]:443/acme/shop", true},
		{"[::1]:5000", "[::1]:5000/acme/shop", true},
		{"[::1]", "[::1]:5000/acme/shop", false},
		{"acme", "acme/shop", true},
		{"acme", "registry-1.docker.io/acme/shop", true},
		{"acme", "Index.Docker.io:443/acme/shop", true},
		{"acme", "registry.hub.docker.com/acme/shop", true},
		{"registry-1.docker.io/acme", "docker.io/acme/shop", true},
		{"acme", "registry-2.docker.io.example.com/acme/shop", false},
		{"library", "nginx", true},
		{"library", "docker.io/nginx", true},
		{"localhost", "LOCALHOST/shop", true},
		{"*.docker.io/acme", "registry-1.docker.io/acme/shop", true},
		{"*.example.com", "Registry.Example.com:443/shop", true},
		{"*.example.com", "example.com/shop", false},
		{"*", "ACME/shop", true},
		{"acme", "ACME/acme/shop", false}, // capital letters make it a host
	} {
		if got := FromRegistry([]string{c.rule}, c.name); got != c.want {
			t.Errorf("%s is in %s: %v", c.name, c.rule, got)
		}
	}
}
