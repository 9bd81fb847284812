package scanner

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/program"
)

// Find returns the scanners that are installed, in the order of [Names], with
// getenv for the environment. Versions are read from the files; only a scanner
// whose file does not tell is asked, after all files were looked at.
func Find(ctx context.Context, getenv func(string) string) []Installed {
	var out []Installed
	for _, name := range Names {
		if path := locate(name, getenv); path != "" {
			out = append(out, examine(ctx, name, path, getenv))
		}
	}
	return out
}

// locate returns the absolute path of a scanner, "" when there is none. A
// relative directory on PATH does not count: it would be that of a project.
func locate(name Name, getenv func(string) string) string {
	dirs := filepath.SplitList(getenv("PATH"))
	if name == Scout {
		dirs = pluginDirs(getenv)
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		for _, suffix := range suffixes {
			path := filepath.Join(dir, kinds[name].program+suffix)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && executable(info) {
				return path
			}
		}
	}
	return ""
}

// pluginDirs is where the docker command looks for plugins.
func pluginDirs(getenv func(string) string) []string {
	config := getenv("DOCKER_CONFIG")
	if home := getenv("HOME"); config == "" && home != "" {
		config = filepath.Join(home, ".docker")
	}
	return []string{filepath.Join(config, "cli-plugins"), "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
		"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins"}
}

func examine(ctx context.Context, name Name, path string, getenv func(string) string) Installed {
	i := Installed{Name: name, Path: path, Version: built(path, kinds[name].module)}
	if !Compromised(name, i.Version) && i.Version == "" {
		i.Version = ask(ctx, name, path, getenv)
	}
	if Compromised(name, i.Version) {
		i.Problem = &checks.Problem{
			What: checks.Msg("%s %s at %s is a release that attackers tampered with: it is not run", string(name), i.Version, path),
			Do:   checks.Msg("remove it, replace every password and token that it could read, and install a later release"),
		}
	} else if i.Version == "" {
		i.Problem = &checks.Problem{What: checks.Msg("%s at %s does not say which version it is: it is not run", string(name), path)}
	}
	return i
}

// release is a version as projects write it.
var release = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\bv?(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)`) })

func built(path, module string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	return builtOf(f, module)
}

// Built returns the version of the scanner called name whose program r is,
// without running it; "" when the program does not say.
func Built(name Name, r io.ReaderAt) string { return builtOf(r, kinds[name].module) }

func builtOf(r io.ReaderAt, module string) string {
	info, err := buildinfo.Read(r)
	if err != nil || info.Main.Path != module {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key != "-ldflags" {
			continue
		}
		for _, flag := range strings.Fields(s.Value) {
			// Have: "-X main.version=1.2.3", "-X=…/pkg/version/app.ver=1.2.3".
			at := max(0, strings.LastIndexByte(flag, '='))
			name, value := strings.ToLower(flag[:at]), flag[at:]
			if strings.HasSuffix(name, ".version") || strings.HasSuffix(name, ".ver") {
				if m := release().FindStringSubmatch(value); m != nil {
					return m[1]
				}
			}
		}
	}
	// A module version with a time in it is that of a commit between releases.
	if m := release().FindStringSubmatch(info.Main.Version); m != nil && !strings.Contains(m[1], "-0.") {
		return m[1]
	}
	return ""
}

const longestAnswer = 15 * time.Second

// ask lets a scanner say its version.
func ask(ctx context.Context, name Name, path string, getenv func(string) string) string {
	k := kinds[name]
	folder, err := newFolder()
	if err != nil {
		return ""
	}
	defer folder.remove()
	dir := folder.path
	out, err := program.Run(ctx, program.Command{Path: path, Args: k.ask, Dir: dir, Env: k.environment(getenv, dir)},
		program.Limits{Time: longestAnswer, Output: 1 << 20, Memory: memory})
	if err != nil {
		return ""
	}
	return parseVersion(out.Stdout)
}

// parseVersion reads the answer of any scanner, in JSON or in lines.
func parseVersion(answer []byte) string {
	var object struct{ Version string }
	if json.Unmarshal(answer, &object) == nil && object.Version != "" {
		if m := release().FindStringSubmatch(object.Version); m != nil {
			return m[1]
		}
		return shortened(object.Version, 40) // what a build of one's own calls itself
	}
	for line := range strings.Lines(string(answer)) {
		key, value, ok := strings.Cut(line, ":")
		if !ok || !strings.EqualFold(strings.TrimSpace(key), "version") {
			continue
		}
		if m := release().FindStringSubmatch(value); m != nil {
			return m[1]
		}
		return shortened(strings.TrimSpace(value), 40)
	}
	return ""
}
