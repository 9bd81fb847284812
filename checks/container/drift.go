package container

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// programFolders hold programs, and libraries that programs load.
var programFolders = []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"}

// decidingFiles say who may do what, and what is started or loaded.
var decidingFiles = []string{
	"/etc/shadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/pam.d", "/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/crontab", "/etc/cron.d", "/etc/cron.daily", "/etc/cron.hourly", "/var/spool/cron", "/etc/init.d", "/etc/systemd/system",
	"/root/.ssh", "/etc/ssh/sshd_config", "/etc/profile.d",
}

var fileDrift = alerting(checks.Check{
	ID:       "container-file-drift",
	Title:    "Programs changed since the start",
	Severity: checks.High,
	Chapter:  checks.RuntimeMonitoring,
	Refs:     []string{"MITRE ATT&CK T1105", "CWE-353"},
}, func(c *Container, _ *container.InspectResponse, report func(checks.Finding)) {
	mounted := c.mounts()
	var programs, files []string
	for _, change := range c.Changed {
		p := path.Clean(change.Path)
		if slices.ContainsFunc(mounted, func(m hostMount) bool { return within(p, path.Clean(m.target)) }) || c.parentOfChange(p) {
			continue
		}
		switch {
		case change.Kind == container.ChangeDelete: // a program less is no way in
		case c.initProgram(p): // nor is what the engine itself starts first
		case isProgram(p):
			programs = append(programs, p)
		case slices.ContainsFunc(decidingFiles, func(d string) bool { return within(p, d) }):
			files = append(files, p)
		}
	}
	c.drifted("programs", programs, checks.Msg("%s does not run what its image brought: %d programs were added or changed, such as %s", c.Settings.Name, len(programs), first(programs)), report)
	c.drifted("files", files, checks.Msg("%d files of %s that decide who may do what, or what is started, were changed, such as %s", len(files), c.Settings.Name, first(files)), report)
})

// drifted reports what was changed, the first few as evidence.
func (c *Container) drifted(key string, paths []string, message checks.Message, report func(checks.Finding)) {
	if len(paths) == 0 {
		return
	}
	f := checks.Finding{Key: key, Message: message}
	for _, p := range paths[:min(len(paths), 5)] {
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker diff", Detail: p})
	}
	report(f)
}

func first(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	return paths[0]
}

// parentOfChange reports whether p is only listed because something below it
// changed.
func (c *Container) parentOfChange(p string) bool {
	return slices.ContainsFunc(c.Changed, func(o container.FilesystemChange) bool { return path.Dir(path.Clean(o.Path)) == p })
}

// initProgram reports whether p is the init process that the engine puts into c
// because it was asked for one.
func (c *Container) initProgram(p string) bool {
	host := c.Settings.Host
	return host != nil && host.Init != nil && *host.Init && (p == "/sbin/docker-init" || p == "/dev/init")
}

// isProgram reports whether p is a program or a library. What interpreters
// compile for themselves is neither.
func isProgram(p string) bool {
	if strings.Contains(p, "/__pycache__/") {
		return false
	}
	if slices.Contains(programFolders, path.Dir(p)) {
		return true
	}
	library := within(p, "/lib") || within(p, "/lib64") || within(p, "/usr/lib") || within(p, "/usr/lib64") || within(p, "/usr/local/lib")
	name := path.Base(p)
	return library && (strings.HasSuffix(name, ".so") || strings.Contains(name, ".so."))
}
