package files_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const built = `services:
  app:
    build: BUILD
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ` + canary + `
`

// What a builder is sent has no secret in it, whatever list it reads.
func TestSecretStaysOutOfBuilds(t *testing.T) {
	for name, c := range map[string]struct {
		build string
		files map[string]string // before, relative to the project
		want  map[string]string // after
		says  string            // why nothing is done
	}{
		"nothing built":              {build: "https://example.org/app.git", want: map[string]string{".dockerignore": "none"}},
		"here":                       {build: ".", want: map[string]string{".dockerignore": "secrets/\n"}},
		"a Dockerfile below":         {build: "{context: ., dockerfile: docker/Dockerfile}", want: map[string]string{".dockerignore": "secrets/\n"}},
		"a Dockerfile in the file":   {build: `{context: ., dockerfile_inline: "FROM scratch"}`, want: map[string]string{".dockerignore": "secrets/\n"}},
		"a further context":          {build: "{context: app, additional_contexts: {all: .}}", want: map[string]string{".dockerignore": "secrets/\n", "app/.dockerignore": "none"}},
		"another directory":          {build: "app", want: map[string]string{".dockerignore": "none", "app/.dockerignore": "none"}},
		"a list of the Dockerfile's": {build: ".", files: map[string]string{"Dockerfile.dockerignore": "*.log\n"}, want: map[string]string{"Dockerfile.dockerignore": "*.log\nsecrets/\n", ".dockerignore": "none"}},
		"two lists":                  {build: ".", files: map[string]string{"Dockerfile.dockerignore": "", ".dockerignore": ""}, want: map[string]string{"Dockerfile.dockerignore": "secrets/\n", ".dockerignore": "secrets/\n"}},
		"a list below":               {build: "{context: ., dockerfile: docker/Dockerfile}", files: map[string]string{"docker/Dockerfile.dockerignore": "*.log\n"}, want: map[string]string{"docker/Dockerfile.dockerignore": "*.log\nsecrets/\n"}},
		"a list below, of all":       {build: "{context: .., dockerfile: shop/docker/Dockerfile}", files: map[string]string{"docker/Dockerfile.dockerignore": "*.log\n"}, want: map[string]string{"docker/Dockerfile.dockerignore": "*.log\nshop/secrets/\n"}},
		"what is above":              {build: "..", says: "add the line shop/secrets/ at the end of"},
		"what is above, ignored":     {build: "..", files: map[string]string{"../.dockerignore": "shop\n"}, want: map[string]string{"../.dockerignore": "shop\n"}},
		"what is above, excepted":    {build: "..", files: map[string]string{"../.dockerignore": "shop\n!shop/secrets\n"}, says: "add the line shop/secrets/"},
		"the secrets":                {build: "secrets", says: "which is its build context"},
		"ignored but for exceptions": {build: ".", files: map[string]string{".dockerignore": "*\n!*/\n!secrets/**\n"}, want: map[string]string{".dockerignore": "*\n!*/\n!secrets/**\nsecrets/\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newComposeBench(t, strings.Replace(built, "BUILD", c.build, 1))
			dir := filepath.Dir(b.path)
			for _, sub := range []string{"docker", "app"} {
				must(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
			}
			for name, text := range c.files {
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
			}
			plan := b.plan(t, nil, "container-secret-in-env")
			if got := plan.Blocked.String(); !strings.Contains(got, c.says) || (got == "") != (c.says == "") {
				t.Fatalf("blocked: %q, want %q", got, c.says)
			}
			if c.says != "" {
				return
			}
			_, err := b.Apply(t.Context(), plan, nil)
			must(t, err)
			for name, want := range c.want {
				if got := read(t, dir, name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			must(t, b.Undo(t.Context(), plan.ID, nil))
			for name := range c.want {
				want, ok := c.files[name]
				if !ok {
					want = "none"
				}
				if got := read(t, dir, name); got != want {
					t.Errorf("after undo %s is %q, want %q", name, got, want)
				}
			}
		})
	}
}
