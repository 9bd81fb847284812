package image

import (
	"slices"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// sound returns an image that nothing is wrong with.
func sound() *Image {
	config := &dockerspec.DockerOCIImageConfig{}
	config.User = "1000"
	config.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD", "true"}}
	return &Image{
		Inspect: image.InspectResponse{
			ID:       "sha256:0123456789abcdef",
			RepoTags: []string{"shop:1.2", "shop:latest"},
			Created:  "2026-11-01T00:00:00Z",
			Config:   config,
		},
		Now: noon,
	}
}

const (
	token    = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	passwd   = "root:x:0:0::/:\ntoor:x:0:0::/:\napp:x:7:7::/:\n"
	buildkit = " # buildkit"
)

// steps makes a history of commands, the oldest first.
func steps(i *Image, commands ...string) {
	for _, c := range slices.Backward(commands) {
		i.History = append(i.History, image.HistoryResponseItem{CreatedBy: c})
	}
}

// cases name what is changed in a sound image and all that is found then: id
// and, after a space, key.
var cases = []struct {
	name   string
	change func(i *Image)
	want   []string
}{
	{"nothing", func(i *Image) {}, nil},

	{"no user", func(i *Image) { i.Inspect.Config.User = "" }, []string{"image-user-root"}},
	{"root", func(i *Image) { i.Inspect.Config.User = "root:app" }, []string{"image-user-root"}},
	{"0 with group", func(i *Image) { i.Inspect.Config.User = "0:1000" }, []string{"image-user-root"}},
	{"alias", func(i *Image) { i.Inspect.Config.User, i.Passwd = "toor", []byte(passwd) }, []string{"image-user-root"}},
	{"user called 0", func(i *Image) { i.Inspect.Config.User, i.Passwd = "0", []byte("0:x:7:7::/:\n") }, nil},
	{"known name", func(i *Image) { i.Inspect.Config.User, i.Passwd = "app", []byte(passwd) }, nil},
	{"unknown name", func(i *Image) { i.Inspect.Config.User = "app" }, nil},
	{"windows", func(i *Image) { i.Inspect.Config.User, i.Inspect.Os = "", "windows" }, nil},

	{"secret in env", func(i *Image) { i.Inspect.Config.Env = []string{"API_TOKEN=abc", "PATH=/bin"} }, []string{"image-secret-in-env API_TOKEN"}},
	{"token in env", func(i *Image) { i.Inspect.Config.Env = []string{"X=" + token} }, []string{"image-secret-in-env X"}},
	{"fingerprint in env", func(i *Image) {
		i.Inspect.Config.Env = []string{"GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D"}
	}, nil},
	{"odd env", func(i *Image) { i.Inspect.Config.Env = []string{"", "=", "PASSWORD", "PASSWORD=", "A=b\x00c"} }, nil},

	{"build argument", func(i *Image) { steps(i, "|1 NPM_TOKEN=s3cret /bin/sh -c npm ci") }, []string{"image-secret-in-history NPM_TOKEN"}},
	{"build argument, BuildKit", func(i *Image) { steps(i, "RUN |2 A=b NPM_TOKEN=s3cret /bin/sh -c npm ci"+buildkit) }, []string{"image-secret-in-history NPM_TOKEN"}},
	{"same argument in many steps", func(i *Image) {
		steps(i, "|1 NPM_TOKEN=s3cret /bin/sh -c a", "|1 NPM_TOKEN=s3cret /bin/sh -c b")
	}, []string{"image-secret-in-history NPM_TOKEN"}},
	{"token in a command", func(i *Image) { steps(i, "/bin/sh -c git clone https://"+token+"@example.com/x") }, []string{"image-secret-in-history github-token"}},
	{"password in a url", func(i *Image) { steps(i, "/bin/sh -c curl https://me:hunter2@example.com") }, []string{"image-secret-in-history password-in-url"}},
	{"variable that was emptied", func(i *Image) {
		steps(i, "/bin/sh -c #(nop)  ENV DB_PASSWORD=hunter2", "ENV DB_PASSWORD="+buildkit)
	}, []string{"image-secret-in-history DB_PASSWORD"}},
	{"variable that is still there", func(i *Image) {
		i.Inspect.Config.Env = []string{"DB_PASSWORD=hunter2"}
		steps(i, "ENV DB_PASSWORD=hunter2"+buildkit)
	}, []string{"image-secret-in-env DB_PASSWORD"}},
	{"innocent history", func(i *Image) {
		steps(i,
			"/bin/sh -c #(nop) ADD file:0123 in / ",
			"ENV GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
			"/bin/sh -c set -eux; key='B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8'; gpg --recv-keys \"$key\"",
			"RUN /bin/sh -c login --password=$PASSWORD --token=\"$(cat /run/secrets/token)\""+buildkit,
			"", "<missing>", "bazel build ...",
		)
	}, nil},

	{"no health check", func(i *Image) { i.Inspect.Config.Healthcheck = nil }, []string{"image-healthcheck-missing"}},
	{"empty health check", func(i *Image) { i.Inspect.Config.Healthcheck.Test = []string{} }, []string{"image-healthcheck-missing"}},
	{"health check switched off", func(i *Image) { i.Inspect.Config.Healthcheck.Test = []string{"NONE"} }, []string{"image-healthcheck-missing"}},

	{"old", func(i *Image) { i.Inspect.Created = "2026-01-01T00:00:00.5Z" }, []string{"image-old-build"}},
	{"reproducible date", func(i *Image) { i.Inspect.Created = "1970-01-01T00:00:00Z" }, nil},
	{"zero date", func(i *Image) { i.Inspect.Created = "0001-01-01T00:00:00Z" }, nil},
	{"no date", func(i *Image) { i.Inspect.Created = "" }, nil},
	{"future", func(i *Image) { i.Inspect.Created = "2027-01-01T00:00:00Z" }, nil},

	{"latest only", func(i *Image) { i.Inspect.RepoTags = []string{"shop:latest", "mirror.example:5000/shop:latest"} }, []string{"image-latest-only"}},
	{"untagged", func(i *Image) { i.Inspect.RepoTags = []string{"<none>:<none>"} }, nil},
	{"no tags", func(i *Image) { i.Inspect.RepoTags = nil }, nil},

	{"no config", func(i *Image) { i.Inspect.Config = nil }, nil},
}

func TestChecks(t *testing.T) {
	fired := map[string]bool{}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			i := sound()
			test.change(i)
			report := checks.Run(i, Checks(), nil)
			for _, err := range report.Errors {
				t.Error(err)
			}
			var got []string
			for _, f := range report.Findings {
				got = append(got, strings.TrimSpace(f.Check.ID+" "+f.Key))
				fired[f.Check.ID] = true
				if len(f.Evidence) == 0 {
					t.Errorf("%s: no evidence", f.Check.ID)
				}
				shown := f.Message.String() + f.Evidence[0].String()
				for _, s := range []string{"s3cret", "hunter2", token, "\x1b"} {
					if strings.Contains(shown, s) {
						t.Errorf("%s shows %q", f.Check.ID, s)
					}
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
	for _, c := range Checks() {
		if !fired[c.ID] {
			t.Errorf("no case makes %s fire", c.ID)
		}
	}
}

func TestHistoryEvidence(t *testing.T) {
	i := sound()
	steps(i, "/bin/sh -c #(nop) ADD file:0 in /", "RUN |1 NPM_TOKEN=s3cret /bin/sh -c npm ci"+buildkit)
	e := checks.Run(i, Checks(), nil).Findings[0].Evidence[0]
	if want := "history, step 2: RUN |1 NPM_TOKEN=•••••••• /bin/sh -c npm ci # buildkit"; e.String() != want {
		t.Errorf("got %q, want %q", e, want)
	}
}

// TestMaskedBeforeCut puts another secret where the evidence is cut off.
func TestMaskedBeforeCut(t *testing.T) {
	for n := 1; n < 120; n++ {
		text := token + strings.Repeat(" ", n) + "TOKEN=s3cret" + strings.Repeat(" ", n) + token
		for _, l := range leaks(text) {
			if strings.Contains(l.shown, token[10:20]) {
				t.Fatalf("%d blanks: %q", n, l.shown)
			}
		}
	}
}

func TestHostileText(t *testing.T) {
	const evil = "\x1b[2J\u202e"
	i := sound()
	i.Inspect.RepoTags = []string{evil + ":latest"}
	i.Inspect.Config.User = "0:" + evil
	i.Inspect.Config.Env = []string{evil + "_PASSWORD=" + evil + "hunter2"}
	steps(i, evil+" API_KEY="+evil+"hunter2 "+evil)
	report := checks.Run(i, Checks(), nil)
	if len(report.Findings) != 4 {
		t.Errorf("%d findings", len(report.Findings))
	}
	for _, f := range report.Findings {
		if shown := f.Message.String() + f.Evidence[0].String(); strings.ContainsAny(shown, "\x1b\u202e") || strings.Contains(shown, "hunter2") {
			t.Errorf("%s shows %q", f.Check.ID, shown)
		}
	}
}

func TestName(t *testing.T) {
	tests := []struct {
		tags, digests []string
		want          string
	}{
		{[]string{"a:1", "b:1"}, nil, "a:1"},
		{[]string{"<none>:<none>"}, []string{"a@sha256:1"}, "a@sha256:1"},
		{nil, []string{"<none>@<none>"}, "0123456789ab"},
		{nil, nil, "0123456789ab"},
	}
	for _, test := range tests {
		if got := Name(test.tags, test.digests, "sha256:0123456789abcdef"); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if got := ShortID("x"); got != "x" {
		t.Errorf("short id %q", got)
	}
}
