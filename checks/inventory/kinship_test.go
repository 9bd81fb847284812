package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apicontainer "github.com/moby/moby/api/types/container"
	api "github.com/moby/moby/api/types/image"

	"plimsoll/checks"
	"plimsoll/checks/compose"
	"plimsoll/checks/container"
	"plimsoll/checks/dockerfile"
	"plimsoll/checks/image"
	"plimsoll/checks/suite"
)

// A file that holds every kind of instruction, and what three builders wrote of
// it: the first two are copied from a real engine, the third is how Buildah
// words them.
const everyInstruction = `FROM scratch AS tools
COPY bb /bin/sh
FROM scratch
ARG VERSION=1.2
COPY --from=tools /bin/sh /bin/sh
COPY bb /bin/busybox
LABEL org.opencontainers.image.title="a shop" tier=web
ENV LANG=C.UTF-8 \
    PORT=8080
WORKDIR /srv
RUN echo $VERSION > v && \
    echo   two
RUN ["/bin/busybox", "true"]
ADD bb app.sh /opt/
EXPOSE 8080 9090/udp
VOLUME /data
USER 1000:1000
HEALTHCHECK --interval=30s CMD wget -q http://localhost/ || exit 1
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/busybox"]
CMD sleep 60
`

// oldest first
var histories = map[string][]string{
	"BuildKit": {
		`ARG VERSION=1.2`, `COPY /bin/sh /bin/sh # buildkit`, `COPY bb /bin/busybox # buildkit`, `LABEL org.opencontainers.image.title=a shop tier=web`,
		`ENV LANG=C.UTF-8 PORT=8080`, `WORKDIR /srv`, `RUN |1 VERSION=1.2 /bin/sh -c echo $VERSION > v &&     echo   two # buildkit`,
		`RUN |1 VERSION=1.2 /bin/busybox true # buildkit`, `ADD bb app.sh /opt/ # buildkit`, `EXPOSE map[8080/tcp:{} 9090/udp:{}]`, `VOLUME [/data]`,
		`USER 1000:1000`, `HEALTHCHECK &{["CMD-SHELL" "wget -q http://localhost/ || exit 1"] "30s" "0s" "0s" '\x00'}`, `STOPSIGNAL SIGTERM`,
		`ENTRYPOINT ["/bin/busybox"]`, `CMD ["/bin/sh" "-c" "sleep 60"]`,
	},
	"classic": {
		`/bin/sh -c #(nop)  ARG VERSION=1.2`, `/bin/sh -c #(nop) COPY file:d34ea896745c08219369d0df7d7d832c44ea3b8bc54a8093db20ef8d33d1f873 in /bin/sh `,
		`/bin/sh -c #(nop) COPY file:7d667c7f1d4616443f60d47a3c988c1070839a2089350cea19c14301ed0bc11d in /bin/busybox `,
		`/bin/sh -c #(nop)  LABEL org.opencontainers.image.title=a shop tier=web`, `/bin/sh -c #(nop)  ENV LANG=C.UTF-8 PORT=8080`,
		`/bin/sh -c #(nop) WORKDIR /srv`, `|1 VERSION=1.2 /bin/sh -c echo $VERSION > v &&     echo   two`, `|1 VERSION=1.2 /bin/busybox true`,
		`/bin/sh -c #(nop) ADD multi:f59399de9cee41ee9be323be64f034dbf5fba410b2617ab6dee0497b9e60ebf7 in /opt/ `, `/bin/sh -c #(nop)  EXPOSE 8080 9090/udp`,
		`/bin/sh -c #(nop)  VOLUME [/data]`, `/bin/sh -c #(nop)  USER 1000:1000`,
		`/bin/sh -c #(nop)  HEALTHCHECK &{["CMD-SHELL" "wget -q http://localhost/ || exit 1"] "30s" "0s" "0s" '\x00'}`,
		`/bin/sh -c #(nop)  STOPSIGNAL SIGTERM`, `/bin/sh -c #(nop)  ENTRYPOINT ["/bin/busybox"]`, `/bin/sh -c #(nop)  CMD ["/bin/sh" "-c" "sleep 60"]`,
	},
	"Buildah": {
		`/bin/sh -c #(nop) ARG VERSION=1.2`, `/bin/sh -c #(nop) COPY file:d34ea896 in /bin/sh `, `/bin/sh -c #(nop) COPY file:7d667c7f in /bin/busybox `,
		`/bin/sh -c #(nop) LABEL "org.opencontainers.image.title"="a shop" "tier"="web"`, `/bin/sh -c #(nop) ENV LANG=C.UTF-8 PORT=8080`,
		`/bin/sh -c #(nop) WORKDIR /srv`, `|1 VERSION=1.2 /bin/sh -c echo $VERSION > v &&     echo   two`, `|1 VERSION=1.2 /bin/busybox true`,
		`/bin/sh -c #(nop) ADD multi:f59399de in /opt/ `, `/bin/sh -c #(nop) EXPOSE 8080 9090/udp`, `/bin/sh -c #(nop) VOLUME /data`,
		`/bin/sh -c #(nop) USER 1000:1000`, `/bin/sh -c #(nop) HEALTHCHECK --interval=30s CMD wget -q http://localhost/ || exit 1`,
		`/bin/sh -c #(nop) STOPSIGNAL SIGTERM`, `/bin/sh -c #(nop) ENTRYPOINT ["/bin/busybox"]`, `/bin/sh -c #(nop) CMD sleep 60`,
	},
}

// base is what the image that a file builds on brings along.
var base = []string{`/bin/sh -c #(nop) ADD file:0123 in / `, `/bin/sh -c #(nop)  CMD ["bash"]`, `RUN /bin/sh -c apt-get update # buildkit`}

// history returns rows in the order of an engine.
func history(oldestFirst ...string) []api.HistoryResponseItem {
	var out []api.HistoryResponseItem
	for n, by := range slices.Backward(oldestFirst) {
		out = append(out, api.HistoryResponseItem{CreatedBy: by, Size: int64(n)})
	}
	return out
}

func parsed(path, text string) *dockerfile.File { return dockerfile.Parse(path, path, []byte(text)) }

func TestAlign(t *testing.T) {
	r := RecipeOf(parsed("/p/Dockerfile", everyInstruction))
	lines := []int{4, 5, 6, 7, 8, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21}
	for builder, rows := range histories {
		for _, below := range [][]string{nil, base} {
			all := slices.Concat(below, rows)
			m := r.Align(history(all...))
			if !m.Sure() || m.Known != 7 || m.Of != 7 {
				t.Errorf("%s: %d of %d", builder, m.Known, m.Of)
			}
			for n, line := range lines {
				want := len(rows) - 1 - n
				if got, ok := m.Layers[line]; !ok || got.Row != want || got.Size != int64(len(below)+n) {
					t.Errorf("%s: line %d is row %v, %v; want %d: %s", builder, line, got, ok, want, rows[n])
				}
			}
		}
	}
}

func TestAlignOfOtherFiles(t *testing.T) {
	built := history(slices.Concat(base, histories["BuildKit"])...)
	for name, c := range map[string]struct {
		text string
		sure bool
	}{
		"one RUN was added since":          {strings.Replace(everyInstruction, "USER", "RUN true\nUSER", 1), true},
		"one RUN is gone":                  {strings.Replace(everyInstruction, "RUN [\"/bin/busybox\", \"true\"]\n", "", 1), true},
		"the base alone":                   {"FROM debian\nRUN apt-get update\nRUN make\nCOPY a /a\nCMD [\"a\"]\n", false},
		"another of the same house":        {"FROM scratch\nCOPY bb /bin/busybox\nRUN make all\nRUN make install\nCOPY conf /etc/app\nCMD [\"app\"]\n", false},
		"nothing that tells":               {"FROM debian\nUSER 1000:1000\n", false},
		"no stage":                         {"ARG A=1\n", false},
		"the same instructions, reordered": {"FROM scratch\nCMD sleep 60\nENTRYPOINT [\"/bin/busybox\"]\nADD bb app.sh /opt/\nRUN [\"/bin/busybox\", \"true\"]\nCOPY bb /bin/busybox\n", false},
	} {
		if m := RecipeOf(parsed("/p/Dockerfile", c.text)).Align(built); m.Sure() != c.sure {
			t.Errorf("%s: sure %v, %d of %d", name, m.Sure(), m.Known, m.Of)
		}
	}
	filled := RecipeOf(parsed("/p/Dockerfile", "FROM a\nARG DIR=/srv\nWORKDIR ${DIR}/app\nCOPY x $DIR/x\nRUN make \"$DIR\"\n")).
		Align(history("ARG DIR=/srv", "WORKDIR /srv/app", "COPY x /srv/x # buildkit", `RUN |1 DIR=/srv /bin/sh -c make "$DIR" # buildkit`))
	if len(filled.Layers) != 4 || !filled.Sure() {
		t.Errorf("variables: %+v", filled)
	}
}

// FuzzInstructionOf holds that no history, which is written by others, is too
// strange to be read.
func FuzzAlign(f *testing.F) {
	for _, rows := range histories {
		f.Add(everyInstruction, strings.Join(rows, "\x00"))
	}
	f.Add("FROM a\nCMD $\nCOPY a $\nRUN ${", "CMD \x00COPY a \x00RUN |\x00|1\x00RUN")
	f.Fuzz(func(t *testing.T, text, rows string) {
		m := RecipeOf(parsed("/p/Dockerfile", text)).Align(history(strings.Split(rows, "\x00")...))
		if m.Known > m.Of || m.Known > len(m.Layers) {
			t.Errorf("%+v", m)
		}
	})
}

func imageItem(id, tag string, rows ...string) *Item {
	i := &image.Image{History: history(rows...)}
	i.Inspect.ID, i.Inspect.RepoTags = id, []string{tag}
	return &Item{Ref: i.Ref(), Subject: i}
}

func containerItem(name, image string, labels map[string]string) *Item {
	c := &container.Container{Inspect: &apicontainer.InspectResponse{ID: name + "-id", Name: "/" + name, Image: image}}
	c.Settings.Name, c.Settings.Config = name, &apicontainer.Config{Labels: labels}
	return &Item{Ref: c.Ref(), Subject: c}
}

func fileItem(path, text string) *Item {
	f := parsed(path, text)
	return &Item{Ref: f.Ref(), Subject: f}
}

func refNames(items []*Item) string {
	var out []string
	for _, i := range items {
		out = append(out, i.Ref.Name)
	}
	return strings.Join(out, " ")
}

func TestFamily(t *testing.T) {
	shop := fileItem("/p/Dockerfile", everyInstruction)
	other := fileItem("/q/Dockerfile", "FROM debian\nRUN make\nCMD [\"app\"]\n")
	project, err := compose.Parse("/p/compose.yaml", "compose.yaml", []byte("services:\n  web:\n    build: .\n  worker:\n    build: {context: ../q}\n  db:\n    image: postgres:16\n"))
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"com.docker.compose.project": "p", "com.docker.compose.service": "worker", "com.docker.compose.project.config_files": "/p/compose.yaml"}
	all := []*Item{
		shop, other, {Ref: project.Ref(), Subject: project},
		imageItem("sha256:1", "shop:1", slices.Concat(base, histories["classic"])...),
		imageItem("sha256:2", "p-worker:latest", "RUN /bin/sh -c changed since # buildkit"),
		imageItem("sha256:3", "else:1", base...),
		containerItem("web-2", "sha256:1", nil), containerItem("web-1", "sha256:1", nil), containerItem("worker-1", "sha256:2", labels), containerItem("lost", "sha256:9", nil),
	}
	var k Kinship
	of := func(name string) string {
		i := slices.IndexFunc(all, func(i *Item) bool { return i.Ref.Name == name })
		f := k.Of(all[i], slices.Values(all))
		var origins, services []string
		for _, o := range f.Origins {
			origins = append(origins, fmt.Sprintf("%s declared %v", o.File.Path, o.Declared))
		}
		for _, s := range f.Services {
			services = append(services, fmt.Sprintf("%s:%d", s.Name, s.Line))
		}
		return fmt.Sprintf("%s | %s | %s | %s", strings.Join(origins, ", "), refNames(f.Images), refNames(f.Containers), strings.Join(services, " "))
	}
	for name, want := range map[string]string{
		"/p/Dockerfile": "/p/Dockerfile declared false | shop:1 | web-1 web-2 | web:2",
		"shop:1":        "/p/Dockerfile declared false | shop:1 | web-1 web-2 | web:2",
		"web-1":         "/p/Dockerfile declared false | shop:1 | web-1 web-2 | web:2",
		"/q/Dockerfile": "/q/Dockerfile declared true | p-worker:latest | worker-1 | worker:4",
		"worker-1":      "/q/Dockerfile declared true | p-worker:latest | worker-1 | worker:4",
		"else:1":        " | else:1 |  | ",
		"lost":          " |  | lost | ",
		"compose.yaml":  " |  |  | ",
	} {
		if got := of(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestCausesExist holds that what is said to have the same cause is a check.
func TestCausesExist(t *testing.T) {
	known := map[string]*checks.Check{}
	for _, c := range suite.All() {
		known[c.ID] = c
	}
	seen := map[string]bool{}
	for _, ids := range causes {
		for _, id := range ids {
			if known[id] == nil || seen[id] {
				t.Errorf("%s is no check, or has two causes", id)
			}
			seen[id] = true
		}
	}
	if !SameCause(known["user-missing"], known["container-runs-as-root"]) || SameCause(known["user-missing"], known["sudo-used"]) {
		t.Error("causes are mixed up")
	}
}

func BenchmarkFamily(b *testing.B) {
	var all []*Item
	for n := range 800 {
		all = append(all, fileItem(fmt.Sprintf("/%d/Dockerfile", n), strings.ReplaceAll(everyInstruction, "two", fmt.Sprint(n))))
	}
	rows := slices.Clone(histories["BuildKit"])
	rows[6] = strings.Replace(rows[6], "two", "700", 1)
	for n := range 300 {
		all = append(all, imageItem(fmt.Sprint("sha256:", n), fmt.Sprintf("i:%d", n), slices.Concat(base, rows)...))
	}
	var k Kinship
	for b.Loop() {
		k.Of(all[800], slices.Values(all))
	}
}
