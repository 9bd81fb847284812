package compose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
	"plimsoll/checks/yamledit"
)

// A key is a key of a service and the settings that it stands for.
type key struct {
	path []string

	// below takes the place of path where the service has it: there is a second
	// way to write some keys, and docker compose refuses a file that uses both.
	below []string

	// value returns what to write for s, nil for no key at all.
	value func(s *checks.Settings) yamledit.Value

	// neutral says the same as no key, where something merged in has one.
	neutral yamledit.Value

	// same returns what makes two entries of a list the same; nil for the entry itself.
	same func(entry string) string
}

func at(path ...string) []string { return path }

var limits = at("deploy", "resources", "limits")

// keys are all that fixes of containers change, but for ports and volumes.
var keys = []key{
	{path: at("image"), value: func(s *checks.Settings) yamledit.Value {
		if s.Image == "" {
			return nil
		}
		return yamledit.Scalar(yamledit.Quote(s.Image))
	}},
	{path: at("user"), value: func(s *checks.Settings) yamledit.Value {
		if s.Config == nil || s.Config.User == "" {
			return nil
		}
		return yamledit.Scalar(`"` + s.Config.User + `"`) // 1000:1000 is a number to YAML 1.1
	}},
	{path: at("healthcheck", "test"), value: func(s *checks.Settings) yamledit.Value {
		if s.Config == nil || s.Config.Healthcheck == nil || len(s.Config.Healthcheck.Test) == 0 || s.Config.Healthcheck.Test[0] == "NONE" {
			return nil
		}
		var l yamledit.List
		for _, word := range s.Config.Healthcheck.Test {
			l = append(l, yamledit.Quote(strings.ReplaceAll(word, "$", "$$"))) // for the shell, not for compose
		}
		return l
	}},
	flag("privileged", func(h *container.HostConfig) bool { return h.Privileged }),
	flag("read_only", func(h *container.HostConfig) bool { return h.ReadonlyRootfs }),
	flag("init", func(h *container.HostConfig) bool { return h.Init != nil && *h.Init }),
	flag("oom_kill_disable", func(h *container.HostConfig) bool { return h.OomKillDisable != nil && *h.OomKillDisable }),
	listOf("cap_drop", capability, func(h *container.HostConfig) []string { return h.CapDrop }),
	listOf("cap_add", capability, func(h *container.HostConfig) []string { return h.CapAdd }),
	listOf("security_opt", nil, func(h *container.HostConfig) []string { return h.SecurityOpt }),
	listOf("device_cgroup_rules", nil, func(h *container.HostConfig) []string { return h.DeviceCgroupRules }),
	listOf("devices", device, func(h *container.HostConfig) (all []string) {
		for _, d := range h.Devices {
			all = append(all, device(strings.Join([]string{d.PathOnHost, d.PathInContainer, d.CgroupPermissions}, ":")))
		}
		return all
	}),
	listOf("tmpfs", nil, func(h *container.HostConfig) (all []string) {
		for _, folder := range slices.Sorted(maps.Keys(h.Tmpfs)) {
			all = append(all, strings.TrimSuffix(folder+":"+h.Tmpfs[folder], ":"))
		}
		return all
	}),
	word("userns_mode", func(h *container.HostConfig) string { return string(h.UsernsMode) }),
	word("pid", func(h *container.HostConfig) string { return string(h.PidMode) }),
	word("ipc", func(h *container.HostConfig) string { return string(h.IpcMode) }),
	word("uts", func(h *container.HostConfig) string { return string(h.UTSMode) }),
	word("cgroup", func(h *container.HostConfig) string { return string(h.CgroupnsMode) }),
	word("cgroup_parent", func(h *container.HostConfig) string { return h.CgroupParent }),
	number(at("mem_limit"), append(limits[:3:3], "memory"), func(h *container.HostConfig) (int64, string) { return h.Memory, size(h.Memory) }),
	number(at("mem_reservation"), at("deploy", "resources", "reservations", "memory"), func(h *container.HostConfig) (int64, string) {
		return h.MemoryReservation, size(h.MemoryReservation)
	}),
	number(at("memswap_limit"), nil, func(h *container.HostConfig) (int64, string) {
		if h.MemorySwap == 2*h.Memory {
			return 0, "" // what the engine does by itself
		}
		return h.MemorySwap, size(h.MemorySwap)
	}),
	number(at("cpus"), append(limits[:3:3], "cpus"), func(h *container.HostConfig) (int64, string) {
		return h.NanoCPUs, `"` + strconv.FormatFloat(float64(h.NanoCPUs)/1e9, 'f', -1, 64) + `"`
	}),
	number(at("cpu_quota"), nil, func(h *container.HostConfig) (int64, string) { return h.CPUQuota, strconv.FormatInt(h.CPUQuota, 10) }),
	number(at("pids_limit"), append(limits[:3:3], "pids"), func(h *container.HostConfig) (int64, string) {
		if h.PidsLimit == nil {
			return 0, ""
		}
		return *h.PidsLimit, strconv.FormatInt(*h.PidsLimit, 10)
	}),
	number(at("oom_score_adj"), nil, func(h *container.HostConfig) (int64, string) {
		return int64(h.OomScoreAdj), strconv.Itoa(h.OomScoreAdj)
	}),
	number(at("shm_size"), nil, func(h *container.HostConfig) (int64, string) { return h.ShmSize, size(h.ShmSize) }),
	number(at("blkio_config", "weight"), nil, func(h *container.HostConfig) (int64, string) {
		return int64(h.BlkioWeight), strconv.Itoa(int(h.BlkioWeight))
	}),
	{path: at("restart"), value: func(s *checks.Settings) yamledit.Value {
		p := s.Host.RestartPolicy
		switch {
		case p.Name == "":
			return nil
		case p.IsNone():
			return yamledit.Scalar(`"no"`) // a boolean to YAML 1.1
		case p.MaximumRetryCount > 0:
			return yamledit.Scalar(fmt.Sprintf("%s:%d", p.Name, p.MaximumRetryCount))
		}
		return yamledit.Scalar(p.Name)
	}},
	{path: at("ulimits", "nofile"), value: func(s *checks.Settings) yamledit.Value {
		for _, u := range s.Host.Ulimits {
			if u != nil && u.Name == "nofile" {
				return yamledit.Map{
					{Key: "soft", Value: yamledit.Scalar(strconv.FormatInt(u.Soft, 10))},
					{Key: "hard", Value: yamledit.Scalar(strconv.FormatInt(u.Hard, 10))},
				}
			}
		}
		return nil
	}},
}

func flag(name string, of func(*container.HostConfig) bool) key {
	return key{path: at(name), neutral: yamledit.Scalar("false"), value: func(s *checks.Settings) yamledit.Value {
		if !of(s.Host) {
			return nil
		}
		return yamledit.Scalar("true")
	}}
}

func word(name string, of func(*container.HostConfig) string) key {
	return key{path: at(name), value: func(s *checks.Settings) yamledit.Value {
		if of(s.Host) == "" {
			return nil
		}
		return yamledit.Scalar(yamledit.Quote(of(s.Host)))
	}}
}

func number(path, below []string, of func(*container.HostConfig) (int64, string)) key {
	return key{path: path, below: below, neutral: yamledit.Scalar("0"), value: func(s *checks.Settings) yamledit.Value {
		n, text := of(s.Host)
		if n == 0 {
			return nil
		}
		return yamledit.Scalar(text)
	}}
}

func listOf(name string, same func(string) string, of func(*container.HostConfig) []string) key {
	return key{path: at(name), neutral: yamledit.List{}, same: same, value: func(s *checks.Settings) yamledit.Value {
		if len(of(s.Host)) == 0 {
			return nil
		}
		var l yamledit.List
		for _, entry := range of(s.Host) {
			l = append(l, yamledit.Quote(entry))
		}
		return l
	}}
}

func capability(entry string) string { return strings.TrimPrefix(strings.ToUpper(entry), "CAP_") }

// device completes the short form of a device: SOURCE[:TARGET[:PERMISSIONS]].
func device(entry string) string {
	source, rest, _ := strings.Cut(entry, ":")
	target, permissions, _ := strings.Cut(rest, ":")
	return strings.Join([]string{source, cmp.Or(target, source), cmp.Or(permissions, "rwm")}, ":")
}

// size returns n bytes as a compose file says it.
func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "g"}, {1 << 20, "m"}, {1 << 10, "k"}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}
