//go:build unix

package dockerfile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"golang.org/x/sys/unix"

	"plimsoll/checks"
)

// ordinaryFiles returns Dockerfiles as people write them: the real ones of the
// reference material, or made-up ones where that is not there.
func ordinaryFiles(b *testing.B) [][]byte {
	var out [][]byte
	if real, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "corpus", "dockerfiles", "*")); err == nil && len(real) > 0 {
		for _, src := range corpus(b, "dockerfiles") {
			out = append(out, src)
		}
		return out
	}
	b.Log("CORPUS NOT THERE, made-up files are measured")
	for i := range 100 {
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

// floor is what any tool on BuildKit's parser pays for src at least.
func floor(src []byte) {
	if result, err := parser.Parse(bytes.NewReader(src)); err == nil {
		_, _, _ = instructions.Parse(result.AST, linter.New(&linter.Config{})) // some are refused
	}
}

// BenchmarkAllChecks measures reading and judging files, and reports how much
// CPU that is of what BuildKit's parser alone takes for them, what a file and its
// report occupy afterwards, and how much faster two at a time are.
func BenchmarkAllChecks(b *testing.B) {
	files := ordinaryFiles(b)
	suite := Checks()
	policy := &checks.Policy{Profile: checks.All}
	judge := func(src []byte) (*File, checks.Report) {
		f := Parse("/Dockerfile", "Dockerfile", src)
		report := checks.Run(f, suite, policy)
		f.Forget()
		return f, report
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var own, least, alone, two time.Duration
	for b.Loop() {
		spent := cpu(b)
		for _, src := range files {
			floor(src)
		}
		least += cpu(b) - spent
		start, spent := time.Now(), cpu(b)
		for _, src := range files {
			judge(src)
		}
		own += cpu(b) - spent
		alone += time.Since(start)

		runtime.GOMAXPROCS(2)
		start = time.Now()
		var next atomic.Int64
		var workers sync.WaitGroup
		for range 2 {
			workers.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
					judge(files[i])
				}
			})
		}
		workers.Wait()
		two += time.Since(start)
		runtime.GOMAXPROCS(1)
	}
	b.StopTimer()
	type judged struct {
		file   *File
		report checks.Report
	}
	var kept []judged
	before := heap()
	for _, src := range files {
		f, report := judge(src)
		kept = append(kept, judged{f, report})
	}
	occupied := heap() - before
	runtime.KeepAlive(kept)
	b.ReportMetric(own.Seconds()/least.Seconds(), "×parser")
	b.ReportMetric(float64(own.Microseconds())/float64(len(files)*b.N), "µs/file")
	b.ReportMetric(alone.Seconds()/two.Seconds(), "×faster-on-2")
	b.ReportMetric(float64(occupied)/float64(len(files))/1024, "KiB-kept/file")
}

// cpu returns the processor time that this process has had, which tells less of
// what else the machine does than a clock.
func cpu(b *testing.B) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
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
