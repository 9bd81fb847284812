package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// Nothing can be pulled where tests run, so that images with a distribution in
// them are made here, of packages that a test machine can install.

// absent ends a test that lacks a program: it fails where everything is
// promised to be there, and is skipped aloud elsewhere.
func absent(tb TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv(requireEngine) != "" {
		tb.Fatalf(format, args...)
	}
	tb.Skipf(format, args...)
}

// Busybox puts an image called prefix+name into a real engine that holds
// nothing but a static busybox, its commands, and the user root.
func Busybox(tb TB, c *client.Client, prefix, name string) {
	tb.Helper()
	program, err := exec.LookPath("busybox")
	if err != nil {
		absent(tb, "no busybox (package busybox-static): %v", err)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		tb.Fatalf("reading busybox: %v", err)
	}
	if bytes.Contains(binary, []byte("/ld-linux")) {
		absent(tb, "%s is not static (package busybox-static)", program)
	}
	list, err := exec.Command(program, "--list").Output()
	if err != nil {
		tb.Fatalf("asking busybox for its commands: %v", err)
	}
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, dir := range []string{"bin/", "etc/", "home/", "root/", "tmp/", "usr/", "usr/bin/", "var/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		t.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: mode})
	}
	for name, content := range map[string][]byte{
		"bin/busybox": binary,
		"etc/passwd":  []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
		"etc/group":   []byte("root:x:0:\nnogroup:x:65534:\n"),
	} {
		mode := int64(0o644)
		if name == "bin/busybox" {
			mode = 0o755
		}
		t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))})
		t.Write(content)
	}
	for _, command := range strings.Fields(string(list)) {
		if command != "busybox" {
			t.WriteHeader(&tar.Header{Name: "bin/" + command, Typeflag: tar.TypeSymlink, Linkname: "busybox"})
		}
	}
	if err := t.Close(); err != nil {
		tb.Fatalf("packing busybox: %v", err)
	}
	Import(tb, c, &out, prefix, name, `CMD ["sh"]`)
}

// Debian puts an image called prefix+name with the smallest Debian 12 into a
// real engine. Its only source of packages is in the image itself: greet, which
// recommends greet-extra.
func Debian(tb TB, c *client.Client, prefix, name string) {
	tb.Helper()
	path, err := debian()
	var missing *missingProgram
	switch {
	case errors.As(err, &missing):
		absent(tb, "no Debian image: %v", err)
	case err != nil:
		tb.Fatalf("making a Debian image: %v", err)
	}
	archive, err := os.Open(path)
	if err != nil {
		tb.Fatalf("making a Debian image: %v", err)
	}
	defer archive.Close()
	Import(tb, c, archive, prefix, name, `CMD ["bash"]`)
}

type missingProgram struct{ error }

// debian is the path of a tar with Debian's root. It is made once, since that
// takes a minute, and kept with the user's caches.
var debian = sync.OnceValues(func() (string, error) {
	for _, program := range []string{"debootstrap", "dpkg-deb", "tar"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", &missingProgram{err}
		}
	}
	if os.Geteuid() != 0 {
		return "", &missingProgram{errors.New("debootstrap needs root")}
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(caches, "plimsoll-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	done := filepath.Join(dir, "debian-12-1.tar")
	if _, err := os.Stat(done); err == nil {
		return done, nil
	}
	root, err := os.MkdirTemp(dir, "root")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "bookworm", root).CombinedOutput(); err != nil {
		return "", fmt.Errorf("debootstrap: %w: %s", err, out[max(0, len(out)-500):])
	}
	if err := localPackages(root); err != nil {
		return "", err
	}
	temp := filepath.Join(root+".tar", "")
	defer os.Remove(temp)
	tar := exec.CommandContext(ctx, "tar", "-C", root, "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*",
		"--exclude=./var/cache/apt/archives/*.deb", "--exclude=./usr/share/doc/*", "--exclude=./usr/share/locale/*", "-cf", temp, ".")
	if out, err := tar.CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w: %s", err, out)
	}
	return done, os.Rename(temp, done)
})

// localPackages makes a repository in the root and leaves apt no other.
func localPackages(root string) error {
	repository := filepath.Join(root, "repository")
	var index bytes.Buffer
	for name, more := range map[string]string{"greet": "Recommends: greet-extra\n", "greet-extra": ""} {
		control := fmt.Sprintf("Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n%sDescription: for tests\n", name, more)
		dir := filepath.Join(root, "tmp", name)
		program := filepath.Join(dir, "usr/bin", name)
		for path, text := range map[string]string{filepath.Join(dir, "DEBIAN/control"): control, program: "#!/bin/sh\necho hello from " + name + "\n"} {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return err
			}
		}
		if err := os.Chmod(program, 0o755); err != nil {
			return err
		}
		if err := os.MkdirAll(repository, 0o755); err != nil {
			return err
		}
		file := filepath.Join(repository, name+".deb")
		if out, err := exec.Command("dpkg-deb", "--build", "--root-owner-group", dir, file).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb: %w: %s", err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(&index, "%sFilename: ./%s.deb\nSize: %d\nSHA256: %x\n\n", control, name, len(data), sha256.Sum256(data))
	}
	if err := os.WriteFile(filepath.Join(repository, "Packages"), index.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "etc/apt/sources.list"), []byte("deb [trusted=yes] file:/repository ./\n"), 0o644)
}

// Import makes an image of one layer from an archive of its files, called prefix and
// name; it is labelled as the tests' own.
func Import(tb TB, c *client.Client, root io.Reader, prefix, name string, changes ...string) {
	tb.Helper()
	for key, value := range Labels(prefix) {
		changes = append(changes, fmt.Sprintf("LABEL %s=%q", key, value))
	}
	result, err := c.ImageImport(context.Background(), client.ImageImportSource{Source: root, SourceName: "-"}, prefix+name, client.ImageImportOptions{Changes: changes})
	if err != nil {
		tb.Fatalf("importing %s: %v", name, err)
	}
	defer result.Close()
	said, err := io.ReadAll(result)
	if err != nil || bytes.Contains(said, []byte(`"error"`)) {
		tb.Fatalf("importing %s: %v %s", name, err, said)
	}
}
