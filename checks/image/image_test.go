package image

import (
	"slices"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/vulnerability"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// sound returns an image that nothing is wrong with.
func sound() *Image {
	config := &dockerspec.DockerOCIImageConfig{}
	config.User = "1000"
	config.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD", "true"}}
	config.Entrypoint = []string{"/shop"}
	config.Labels = map[string]string{"org.opencontainers.image.source": "https://git.example/shop"}
	return &Image{
		Known: &vulnerability.Result{},
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

	{"secret in a label", func(i *Image) { i.Inspect.Config.Labels["com.example.password"] = "hunter2" }, []string{"image-secret-in-label-or-cmd com.example.password"}},
	{"token in a label", func(i *Image) { i.Inspect.Config.Labels["note"] = token }, []string{"image-secret-in-label-or-cmd note"}},
	{"secret in the command, told once", func(i *Image) {
		i.Inspect.Config.Cmd = []string{"--password=hunter2"}
		steps(i, "CMD [\"--password=hunter2\"]"+buildkit)
	}, []string{"image-secret-in-label-or-cmd Cmd"}},
	{"secret in the entrypoint", func(i *Image) { i.Inspect.Config.Entrypoint = []string{"/shop", "--api-key", "hunter2"} }, []string{"image-secret-in-label-or-cmd Entrypoint"}},
	{"secret in the health check", func(i *Image) { i.Inspect.Config.Healthcheck.Test = []string{"CMD-SHELL", "PASSWORD=hunter2 ping"} }, []string{"image-secret-in-label-or-cmd Healthcheck"}},
	{"file of a secret in the command", func(i *Image) {
		i.Inspect.Config.Cmd = []string{"--password-file=/run/secrets/db"}
		i.Inspect.Config.Labels["com.example.secret"] = "$SECRET"
	}, nil},

	{"ADD", func(i *Image) { steps(i, "/bin/sh -c #(nop) ADD file:0 in / ", "ADD shop.jar /opt/"+buildkit) }, []string{"image-history-add"}},
	{"ADD to the root", func(i *Image) {
		steps(i, "/bin/sh -c #(nop)  ARG RELEASE", "/bin/sh -c #(nop) ADD file:0 in / ", "RUN /bin/sh -c true"+buildkit, "/bin/sh -c #(nop) ADD file:1 in / ")
	}, []string{"image-history-add"}},
	{"ADD that COPY cannot do", func(i *Image) {
		steps(i, "ADD rootfs.tar.xz /"+buildkit, "ADD tools.tgz /opt/"+buildkit, "ADD https://example.com/x /x"+buildkit, "ADD git@git.example:x.git /x"+buildkit, "COPY a /b"+buildkit)
	}, nil},
	{"index alone", func(i *Image) { steps(i, "RUN /bin/sh -c apt-get -qq update"+buildkit) }, []string{"image-history-cache-left", "image-history-update-alone"}},
	{"index alone, legacy, sudo", func(i *Image) { steps(i, "/bin/sh -c sudo -u root apk update") }, []string{"image-history-sudo", "image-history-update-alone"}},
	{"index with installation", func(i *Image) {
		steps(i, "RUN /bin/sh -c apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*"+buildkit, "RUN /bin/sh -c zypper refresh; zypper -n in curl"+buildkit)
	}, nil},
	{"word in a string", func(i *Image) { steps(i, "RUN /bin/sh -c echo 'sudo apt-get update; apt-get dist-upgrade'"+buildkit) }, nil},
	{"upgrade", func(i *Image) { steps(i, "RUN /bin/sh -c apt-get update && apt-get -y dist-upgrade"+buildkit) }, []string{"image-history-cache-left", "image-history-distro-upgrade"}},
	{"security updates", func(i *Image) {
		steps(i, "RUN /bin/sh -c apt-get update && apt-get -y upgrade && rm -rf /var/lib/apt/lists/*"+buildkit)
	}, nil},
	{"security updates, lists left", func(i *Image) { steps(i, "RUN /bin/sh -c apt-get update && apt-get -y upgrade"+buildkit) }, []string{"image-history-cache-left"}},
	{"lists left", func(i *Image) { steps(i, "RUN /bin/sh -c apt-get update && apt-get install -y curl"+buildkit) }, []string{"image-history-cache-left"}},
	{"apk cache left", func(i *Image) { steps(i, "RUN /bin/sh -c apk add curl"+buildkit) }, []string{"image-history-cache-left"}},
	{"dnf cache left", func(i *Image) { steps(i, "RUN /bin/sh -c dnf install -y curl"+buildkit) }, []string{"image-history-cache-left"}},
	{"caches emptied", func(i *Image) {
		steps(i, "RUN /bin/sh -c apk add --no-cache curl"+buildkit, "RUN /bin/sh -c dnf install -y curl && dnf clean all"+buildkit, "RUN /bin/sh -c apk add curl && rm -rf /var/cache/apk/*"+buildkit)
	}, nil},
	{"TLS off", func(i *Image) { steps(i, "RUN /bin/sh -c curl -fskL https://example.com/x -o /x"+buildkit) }, []string{"image-history-tls-or-signature-off"}},
	{"TLS off, pip as a module", func(i *Image) {
		steps(i, "RUN /bin/sh -c python3 -m pip install --trusted-host example.com x"+buildkit)
	}, []string{"image-history-tls-or-signature-off"}},
	{"TLS off by a variable", func(i *Image) { steps(i, "ENV NODE_TLS_REJECT_UNAUTHORIZED=0"+buildkit) }, []string{"image-history-tls-or-signature-off"}},
	{"TLS off for one command", func(i *Image) {
		steps(i, "RUN /bin/sh -c GIT_SSL_NO_VERIFY=1 git clone https://example.com/x"+buildkit)
	}, []string{"image-history-tls-or-signature-off"}},
	{"TLS off for git", func(i *Image) {
		steps(i, "RUN /bin/sh -c git -c http.sslVerify=false clone https://example.com/x"+buildkit)
	}, []string{"image-history-tls-or-signature-off"}},
	{"signatures off", func(i *Image) {
		steps(i, "RUN /bin/sh -c apt-get install -y --allow-unauthenticated x; rm -rf /var/lib/apt/lists"+buildkit)
	}, []string{"image-history-tls-or-signature-off"}},
	{"signatures off, dnf", func(i *Image) { steps(i, "RUN /bin/sh -c dnf --setopt=gpgcheck=0 install x; dnf clean all"+buildkit) }, []string{"image-history-tls-or-signature-off"}},
	{"verified", func(i *Image) {
		steps(i, "RUN /bin/sh -c curl -fsSLo /k https://example.com/k"+buildkit, "ENV NODE_TLS_REJECT_UNAUTHORIZED=1"+buildkit, "RUN /bin/sh -c wget https://example.com/--no-check"+buildkit)
	}, nil},

	{"volume over the system", func(i *Image) {
		i.Inspect.Config.Volumes = map[string]struct{}{"/etc": {}, "/proc/sys/": {}, "/data": {}}
	},
		[]string{"image-volume-sensitive-path /etc", "image-volume-sensitive-path /proc/sys/"}},
	{"volumes for data", func(i *Image) {
		i.Inspect.Config.Volumes = map[string]struct{}{"/var/lib/shop": {}, "/dev/shm/x": {}, "/etc/shop": {}}
	}, nil},
	{"remote administration", func(i *Image) {
		i.Inspect.Config.ExposedPorts = map[string]struct{}{"2375/tcp": {}, "3389/udp": {}, "8080/tcp": {}}
	},
		[]string{"image-exposes-admin-port 2375/tcp"}},
	{"low port", func(i *Image) { i.Inspect.Config.ExposedPorts = map[string]struct{}{"80/tcp": {}} }, []string{"image-exposes-privileged-port"}},
	{"low port of root", func(i *Image) {
		i.Inspect.Config.ExposedPorts, i.Inspect.Config.User = map[string]struct{}{"80/tcp": {}}, "root"
	}, []string{"image-user-root"}},
	{"odd ports", func(i *Image) { i.Inspect.Config.ExposedPorts = map[string]struct{}{"": {}, "x/tcp": {}, "99999": {}} }, nil},
	{"shell form", func(i *Image) { i.Inspect.Config.Entrypoint = []string{"/bin/sh", "-c", "shop --serve"} }, []string{"image-shell-form-entrypoint"}},
	{"shell form that hands over", func(i *Image) { i.Inspect.Config.Entrypoint = []string{"/bin/sh", "-c", "exec shop"} }, nil},
	{"no source", func(i *Image) { i.Inspect.Config.Labels = nil }, []string{"image-no-provenance-labels"}},
	{"another processor", func(i *Image) { i.Arch, i.Inspect.Architecture = "amd64", "arm64" }, []string{"image-architecture-mismatch"}},
	{"older processor of the kind", func(i *Image) { i.Arch, i.Inspect.Architecture = "amd64", "386" }, nil},
	{"dangling", func(i *Image) { i.Use, i.Inspect.RepoTags = &Use{}, []string{"<none>:<none>"} }, []string{"image-dangling"}},
	{"untagged but used", func(i *Image) { i.Use, i.Inspect.RepoTags = &Use{Containers: []string{"shop"}}, nil }, nil},
	{"unused", func(i *Image) { i.Use = &Use{} }, []string{"image-unused"}},
	{"used", func(i *Image) { i.Use = &Use{Containers: []string{"shop"}} }, nil},
	{"foreign registry", func(i *Image) {
		i.Rules.Registries, i.Inspect.RepoDigests = []string{"registry.example.com/team"}, []string{"evil.example/shop@sha256:1"}
	}, []string{"image-untrusted-registry evil.example/shop"}},
	{"allowed registry", func(i *Image) {
		i.Rules.Registries, i.Inspect.RepoDigests = []string{"registry.example.com/team"}, []string{"registry.example.com/team/shop@sha256:1"}
	}, nil},
	{"built here", func(i *Image) { i.Rules.Registries = []string{"registry.example.com"} }, nil},
	{"not signed", func(i *Image) {
		i.Upstream = &Upstream{Signed: []Signed{{Name: "x", Demanded: true, Provenance: true, SBOM: true}}}
	}, []string{"image-signature-missing x"}},
	{"signed by somebody", func(i *Image) {
		i.Upstream = &Upstream{Signed: []Signed{{Name: "x", Signatures: []Signature{{Kind: "cosign"}}, Provenance: true, SBOM: true}}}
	}, nil},
	{"signed, not verifiable", func(i *Image) {
		i.Upstream = &Upstream{Signed: []Signed{{Name: "x", Demanded: true, Signatures: []Signature{{Kind: "cosign"}}, Provenance: true, SBOM: true}}}
	}, []string{"image-signature-missing x"}},
	{"signed by the wrong one", func(i *Image) {
		i.Upstream = &Upstream{Signed: []Signed{{Name: "x", Demanded: true, Signatures: []Signature{{Kind: "cosign", Failed: true}}, Provenance: true, SBOM: true}}}
	}, []string{"image-signature-invalid x"}},
	{"signed by both", func(i *Image) {
		i.Upstream = &Upstream{Signed: []Signed{{Name: "x", Demanded: true, Signatures: []Signature{{Kind: "cosign", Failed: true}, {Kind: "Notation", Verified: "CN=x"}}, Provenance: true, SBOM: true}}}
	}, nil},
	{"nothing attested", func(i *Image) {
		i.Upstream = &Upstream{Signed: []Signed{{Name: "x", Signatures: []Signature{{Kind: "cosign", Verified: "key"}}}}}
	}, []string{"image-provenance-missing x", "image-sbom-missing x"}},
	{"attested by strangers", func(i *Image) {
		i.Upstream = &Upstream{Signed: []Signed{{Name: "x", Signatures: []Signature{{Kind: "cosign", Verified: "key"}}, SBOM: true, Doubted: []Signature{{Kind: "https://slsa.dev/provenance/v1", Failed: true}}}}}
	}, []string{"image-provenance-missing x"}},
	{"registry has another", func(i *Image) { i.Upstream = &Upstream{Tags: []Served{{Ref: "shop:1", Newer: true}}} }, []string{"image-outdated shop:1"}},
	{"too fresh", func(i *Image) {
		i.Rules.CoolDown = 3 * day
		i.Upstream = &Upstream{Tags: []Served{{Ref: "shop:1", Newer: true, Created: i.Now.Add(-day)}}}
	}, []string{"image-update-too-fresh shop:1"}},
	{"later version", func(i *Image) { i.Upstream = &Upstream{Tags: []Served{{Ref: "shop:1.0", Same: "1.1"}}} }, []string{"image-newer-version-tag shop:1.0"}},
	{"content trust", func(i *Image) { i.Trust = "/home/me/.docker/trust/tuf/docker.io/library/shop" }, []string{"image-trust-legacy-dct"}},
	{"no Dockerfile", func(i *Image) { i.Builds = []checks.Ref{} }, []string{"image-no-dockerfile-known"}},
	{"a Dockerfile", func(i *Image) { i.Builds = []checks.Ref{{Name: "Dockerfile"}} }, nil},
	{"older base", func(i *Image) {
		i.Inspect.RootFS.Layers = []string{"old", "own"}
		i.Base = &Base{Name: "debian:12", Layers: []string{"new"}, Date: "2026-11-20T00:00:00Z", Source: "label"}
	}, []string{"image-base-outdated"}},
	{"same base", func(i *Image) {
		i.Inspect.RootFS.Layers = []string{"new", "own"}
		i.Base = &Base{Name: "debian:12", Layers: []string{"new"}, Date: "2026-11-20T00:00:00Z"}
	}, nil},
	{"base that is older than the image", func(i *Image) {
		i.Inspect.RootFS.Layers = []string{"other", "own"}
		i.Base = &Base{Name: "debian:12", Layers: []string{"new"}, Date: "2026-10-20T00:00:00Z"}
	}, nil},
	{"old runtime", func(i *Image) { i.Inspect.Config.Env = []string{"PYTHON_VERSION=3.7.17"} }, []string{"image-eol-runtime Python"}},
	{"old database with a Debian version", func(i *Image) { i.Inspect.Config.Env = []string{"PG_VERSION=11.22-1.pgdg120+1"} }, []string{"image-eol-runtime PostgreSQL"}},
	{"runtime of today", func(i *Image) {
		i.Inspect.Config.Env = []string{"PYTHON_VERSION=3.13.1", "NODE_VERSION=", "PG_VERSION"}
	}, nil},
	{"large", func(i *Image) { i.Inspect.Size = 2 << 30 }, []string{"image-large-or-many-layers size"}},
	{"large for its runtime", func(i *Image) { i.Inspect.Size, i.Inspect.Config.Env = 900<<20, []string{"PYTHON_VERSION=3.13.1"} }, []string{"image-large-or-many-layers size"}},
	{"not large without it", func(i *Image) { i.Inspect.Size = 900 << 20 }, nil},
	{"many layers", func(i *Image) { i.Inspect.RootFS.Layers = make([]string, 60) }, []string{"image-large-or-many-layers layers"}},

	{"no config", func(i *Image) { i.Inspect.Config = nil }, nil},
}

func TestChecks(t *testing.T) {
	fired := map[string]bool{}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			i := sound()
			test.change(i)
			report := checks.Run(i, Checks(), &checks.Policy{Profile: checks.All})
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
	for _, c := range fileCases {
		for _, want := range c.want {
			fired[strings.Fields(want)[0]] = true
		}
	}
	for _, c := range vulnerableCases {
		for _, want := range c.want {
			fired[strings.Fields(want)[0]] = true
		}
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
	if len(report.Findings) != 4 { // user, variable, history, latest
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
