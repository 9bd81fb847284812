package dockertest

import (
	"net/http"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
)

func defaultInfo() system.Info {
	return system.Info{
		ID: "DOCK:TEST:DOCK:TEST:DOCK:TEST:DOCK:TEST:DOCK:TEST:DOCK:TEST", Name: "dockertest",
		Driver: "overlay2", DriverStatus: [][2]string{{"Backing Filesystem", "extfs"}},
		Plugins:     system.PluginsInfo{Volume: []string{"local"}, Network: []string{"bridge", "host", "ipvlan", "macvlan", "null", "overlay"}, Log: []string{"json-file", "local"}},
		MemoryLimit: true, SwapLimit: true, CPUCfsPeriod: true, CPUCfsQuota: true, CPUShares: true, CPUSet: true, PidsLimit: true,
		IPv4Forwarding: true, OomKillDisable: true, LoggingDriver: "json-file", CgroupDriver: "cgroupfs", CgroupVersion: "1",
		KernelVersion: "6.1.0", OperatingSystem: "Example Linux", OSType: "linux", Architecture: "x86_64",
		NCPU: 4, MemTotal: 16 << 30, DockerRootDir: "/var/lib/docker", ServerVersion: "20.10.24",
		Runtimes:       map[string]system.RuntimeWithStatus{"runc": {Runtime: system.Runtime{Path: "runc"}}, "io.containerd.runc.v2": {Runtime: system.Runtime{Path: "runc"}}},
		DefaultRuntime: "runc", InitBinary: "docker-init", SecurityOptions: []string{"name=seccomp,profile=default"},
		Swarm: swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive},
	}
}

func (s *Server) engineVersion() string { return s.info.ServerVersion }

func (s *Server) ping(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	w.Write([]byte("OK"))
	return nil
}

func (s *Server) version(w http.ResponseWriter, r *http.Request) error {
	return answer(w, http.StatusOK, system.VersionResponse{
		Version: s.engineVersion(), APIVersion: s.api.String(), MinAPIVersion: "1.24", Os: "linux", Arch: "amd64",
		GitCommit: "0000000", GoVersion: "go1.26", KernelVersion: s.info.KernelVersion,
		Components: []system.ComponentVersion{{Name: "Engine", Version: s.engineVersion(), Details: map[string]string{"ApiVersion": s.api.String()}}},
	})
}

func (s *Server) serveInfo(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := s.info
	info.SystemTime = stamp(s.clock.Now())
	info.NEventsListener = s.events.listeners()
	info.Images = len(s.images)
	info.Containers = len(s.order)
	for _, c := range s.order {
		switch {
		case c.State.Status == container.StatePaused:
			info.ContainersPaused++
		case c.running():
			info.ContainersRunning++
		default:
			info.ContainersStopped++
		}
	}
	return answer(w, http.StatusOK, info)
}
