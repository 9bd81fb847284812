package files

import (
	"os"
	"os/exec"
	"path/filepath"
)

// ComposeUp returns the command that makes services of a project run as its files
// say; the name of the project may be empty.
func ComposeUp(dir, project string, files, services []string) []string {
	argv := append(composeProgram(), "--project-directory", dir)
	if project != "" {
		argv = append(argv, "--project-name", project)
	}
	for _, file := range files {
		argv = append(argv, "--file", file)
	}
	return append(append(argv, "up", "--detach"), services...)
}

// composeProgram returns the command that brings compose files to an engine:
// docker compose, or docker-compose where that is all there is.
func composeProgram() []string {
	if pluginInstalled("docker-compose") {
		return []string{"docker", "compose"}
	}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		return []string{"docker-compose"}
	}
	return []string{"docker", "compose"}
}

// pluginInstalled reports whether the docker command has a plugin, in the places
// that it looks in.
func pluginInstalled(name string) bool {
	config := os.Getenv("DOCKER_CONFIG")
	if home, err := os.UserHomeDir(); config == "" && err == nil {
		config = filepath.Join(home, ".docker")
	}
	for _, dir := range []string{
		filepath.Join(config, "cli-plugins"),
		"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
		filepath.Join(os.Getenv("ProgramData"), "Docker", "cli-plugins"), filepath.Join(os.Getenv("ProgramFiles"), "Docker", "cli-plugins"),
	} {
		for _, file := range []string{name, name + ".exe"} {
			if info, err := os.Stat(filepath.Join(dir, file)); err == nil && info.Mode().IsRegular() && filepath.IsAbs(dir) {
				return true
			}
		}
	}
	return false
}
