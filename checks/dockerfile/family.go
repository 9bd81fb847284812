package dockerfile

import "strings"

// shellAt returns the program that SHELL sets for in; "" without one.
func (f *File) shellAt(in *Instruction) string {
	if sh := f.shellInstruction(in); sh != nil {
		return sh.Exec[0]
	}
	return ""
}

// shellInstruction returns the SHELL in force at in, nil when there is none.
func (f *File) shellInstruction(in *Instruction) *Instruction {
	var found *Instruction
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Line >= in.Line {
				break
			}
			if other.Keyword == "SHELL" && len(other.Exec) > 0 {
				found = other
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// debianFamily reports whether image is by its name an image of Debian or
// Ubuntu, whose sh is dash and which has bash.
func debianFamily(image string) bool {
	r := parseReference(image)
	name := r.name[strings.LastIndexByte(r.name, '/')+1:]
	switch {
	case strings.Contains(r.tag, "alpine") || strings.Contains(r.tag, "distroless") || strings.Contains(r.name, "distroless"):
		return false
	case name == "debian" || name == "ubuntu" || name == "buildpack-deps":
		return true
	}
	if !official(r.name) {
		return false
	}
	switch name {
	case "python", "node", "golang", "ruby", "php", "rust", "perl", "gcc", "nginx", "httpd", "openjdk", "eclipse-temurin",
		"postgres", "redis", "maven", "gradle", "tomcat", "mariadb", "mongo", "elixir", "erlang", "haskell":
		for _, other := range []string{"oracle", "nanoserver", "windows", "busybox", "ubi", "amazon", "fedora", "al20", "corretto"} {
			if strings.Contains(r.tag, other) {
				return false
			}
		}
		return true
	}
	return false
}

// alpineFamily reports whether image is by its name an image of Alpine.
func alpineFamily(image string) bool {
	r := parseReference(image)
	name := r.name[strings.LastIndexByte(r.name, '/')+1:]
	return name == "alpine" || official(r.name) && strings.Contains(r.tag, "alpine")
}

// official reports whether name is an official image of Docker Hub.
func official(name string) bool {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/")
	return !strings.Contains(name, "/")
}
