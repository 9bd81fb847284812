package inventory

import (
	"encoding/json"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"plimsoll/checks/host"
	"plimsoll/checks/scanner"
)

// client reads the configuration of this user's docker command.
func (s *Site) client() *host.Client {
	dir := s.Env("DOCKER_CONFIG")
	if dir == "" || s.Windows {
		dir = path.Join(s.Home, ".docker")
	}
	c := &host.Client{Config: path.Join(dir, "config.json")}
	if trust := s.Env("DOCKER_CONTENT_TRUST"); trust != "" {
		if on, err := strconv.ParseBool(trust); on || err != nil {
			c.Trust = trust
		}
	}
	var config struct {
		Auths     map[string]struct{ Auth, Password, IdentityToken, RegistryToken string }
		ExtraDirs []string `json:"cliPluginsExtraDirs"`
	}
	if content, ok := s.read(c.Config); ok && json.Unmarshal(content, &config) == nil {
		for registry, a := range config.Auths {
			if a.Auth+a.Password+a.IdentityToken+a.RegistryToken != "" {
				c.Plain = append(c.Plain, registry)
			}
		}
		slices.Sort(c.Plain)
		if len(c.Plain) > 0 {
			s.expose(c, c.Config, false)
		}
	}
	s.endpoints(c, dir)
	s.builders(c, dir)
	s.plugins(c, dir, config.ExtraDirs)
	s.scanners(c)
	if info, err := fs.Stat(s.Root, rooted(dir)); err == nil && !s.Windows && info.Mode().Perm()&0o022 != 0 {
		c.Exposed = append(c.Exposed, host.Exposed{Path: dir, Mode: info.Mode(), Change: true})
	}
	return c
}

// expose notes the file at p when others can read or change it.
func (s *Site) expose(c *host.Client, p string, key bool) {
	info, err := fs.Stat(s.Root, rooted(p))
	if err != nil || s.Windows || info.Mode().Perm()&0o077 == 0 {
		return
	}
	// Nobody gets past a directory that is closed to others.
	for dir := path.Dir(p); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if d, err := fs.Stat(s.Root, rooted(dir)); err == nil && d.Mode().Perm()&0o011 == 0 {
			return
		}
	}
	c.Exposed = append(c.Exposed, host.Exposed{Path: p, Mode: info.Mode(), Key: key, Change: info.Mode().Perm()&0o022 != 0})
}

// endpoints reads the contexts and DOCKER_HOST.
func (s *Site) endpoints(c *host.Client, dir string) {
	for _, id := range s.list(path.Join(dir, "contexts", "meta")) {
		file := path.Join(dir, "contexts", "meta", id, "meta.json")
		var meta struct {
			Name      string
			Endpoints map[string]struct {
				Host          string
				SkipTLSVerify bool
			}
		}
		content, ok := s.read(file)
		if !ok || json.Unmarshal(content, &meta) != nil {
			continue
		}
		docker, ok := meta.Endpoints["docker"]
		if !ok {
			continue
		}
		tls := path.Join(dir, "contexts", "tls", id, "docker")
		c.Endpoints = append(c.Endpoints, host.Endpoint{
			Name: meta.Name, Host: docker.Host, Source: "context " + meta.Name + ", " + file,
			Verified: !docker.SkipTLSVerify && len(s.list(tls)) > 0,
		})
		s.expose(c, path.Join(tls, "key.pem"), true)
	}
	slices.SortFunc(c.Endpoints, func(a, b host.Endpoint) int { return strings.Compare(a.Name, b.Name) })
	certs := s.Env("DOCKER_CERT_PATH")
	if address := s.Env("DOCKER_HOST"); address != "" {
		c.Endpoints = append(c.Endpoints, host.Endpoint{
			Name: "DOCKER_HOST", Host: address, Source: "environment", Verified: s.Env("DOCKER_TLS_VERIFY") != "",
		})
	}
	if certs == "" {
		certs = dir // where docker looks by itself
	}
	if path.IsAbs(certs) {
		s.expose(c, path.Join(certs, "key.pem"), true)
	}
}

// builders reads what buildx was told of its builders.
func (s *Site) builders(c *host.Client, dir string) {
	instances := path.Join(dir, "buildx", "instances")
	for _, n := range s.list(instances) {
		file := path.Join(instances, n)
		var group struct {
			Name  string
			Nodes []struct {
				Flags []string
				Files map[string][]byte
			}
		}
		content, ok := s.read(file)
		if !ok || json.Unmarshal(content, &group) != nil {
			continue
		}
		b := host.Builder{Name: group.Name, Source: file}
		for _, node := range group.Nodes {
			for _, flag := range node.Flags {
				if strings.Contains(flag, "security.insecure") {
					b.Insecure = append(b.Insecure, flag)
				}
			}
			for configFile, text := range node.Files {
				if i := grants(string(text)); i != "" {
					b.Insecure = append(b.Insecure, configFile+": "+i)
				}
			}
		}
		c.Builders = append(c.Builders, b)
	}
}

// grants returns the line of a buildkitd.toml that grants security.insecure.
func grants(toml string) string {
	for line := range strings.Lines(toml) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "insecure-entitlements") && strings.Contains(line, "security.insecure") {
			return line
		}
	}
	return ""
}

// systemPlugins are where packages put plugins, in the order of docker's search.
var systemPlugins = []string{
	"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
}

// plugins reads which programs docker runs as its own commands.
func (s *Site) plugins(c *host.Client, dir string, extra []string) {
	if s.Windows {
		return
	}
	own := append([]string{path.Join(dir, "cli-plugins")}, extra...)
	system := map[string]string{}
	for _, d := range systemPlugins {
		for _, n := range s.list(d) {
			if _, known := system[n]; !known {
				system[n] = path.Join(d, n)
			}
		}
	}
	for _, d := range slices.Concat(own, systemPlugins) {
		for _, n := range s.list(d) {
			p := host.Plugin{Path: path.Join(d, n)}
			if info, err := fs.Stat(s.Root, rooted(p.Path)); !strings.HasPrefix(n, "docker-") || err != nil || !info.Mode().IsRegular() {
				continue
			}
			p.Writers = s.writers(p.Path)
			if slices.Contains(own, d) {
				p.Shadows = system[n]
			}
			if p.Writers != "" || p.Shadows != "" {
				c.Plugins = append(c.Plugins, p)
			}
		}
	}
}

// scanners looks for vulnerability scanners whose releases attackers tampered
// with once. What a program is comes from the program, or from the package that
// brought it: none is run.
func (s *Site) scanners(c *host.Client) {
	if s.Windows {
		return
	}
	for _, name := range scanner.Watched() {
		for dir := range strings.SplitSeq(s.Env("PATH"), ":") {
			p := path.Join(dir, string(name))
			if info, err := fs.Stat(s.Root, rooted(p)); !path.IsAbs(dir) || err != nil || !info.Mode().IsRegular() {
				continue
			}
			version, source := s.built(name, p), "build information"
			if owned := s.packages()[string(name)]; version == "" && strings.HasPrefix(p, "/usr/bin/") {
				version, source = owned.Version, dpkgStatus
			}
			if scanner.Compromised(name, version) {
				c.Scanners = append(c.Scanners, host.Scanner{Name: string(name), Path: p, Version: version, Source: source})
			}
		}
	}
}

// built returns the version that the program at p was built as.
func (s *Site) built(name scanner.Name, p string) string {
	f, err := s.Root.Open(rooted(p))
	if err != nil {
		return ""
	}
	defer f.Close()
	program, ok := f.(io.ReaderAt)
	if !ok {
		return ""
	}
	return scanner.Built(name, program)
}

// writers says who but its owner can change the program at p or put another in
// its place.
func (s *Site) writers(p string) string {
	for _, file := range []string{p, path.Dir(p)} {
		info, err := fs.Stat(s.Root, rooted(file))
		if err != nil {
			continue
		}
		_, gid, _ := owner(info)
		switch mode := info.Mode(); {
		case mode.Perm()&0o002 != 0 && mode&fs.ModeSticky == 0:
			return "everybody"
		case mode.Perm()&0o020 != 0 && gid != 0 && !s.ownGroup(info):
			return "group " + called(s.accounts("/etc/group"), gid)
		}
	}
	return ""
}

// ownGroup reports whether the group of a file is its owner's alone: many
// distributions give every user a group of the same name.
func (s *Site) ownGroup(info fs.FileInfo) bool {
	uid, gid, ok := owner(info)
	return ok && called(s.accounts("/etc/passwd"), uid) == called(s.accounts("/etc/group"), gid)
}
