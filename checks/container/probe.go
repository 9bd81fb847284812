package container

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

// A probe asks the program of an official image whether it works, with what the
// image has. None of these images declares a health check of its own.
type probe struct {
	programs []string // that it asks
	test     []string
}

// Temporary servers that prepare a database listen on no address, so that a
// probe of 127.0.0.1 does not take one for the real thing.
var probes = map[string]probe{
	// The database of that name is always there: another one would fill the log
	// with refusals.
	"postgres": {[]string{"postgres"}, []string{"CMD-SHELL", `pg_isready -q -h 127.0.0.1 -U "${POSTGRES_USER:-postgres}" -d postgres`}},
	// Who is refused for want of a password has found it alive.
	"mysql":    {[]string{"mysqld"}, []string{"CMD", "mysqladmin", "ping", "-h", "127.0.0.1", "--silent"}},
	"mariadb":  {[]string{"mariadbd", "mysqld"}, []string{"CMD", "mariadb-admin", "ping", "-h", "127.0.0.1", "--silent"}},
	"redis":    {[]string{"redis-server"}, []string{"CMD", "redis-cli", "ping"}},
	"rabbitmq": {[]string{"rabbitmq-server"}, []string{"CMD", "rabbitmq-diagnostics", "-q", "ping"}},
}

// probeFixes returns the health check for what c runs, if one is known.
func (c *Container) probeFixes(config *container.Config) []checks.Fix {
	p, ok := probes[officialImage(c.Settings.Image)]
	if !ok || !p.asks(c, config) || c.Compose != nil && c.Compose.Dockerfile != "" {
		return nil
	}
	return []checks.Fix{{
		ID: "healthcheck", Title: checks.Msg("ask it with %s", p.program()),
		Caution: checks.Msg("what waits for it to be healthy, and a swarm, act on the answer"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Config.Healthcheck = &container.HealthConfig{Test: slices.Clone(p.test)}
			return nil
		},
	}}
}

func (p probe) program() string {
	if p.test[0] == "CMD-SHELL" {
		name, _, _ := strings.Cut(p.test[1], " ")
		return name
	}
	return p.test[1]
}

// asks reports whether the container runs the program that p asks, where p
// looks for it: the same image also makes backups, and listens elsewhere when
// told so.
func (p probe) asks(c *Container, config *container.Config) bool {
	var own container.Config
	if c.Image != nil && c.Image.Config != nil {
		own.Entrypoint, own.Cmd = c.Image.Config.Entrypoint, c.Image.Config.Cmd
	}
	if len(config.Entrypoint) > 0 && !slices.Equal(config.Entrypoint, own.Entrypoint) {
		return false
	}
	for _, arg := range config.Cmd {
		if arg == "-p" || strings.Contains(arg, "port") || strings.Contains(arg, "bind") || strings.Contains(arg, "listen") || strings.Contains(arg, "tls") {
			return false
		}
	}
	for _, entry := range config.Env {
		if name, _, _ := strings.Cut(entry, "="); name == "PGPORT" || name == "MYSQL_TCP_PORT" {
			return false
		}
	}
	return len(config.Cmd) == 0 || slices.Equal(config.Cmd, own.Cmd) || strings.HasPrefix(config.Cmd[0], "-") || slices.Contains(p.programs, config.Cmd[0])
}
