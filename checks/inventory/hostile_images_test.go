package inventory

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"plimsoll/checks"
	"plimsoll/checks/engine"
	"plimsoll/checks/image/layers"
	"plimsoll/checks/suite"
)

// A picture is an image that somebody built, and what a human says is wrong with
// it: every finding of medium severity and above, written down before any check
// was run. A picture is sound but for what change does to it.
type picture struct {
	name   string
	change func(*painted)
	want   string // ids without "image-", as often as they are found
}

// painted is what a picture is made from.
type painted struct {
	config  map[string]any
	history []string // of the layers, the lowest first
	layers  [][]planted
}

// planted is a file of a layer.
type planted struct {
	name string
	mode int64
	text string
}

const imageCanary = "ghp_CANARYnotARealToken0123456789abcdefg"

var canaryKey = "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("Q0FOQVJZbm90QVJlYWxLZXkwMTIzNDU2Nzg5YWJjZGVm\n", 4) + "-----END PRIVATE KEY-----\n"

func (p *painted) layer(history string, files ...planted) {
	p.history, p.layers = append(p.history, history), append(p.layers, files)
}

func elfFile(name string, mode int64) planted {
	return planted{name, mode, "\x7fELF" + strings.Repeat(".", 200)}
}

var pictures = []picture{
	{"sound", func(p *painted) {}, ""},
	{"root", func(p *painted) { p.config["User"] = "" }, "user-root"},
	{"alias-of-root", func(p *painted) {
		p.config["User"] = "toor"
		p.layer("COPY etc /etc # buildkit", planted{"etc/passwd", 0, "root:x:0:0::/:\ntoor:x:0:0::/:\n"})
	}, "extra-uid0-account user-root"},
	{"secrets-of-the-configuration", func(p *painted) {
		p.config["Env"] = []string{"PATH=/bin", "API_TOKEN=" + imageCanary}
		p.config["Labels"].(map[string]string)["com.example.password"] = imageCanary
		p.config["Cmd"] = []string{"--api-key=" + imageCanary}
	}, "secret-in-env secret-in-label-or-cmd secret-in-label-or-cmd"},
	{"build-argument", func(p *painted) {
		p.layer("RUN |1 NPM_TOKEN="+imageCanary+" /bin/sh -c npm ci # buildkit", planted{"app/x", 0, "x"})
	}, "secret-in-history"},
	{"deleted-too-late", func(p *painted) {
		p.layer("COPY .npmrc /root/ # buildkit", planted{"root/.npmrc", 0o600, "//registry.example/:_authToken=" + imageCanary + "\n"})
		p.layer("RUN /bin/sh -c rm /root/.npmrc # buildkit", planted{"root/.wh..npmrc", 0, ""})
	}, "secret-in-hidden-layer"},
	{"files-of-secrets", func(p *painted) {
		p.layer("COPY . / # buildkit", planted{"etc/tls/server.key", 0o600, canaryKey}, planted{"app/.env", 0, "DB_PASSWORD=" + imageCanary + "\n"},
			planted{"app/settings.yaml", 0, "github: " + imageCanary + "\n"}, planted{"app/.env.example", 0, "DB_PASSWORD=\n"})
	}, "credential-file private-key secret-in-file"},
	{"accounts", func(p *painted) {
		p.layer("COPY etc /etc # buildkit", planted{"etc/passwd", 0, "root:x:0:0::/:\napp:x:1000:1000::/:\n"}, planted{"etc/shadow", 0o640, "root::19000:0::::\napp:!:19000:0::::\n"})
	}, "empty-password"},
	{"tools", func(p *painted) {
		p.layer("COPY tools / # buildkit", elfFile("opt/helper", 0o4755), elfFile("usr/bin/passwd", 0o4755), elfFile("usr/bin/nmap", 0o755), elfFile("usr/sbin/sshd", 0o755), elfFile("usr/bin/gcc-12", 0o755))
	}, "attack-tools-present setuid-setgid-files ssh-server-present"},
	{"past-its-end", func(p *painted) {
		p.config["Env"] = []string{"PYTHON_VERSION=3.7.17"}
		p.layer("ADD rootfs.tar / # buildkit", planted{"usr/lib/os-release", 0, "ID=debian\nVERSION_ID=\"10\"\n"})
	}, "eol-os eol-runtime"},
	{"wide-open", func(p *painted) {
		p.config["ExposedPorts"] = map[string]any{"2375/tcp": struct{}{}, "8080/tcp": struct{}{}}
		p.config["Volumes"] = map[string]any{"/etc": struct{}{}, "/data": struct{}{}}
		p.layer("RUN /bin/sh -c curl -fskL https://example.com/x -o /x # buildkit", planted{"etc/apt/sources.list", 0, "deb [trusted=yes] http://example.com ./\n"})
	}, "exposes-admin-port history-tls-or-signature-off packages-unverified volume-sensitive-path"},
	{"names-that-command-the-terminal", func(p *painted) {
		p.layer("COPY x\x1b[2J / # buildkit", planted{"app/\x1b]0;x\x07\u202e.env", 0, "API_TOKEN=" + imageCanary + "\n"}, elfFile("opt/\x1b[31mhelper", 0o4755))
	}, "credential-file setuid-setgid-files"},
}

// load puts the picture into the engine under tag.
func (p *picture) load(t *testing.T, c *client.Client, tag string) {
	t.Helper()
	made := &painted{config: map[string]any{
		"User": "1000:1000", "Entrypoint": []string{"/app/shop"}, "Labels": map[string]string{"org.opencontainers.image.source": "https://git.example/shop"},
		"Healthcheck": map[string]any{"Test": []string{"CMD", "/app/shop", "health"}},
	}}
	made.layer("COPY shop /app/ # buildkit", elfFile("app/shop", 0o755), planted{"app/picture", 0, p.name + tag})
	p.change(made)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	put := func(w *tar.Writer, f planted) {
		if f.mode == 0 {
			f.mode = 0o644
		}
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.text)), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			t.Fatal(err)
		}
	}
	created := time.Now().UTC().Format(time.RFC3339)
	var names, ids []string
	var history []map[string]any
	for n, files := range made.layers {
		var layer bytes.Buffer
		lw := tar.NewWriter(&layer)
		for _, f := range files {
			put(lw, f)
		}
		lw.Close()
		names, ids = append(names, fmt.Sprintf("%d/layer.tar", n)), append(ids, fmt.Sprintf("sha256:%x", sha256.Sum256(layer.Bytes())))
		history = append(history, map[string]any{"created_by": made.history[n], "created": created})
		put(w, planted{names[n], 0, layer.String()})
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "created": created, "config": made.config, "history": history,
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("%x", sha256.Sum256(config))
	manifest, _ := json.Marshal([]any{map[string]any{"Config": id + ".json", "RepoTags": []string{tag}, "Layers": names}})
	put(w, planted{id + ".json", 0, string(config)})
	put(w, planted{"manifest.json", 0, string(manifest)})
	w.Close()
	result, err := c.ImageLoad(t.Context(), &archive)
	if err != nil {
		t.Fatalf("loading %s: %v", p.name, err)
	}
	answer, err := io.ReadAll(result)
	result.Close()
	t.Cleanup(func() {
		_, _ = c.ImageRemove(context.WithoutCancel(t.Context()), tag, client.ImageRemoveOptions{Force: true})
	})
	if err != nil || bytes.Contains(answer, []byte("errorDetail")) {
		t.Fatalf("loading %s: %s %v", p.name, answer, err)
	}
}

// TestHostileImages loads twelve images into the real engine and compares what
// is found with what a human expects.
func TestHostileImages(t *testing.T) {
	c, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hello, stop := context.WithTimeout(t.Context(), 5*time.Second)
	_, err = c.Ping(hello, client.PingOptions{NegotiateAPIVersion: true})
	stop()
	if err != nil {
		t.Skip("no Docker Engine: ", err)
	}
	target, err := engine.Resolve("")
	if err != nil {
		t.Skip("no Docker Engine: ", err)
	}
	if len(pictures) != 12 {
		t.Errorf("%d images", len(pictures))
	}
	prefix := fmt.Sprintf("plimsoll-test-%08x-", rand.Uint32())
	cache := t.TempDir()
	v := New(Options{Target: &target, Suite: suite.All(), Layers: layers.Used, Cache: layers.NewCache(cache)})
	for _, p := range pictures {
		t.Run(p.name, func(t *testing.T) {
			tag := prefix + p.name + ":1"
			p.load(t, c, tag)
			items, err := v.Gather(t.Context(), Selection{Images: []string{tag}})
			if err != nil || len(items) != 1 || items[0].Subject == nil {
				t.Fatalf("%+v, %v", items, err)
			}
			for _, err := range items[0].Report.Errors {
				t.Error(err)
			}
			var got []string
			for _, f := range items[0].Report.Findings {
				shown := f.Message.String() + fmt.Sprint(f.Evidence)
				if strings.Contains(shown, imageCanary[4:]) || strings.Contains(shown, canaryKey[30:60]) || strings.ContainsAny(shown, "\x1b\x07\u202e\n") {
					t.Errorf("%s shows a secret or commands the terminal: %q", f.Check.ID, shown)
				}
				if f.Severity >= checks.Medium {
					got = append(got, strings.TrimPrefix(f.Check.ID, "image-"))
				}
			}
			slices.Sort(got)
			if found := strings.Join(got, " "); found != p.want {
				t.Errorf("found    %s\nexpected %s", found, p.want)
			}
		})
	}
	err = filepath.WalkDir(cache, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(imageCanary[4:])) || bytes.Contains(data, []byte(canaryKey[30:60])) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
