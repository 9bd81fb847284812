package container

import (
	"fmt"
	"os"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"plimsoll/checks/dockertest"
)

// everyStep is set to kill engines before every step, which takes minutes.
const everyStep = "PLIMSOLL_TEST_EVERY_STEP"

// TestEngineDies kills plimsoll before a step and then the engine, as a power
// cut does, or restarts the engine. Two containers on one volume never run
// both, and recovery leaves one that works, with its data and its policy.
//
//scenario:6,13,14
func TestEngineDies(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	// The original is about to be stopped, and was disarmed: before and after the
	// point at which another of the two would come back by itself.
	points := []int{3, 7}
	if os.Getenv(everyStep) != "" {
		points = []int{0, 1, 2, 3, 4, 5, 6, 7, 8}
	}
	engine := dockertest.PrivateEngine(t, "{}")
	l := newLab(t, engine.Client, dockertest.Prefix(t, engine.Client))
	image := dockertest.Probe("app:1")
	image.Config.Volumes = map[string]struct{}{"/data": {}}
	l.load(image)
	for i, at := range points {
		for how, die := range map[string]func(){"killed": engine.Kill, "restarted": engine.Stop} {
			if len(points) == 2 && (how == "killed") != (i%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("%s before step %d", how, at), func(t *testing.T) {
				l := *l
				l.T = t
				name := fmt.Sprintf("%sapp%d-%s", l.prefix, at, how)
				l.run(strings.TrimPrefix(name, l.prefix), client.ContainerCreateOptions{
					Config:     &api.Config{Image: "app:1", Cmd: []string{"-write", "/data/log=started"}},
					HostConfig: &api.HostConfig{NetworkMode: "none", RestartPolicy: api.RestartPolicy{Name: "always"}},
				})
				before := l.inspect(name)
				if !l.crash(name, at, crashLate+"=1") {
					t.Fatal("the point was not reached")
				}
				die()
				if err := engine.Start(); err != nil {
					t.Fatal(err)
				}
				for range 10 {
					running := 0
					for _, c := range l.family(name) {
						if c.State == api.StateRunning {
							running++
						}
					}
					if running > 1 {
						t.Fatalf("%d containers run on one volume", running)
					}
					pause()
				}
				l.recovers(before, at%2 == 0)
				for _, c := range l.family(name) {
					if _, err := l.cli.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}
