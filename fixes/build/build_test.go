package build_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/fixes/build"
)

func pack(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// A step gets the build secret, and the image does not keep it; without one the
// step fails, and says what it printed.
func TestSecret(t *testing.T) {
	engine := dockertest.Real(t)
	prefix := dockertest.Prefix(t, engine)
	dockertest.Busybox(t, engine, prefix, "busybox:1.35")
	const value = "c4nary-value-nobody-may-see"
	text := "FROM " + prefix + "busybox:1.35\n" +
		"RUN --mount=type=secret,id=token,required=true echo looking && grep -q nobody-may /run/secrets/token && wc -c < /run/secrets/token > /length\n"
	options := func() build.Options {
		return build.Options{
			Context: pack(t, map[string]string{"Dockerfile": text}), Dockerfile: "Dockerfile", Labels: dockertest.Labels(prefix),
			Tag: prefix + "secret:1", Network: "none", NoCache: true, Secrets: map[string]checks.Sensitive{"token": value},
		}
	}
	id, err := build.Run(t.Context(), engine, options())
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine.ImageInspect(t.Context(), prefix+"secret:1")
	if err != nil || got.ID != id {
		t.Fatalf("image %s, %v, want %s", got.ID, err, id)
	}
	saved, err := engine.ImageSave(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	if image, err := io.ReadAll(saved); err != nil || bytes.Contains(image, []byte(value)) {
		t.Errorf("the image keeps the secret: %v", err)
	}

	without := options()
	without.Secrets = nil
	_, err = build.Run(t.Context(), engine, without)
	var failure *build.Failure
	if !errors.As(err, &failure) || !strings.Contains(failure.Reason, "token") {
		t.Errorf("without the secret: %v", err)
	}
	wrong := options()
	wrong.Secrets = map[string]checks.Sensitive{"token": "other"}
	_, err = build.Run(t.Context(), engine, wrong)
	if !errors.As(err, &failure) || !strings.Contains(failure.Log, "looking") {
		t.Errorf("a step that fails: %v, log %q", err, failure)
	}
}

// The classic builder of the same engine takes the same options.
func TestClassic(t *testing.T) {
	engine := dockertest.Real(t)
	prefix := dockertest.Prefix(t, engine)
	dockertest.Busybox(t, engine, prefix, "busybox:1.35")
	options := build.Options{
		Context:    pack(t, map[string]string{"sub/Dockerfile": "ARG BASE\nFROM $BASE\nUSER 1000\nRUN id -u > /tmp/user\n"}),
		Dockerfile: "sub/Dockerfile", Labels: dockertest.Labels(prefix), Network: "none", Classic: true,
		Args: map[string]string{"BASE": prefix + "busybox:1.35"},
	}
	id, err := build.Run(t.Context(), engine, options)
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine.ImageInspect(t.Context(), id)
	if err != nil || got.Config.User != "1000" {
		t.Errorf("user %+v, %v", got.Config, err)
	}
	options.Secrets = map[string]checks.Sensitive{"a": "b"}
	if _, err := build.Run(t.Context(), engine, options); err == nil {
		t.Error("a secret was promised to a builder that has none")
	}
	options.Secrets = nil
	options.Context = strings.NewReader("no tar")
	if _, err := build.Run(t.Context(), engine, options); err == nil {
		t.Error("nonsense was built")
	}
	if _, err := engine.ImageRemove(t.Context(), id, client.ImageRemoveOptions{Force: true}); err != nil {
		t.Error(err)
	}
}
