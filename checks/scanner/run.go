package scanner

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/go-units"

	"plimsoll/checks"
	"plimsoll/checks/disk"
	"plimsoll/checks/program"
	"plimsoll/checks/vulnerability"
)

// Bounds of one scan.
const (
	longestScan = 20 * time.Minute
	mostOutput  = 64 << 20
	memory      = 4 << 30
	softMemory  = "GOMEMLIMIT=3GiB" // from which on a program in Go tidies up rather than grow
)

// A Target is the image that is scanned.
type Target struct {
	ID      string
	Size    int64    // bytes of its layers
	DiffIDs []string // of its layers, the lowest first
	Open    func(context.Context) (io.ReadCloser, error)
}

// Scan runs each of scanners on the target, one after the other. The archive is
// written once, into a private folder that is gone afterwards.
func Scan(ctx context.Context, scanners []Installed, target Target, getenv func(string) string) []vulnerability.Scan {
	var out []vulnerability.Scan
	var able []Installed
	for _, i := range scanners {
		if i.Problem != nil {
			out = append(out, vulnerability.Scan{Scanner: string(i.Name), Version: i.Version, Problem: i.Problem})
			continue
		}
		able = append(able, i)
	}
	if len(able) == 0 {
		return out
	}
	folder, archive, err := unpackTo(ctx, target)
	defer folder.remove()
	for _, i := range able {
		s := vulnerability.Scan{Scanner: string(i.Name), Version: i.Version, Taken: time.Now()}
		if err != nil {
			s.Problem = archiveProblem(err)
		} else {
			s = i.scan(ctx, target, folder.path, archive, getenv)
		}
		out = append(out, s)
	}
	return out
}

func archiveProblem(err error) *checks.Problem {
	var p *checks.Problem
	if errors.As(err, &p) {
		return p
	}
	return &checks.Problem{What: checks.Msg("the image could not be saved for the scanners (%s)", err.Error()), Err: err}
}

// unpackTo saves target into a folder of its own.
func unpackTo(ctx context.Context, target Target) (dir *folder, archive string, err error) {
	dir, err = newFolder()
	if err != nil {
		return nil, "", err
	}
	// The archive, and what scanners unpack of it.
	if room, known := disk.Free(dir.path); known && room < 3*uint64(max(0, target.Size)) {
		return dir, "", &checks.Problem{What: checks.Msg("there is no room in %s for the scanners: %s are needed, %s are free", os.TempDir(),
			units.BytesSize(3*float64(target.Size)), units.BytesSize(float64(room)))}
	}
	archive = filepath.Join(dir.path, "image.tar")
	f, err := os.OpenFile(archive, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return dir, "", err
	}
	source, err := target.Open(ctx)
	if err != nil {
		return dir, "", errors.Join(err, f.Close())
	}
	most := 2*target.Size + 256<<20 // of an archive; tar rounds up
	n, err := io.Copy(f, io.LimitReader(source, most))
	if err == nil && n == most {
		err = errors.New("the archive is larger than the image says")
	}
	return dir, archive, errors.Join(err, source.Close(), f.Close())
}

func (i Installed) scan(ctx context.Context, target Target, dir, archive string, getenv func(string) string) vulnerability.Scan {
	k := kinds[i.Name]
	s := vulnerability.Scan{Scanner: string(i.Name), Version: i.Version, Taken: time.Now()}
	work := filepath.Join(dir, string(i.Name))
	if err := os.Mkdir(work, 0o700); err != nil {
		s.Problem = archiveProblem(err)
		return s
	}
	written := filepath.Join(work, "report")
	out, err := program.Run(ctx, program.Command{Path: i.Path, Args: k.scan(archive, written), Dir: work, Env: k.environment(getenv, work)},
		program.Limits{Time: longestScan, Output: mostOutput, Memory: memory, File: uint64(2*max(0, target.Size)) + 1<<30})
	if err != nil {
		s.Problem = i.trouble(out, err)
		return s
	}
	data := out.Stdout
	if k.file {
		if data, err = readBounded(written); err != nil {
			s.Problem = i.trouble(out, err)
			return s
		}
	}
	read, err := k.parse(data)
	if err != nil {
		s.Problem = &checks.Problem{What: checks.Msg("what %s %s wrote is not in a form that is known here (%s)", string(i.Name), i.Version, err.Error()), Err: err}
		return s
	}
	s.Vulnerabilities, s.Data = read.located(target.DiffIDs), read.data
	switch {
	case k.online:
		s.Data = s.Taken
	case i.Name == Trivy: // its report does not say
		if out, err := program.Run(ctx, program.Command{Path: i.Path, Args: k.ask, Dir: work, Env: k.environment(getenv, work)},
			program.Limits{Time: longestAnswer, Output: 1 << 20, Memory: memory}); err == nil {
			s.Data = trivyData(out.Stdout)
		}
	}
	return s
}

// environment returns everything that a scanner sees of ours: where programs
// and its advisories are. It has no engine, and an empty docker configuration
// unless it needs the login.
func (k *kind) environment(getenv func(string) string, dir string) []string {
	env := append([]string{"TMPDIR=" + dir, "TMP=" + dir, "TEMP=" + dir, "DOCKER_HOST=unix://" + filepath.Join(dir, "no-engine"), "DOCKER_CONFIG=" + dir, "NO_COLOR=1", softMemory}, k.env...)
	for _, name := range append([]string{"PATH", "HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "SYSTEMROOT", "XDG_CACHE_HOME", "XDG_DATA_HOME"}, k.inherit...) {
		if value := getenv(name); value != "" {
			env = append(env, name+"="+value)
		} else if name == "DOCKER_CONFIG" { // the default one, below HOME
			env = append(env, "DOCKER_CONFIG="+filepath.Join(getenv("HOME"), ".docker"))
		}
	}
	return env
}

// readBounded reads what a scanner wrote, if that is a file.
func readBounded(path string) ([]byte, error) {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it wrote no report"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostOutput+1))
	if err == nil && len(data) > mostOutput {
		return nil, program.ErrOutput
	}
	return data, err
}

// Missing explains that a scanner that somebody chose is not there.
func Missing(name Name) vulnerability.Scan {
	where := "PATH"
	if name == Scout {
		where = strings.Join([]string{"~", ".docker", "cli-plugins"}, "/")
	}
	return vulnerability.Scan{Scanner: string(name), Problem: &checks.Problem{What: checks.Msg("%s is not installed: there is no %s in %s", string(name), kinds[name].program, where)}}
}
