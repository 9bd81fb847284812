package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/checks"
	"plimsoll/checks/registry/registrytest"
)

// The account of the registry with a password: user:not-a-real-password.
const (
	account = "user:not-a-real-password"
	hashed  = `$2a$05$abcdefghijklmnopqrstuudLYPY/O3Omal5/C.k5.n2dNOG5VmjFK`
)

var amd64 = ocispec.Platform{OS: "linux", Architecture: "amd64"}

func named(t *testing.T, text string) reference.NamedTagged {
	t.Helper()
	n, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		t.Fatal(err)
	}
	return n.(reference.NamedTagged)
}

// counted is a registry behind something that writes down what it is asked.
func counted(t *testing.T, host string) (front string, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var log []string
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		log = append(log, r.Method+" "+r.URL.Path)
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(log)
	}
}

func TestServes(t *testing.T) {
	front, asked := counted(t, registrytest.Start(t))
	repo := registrytest.Repository{TB: t, Host: front, Name: "team/shop"}
	old := repo.Image("1.4", "old", time.Now())["digest"].(string)
	before := len(asked())
	name := named(t, front+"/team/shop:1.4")
	c := New(Keychain{}, Cache{})
	s, err := c.Serves(t.Context(), name, amd64, []string{old})
	if err != nil || s.Digest.String() != old || s.Platform != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	if questions := asked()[before:]; !slices.Equal(questions, []string{"HEAD /v2/team/shop/manifests/1.4"}) {
		t.Errorf("asked %q", questions)
	}
	day := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	newer := repo.Image("1.4", "new", day)["digest"].(string)
	s, err = c.Serves(t.Context(), name, amd64, []string{old})
	if err != nil || s.Digest.String() != newer || s.Platform.String() != newer || s.Config == "" || !s.Created.Equal(day) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := c.Serves(t.Context(), named(t, front+"/team/shop:2"), amd64, nil); !IsNotFound(err) {
		t.Errorf("a tag that is not there: %v", err)
	}
}

// TestServesOtherPlatform changes what an index has for another platform.
func TestServesOtherPlatform(t *testing.T) {
	host := registrytest.Start(t)
	repo := registrytest.Repository{TB: t, Host: host, Name: "multi"}
	ours := repo.Image("", "ours", time.Now())
	ours["platform"] = amd64
	theirs := repo.Image("", "theirs", time.Now())
	theirs["platform"] = ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	index := func(manifests ...any) string {
		return repo.Manifest("1", ocispec.MediaTypeImageIndex, map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": manifests})["digest"].(string)
	}
	index(ours)
	first := index(ours, theirs)
	c := New(Keychain{}, Cache{})
	s, err := c.Serves(t.Context(), named(t, host+"/multi:1"), amd64, []string{"sha256:" + strings.Repeat("0", 64)})
	if err != nil || s.Digest.String() != first || s.Platform.String() != ours["digest"] || !slices.Equal(s.Platforms, []string{"linux/amd64", "linux/arm64/v8"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := c.Serves(t.Context(), named(t, host+"/multi:1"), ocispec.Platform{OS: "windows", Architecture: "amd64"}, nil); !errors.Is(err, errPlatform) {
		t.Errorf("%v", err)
	}
}

func TestCacheOfAnswers(t *testing.T) {
	front, asked := counted(t, registrytest.Start(t))
	repo := registrytest.Repository{TB: t, Host: front, Name: "shop"}
	have := []string{repo.Image("1", "x", time.Now())["digest"].(string)}
	before := len(asked())
	dir := t.TempDir()
	for range 3 {
		c := New(Keychain{}, NewCache(dir))
		if _, err := c.Serves(t.Context(), named(t, front+"/shop:1"), amd64, have); err != nil {
			t.Fatal(err)
		}
		if tags, err := c.Tags(t.Context(), named(t, front+"/shop:1")); err != nil || !slices.Equal(tags, []string{"1"}) {
			t.Fatalf("%v, %v", tags, err)
		}
	}
	if n := len(asked()) - before; n != 2 {
		t.Errorf("%d questions", n)
	}
	// What was remembered for who had the image is not enough for who has another.
	if s, err := New(Keychain{}, NewCache(dir)).Serves(t.Context(), named(t, front+"/shop:1"), amd64, nil); err != nil || s.Config == "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// keychain is one with this config.json.
func keychain(t *testing.T, config string) Keychain {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return Keychain{dir}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte("user:"+hashed+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := registrytest.Start(t, fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}", file))
	repo := registrytest.Repository{TB: t, Host: host, Name: "private/shop", User: account}
	have := repo.Image("1", "x", time.Now())["digest"].(string)
	encoded := base64.StdEncoding.EncodeToString([]byte(account))
	name := named(t, host+"/private/shop:1")
	for config, works := range map[string]bool{
		`{"auths": {"` + host + `": {"auth": "` + encoded + `"}}}`:                                          true,
		`{"auths": {"http://` + host + `/v2/": {"username": "user", "password": "not-a-real-password"}}}`:   true,
		`{"auths": {"127.0.0.1:1": {"auth": "` + encoded + `"}, "docker.io": {"auth": "` + encoded + `"}}}`: false,
		`{}`:      false,
		`{"auths`: false,
	} {
		s, err := New(keychain(t, config), Cache{}).Serves(t.Context(), name, amd64, []string{have})
		if works && (err != nil || s.Digest.String() != have) {
			t.Errorf("%s: %v", config, err)
		}
		if !works && (err == nil || strings.Contains(err.Error(), "not-a-real")) {
			t.Errorf("%s: %v", config, err)
		}
	}
	_, err := New(Keychain{}, Cache{}).Head(t.Context(), name)
	var p *checks.Problem
	if !errors.As(err, &p) || !strings.Contains(p.Error(), "docker login "+host) {
		t.Errorf("without credentials: %v", err)
	}
}

func TestCredentialHelper(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	text := "#!/bin/sh\nread host; echo \"$1 $host\" >>" + log + `
case $host in
https://index.docker.io/v1/) echo '{"Username": "<token>", "Secret": "identity"}';;
ghcr.io) echo '{"Username": "me", "Secret": "word"}';;
slow.example) sleep 60;;
broken.example) echo 'canary'; exit 1;;
*) echo 'credentials not found in native keychain'; exit 1;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-fake"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	k := keychain(t, `{"credsStore": "fake", "credHelpers": {"other.example": "absent", "evil.example": "../../bin/sh"}}`)
	get := func(host string) string {
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		c, err := k.Get(ctx, host)
		if err != nil {
			return "error " + err.Error()
		}
		return c.Username + ":" + c.Password + ":" + c.RefreshToken
	}
	for host, want := range map[string]string{"registry-1.docker.io": "::identity", "ghcr.io": "me:word:", "quay.io": "::"} {
		if got := get(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	for _, host := range []string{"slow.example", "broken.example", "other.example", "evil.example"} {
		if got := get(host); !strings.HasPrefix(got, "error ") || strings.Contains(got, "canary") {
			t.Errorf("%s: %q", host, got)
		}
	}
	asked, _ := os.ReadFile(log)
	for line := range strings.Lines(string(asked)) {
		if strings.Contains(line, "other.example") || !strings.HasPrefix(line, "get ") {
			t.Errorf("asked %q", line)
		}
	}
}

// TestCredentialsStayAtHome has registries that try to get them sent elsewhere.
func TestCredentialsStayAtHome(t *testing.T) {
	var mu sync.Mutex
	var stolen []string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 4096)
		n, _ := r.Body.Read(body)
		mu.Lock()
		stolen = append(stolen, r.Header.Get("Authorization")+string(body[:n])+r.URL.RawQuery)
		mu.Unlock()
		fmt.Fprint(w, `{"token": "worthless"}`)
	}))
	defer thief.Close()
	tries := 0
	for name, challenge := range map[string]string{
		"realm":    `Bearer realm="` + thief.URL + `/token",service="x"`,
		"redirect": `Basic realm="x"`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Authorization") == "":
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
			default:
				tries++
				http.Redirect(w, r, thief.URL+"/blob", http.StatusTemporaryRedirect)
			}
		}))
		defer server.Close()
		host := strings.TrimPrefix(server.URL, "http://")
		for _, entry := range []string{`"auth": "` + base64.StdEncoding.EncodeToString([]byte(account)) + `"`, `"identitytoken": "not-a-real-token"`} {
			_, _ = New(keychain(t, `{"auths": {"`+host+`": {`+entry+`}}}`), Cache{}).Head(t.Context(), named(t, host+"/x:1"))
		}
		if name == "redirect" && tries == 0 {
			t.Error("nothing was tried")
		}
	}
	secret := base64.StdEncoding.EncodeToString([]byte(account))
	for _, s := range stolen {
		if strings.Contains(s, secret) || strings.Contains(s, "not-a-real") {
			t.Errorf("%q was sent elsewhere", s)
		}
	}
	if len(stolen) == 0 {
		t.Error("nobody asked the thief at all: the test tests nothing")
	}
}

func TestTrusts(t *testing.T) {
	for text, want := range map[string]bool{
		"registry-1.docker.io https://registry-1.docker.io/v2/": true,
		"registry-1.docker.io https://auth.docker.io/token":     true,
		"registry-1.docker.io http://auth.docker.io/token":      false,
		"registry.example.com https://gitlab.example.com/jwt":   true,
		"ghcr.io https://ghcr.io:443/token":                     true,
		"ghcr.io:443 https://ghcr.io/token":                     true,
		"me.github.io https://you.github.io/token":              false,
		"shop.co.uk https://evil.co.uk/":                        false,
		"ghcr.io https://ghcr.io.evil.example/":                 false,
		"127.0.0.1:5000 http://127.0.0.1:5001/token":            false,
		"127.0.0.1:5000 http://127.0.0.1:5000/token":            true,
		"registry https://registry.evil/":                       false,
	} {
		host, address, _ := strings.Cut(text, " ")
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&guard{host: host}).trusts(u); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestRateLimit(t *testing.T) {
	asked := 0
	answer := func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; answer(w) }))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	c := New(Keychain{}, Cache{})
	for range 3 {
		_, err := c.Head(t.Context(), named(t, host+"/x:1"))
		if err == nil || !strings.Contains(err.Error(), "wants no more questions for 1") {
			t.Errorf("%v", err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	asked = 0
	answer = func(w http.ResponseWriter) {
		w.Header().Set("RateLimit-Remaining", "0;w=21600")
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("a", 64))
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Content-Length", "10")
	}
	c = New(Keychain{}, Cache{})
	if _, err := c.Head(t.Context(), named(t, host+"/x:1")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Head(t.Context(), named(t, host+"/y:1")); err == nil || asked != 1 {
		t.Errorf("%v after %d questions", err, asked)
	}
}

// TestRateLimitElsewhere has the place of the blobs say that it had enough.
func TestRateLimitElsewhere(t *testing.T) {
	asked := 0
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Retry-After", "99999999999")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer cdn.Close()
	server := httptest.NewServer(http.RedirectHandler(cdn.URL+"/blob", http.StatusTemporaryRedirect))
	defer server.Close()
	c := New(Keychain{}, Cache{})
	for range 2 {
		_, err := c.Blob(t.Context(), named(t, strings.TrimPrefix(server.URL, "http://")+"/x:1"), ocispec.Descriptor{MediaType: "x", Digest: digest.FromString("x"), Size: 1})
		if err == nil || !strings.Contains(err.Error(), "wants no more questions for 21") {
			t.Errorf("%v", err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestTagsBreakOff has a registry fail in the middle of its list, once.
func TestTagsBreakOff(t *testing.T) {
	broken := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("last") == "":
			w.Header().Set("Link", `</v2/shop/tags/list?last=1>; rel="next"`)
			fmt.Fprint(w, `{"tags": ["1.0"]}`)
		case broken:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			fmt.Fprint(w, `{"tags": ["2.0"]}`)
		}
	}))
	defer server.Close()
	c := New(Keychain{}, NewCache(t.TempDir()))
	name := named(t, strings.TrimPrefix(server.URL, "http://")+"/shop:1.0")
	if tags, err := c.Tags(t.Context(), name); err == nil {
		t.Errorf("%q is all", tags)
	}
	broken = false
	if tags, err := c.Tags(t.Context(), name); err != nil || !slices.Equal(tags, []string{"1.0", "2.0"}) {
		t.Errorf("%q, %v", tags, err)
	}
}

func TestHostileRegistry(t *testing.T) {
	pages := 0
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/endless/tags/list", func(w http.ResponseWriter, r *http.Request) {
		pages++
		w.Header().Set("Link", fmt.Sprintf(`</v2/endless/tags/list?last=%d>; rel="next"`, pages))
		fmt.Fprintf(w, `{"tags": ["1.%d"]}`, pages)
	})
	mux.HandleFunc("/v2/huge/tags/list", func(w http.ResponseWriter, r *http.Request) {
		for range 10 << 10 {
			if _, err := fmt.Fprint(w, strings.Repeat(" ", 1<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/v2/liar/manifests/1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("a", 64))
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Content-Length", "2")
		fmt.Fprint(w, "{}")
	})
	mux.HandleFunc("/v2/liar/manifests/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		fmt.Fprint(w, "{}")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	c := New(Keychain{}, Cache{})
	if tags, err := c.Tags(t.Context(), named(t, host+"/endless:1")); len(tags) == 0 || len(tags) > mostPages {
		t.Errorf("%d tags, %v", len(tags), err)
	}
	if tags, err := c.Tags(t.Context(), named(t, host+"/huge:1")); err == nil {
		t.Errorf("%d tags", len(tags))
	}
	if s, err := c.Serves(t.Context(), named(t, host+"/liar:1"), amd64, nil); err == nil {
		t.Errorf("believes %+v", s)
	}
	if _, err := c.Head(t.Context(), named(t, "127.0.0.1:1/x:1")); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1 cannot be reached") {
		t.Errorf("%v", err)
	}
}

func TestNewer(t *testing.T) {
	for _, c := range []struct{ tag, all, want string }{
		{"1.25.3", "1.25.3 1.25.4 1.26.0 1.9.9 2.0.0 2.0.0-rc1 latest", "1.26.0 2.0.0"},
		{"1.25", "1.25 1.25.4 1.26 1.27-alpine", "1.26 "},
		{"12", "11 12 13 bookworm 20241016 2024", " 13"},
		{"1.25.3-alpine3.18", "1.25.3-alpine3.20 1.25.4-alpine3.20 1.26.0 1.27.0-bookworm", "1.25.4-alpine3.20 "},
		{"v2.1.0", "v2.1.0 2.2.0 v2.2.0 v3.0.0-beta.1", "v2.2.0 "},
		{"16-bookworm", "15-bookworm 16-bookworm 17-bookworm 17-bullseye", " 17-bookworm"},
		{"3.0.0-rc1", "3.0.0-rc2 3.0.0", "3.0.0-rc2 "},
		{"latest", "1 2 3", " "}, {"bookworm", "trixie", " "}, {"20241016", "20241111", " "}, {"3d5f1c2", "4d5f1c2", " "}, {"1.2_3", "1.2_4", " "},
		{"1.0.0", "99999999999999999999.0.0 1.0.0", " "}, {"", "1", " "}, {"2026.10.1", "2026.11.2 2027.1.0", "2026.11.2 2027.1.0"},
	} {
		same, later := Newer(c.tag, strings.Fields(c.all))
		if got := same + " " + later; got != c.want {
			t.Errorf("%s: %q, want %q", c.tag, got, c.want)
		}
	}
}

func FuzzNewer(f *testing.F) {
	f.Add("1.25.3-alpine3.18", "1.25.4-alpine3.20")
	f.Add("v2", "v3")
	f.Fuzz(func(t *testing.T, tag, other string) {
		if same, later := Newer(tag, []string{tag, other}); same == tag || later == tag {
			t.Errorf("%q is newer than itself", tag)
		}
	})
}

// TestEngineAuth: an engine gets the credentials of the registry that it is to
// pull from, never those of another.
//
//scenario:76
func TestEngineAuth(t *testing.T) {
	encoded := func(user string) string {
		return base64.StdEncoding.EncodeToString([]byte(user + ":not-a-real-password"))
	}
	k := keychain(t, `{"auths": {"ghcr.io": {"auth": "`+encoded("cat")+`"}, "https://index.docker.io/v1/": {"auth": "`+encoded("hub")+`"}, "127.0.0.1:5000": {"identitytoken": "t0ken"}}}`)
	for ref, want := range map[string]string{
		"ghcr.io/acme/shop:1":                             `{"username":"cat","password":"not-a-real-password","serveraddress":"ghcr.io"}`,
		"shop":                                            `{"username":"hub","password":"not-a-real-password","serveraddress":"https://index.docker.io/v1/"}`,
		"docker.io/acme/shop":                             `{"username":"hub","password":"not-a-real-password","serveraddress":"https://index.docker.io/v1/"}`,
		"127.0.0.1:5000/shop:1":                           `{"serveraddress":"127.0.0.1:5000","identitytoken":"t0ken"}`,
		"127.0.0.1:5001/shop:1":                           "",
		"127.0.0.1/shop":                                  "",
		"ghcr.io.example.com/acme/shop:1":                 "",
		"example.com/ghcr.io/acme/shop:1":                 "",
		"xghcr.io/shop@sha256:" + strings.Repeat("0", 64): "",
		"not an image":                                    "",
	} {
		got, err := k.EngineAuth(t.Context(), ref)
		plain, _ := base64.URLEncoding.DecodeString(got)
		if err != nil || string(plain) != want {
			t.Errorf("%s: %s, %v; want %s", ref, plain, err, want)
		}
	}
	if got, err := keychain(t, `{"auths`).EngineAuth(t.Context(), "shop"); got != "" || err == nil {
		t.Errorf("%q, %v", got, err)
	}
}
