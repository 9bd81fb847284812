package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/containerd/errdefs"

	"plimsoll/checks"
	"plimsoll/fixes/private"
)

// SecretsDir returns where secrets are kept that were moved out of projects:
// $XDG_DATA_HOME/plimsoll/secrets, or ~/.local/share/plimsoll/secrets.
func SecretsDir() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "plimsoll", "secrets"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("where to keep secrets: %w", err)
	}
	return filepath.Join(home, ".local", "share", "plimsoll", "secrets"), nil
}

// A vault holds the secrets of one project, where no build can see them: one
// file for each secret, and the removed text that undo needs.
type vault struct{ private.Dir }

func vaultOf(dir, project string) vault {
	return vault{private.Dir{Path: filepath.Join(dir, sum([]byte(project))[:16])}}
}

// within reports whether the vault would be sent to a builder with dir.
func (v vault) within(dir string) bool {
	rel, err := filepath.Rel(resolved(dir), resolved(v.Path))
	return err == nil && filepath.IsLocal(rel)
}

// resolved follows the symbolic links of as much of path as exists.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}

// A deposit is a secret and the file of the vault, or of the project, that will
// hold it.
type deposit struct {
	checks.MovedSecret
	file  string // of the project where Path is set
	makes bool   // the directory of that
}

var secretID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`) })

// place chooses the file for a secret: the one called by its id, or the next
// free one where that holds another value. It writes nothing.
func (v vault) place(s checks.MovedSecret, taken []deposit) (deposit, error) {
	if !secretID().MatchString(s.ID) {
		return deposit{}, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("id of a build secret: %q", s.ID))
	}
	for n := 1; ; n++ {
		file := s.ID
		if n > 1 {
			file = fmt.Sprintf("%s.%d", s.ID, n)
		}
		held, err := v.Read(file)
		switch {
		case err == nil && string(held) != s.Value.Reveal():
			continue
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return deposit{}, err
		}
		free := true
		for _, d := range taken {
			free = free && (d.file != file || d.Value == s.Value)
		}
		if free {
			return deposit{MovedSecret: s, file: file}, nil
		}
	}
}

// keep writes a secret. Nothing that the vault holds is ever overwritten.
func (v vault) keep(file, text string) error {
	err := v.Create(file, []byte(text))
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	held, err := v.Read(file)
	if err == nil && string(held) != text {
		err = errdefs.ErrAlreadyExists.WithMessage(filepath.Join(v.Path, file) + " holds something else")
	}
	return err
}

// Secret returns a secret that was moved out of the files in dir, by the id of
// its mount. The error satisfies [fs.ErrNotExist] when there is none.
func (m *Mechanic) Secret(dir, id string) (checks.Sensitive, error) {
	if !secretID().MatchString(id) {
		return "", fmt.Errorf("secret %q: %w", id, fs.ErrNotExist)
	}
	text, err := vaultOf(m.o.Secrets, dir).Read(id)
	return checks.Sensitive(text), err
}
