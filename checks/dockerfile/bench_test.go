package dockerfile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"plimsoll/checks"
)

// ordinaryFiles returns Dockerfiles as people write them, n of them.
func ordinaryFiles(n int) [][]byte {
	var out [][]byte
	for i := range n {
		var b strings.Builder
		fmt.Fprintf(&b, "# syntax=docker/dockerfile:1\n# service %d\nARG VERSION=3.%d\nFROM python:${VERSION} AS build\n", i, i%12)
		b.WriteString("WORKDIR /src\nCOPY requirements.txt ./\nRUN --mount=type=cache,target=/root/.cache pip install -r requirements.txt\n\n")
		fmt.Fprintf(&b, "FROM debian:12\nLABEL org.opencontainers.image.title=\"service %d\"\nENV LANG=C.UTF-8 \\\n    # the port\n    PORT=80%02d\n", i, i%100)
		b.WriteString("RUN apt-get update && apt-get install -y --no-install-recommends \\\n        ca-certificates \\\n        curl \\\n        git \\\n    && rm -rf /var/lib/apt/lists/*\n")
		for j := range i % 7 {
			fmt.Fprintf(&b, "RUN set -eux; mkdir -p /opt/part%d; if [ -d /opt/part%d ]; then echo ok; fi\n", j, j)
		}
		b.WriteString("ARG API_TOKEN\nCOPY --from=build /src /app\nCOPY . /app\nRUN curl -fsSL https://example.com/tool.tgz | tar -xz -C /usr/local\n")
		b.WriteString("EXPOSE 8080\nCMD [\"python3\", \"/app/main.py\"]\n")
		out = append(out, []byte(b.String()))
	}
	return out
}

// BenchmarkAllChecks measures reading and judging files, and reports how much
// that is of what BuildKit's parser alone takes for them.
func BenchmarkAllChecks(b *testing.B) {
	files := ordinaryFiles(100)
	suite := Checks()
	policy := &checks.Policy{Profile: checks.All}
	floor := func() {
		for _, src := range files {
			result, err := parser.Parse(bytes.NewReader(src))
			if err == nil {
				_, _, err = instructions.Parse(result.AST, linter.New(&linter.Config{}))
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	var own, least time.Duration
	for b.Loop() {
		start := time.Now()
		floor()
		middle := time.Now()
		for _, src := range files {
			checks.Run(Parse("/Dockerfile", "Dockerfile", src), suite, policy)
		}
		least += middle.Sub(start)
		own += time.Since(middle)
	}
	b.ReportMetric(own.Seconds()/least.Seconds(), "×parser")
	b.ReportMetric(float64(own.Microseconds())/float64(len(files)*b.N), "µs/file")
}

// BenchmarkAdversarial measures the files that are made to be slow, and
// reports the worst of them.
func BenchmarkAdversarial(b *testing.B) {
	suite := Checks()
	policy := &checks.Policy{Profile: checks.All}
	files := corpus(b, "adversarial/dockerfile")
	var worst time.Duration
	for b.Loop() {
		for name, src := range files {
			start := time.Now()
			checks.Run(Parse("/"+name, name, src), suite, policy)
			worst = max(worst, time.Since(start))
		}
	}
	b.ReportMetric(worst.Seconds(), "s/worst-file")
}
