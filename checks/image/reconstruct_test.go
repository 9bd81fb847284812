package image

import (
	"strings"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	api "github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// historyOf returns an image with steps, the oldest first, each of some size.
func historyOf(config dockerspec.DockerOCIImageConfig, steps ...string) *Image {
	i := &Image{Inspect: api.InspectResponse{ID: "sha256:1", RepoTags: []string{"shop:1"}, Config: &config}}
	for _, s := range steps {
		i.History = append([]api.HistoryResponseItem{{CreatedBy: s, Size: 1}}, i.History...)
	}
	return i
}

func TestReconstructLines(t *testing.T) {
	base := historyOf(dockerspec.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{Env: []string{"PATH=/bin"}, User: "app", WorkingDir: "/srv"}}, "/bin/sh -c #(nop) ADD file:1 in / ")
	base.Inspect.RepoTags, base.Inspect.RepoDigests = []string{"base:1"}, []string{"base@sha256:abc"}
	for _, c := range []struct {
		name   string
		config ocispec.ImageConfig
		step   string
		want   string
	}{
		{"a digest", ocispec.ImageConfig{}, "", "\nFROM base:1@sha256:abc\n"},
		{"a relative place", ocispec.ImageConfig{WorkingDir: "/srv"}, "/bin/sh -c #(nop) COPY dir:1 in app/ ", `COPY --from=shop:1 ["/srv/app/","app/"]`},
		{"an owner", ocispec.ImageConfig{}, "COPY --chown=1000:1000 a /a # buildkit", `COPY --from=shop:1 --chown=1000:1000 ["/a","/a"]`},
		{"a variable with blanks", ocispec.ImageConfig{Env: []string{`A=x y "z" $B \`}}, `ENV A=x y "z" $B \`, `ENV A="x y \"z\" \$B \\"`},
		{"the old form", ocispec.ImageConfig{Env: []string{"A=b c"}}, "/bin/sh -c #(nop) ENV A b c", `ENV A="b c"`},
		{"a variable of no step", ocispec.ImageConfig{Env: []string{"PATH=/bin", "LANG=C.UTF-8"}}, "", "\nENV LANG=C.UTF-8\n"},
		{"several lines of a command", ocispec.ImageConfig{}, "RUN /bin/sh -c set -e\nmake # buildkit", `RUN ["/bin/sh","-c","set -e\nmake"]`},
		{"build arguments", ocispec.ImageConfig{}, "RUN |1 V=1 /bin/sh -c make $V # buildkit", "\nRUN make $V\n"},
		{"a secret argument", ocispec.ImageConfig{}, "ARG NPM_TOKEN=npm_0123456789abcdefghijklmnopqrstuvwxyzAB", "\nARG NPM_TOKEN\n"},
		{"root again", ocispec.ImageConfig{User: "root"}, "", "\nUSER root\n"},
		{"a line of its own", ocispec.ImageConfig{}, "USER a\nRUN evil", "\nUSER a␊RUN evil\n"},
		{"a color", ocispec.ImageConfig{}, "RUN /bin/sh -c echo \x1b[31m", `RUN ["/bin/sh","-c","echo \u001b[31m"]`},
		{"a command alone", ocispec.ImageConfig{Cmd: []string{"a", "b c"}}, "", "\nCMD [\"a\",\"b c\"]\n"},
	} {
		i := historyOf(dockerspec.DockerOCIImageConfig{ImageConfig: c.config}, "/bin/sh -c #(nop) ADD file:1 in / ")
		if c.step != "" {
			i.History = append(historyOf(dockerspec.DockerOCIImageConfig{}, c.step).History, i.History...)
		}
		got := string(i.Reconstruct(base))
		if !strings.Contains(got, c.want) || strings.ContainsRune(got, '\x1b') {
			t.Errorf("%s: no %q in\n%s", c.name, c.want, got)
		}
		if strings.Contains(got, "ADD file") {
			t.Errorf("%s: the steps of the base are repeated in\n%s", c.name, got)
		}
	}
}

// Files that no step accounts for are not lost.
func TestReconstructUnknownSteps(t *testing.T) {
	i := historyOf(dockerspec.DockerOCIImageConfig{}, "bazel build //:image", "RUN /bin/sh -c make # buildkit")
	base := historyOf(dockerspec.DockerOCIImageConfig{})
	base.Inspect.RepoTags = []string{"base:1"}
	if got := string(i.Reconstruct(base)); !strings.Contains(got, "FROM base:1\nCOPY --from=shop:1 / /\n# bazel build //:image\n# RUN make\n") {
		t.Errorf("wrote\n%s", got)
	}
}
