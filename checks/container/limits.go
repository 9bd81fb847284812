package container

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"plimsoll/checks"
)

const mebibyte = 1 << 20

var memoryUnlimited = hostRule(checks.Check{
	ID:       "container-memory-unlimited",
	Title:    "No memory limit",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 5.11 (v1.6.0)", "OWASP Docker rule 7", "CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.Memory > 0 {
		return
	}
	f := c.found(setting{"HostConfig.Memory", []string{"mem_limit", "deploy.resources.limits.memory"}}, strconv.FormatInt(host.Memory, 10),
		checks.Msg("%s may use all memory of the machine", c.Settings.Name))
	f.Fixes = []checks.Fix{limitMemory(c.Observed)}
	report(f)
})

// limitMemory sets a limit and twice as much with swap, as the engine does when
// it is told the limit only; an update has to name both.
func limitMemory(o *Observed) checks.Fix {
	suggested, why := int64(512*mebibyte), checks.Msg("a usual size for a service; its use was not observed yet")
	used := int64(0)
	if o != nil && o.MemoryPeak > 0 && o.MemoryPeak < math.MaxInt64/4 {
		used = int64(o.MemoryPeak)
		suggested = suggestedMemory(used)
		why = checks.Msg("its peak of %s with headroom", units.BytesSize(float64(used)))
	}
	parse := func(value string) (int64, error) { return parseMemory(value, used) }
	return checks.Fix{
		ID:      "memory-limit",
		Title:   checks.Msg("limit memory"),
		Caution: checks.Msg("a process that needs more is killed"),
		Choices: []checks.Choice{{
			Key:     "memory",
			Label:   checks.Msg("memory, such as 512m or 2g"),
			Why:     why,
			Default: memorySize(suggested),
			Valid:   func(value string) error { _, err := parse(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			limit, err := parse(values["memory"])
			if err != nil {
				return err
			}
			s.Host.Memory, s.Host.MemorySwap = limit, 2*limit
			// A container whose reservation exceeds its limit cannot be started again.
			s.Host.MemoryReservation = min(s.Host.MemoryReservation, limit)
			return nil
		},
	}
}

// suggestedMemory returns peak with headroom, rounded up to a size that people
// would write.
func suggestedMemory(peak int64) int64 {
	n := max(peak+peak/2, peak+64*mebibyte, 64*mebibyte)
	step := int64(16 * mebibyte)
	switch {
	case n > 4096*mebibyte:
		step = 512 * mebibyte
	case n > 1024*mebibyte:
		step = 128 * mebibyte
	case n > 256*mebibyte:
		step = 64 * mebibyte
	}
	return (n + step - 1) / step * step
}

func memorySize(n int64) string {
	if n%(1024*mebibyte) == 0 {
		return fmt.Sprintf("%dg", n/(1024*mebibyte))
	}
	return fmt.Sprintf("%dm", n/mebibyte)
}

// parseMemory reads a size that an engine accepts and that used fits in.
func parseMemory(value string, used int64) (int64, error) {
	n, err := units.RAMInBytes(strings.TrimSpace(value))
	switch {
	case err != nil || n > math.MaxInt64/4:
		return 0, refuse(checks.Msg("%s is not a size: use 512m or 2g", value))
	case n < 6*mebibyte:
		return 0, refuse(checks.Msg("%s is too little: the engine wants at least 6m", value))
	case n < used:
		return 0, refuse(checks.Msg("%s is less than the %s it was seen to use", value, units.BytesSize(float64(used))))
	}
	return n, nil
}

var cpuUnlimited = hostRule(checks.Check{
	ID:       "container-cpu-unlimited",
	Title:    "No CPU limit",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 5.12 (v1.6.0)", "OWASP Docker rule 7", "CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	if host.NanoCPUs > 0 || host.CPUQuota > 0 || host.CPUShares > 0 || host.CpusetCpus != "" || host.CPUCount > 0 || host.CPUPercent > 0 {
		return
	}
	f := c.found(setting{"HostConfig.NanoCpus", []string{"cpus", "deploy.resources.limits.cpus"}}, strconv.FormatInt(host.NanoCPUs, 10),
		checks.Msg("%s may use all CPUs of the machine", c.Settings.Name))
	f.Fixes = []checks.Fix{limitCPU(c.Observed)}
	report(f)
})

func limitCPU(o *Observed) checks.Fix {
	suggested, why := 1.0, checks.Msg("enough for most services; its use was not observed yet")
	machine := 0
	if o != nil {
		machine = o.CPUs
		if o.CPUPeak > 0 && o.CPUPeak < 1e6 {
			suggested = max(0.5, math.Ceil(o.CPUPeak*1.5*4)/4)
			why = checks.Msg("its peak of %.2f with headroom", o.CPUPeak)
		}
		if machine > 0 {
			suggested = min(suggested, float64(machine))
		}
	}
	parse := func(value string) (int64, error) { return parseCPUs(value, machine) }
	return checks.Fix{
		ID:      "cpu-limit",
		Title:   checks.Msg("limit CPU time"),
		Caution: checks.Msg("work that needs more takes longer"),
		Choices: []checks.Choice{{
			Key:     "cpus",
			Label:   checks.Msg("CPUs, such as 0.5 or 2"),
			Why:     why,
			Default: strconv.FormatFloat(suggested, 'f', -1, 64),
			Valid:   func(value string) error { _, err := parse(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			nano, err := parse(values["cpus"])
			if err != nil {
				return err
			}
			// The engine refuses one kind where the other is stored.
			if period := s.Host.CPUPeriod; period > 0 {
				s.Host.CPUQuota = nano * period / 1e9
			} else {
				s.Host.NanoCPUs = nano
			}
			return nil
		},
	}
}

// parseCPUs reads a number of CPUs in billionths, exactly. The machine has
// that many, 0 when unknown.
func parseCPUs(value string, machine int) (int64, error) {
	value = strings.TrimSpace(value)
	if f, err := strconv.ParseFloat(value, 64); err != nil || !(f >= 0.01 && f <= 1e6) {
		return 0, refuse(checks.Msg("%s is not a number of CPUs: use 0.5 or 2", value))
	}
	cpus, ok := new(big.Rat).SetString(value)
	if !ok {
		return 0, refuse(checks.Msg("%s is not a number of CPUs: use 0.5 or 2", value))
	}
	nano := cpus.Mul(cpus, big.NewRat(1e9, 1))
	if !nano.IsInt() {
		return 0, refuse(checks.Msg("%s is more precise than an engine can be", value))
	}
	if n := nano.Num().Int64(); machine == 0 || n <= int64(machine)*1e9 {
		return n, nil
	}
	return 0, refuse(checks.Msg("%s is more than the %d CPUs of the machine", value, machine))
}

var pidsUnlimited = hostRule(checks.Check{
	ID:       "container-pids-unlimited",
	Title:    "No limit on processes",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 5.29 (v1.6.0)", "OWASP Docker rule 7", "CWE-770"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	seen := "null"
	if host.PidsLimit != nil {
		if seen = strconv.FormatInt(*host.PidsLimit, 10); *host.PidsLimit > 0 {
			return
		}
	}
	if c.windows() {
		return
	}
	f := c.found(setting{"HostConfig.PidsLimit", []string{"pids_limit", "deploy.resources.limits.pids"}}, seen,
		checks.Msg("%s may start any number of processes", c.Settings.Name))
	f.Fixes = []checks.Fix{limitPids(c.Observed)}
	report(f)
})

// fewestPids leaves room for an exec and a few threads.
const fewestPids = 64

func limitPids(o *Observed) checks.Fix {
	floor, suggested := int64(fewestPids), int64(256)
	why := checks.Msg("enough for most services; its use was not observed yet")
	if o != nil && o.PidsPeak > 0 && o.PidsPeak < math.MaxInt32 {
		floor = max(fewestPids, 2*int64(o.PidsPeak))
		suggested = floor
		why = checks.Msg("twice its peak of %d threads, at least %d", o.PidsPeak, fewestPids)
	}
	parse := func(value string) (int64, error) {
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
		switch {
		case err != nil:
			return 0, refuse(checks.Msg("%s is not a number of processes", value))
		case n < floor:
			return 0, refuse(checks.Msg("%s is too few: give at least %d", value, floor))
		}
		return n, nil
	}
	return checks.Fix{
		ID:      "pids-limit",
		Title:   checks.Msg("limit processes"),
		Caution: checks.Msg("a process that needs more threads fails to start them"),
		Choices: []checks.Choice{{
			Key:     "pids",
			Label:   checks.Msg("processes and threads together"),
			Why:     why,
			Default: strconv.FormatInt(suggested, 10),
			Valid:   func(value string) error { _, err := parse(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			limit, err := parse(values["pids"])
			if err != nil {
				return err
			}
			s.Host.PidsLimit = &limit
			return nil
		},
	}
}

var restartUnbounded = hostRule(checks.Check{
	ID:       "container-restart-unbounded",
	Title:    "Restarts without end",
	Severity: checks.Low,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 5.15 (v1.6.0)", "OWASP Docker rule 7"},
}, func(c *Container, host *container.HostConfig, report func(checks.Finding)) {
	policy := host.RestartPolicy
	if !policy.IsAlways() && !policy.IsUnlessStopped() && !(policy.IsOnFailure() && policy.MaximumRetryCount <= 0) {
		return
	}
	message := checks.Msg("%s is restarted without end when it fails", c.Settings.Name)
	if c.crashLoops() {
		message = checks.Msg("%s is restarted without end: %d times so far", c.Settings.Name, c.Inspect.RestartCount)
	}
	f := c.found(setting{"HostConfig.RestartPolicy", []string{"restart", "deploy.restart_policy"}}, string(policy.Name), message)
	if !host.AutoRemove { // the engine refuses a restart policy beside it
		f.Fixes = []checks.Fix{limitRestarts()}
	}
	report(f)
})

func limitRestarts() checks.Fix {
	return checks.Fix{
		ID:      "restart-limit",
		Title:   checks.Msg("restart after failures only, a limited number of times"),
		Caution: checks.Msg("after the last attempt it stays stopped, and a restart of the engine may not bring it back"),
		Choices: []checks.Choice{{
			Key:     "restarts",
			Label:   checks.Msg("attempts before it stays stopped"),
			Default: "5",
			Valid:   func(value string) error { _, err := parseRestarts(value); return err },
		}},
		Change: func(s *checks.Settings, values checks.Values) error {
			attempts, err := parseRestarts(values["restarts"])
			if err != nil {
				return err
			}
			s.Host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: attempts}
			return nil
		},
	}
}

func parseRestarts(value string) (int, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
	if err != nil || n < 1 {
		return 0, refuse(checks.Msg("%s is not a number of attempts: use 5", value))
	}
	return int(n), nil
}

// refuse is why a chosen value cannot be used.
func refuse(why checks.Message) error { return &checks.Problem{What: why} }
