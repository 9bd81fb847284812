package files_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	subject "plimsoll/checks/container"
)

// docker compose is preferred; docker-compose will do where nothing else is.
// What earlier changes of the file have not reached yet comes along.
func TestComposeProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "config"))
	b := newComposeBench(t, "services:\n  web:\n    image: nginx:1.27\n    privileged: true\n  api:\n    image: api:1\n    mem_limit: 64m\n")
	file, err := compose.Load(b.path, "compose.yaml")
	must(t, err)
	for _, s := range file.Services {
		running := s.Settings.Clone()
		running.Name, running.Host.Memory = "shop_"+s.Settings.Name+"_1", 0
		// As docker-compose 1 labels what it finds by itself.
		running.Config.Labels = map[string]string{
			"com.docker.compose.service": s.Settings.Name, "com.docker.compose.project": "shop",
			"com.docker.compose.project.config_files": "compose.yaml", "com.docker.compose.project.working_dir": filepath.Dir(b.path),
		}
		c := &subject.Container{Settings: *running}
		if !compose.Runs(c, b.path) {
			t.Error("the container is not known as one of the file")
		}
		b.running = append(b.running, c)
	}
	program := func() string {
		plan := b.plan(t, checks.Values{}, "container-privileged")
		return strings.Join(plan.Deploy, " ")
	}
	rest := " --project-directory " + filepath.Dir(b.path) + " --project-name shop --file " + b.path + " up --detach web api"
	executable := func(name string) {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755))
	}
	if got := program(); !strings.HasPrefix(got, "docker compose --") {
		t.Errorf("with nothing installed: %s", got)
	}
	executable("docker-compose")
	if got, want := program(), "docker-compose"+rest; got != want {
		t.Skipf("docker compose is installed for everybody here: %s", got)
	}
	executable("config/cli-plugins/docker-compose")
	if got, want := program(), "docker compose"+rest; got != want {
		t.Errorf("with the plugin: %s, want %s", got, want)
	}
}
