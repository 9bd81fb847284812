package container

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var logUnbounded = hostRule(checks.Check{
	ID:       "container-log-unbounded",
	Title:    "Logs grow without end",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 2.13 (v1.6.0)", "CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	log := host.LogConfig
	if log.Type == "" && c.EngineLog != nil {
		log = *c.EngineLog
	}
	if !unboundedLog(log) {
		return
	}
	size := log.Config["max-size"]
	f := c.found(setting{"HostConfig.LogConfig", []string{"logging.options.max-size", "logging"}}, log.Type+", max-size "+cmp.Or(size, "not set"),
		checks.Msg("what %s prints can fill the disk of the machine", c.Settings.Name))
	f.Fixes = []checks.Fix{limitLogs()}
	report(f)
})

// unboundedLog reports whether an engine keeps everything that a container
// prints. The driver called local has a limit of its own.
func unboundedLog(log container.LogConfig) bool {
	size := strings.TrimSpace(log.Config["max-size"])
	switch log.Type {
	case "json-file":
		return size == "" || strings.HasPrefix(size, "-")
	case "local":
		return strings.HasPrefix(size, "-")
	}
	return false
}

func limitLogs() checks.Fix {
	size := func(value string) error {
		n, err := units.RAMInBytes(strings.TrimSpace(value))
		if err != nil || n < 64*1024 {
			return refuse(checks.Msg("%s is not a size of a log: use 10m", value))
		}
		return nil
	}
	files := func(value string) error {
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || n < 1 || n > 1000 {
			return refuse(checks.Msg("%s is not a number of files: use 3", value))
		}
		return nil
	}
	return checks.Fix{
		ID:      "log-limit",
		Title:   checks.Msg("limit its logs"),
		Caution: checks.Msg("older lines are removed: send them elsewhere if they must be kept"),
		Choices: []checks.Choice{
			{Key: "log-size", Label: checks.Msg("size of a log file, such as 10m"), Default: "10m", Valid: size},
			{Key: "log-files", Label: checks.Msg("log files to keep"), Default: "3", Valid: files},
		},
		Change: func(s *checks.Settings, values checks.Values) error {
			if err := cmp.Or(size(values["log-size"]), files(values["log-files"])); err != nil {
				return err
			}
			if s.Host.LogConfig.Config == nil {
				s.Host.LogConfig.Config = map[string]string{}
			}
			s.Host.LogConfig.Config["max-size"] = strings.TrimSpace(values["log-size"])
			s.Host.LogConfig.Config["max-file"] = strings.TrimSpace(values["log-files"])
			return nil
		},
	}
}
