package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks/dockertest"
)

// TestSecretsOfImagesStayInside hides a secret wherever an image may have one
// and looks for it in every report and in every file that was written.
//
//scenario:66
func TestSecretsOfImagesStayInside(t *testing.T) {
	const secret = "ghp_CANARYnotARealToken0123456789abcdefg"
	dir := home(t)
	key := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("Q0FOQVJZbm90QVJlYWxLZXkwMTIzNDU2Nzg5YWJjZGVm\n", 4) + "-----END PRIVATE KEY-----\n"
	server := dockertest.New()
	server.AddImage(dockertest.Image{
		Tags: []string{"canary:1"}, Layers: []string{"sha256:" + strings.Repeat("1", 64), "sha256:" + strings.Repeat("2", 64)},
		Config: v1.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{
			Env: []string{"API_TOKEN=" + secret}, Cmd: []string{"--password=" + secret}, Labels: map[string]string{"note": secret, "com.example.password": secret},
		}},
		History: []image.HistoryResponseItem{
			{CreatedBy: "RUN /bin/sh -c rm /root/.npmrc # buildkit"},
			{CreatedBy: "RUN |1 NPM_TOKEN=" + secret + " /bin/sh -c curl -k https://me:" + secret + "@example.com/ # buildkit"},
		},
		Content: [][]dockertest.File{{
			{Path: "root/.npmrc", Text: "//registry.example/:_authToken=" + secret + "\n"}, {Path: "app/.env", Text: "DB_PASSWORD=" + secret + "\n"},
			{Path: "app/x.yaml", Text: "token: " + secret + "\n"}, {Path: "etc/key.pem", Text: key}, {Path: "etc/shadow", Text: "root:" + secret + ":1::::::\n"},
			{Path: "etc/apt/sources.list", Text: "deb [trusted=yes] https://me:" + secret + "@example.com ./\n"},
		}, {{Path: "root/.npmrc", Deleted: true}}},
	})
	if err := server.Start(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	leaks := func(where, text string) {
		t.Helper()
		if strings.Contains(text, secret[4:]) || strings.Contains(text, key[30:60]) {
			t.Errorf("%s holds the secret", where)
		}
	}
	for _, format := range []string{"table", "json", "sarif", "markdown", "github", "html"} {
		output := filepath.Join(dir, "report."+format)
		code, out, errs := plimsoll(t, "check", "--host", server.Host(), "--format", format, "image:canary:1")
		if code != 1 || !strings.Contains(out, "image-secret-in-hidden-layer") && format != "github" {
			t.Errorf("%s: exit %d, %s%s", format, code, out, errs)
		}
		leaks(format, out+errs)
		if _, _, errs := plimsoll(t, "check", "--host", server.Host(), "--format", format, "--output", output, "image:canary:1"); errs != "" {
			leaks(format+", errors", errs)
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		leaks(path, string(data))
		return err
	})
	if err != nil || files < 8 {
		t.Errorf("%d files were written, %v", files, err)
	}
}
