//go:build unix

package inventory

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"plimsoll/checks"
	"plimsoll/checks/dockertest"
	"plimsoll/checks/engine"
	"plimsoll/checks/suite"
)

// BenchmarkPosture reads and judges 1,000 containers and 300 images. Its floor
// is the engine's own calls: the lists, and every inspection and history, as
// many at once. Reported is the ratio of the two, of the time that passes and of
// this process's processor time, each as the median of the rounds, since other
// load disturbs single ones; the bar is 1.3. Both start from a heap that was
// just collected, so that neither pays for the other.
func BenchmarkPosture(b *testing.B) {
	s := dockertest.Large(1000, 300)
	if err := s.Start(""); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	benchPosture(b, s.Host(), 1300)
}

// BenchmarkPostureReal is the same on a real engine with 200 containers of 20
// images.
func BenchmarkPostureReal(b *testing.B) {
	c := dockertest.Private(b)
	const images, containers = 20, 200
	var all []dockertest.Image
	for i := range images {
		all = append(all, dockertest.Probe(fmt.Sprintf("app%d:1", i), fmt.Sprintf("-flag=%d", i)))
	}
	dockertest.Load(b, c, "app", all...)
	for i := range containers {
		_, err := c.ContainerCreate(b.Context(), client.ContainerCreateOptions{Name: fmt.Sprintf("c%d", i), Image: fmt.Sprintf("app%d:1", i%images)})
		if err != nil {
			b.Fatal(err)
		}
	}
	benchPosture(b, c.DaemonHost(), images+containers)
}

func benchPosture(b *testing.B, host string, least int) {
	target, err := engine.Resolve(host)
	if err != nil {
		b.Fatal(err)
	}
	var wall, cpu []float64
	for b.Loop() {
		floor, floorCPU := cost(func() { plainCalls(b, target) })
		ours, oursCPU := cost(func() {
			v := New(Options{Target: &target, Suite: suite.All()})
			items, err := v.Gather(b.Context(), Selection{AllContainers: true, AllImages: true, Host: true})
			if err != nil || len(items) < least {
				b.Fatalf("%d items, %v", len(items), err)
			}
		})
		wall = append(wall, float64(ours)/float64(floor))
		cpu = append(cpu, float64(oursCPU)/float64(floorCPU))
	}
	slices.Sort(wall)
	slices.Sort(cpu)
	b.ReportMetric(wall[len(wall)/2], "×floor")
	b.ReportMetric(cpu[len(cpu)/2], "×floor-cpu")
}

// cost returns the time that f takes, and the processor time of this process.
func cost(f func()) (wall, cpu time.Duration) {
	runtime.GC()
	began, before := time.Now(), processorTime()
	f()
	return time.Since(began), processorTime() - before
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func plainCalls(b *testing.B, target engine.Target) {
	ctx := b.Context()
	c, err := target.Client()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	images, err := c.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	containers, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		b.Fatal(err)
	}
	group.Go(func() error { _, err := c.Info(ctx, client.InfoOptions{}); return err })
	group.Go(func() error { _, err := c.NetworkList(ctx, client.NetworkListOptions{}); return err })
	group.Go(func() error { _, err := c.VolumeList(ctx, client.VolumeListOptions{}); return err })
	for _, i := range images.Items {
		group.Go(func() error { _, err := c.ImageInspect(ctx, i.ID); return err })
		group.Go(func() error { _, err := c.ImageHistory(ctx, i.ID); return err })
	}
	for _, s := range containers.Items {
		group.Go(func() error {
			_, err := c.ContainerInspect(ctx, s.ID, client.ContainerInspectOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkEvent is the time from a new container to its judged item, with
// 1,000 containers there, as a multiple of one inspection.
func BenchmarkEvent(b *testing.B) {
	s := dockertest.Large(1000, 300)
	if err := s.Start(""); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	target, err := engine.Resolve(s.Host())
	if err != nil {
		b.Fatal(err)
	}
	c, err := target.Client()
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	updates := New(Options{Target: &target, Suite: suite.All()}).Watch(ctx)
	for u := range updates {
		if u.Complete {
			break
		}
	}
	list, err := c.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		b.Fatal(err)
	}
	image := list.Items[0].Image
	var seen, floor time.Duration
	for b.Loop() {
		time.Sleep(2 * quiet) // it was quiet before
		began := time.Now()
		created, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{Image: image})
		if err != nil {
			b.Fatal(err)
		}
		create := time.Since(began)
		for !judged(<-updates, created.ID) {
		}
		seen += time.Since(began) - create
		began = time.Now()
		if _, err := c.ContainerInspect(ctx, created.ID, client.ContainerInspectOptions{}); err != nil {
			b.Fatal(err)
		}
		floor += time.Since(began)
	}
	b.ReportMetric(float64(seen.Microseconds())/float64(b.N)/1000, "ms/event")
	b.ReportMetric(float64(seen)/float64(floor), "×inspection")
}

func judged(u Update, id string) bool {
	for _, i := range u.Items {
		if i.Ref == (checks.Ref{Kind: checks.Container, ID: id, Name: i.Ref.Name}) && i.Subject != nil {
			return true
		}
	}
	return false
}
