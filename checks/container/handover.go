package container

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// A convention is how an official image takes secrets as files: by variables of
// the same name with _FILE behind it.
type convention struct {
	variables []string

	// dropsRoot says that the file is read only after root has become another
	// user, to whom a file of mode 0600 is closed.
	dropsRoot bool
}

// conventions are what the entry points of these images do. Redis and RabbitMQ
// know no such variables, Ghost since 6.58 only, so that they are not among
// them.
var conventions = map[string]convention{
	"postgres": {variables: []string{"POSTGRES_PASSWORD"}},
	"mysql":    {variables: []string{"MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD"}},
	"mariadb": {variables: []string{
		"MARIADB_ROOT_PASSWORD", "MARIADB_PASSWORD", "MARIADB_ROOT_PASSWORD_HASH", "MARIADB_PASSWORD_HASH",
		"MARIADB_REPLICATION_PASSWORD", "MARIADB_REPLICATION_PASSWORD_HASH", "MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD",
	}},
	"mongo": {variables: []string{"MONGO_INITDB_ROOT_PASSWORD"}, dropsRoot: true},
	"wordpress": {variables: []string{
		"WORDPRESS_DB_PASSWORD",
		"WORDPRESS_AUTH_KEY", "WORDPRESS_SECURE_AUTH_KEY", "WORDPRESS_LOGGED_IN_KEY", "WORDPRESS_NONCE_KEY",
		"WORDPRESS_AUTH_SALT", "WORDPRESS_SECURE_AUTH_SALT", "WORDPRESS_LOGGED_IN_SALT", "WORDPRESS_NONCE_SALT",
	}, dropsRoot: true},
	"nextcloud": {variables: []string{"NEXTCLOUD_ADMIN_PASSWORD", "MYSQL_PASSWORD", "POSTGRES_PASSWORD", "REDIS_HOST_PASSWORD"}},
}

// fileSuffix makes the name of a variable that of the one with the path.
const fileSuffix = "_FILE"

// SecretsDir is where programs find files with secrets.
const SecretsDir = "/run/secrets/"

// A Handover is how a secret leaves the environment for a file.
type Handover struct {
	Variable string
	Value    string
	name     string // proposed for the secret
	known    bool   // the image takes the path in a variable of that name with _FILE

	// Readable says that another user than root reads the file.
	Readable bool
}

// Handover returns how the program of c can be handed the secret in variable as
// a file. It is not ok where that is not the value itself, or is the image's own.
func (c *Container) Handover(variable string) (Handover, bool) {
	value, ok := valueOf(c.Settings.Config.Env, variable)
	if !ok || !secret.Variable(variable, value) {
		return Handover{}, false
	}
	return c.HandoverOf(variable, value)
}

// HandoverOf is Handover for a secret whose value comes from elsewhere: "" where
// that is not known.
func (c *Container) HandoverOf(variable, value string) (Handover, bool) {
	if strings.Contains(value, "\x00") {
		return Handover{}, false
	}
	if c.Image != nil && c.Image.Config != nil {
		if _, ok := valueOf(c.Image.Config.Env, variable); ok {
			return Handover{}, false // it would be back without being asked for
		}
	}
	if _, ok := valueOf(c.Settings.Config.Env, variable+fileSuffix); ok {
		return Handover{}, false
	}
	h := Handover{Variable: variable, Value: value, name: secretName(c, variable)}
	if rule, ok := conventions[officialImage(c.Settings.Image)]; ok && (c.Compose == nil || c.Compose.Dockerfile == "") {
		h.known, h.Readable = slices.Contains(rule.variables, variable), rule.dropsRoot
	}
	// Of an image that is neither known nor here nobody can say who it runs as.
	h.Readable = h.Readable || !c.readsEverything() || !h.known && c.Image == nil
	return h, true
}

func valueOf(env []string, variable string) (string, bool) {
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok && name == variable {
			return value, true
		}
	}
	return "", false
}

// readsEverything reports whether the program begins as a root that may read
// what belongs to others.
func (c *Container) readsEverything() bool {
	if c.Engine != nil && c.Engine.UserNamespaces && c.Settings.Host != nil && !c.Settings.Host.UsernsMode.IsHost() {
		return false // its root is nobody on the machine
	}
	user := c.Settings.Config.User
	if user == "" && c.Image != nil && c.Image.Config != nil {
		user = c.Image.Config.User
	}
	name, _, _ := strings.Cut(user, ":")
	if name != "" && name != "root" && name != "0" || c.Settings.Host == nil {
		return false
	}
	drops := slices.ContainsFunc(c.Settings.Host.CapDrop, func(name string) bool {
		return strings.EqualFold(name, "ALL") || strings.HasSuffix(strings.ToUpper(name), "DAC_OVERRIDE")
	})
	return !drops || slices.ContainsFunc(c.Settings.Host.CapAdd, func(name string) bool {
		return strings.HasSuffix(strings.ToUpper(name), "DAC_OVERRIDE")
	})
}

// officialImage returns the name of the official image that ref names, "" where
// it names another one.
func officialImage(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil || reference.Domain(named) != "docker.io" {
		return ""
	}
	name, _ := strings.CutPrefix(reference.Path(named), "library/")
	return name
}

// secretName proposes a name: that of a service tells secrets of two databases
// in one file apart.
func secretName(c *Container, variable string) string {
	name := strings.ToLower(variable)
	if c.Compose != nil && !strings.HasPrefix(name, strings.ToLower(c.Compose.Service)+"_") {
		name = c.Compose.Service + "_" + name
	}
	name = strings.Trim(notOfName().ReplaceAllString(name, "_"), "_.-")
	if !secretNameForm().MatchString(name) {
		return "secret"
	}
	return name
}

var (
	notOfName      = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^A-Za-z0-9_-]+`) })
	secretNameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`) })
	variableForm   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,127}$`) })
)

// Name returns the name that is proposed for the secret.
func (h Handover) Name() string { return h.name }

// keys of the choices, which differ between the secrets of one container.
func (h Handover) nameKey() string { return "name-of-" + kebab(h.Variable) }
func (h Handover) pathKey() string { return "path-variable-of-" + kebab(h.Variable) }

func kebab(variable string) string {
	return strings.Trim(notOfName().ReplaceAllString(strings.ReplaceAll(strings.ToLower(variable), "_", "-"), "-"), "-")
}

// Fix returns the fix without what it changes. name is proposed for the secret.
func (h Handover) Fix(name string) checks.Fix {
	fix := checks.Fix{
		ID:    "secret-file",
		Title: checks.Msg("hand %s over as a file", h.Variable),
		Choices: []checks.Choice{{
			Key:     h.nameKey(),
			Label:   checks.Msg("name of the secret, and of its file"),
			Default: name,
			Valid:   validSecretName,
		}},
	}
	if !h.Readable {
		fix.Caution = checks.Msg("the file is for root alone: where the program gets another user later, or loses DAC_OVERRIDE, it has to be readable (chmod 644; its directory stays closed)")
	}
	if !h.known {
		fix.Caution = checks.Msg("the program itself has to read the file that the variable names: if it does not, it is without %s", h.Variable)
		fix.Choices = append(fix.Choices, checks.Choice{
			Key:     h.pathKey(),
			Label:   checks.Msg("variable that takes its path"),
			Why:     checks.Msg("the image is none of those that are known to take it: its documentation tells"),
			Example: h.Variable + fileSuffix,
			Valid:   h.validPath,
		})
	}
	return fix
}

func validSecretName(name string) error {
	if !secretNameForm().MatchString(name) {
		return refuse(checks.Msg("%s cannot name a secret: use letters, digits, dashes and underscores", name))
	}
	return nil
}

func (h Handover) validPath(variable string) error {
	switch {
	case !variableForm().MatchString(variable):
		return refuse(checks.Msg("%s is no name of a variable", variable))
	case variable == h.Variable:
		return refuse(checks.Msg("%s holds the secret itself, not a path: name another variable", variable))
	}
	return nil
}

// Chosen returns the name of the secret and the variable for its path.
func (h Handover) Chosen(values checks.Values) (name, variable string, err error) {
	name, variable = values[h.nameKey()], h.Variable+fileSuffix
	if !h.known {
		variable = values[h.pathKey()]
	}
	if err := validSecretName(name); err != nil {
		return "", "", err
	}
	return name, variable, h.validPath(variable)
}

// handedOver returns the fix for a container.
func handedOver(h Handover) checks.Fix {
	fix := h.Fix(h.name)
	fix.Change = func(s *checks.Settings, values checks.Values) error {
		name, variable, err := h.Chosen(values)
		if err != nil {
			return err
		}
		at := slices.Index(s.Config.Env, h.Variable+"="+h.Value)
		if at < 0 {
			return nil
		}
		target := SecretsDir + name
		s.Config.Env[at] = variable + "=" + target
		s.Secrets = append(s.Secrets, checks.FileSecret{
			Variable: h.Variable, Name: name, Target: target, Value: checks.Sensitive(h.Value), Readable: h.Readable,
		})
		return nil
	}
	return fix
}
