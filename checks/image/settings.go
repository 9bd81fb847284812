package image

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

var secretInLabelOrCmd = configRule(checks.Check{
	ID:       "image-secret-in-label-or-cmd",
	Title:    "Secret in the labels or the command of an image",
	Severity: checks.High,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 4.10 (v1.6.0)", "CWE-538"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	for _, name := range slices.Sorted(maps.Keys(config.Labels)) {
		if value := config.Labels[name]; secret.Variable(name[strings.LastIndexByte(name, '.')+1:], value) {
			report(checks.Finding{
				Key:      name,
				Message:  checks.Msg("everyone who has %s can read the secret in its label %s", i.Ref().Name, name),
				Evidence: []checks.Evidence{{Source: "Config.Labels", Detail: name}},
			})
		}
	}
	var health []string
	if config.Healthcheck != nil {
		health = config.Healthcheck.Test
	}
	for _, c := range []struct {
		field string
		words []string
	}{{"Entrypoint", config.Entrypoint}, {"Cmd", config.Cmd}, {"Healthcheck", health}} {
		text := strings.Join(c.words, " ")
		text = text[:min(len(text), longestStep)]
		if found := secret.Find(text); len(found) > 0 {
			report(checks.Finding{
				Key:      c.field,
				Message:  checks.Msg("everyone who has %s can read the secret in its %s", i.Ref().Name, c.field),
				Evidence: []checks.Evidence{{Source: "Config." + c.field, Detail: masked(text, found[0].Start, found[0].End)}},
			})
		}
	}
})

// systemPaths are not for data. Those that end in a slash mean what is below as
// well.
var systemPaths = []string{
	"/", "/bin", "/bin/", "/boot", "/boot/", "/dev", "/dev/", "/etc", "/lib", "/lib/", "/lib64", "/lib64/", "/proc", "/proc/", "/root", "/root/.ssh", "/run",
	"/sbin", "/sbin/", "/sys", "/sys/", "/usr", "/usr/bin", "/usr/bin/", "/usr/lib", "/usr/sbin", "/usr/sbin/", "/var", "/var/run",
	"/var/run/docker.sock", "/run/docker.sock",
}

func systemPath(volume string) bool {
	dir := path.Clean("/" + volume)
	return !strings.HasPrefix(dir+"/", "/dev/shm/") && slices.ContainsFunc(systemPaths, func(p string) bool {
		return dir == p || p != "/" && strings.HasSuffix(p, "/") && strings.HasPrefix(dir, p)
	})
}

var volumeSensitivePath = configRule(checks.Check{
	ID:       "image-volume-sensitive-path",
	Title:    "Image declares a volume over a system directory",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"dockle DKL-DI-0002", "CWE-732"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	if i.Inspect.Os == "windows" {
		return
	}
	for _, volume := range slices.Sorted(maps.Keys(config.Volumes)) {
		if systemPath(volume) {
			report(checks.Finding{
				Key:      volume,
				Message:  checks.Msg("every container of %s gets a volume over %s, where the system has its files", i.Ref().Name, volume),
				Evidence: []checks.Evidence{{Source: "Config.Volumes", Detail: volume}},
			})
		}
	}
})

// adminService returns what listens on a port by which machines are
// administered, "" for other ports.
func adminService(port string) string {
	n, protocol := portNumber(port)
	switch {
	case protocol != "tcp":
		return ""
	case n == 22:
		return "SSH"
	case n == 23:
		return "Telnet"
	case n >= 512 && n <= 514:
		return "rlogin"
	case n == 2375, n == 2376:
		return "Docker"
	case n == 3389:
		return "RDP"
	case n >= 5900 && n <= 5909:
		return "VNC"
	case n == 5985, n == 5986:
		return "WinRM"
	case n == 10250:
		return "kubelet"
	}
	return ""
}

func ports(config *dockerspec.DockerOCIImageConfig) (out []string) {
	return slices.Sorted(maps.Keys(config.ExposedPorts))
}

// portNumber reads "80/tcp"; 0 is no number.
func portNumber(port string) (n int, protocol string) {
	number, protocol, ok := strings.Cut(port, "/")
	if !ok {
		protocol = "tcp"
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0, protocol
	}
	return n, strings.ToLower(protocol)
}

var exposesAdminPort = configRule(checks.Check{
	ID:       "image-exposes-admin-port",
	Title:    "Image offers remote administration",
	Severity: checks.Medium,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.7 (v1.6.0)", "trivy DS-0004"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	for _, port := range ports(config) {
		if service := adminService(port); service != "" {
			report(checks.Finding{
				Key:      port,
				Message:  checks.Msg("%s offers %s on port %s", i.Ref().Name, service, port),
				Evidence: []checks.Evidence{{Source: "Config.ExposedPorts", Detail: port}},
			})
		}
	}
})

var exposesPrivilegedPort = configRule(checks.Check{
	ID:       "image-exposes-privileged-port",
	Title:    "Image without root listens on a port below 1024",
	Severity: checks.Info,
	Chapter:  checks.NetworkIsolation,
	Refs:     []string{"CIS 5.8 (v1.6.0)"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	if uid, known := checks.UID(config.User, i.Passwd); known && uid == 0 || i.Inspect.Os == "windows" {
		return
	}
	var low []string
	for _, port := range ports(config) {
		if n, _ := portNumber(port); n > 0 && n < 1024 {
			low = append(low, port)
		}
	}
	if len(low) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("%s runs as %s and expects to listen on %s, which not every engine allows", i.Ref().Name, config.User, strings.Join(low, ", ")),
			Evidence: []checks.Evidence{{Source: "Config.ExposedPorts", Detail: strings.Join(low, ", ")}, {Source: "Config.User", Detail: config.User}},
		})
	}
})

// provenance are labels that lead to where an image comes from.
var provenance = []string{
	"org.opencontainers.image.source", "org.opencontainers.image.revision", "org.opencontainers.image.url",
	"org.label-schema.vcs-url", "org.label-schema.vcs-ref",
}

var noProvenanceLabels = configRule(checks.Check{
	ID:       "image-no-provenance-labels",
	Title:    "Image does not say where it comes from",
	Severity: checks.Info,
	Chapter:  checks.ScanningAndSigning,
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	if slices.ContainsFunc(provenance, func(name string) bool { return config.Labels[name] != "" }) {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("no label of %s says which source it was built from", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "Config.Labels", Detail: "none of " + strings.Join(provenance[:3], ", ")}},
	})
})

var shellForm = configRule(checks.Check{
	ID:       "image-shell-form-entrypoint",
	Title:    "A shell stands between the engine and the program",
	Severity: checks.Info,
	Chapter:  checks.Hygiene,
	Refs:     []string{"hadolint DL3025"},
}, func(i *Image, config *dockerspec.DockerOCIImageConfig, report func(checks.Finding)) {
	field, words := "Entrypoint", config.Entrypoint
	if len(words) == 0 {
		field, words = "Cmd", config.Cmd
	}
	if len(words) < 3 || words[1] != "-c" || !strings.HasSuffix(words[0], "sh") || strings.HasPrefix(strings.TrimSpace(words[2]), "exec ") {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("the program of %s is started by a shell, which hands no signal on", i.Ref().Name),
		Evidence: []checks.Evidence{{Source: "Config." + field, Detail: shorten(secret.Redact(strings.Join(words, " ")), 160)}},
	})
})
