package container

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

var swapUnlimited = hostRule(checks.Check{
	ID:       "container-swap-unlimited",
	Title:    "Swap undoes the memory limit",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	// Twice the memory is what an engine makes of every memory limit.
	if host.Memory <= 0 || host.MemorySwap != -1 && host.MemorySwap <= 2*host.Memory {
		return
	}
	f := c.found(setting{"HostConfig.MemorySwap", []string{"memswap_limit"}}, strconv.FormatInt(host.MemorySwap, 10),
		checks.Msg("%s is limited to %s of memory, but may fill the swap of the machine", c.Settings.Name, units.BytesSize(float64(host.Memory))))
	f.Fixes = []checks.Fix{{
		ID:      "no-swap",
		Title:   checks.Msg("let the memory limit include swap"),
		Caution: checks.Msg("what lies in swap has to fit into the memory limit, or a process is killed"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.MemorySwap = s.Host.Memory
			return nil
		},
	}}
	report(f)
})

var memoryNoReservation = hostRule(checks.Check{
	ID:       "container-memory-no-reservation",
	Title:    "Large memory limit without a reservation",
	Severity: checks.Info,
	Chapter:  checks.ResourceLimits,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if c.Engine == nil || c.Engine.Memory <= 0 || host.Memory < c.Engine.Memory/2 || host.MemoryReservation > 0 {
		return
	}
	f := c.found(setting{"HostConfig.MemoryReservation", []string{"mem_reservation", "deploy.resources.reservations.memory"}}, "0",
		checks.Msg("%s may take most of the memory of the machine and gives none back when others need it", c.Settings.Name))
	f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker info", Detail: "MemTotal " + units.BytesSize(float64(c.Engine.Memory))})
	limit := host.Memory
	suggested, why := limit/2, checks.Msg("half of its limit; its use was not observed yet")
	if o := c.Observed; o != nil && o.MemoryPeak > 0 && o.MemoryPeak < uint64(limit) {
		suggested, why = min(suggestedMemory(int64(o.MemoryPeak)), limit), checks.Msg("its peak of %s with headroom", units.BytesSize(float64(o.MemoryPeak)))
	}
	parse := func(value string) (int64, error) {
		n, err := parseMemory(value, 0)
		if err == nil && n > limit {
			err = refuse(checks.Msg("%s is more than its limit of %s", value, units.BytesSize(float64(limit))))
		}
		return n, err
	}
	f.Fixes = []checks.Fix{{
		ID:      "memory-reservation",
		Title:   checks.Msg("reserve less than the limit"),
		Caution: checks.Msg("when memory is short, the kernel takes back what it uses beyond that, which makes it slow"),
		Choices: []checks.Choice{{
			Key:     "reservation",
			Label:   checks.Msg("memory to keep, such as 512m or 2g"),
			Why:     why,
			Default: memorySize(suggested),
			Valid:   func(value string) error { _, err := parse(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			n, err := parse(values["reservation"])
			if err != nil {
				return err
			}
			s.Host.MemoryReservation = n
			return nil
		},
	}}
	report(f)
})

var ulimitsDefault = hostRule(checks.Check{
	ID:       "container-ulimits-default",
	Title:    "Takes connections without a limit on open files",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 5.19 (v1.6.0)", "OWASP Docker rule 7", "CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	limited := slices.ContainsFunc(host.Ulimits, func(u *container.Ulimit) bool { return u != nil && u.Name == "nofile" })
	if limited || !c.publishes() || c.windows() {
		return
	}
	f := c.found(setting{"HostConfig.Ulimits", []string{"ulimits"}}, "no nofile",
		checks.Msg("%s takes connections from outside and may open any number of files for them", c.Settings.Name))
	parse := func(value string) (int64, error) {
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
		if err != nil || n < 256 || n > 1<<20 {
			return 0, refuse(checks.Msg("%s is not a number of files: give 256 to 1048576", value))
		}
		return n, nil
	}
	f.Fixes = []checks.Fix{{
		ID:      "nofile-limit",
		Title:   checks.Msg("limit open files"),
		Caution: checks.Msg("connections beyond the limit are refused"),
		Choices: []checks.Choice{{
			Key:     "files",
			Label:   checks.Msg("open files and connections of each process"),
			Why:     checks.Msg("more than most services open, far below what a kernel hands out"),
			Default: "16384",
			Valid:   func(value string) error { _, err := parse(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			n, err := parse(values["files"])
			if err != nil {
				return err
			}
			s.Host.Ulimits = append(slices.DeleteFunc(s.Host.Ulimits, func(u *container.Ulimit) bool { return u != nil && u.Name == "nofile" }),
				&container.Ulimit{Name: "nofile", Soft: n, Hard: n})
			return nil
		},
	}}
	report(f)
})

var blkioUnlimited = hostRule(checks.Check{
	ID:       "container-blkio-unlimited",
	Title:    "Disk use of a data store is not limited",
	Severity: checks.Info,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	throttled := host.BlkioWeight > 0 || len(host.BlkioWeightDevice)+len(host.BlkioDeviceReadBps)+len(host.BlkioDeviceWriteBps)+
		len(host.BlkioDeviceReadIOps)+len(host.BlkioDeviceWriteIOps) > 0
	// Worth a word once memory and CPU are limited: until then those are.
	if throttled || !isDataStore(c.Settings.Image) || host.Memory <= 0 || host.NanoCPUs <= 0 && host.CPUQuota <= 0 || c.windows() {
		return
	}
	f := c.found(setting{"HostConfig.BlkioWeight", []string{"blkio_config"}}, "0",
		checks.Msg("%s may take all disk bandwidth of the machine", c.Settings.Name))
	parse := func(value string) (uint16, error) {
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 16)
		if err != nil || n < 10 || n > 1000 {
			return 0, refuse(checks.Msg("%s is not a weight: give 10 to 1000", value))
		}
		return uint16(n), nil
	}
	f.Fixes = []checks.Fix{{
		ID:      "blkio-weight",
		Title:   checks.Msg("give it a smaller share of the disk"),
		Caution: checks.Msg("kernels honour the share with some disk schedulers only"),
		Choices: []checks.Choice{{
			Key:     "weight",
			Label:   checks.Msg("share of the disk, 10 to 1000"),
			Why:     checks.Msg("below 500, which every other group has"),
			Default: "300",
			Valid:   func(value string) error { _, err := parse(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) (err error) {
			s.Host.BlkioWeight, err = parse(values["weight"])
			return err
		},
	}}
	report(f)
})

// protected is the adjustment from which on a process is as good as exempt
// from being killed for memory.
const protected = -500

var oomProtectionAbused = hostRule(checks.Check{
	ID:       "container-oom-protection-abused",
	Title:    "Protected when memory runs out",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.OomKillDisable != nil && *host.OomKillDisable {
		f := c.found(setting{"HostConfig.OomKillDisable", []string{"oom_kill_disable"}}, "true",
			checks.Msg("%s hangs rather than being killed when its memory runs out, and the machine with it when it has no limit", c.Settings.Name))
		f.Key = "disabled"
		f.Fixes = []checks.Fix{oomDefault()}
		report(f)
	}
	if host.OomScoreAdj <= protected {
		f := c.found(setting{"HostConfig.OomScoreAdj", []string{"oom_score_adj"}}, strconv.Itoa(host.OomScoreAdj),
			checks.Msg("when memory runs out, others are killed in place of %s", c.Settings.Name))
		f.Key = "score"
		f.Fixes = []checks.Fix{oomDefault()}
		report(f)
	}
})

func oomDefault() checks.Fix {
	return checks.Fix{
		ID:      "oom-default",
		Title:   checks.Msg("let the kernel choose what to kill"),
		Caution: checks.Msg("it can be killed when memory runs out: give it a memory limit that it fits in"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			s.Host.OomScoreAdj = 0
			if s.Host.OomKillDisable != nil {
				s.Host.OomKillDisable = new(bool)
			}
			return nil
		},
	}
}

// tight is the part of a limit from which on the next peak may exceed it.
const tight = 0.9

var limitTooTight = hostRule(checks.Check{
	ID:       "container-limit-too-tight",
	Title:    "Limit nearly reached",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	o := c.Observed
	if o == nil {
		return
	}
	if limit := host.Memory; limit > 0 && float64(o.MemoryPeak) > tight*float64(limit) {
		f := c.found(setting{"HostConfig.Memory", []string{"mem_limit"}}, strconv.FormatInt(limit, 10),
			checks.Msg("%s was seen to use %s of its %s of memory", c.Settings.Name, units.BytesSize(float64(o.MemoryPeak)), units.BytesSize(float64(limit))))
		f.Key = "memory"
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker stats", Detail: strconv.FormatUint(o.MemoryPeak, 10)})
		f.Fixes = []checks.Fix{raiseMemory(o)}
		report(f)
	}
	if limit := host.PidsLimit; limit != nil && *limit > 0 && float64(o.PidsPeak) > tight*float64(*limit) {
		f := c.found(setting{"HostConfig.PidsLimit", []string{"pids_limit"}}, strconv.FormatInt(*limit, 10),
			checks.Msg("%s was seen to run %d of its %d threads", c.Settings.Name, o.PidsPeak, *limit))
		f.Key = "pids"
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker stats", Detail: strconv.FormatUint(o.PidsPeak, 10)})
		fix := limitPids(o)
		fix.ID, fix.Title, fix.Caution = "raise-pids", checks.Msg("allow more processes"), checks.Message{}
		f.Fixes = []checks.Fix{fix}
		report(f)
	}
	if limit := cpuLimit(host); limit > 0 && o.CPUPeak > tight*limit {
		f := c.found(setting{"HostConfig.NanoCpus", []string{"cpus"}}, strconv.FormatInt(host.NanoCPUs, 10),
			checks.Msg("%s was seen to use %.2f of its %.2f CPUs", c.Settings.Name, o.CPUPeak, limit))
		f.Key = "cpu"
		f.Evidence = append(f.Evidence, checks.Evidence{Source: "docker stats", Detail: strconv.FormatFloat(o.CPUPeak, 'f', 2, 64)})
		if fix := limitCPU(o); o.CPUs == 0 || limit*1.2 < float64(o.CPUs) {
			fix.ID, fix.Title, fix.Caution = "raise-cpu", checks.Msg("allow more CPU time"), checks.Message{}
			f.Fixes = []checks.Fix{fix}
		}
		report(f)
	}
})

// cpuLimit returns the CPUs that host allows, 0 for no limit.
func cpuLimit(host *container.HostConfig) float64 {
	switch {
	case host.NanoCPUs > 0:
		return float64(host.NanoCPUs) / 1e9
	case host.CPUQuota > 0 && host.CPUPeriod > 0:
		return float64(host.CPUQuota) / float64(host.CPUPeriod)
	case host.CPUQuota > 0:
		return float64(host.CPUQuota) / 100_000
	}
	return 0
}

// raiseMemory sets a higher limit and keeps what was decided about swap.
func raiseMemory(o *Observed) checks.Fix {
	fix := limitMemory(o)
	set := fix.Change
	fix.ID, fix.Title, fix.Caution = "raise-memory", checks.Msg("allow more memory"), checks.Message{}
	fix.Change = func(s *checks.Settings, values checks.Values) error {
		memory, swap := s.Host.Memory, s.Host.MemorySwap
		if err := set(s, values); err != nil {
			return err
		}
		switch swap {
		case memory:
			s.Host.MemorySwap = s.Host.Memory
		case -1:
			s.Host.MemorySwap = -1
		}
		return nil
	}
	return fix
}

// ample is the size of /dev/shm that browsers and databases ask for.
const ample = 1024 * mebibyte

var shmOversized = hostRule(checks.Check{
	ID:       "container-shm-oversized",
	Title:    "Very large shared memory",
	Severity: checks.Info,
	Chapter:  checks.ResourceLimits,
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	own := host.IpcMode == "" || host.IpcMode.IsPrivate() || host.IpcMode.IsShareable()
	beyond := host.Memory > 0 && host.ShmSize > host.Memory && host.ShmSize > usualShm
	if !own || host.ShmSize <= ample && !beyond {
		return
	}
	message := checks.Msg("%s may put %s into /dev/shm", c.Settings.Name, units.BytesSize(float64(host.ShmSize)))
	if beyond {
		message = checks.Msg("/dev/shm of %s is larger than its memory limit: filling it gets a process killed", c.Settings.Name)
	}
	f := c.found(setting{"HostConfig.ShmSize", []string{"shm_size"}}, strconv.FormatInt(host.ShmSize, 10), message)
	most := int64(ample)
	if host.Memory > 0 {
		most = max(min(most, host.Memory), usualShm)
	}
	parse := func(value string) (int64, error) {
		n, err := units.RAMInBytes(strings.TrimSpace(value))
		if err != nil || n < mebibyte || n > most {
			return 0, refuse(checks.Msg("%s is not a size of at most %s: use 64m", value, units.BytesSize(float64(most))))
		}
		return n, nil
	}
	f.Fixes = []checks.Fix{{
		ID:      "shm-size",
		Title:   checks.Msg("make its shared memory smaller"),
		Caution: checks.Msg("a program that needs more fails, often with a bus error"),
		Choices: []checks.Choice{{
			Key:     "shm",
			Label:   checks.Msg("size of /dev/shm, such as 64m"),
			Why:     checks.Msg("what engines give by default"),
			Default: memorySize(usualShm),
			Valid:   func(value string) error { _, err := parse(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) (err error) {
			n, err := parse(values["shm"])
			if err != nil {
				return err
			}
			s.Host.ShmSize = n
			return nil
		},
	}}
	report(f)
})

// usualShm is what an engine gives by default.
const usualShm = 64 * mebibyte

var initMissing = configRule(checks.Check{
	ID:       "container-init-missing",
	Title:    "A first process that clears up after none",
	Severity: checks.Info,
	Chapter:  checks.ResourceLimits,
}, func(c *Container, config *container.Config, report func(checks.Finding)) {
	host := c.Settings.Host
	if host != nil && (host.Init != nil && *host.Init || host.PidMode != "" && !host.PidMode.IsPrivate()) || c.windows() {
		return
	}
	how := carelessStart(c.arguments())
	if how == "" {
		return
	}
	f := c.found(setting{"HostConfig.Init", []string{"init", "command"}}, how,
		checks.Msg("%s is started through %s, which leaves dead processes behind and keeps stop signals to itself", c.Settings.Name, how))
	f.Fixes = []checks.Fix{{
		ID:      "init",
		Title:   checks.Msg("start an init process first"),
		Caution: checks.Msg("the program no longer has the process number 1"),
		Change: func(s *checks.Settings, _ checks.Values) error {
			yes := true
			s.Host.Init = &yes
			return nil
		},
	}}
	report(f)
})

// arguments returns what c runs, as far as it is known.
func (c *Container) arguments() []string {
	config := c.Settings.Config
	entrypoint, cmd := config.Entrypoint, config.Cmd
	if i := c.Image; i != nil && i.Config != nil {
		if len(entrypoint) == 0 {
			entrypoint = i.Config.Entrypoint
			if len(cmd) == 0 {
				cmd = i.Config.Cmd
			}
		}
	}
	return slices.Concat(entrypoint, cmd)
}

// carelessStart returns the program that a command is started through, if it
// stays and does not do the work of a first process: a shell that runs several
// commands, or the front end of a package manager.
func carelessStart(args []string) string {
	if len(args) < 2 {
		return ""
	}
	switch name := path.Base(args[0]); name {
	case "npm", "yarn", "pnpm":
		return name
	case "sh", "bash", "ash", "dash", "zsh":
		script := strings.TrimSpace(args[len(args)-1])
		stays := strings.ContainsAny(strings.Trim(script, ";"), ";&|\n") && !strings.Contains(script, "exec ")
		if strings.HasPrefix(args[1], "-") && strings.HasSuffix(args[1], "c") && stays && len(args) == 3 {
			return name
		}
	}
	return ""
}
