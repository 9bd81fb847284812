package dockertest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
)

// Large returns an engine with many containers, made from few or many images,
// for measurements. Every tenth container does not run.
func Large(containers, images int) *Server {
	s := New(WithInfo(func(i *system.Info) { i.Name = "large" }))
	now := s.clock.Now()
	for i := range max(1, images) {
		at := now.Add(-time.Duration(i) * time.Hour)
		one := Image{
			Tags: []string{fmt.Sprintf("team%d/service%d:%d.%d", i%7, i, i%3, i%11)}, Created: at, Size: int64(20+i%400) << 20,
			Config: runs(map[bool]string{true: "", false: "10001:10001"}[i%3 == 0], []string{"/app/service"}, []string{"MODE=production", "LEVEL=" + strconv.Itoa(i)}),
		}
		for step := range 12 {
			one.History = append(one.History, image.HistoryResponseItem{
				ID: "<missing>", Created: at.Unix(), CreatedBy: fmt.Sprintf("RUN /bin/sh -c make step-%d # buildkit", step), Size: int64(step) << 18,
			})
		}
		one.Config.Labels = map[string]string{"org.opencontainers.image.version": strconv.Itoa(i)}
		s.AddImage(one)
	}
	s.mu.Lock()
	for i := range 4 {
		s.addNetwork(network.Network{Name: "net" + strconv.Itoa(i), Driver: "bridge", IPAM: subnet(fmt.Sprintf("10.%d.0.0/16", i+10))})
	}
	s.mu.Unlock()
	for i := range containers {
		n := i % max(1, images)
		c := Container{
			Name:   fmt.Sprintf("service%d-%d", n, i),
			Config: container.Config{Image: fmt.Sprintf("team%d/service%d:%d.%d", n%7, n, n%3, n%11), Env: []string{"SHARD=" + strconv.Itoa(i)}},
			Age:    time.Duration(i) * time.Minute, Stopped: i%10 == 9,
		}
		if i%2 == 0 {
			c.Host.NetworkMode = container.NetworkMode("net" + strconv.Itoa(i%4))
			c.Host.Memory, c.Host.MemorySwap = 128<<20, 128<<20
			c.Host.CapDrop = []string{"ALL"}
		}
		if i%5 == 0 {
			c.Config.Labels = map[string]string{"com.docker.compose.project": "p" + strconv.Itoa(i%20), "com.docker.compose.service": "s" + strconv.Itoa(i)}
		}
		if _, err := s.AddContainer(c); err != nil {
			panic("dockertest: the large engine cannot be set up: " + err.Error())
		}
	}
	return s
}
