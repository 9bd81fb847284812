package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/registry"
	"plimsoll/checks/scanner"
	"plimsoll/checks/signature"
)

// configName is the configuration of a project; that of a user is
// plimsoll/config.yaml in the user's configuration directory.
const configName = checks.ConfigurationName

// A Config is what the user wrote down. Its keys are promises.
type Config struct {
	Language string                     `yaml:"language"`
	ReadOnly bool                       `yaml:"read-only"`
	Profile  checks.Profile             `yaml:"profile"`
	Severity map[string]checks.Severity `yaml:"severity"` // by check id
	Disable  []string                   `yaml:"disable"`  // check ids
	History  *bool                      `yaml:"history"`  // whether to remember findings; nil: yes

	Ignore     []exception             `yaml:"ignore"`         // findings that are accepted, by subject
	Registries []string                `yaml:"registries"`     // that images may come from
	Labels     map[string]checks.Label `yaml:"labels"`         // that images must have
	OnlyLabels bool                    `yaml:"only-labels"`    // and no others
	Licenses   []string                `yaml:"licenses"`       // that packages in images may not be under
	Layers     string                  `yaml:"layers"`         // of which images the layers are read: off, used or all
	Ask        string                  `yaml:"ask-registries"` // about which images: off, used or all
	Signed     []signature.Rule        `yaml:"signed-by"`      // which images have to be signed, and by whom
	CoolDown   int                     `yaml:"cool-down"`      // days for which an update has to have been out
	Scanners   []string                `yaml:"scanners"`       // of others, that look at the same images: trivy, grype, scout

	Runtime runtimeConfig `yaml:"runtime"` // what containers may do
}

// readConfig merges the user's configuration with the project's, which is
// looked for in dir and above, up to the repository's root. The project's
// words win, but for read-only, which stays on once anybody turned it on.
func readConfig(dir string, suite []*checks.Check) (Config, error) {
	var c Config
	if user, err := os.UserConfigDir(); err == nil {
		if c, err = decodeConfig(filepath.Join(user, "plimsoll", "config.yaml"), c, suite); err != nil {
			return c, err
		}
	}
	if path := projectConfig(dir); path != "" {
		readOnly, feeds := c.ReadOnly, c.Runtime.Falco
		var err error
		if c, err = decodeConfig(path, c, suite); err != nil {
			return c, err
		}
		if c.Runtime.Falco != feeds { // a project does not decide what is read on the machine of whoever looks at it
			return c, fmt.Errorf("%s: runtime.falco belongs into the configuration of the user", path)
		}
		c.ReadOnly = c.ReadOnly || readOnly
	}
	return c, nil
}

func projectConfig(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, configName)
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
		_, err := os.Lstat(filepath.Join(dir, ".git"))
		if err == nil || dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

const maxConfig = 1 << 20

// decodeConfig reads path over c. A file that is not there changes nothing; a
// key or a check that does not exist is an error, since a typing mistake
// would otherwise silently switch nothing off.
func decodeConfig(path string, c Config, suite []*checks.Check) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig))
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return parseConfig(data, path, c, suite)
}

// parseConfig reads data, which is at path, over c.
func parseConfig(data []byte, path string, c Config, suite []*checks.Check) (Config, error) {
	outer, demanded := c.Ignore, c.Signed
	c.Ignore, c.Signed = nil, nil
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	for i := range c.Ignore {
		c.Ignore[i].Root = filepath.Dir(path)
	}
	c.Ignore = append(outer, c.Ignore...)
	for i := range c.Signed {
		c.Signed[i].Root = filepath.Dir(path)
	}
	c.Signed = append(demanded, c.Signed...)
	if c.Profile != "" {
		if _, err := checks.ParseProfile(string(c.Profile)); err != nil {
			return c, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := c.Runtime.validate(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if mode, err := layers.ParseMode(c.Layers); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	} else if mode == layers.Quick {
		return c, fmt.Errorf("%s: layers: quick makes containers, and is for the command line only: use off, used or all", path)
	}
	if _, err := registry.ParseMode(c.Ask); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := scanner.Parse(c.Scanners); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	for key, label := range c.Labels {
		if label.Type != "" && !slices.Contains(checks.LabelTypes, label.Type) {
			return c, fmt.Errorf("%s: label %s: there is no type %q: use %s", path, key, label.Type, strings.Join(checks.LabelTypes, ", "))
		}
	}
	ids := c.Disable
	for id := range c.Severity {
		ids = append(slices.Clip(ids), id)
	}
	for _, e := range c.Ignore {
		ids = append(slices.Clip(ids), e.Checks...)
	}
	for _, id := range ids {
		if !slices.ContainsFunc(suite, func(k *checks.Check) bool { return k.ID == id }) {
			return c, fmt.Errorf("%s: there is no check %q: plimsoll explain lists them", path, id)
		}
	}
	return c, nil
}

// policy returns what c says about checks. A profile given by flag wins.
func (c Config) policy(profile checks.Profile) *checks.Policy {
	p := &checks.Policy{Profile: c.Profile, Severities: c.Severity, Disabled: map[string]bool{}, Registries: c.Registries, Labels: c.Labels, OnlyLabels: c.OnlyLabels, Licenses: c.Licenses, CoolDown: time.Duration(max(0, c.CoolDown)) * 24 * time.Hour}
	for _, e := range c.Ignore {
		p.Exceptions = append(p.Exceptions, checks.Exception(e))
	}
	if profile != "" {
		p.Profile = profile
	}
	for _, id := range c.Disable {
		p.Disabled[id] = true
	}
	return p
}
