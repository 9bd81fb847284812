package inventory

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/system"

	"plimsoll/checks/host"
)

// daemonOf returns the process of the engine behind the unix socket, when it
// runs on this very machine: not in a virtual machine, and not at the other
// end of a connection that somebody forwards here.
func (s *Site) daemonOf(info system.Info, endpoint string) int {
	socket, unix := strings.CutPrefix(endpoint, "unix://")
	if !unix || info.OSType != "linux" || strings.Contains(info.OperatingSystem, "Docker Desktop") {
		return 0
	}
	hostname, err := os.Hostname()
	if err != nil || info.Name != hostname || info.KernelVersion != s.line("/proc/sys/kernel/osrelease") {
		return 0
	}
	pid := listener(socket)
	if s.isDockerd(pid) {
		return pid
	}
	// systemd opens the socket and hands it over.
	if comm := s.line("/proc/" + strconv.Itoa(pid) + "/comm"); comm != "systemd" && comm != "init" {
		return 0
	}
	for _, file := range []string{path.Join(path.Dir(socket), "docker.pid"), "/run/docker.pid", "/var/run/docker.pid"} {
		if pid, err := strconv.Atoi(s.line(file)); err == nil && s.isDockerd(pid) {
			return pid
		}
	}
	return 0
}

func (s *Site) isDockerd(pid int) bool {
	return pid > 0 && strings.HasPrefix(s.line("/proc/"+strconv.Itoa(pid)+"/comm"), "dockerd")
}

func rootless(h *host.Host) bool {
	return slices.ContainsFunc(h.Info.SecurityOptions, func(o string) bool { return o == "name=rootless" || o == "rootless" })
}

// daemon reads how the engine was started and configured.
func (s *Site) daemon(rootless bool) *host.Daemon {
	d := &host.Daemon{File: "/etc/docker/daemon.json"}
	if rootless {
		d.File = path.Join(s.configHome(), "docker", "daemon.json")
	}
	var unread []string
	if line, ok := s.read("/proc/" + strconv.Itoa(s.Daemon) + "/cmdline"); ok && len(line) > 0 {
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		d.Flags = host.ParseFlags(args[1:])
	} else {
		unread = append(unread, "the command line of dockerd")
	}
	if file := d.Flags["config-file"]; len(file) > 0 {
		d.File = file[len(file)-1]
	}
	content, err := s.limited(d.File, most)
	switch {
	case err == nil:
		d.Source = append([]byte{}, content...)
		if d.Config, err = host.ParseDaemonConfig(content); err != nil {
			unread = append(unread, d.File+": "+err.Error())
		}
	case !missing(err):
		s.note(d.File, err)
		unread = append(unread, d.File)
	}
	d.Unread = strings.Join(unread, ", ")
	d.Reload, d.Restart = s.commands(d, rootless)
	return d
}

// commands returns what makes the engine d take in its file again, nil where that
// is not known. They are run later than they are made, so that they name a file
// with the id of the process: the id itself may be another's by then.
func (s *Site) commands(d *host.Daemon, rootless bool) (reload, restart []string) {
	service, own := []string{"/var/run/docker.pid", "/run/docker.pid"}, "/var/run/docker.pid"
	if rootless {
		own = path.Join(s.Env("XDG_RUNTIME_DIR"), "docker.pid")
		service = []string{own}
	}
	_ = json.Unmarshal(d.Config["pidfile"], &own) // else it is as it was
	if flag := d.Flags["pidfile"]; len(flag) > 0 {
		own = flag[len(flag)-1]
	}
	_, err := fs.Stat(s.Root, "run/systemd/system")
	switch ofService, systemd := slices.Contains(service, own), err == nil; {
	case ofService && systemd && rootless:
		return []string{"systemctl", "--user", "reload", "docker"}, []string{"systemctl", "--user", "restart", "docker"}
	case ofService && systemd:
		return []string{"systemctl", "reload", "docker"}, []string{"systemctl", "restart", "docker"}
	case ofService && !rootless:
		restart = []string{"service", "docker", "restart"}
	}
	if s.line(own) == strconv.Itoa(s.Daemon) {
		reload = []string{"sh", "-c", `kill -HUP "$(cat "$0")"`, own}
	}
	return reload, restart
}

func (s *Site) configHome() string {
	if dir := s.Env("XDG_CONFIG_HOME"); dir != "" {
		return dir
	}
	return path.Join(s.Home, ".config")
}
