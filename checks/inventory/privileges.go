package inventory

import (
	"os"
	"strconv"
	"strings"

	"plimsoll/checks/container"
)

// deniesNewPrivileges reports whether the first process of c cannot gain new
// privileges. The kernel knows, of an engine on this machine: engines before
// version 23 do not tell that they deny them to all.
func (r reader) deniesNewPrivileges(c *container.Container) bool {
	s := c.Inspect.State
	if !r.local || s == nil || !s.Running || s.Pid <= 0 {
		return false
	}
	dir := "/proc/" + strconv.Itoa(s.Pid)
	// The socket may lead to another machine, where the number means another process.
	if cgroup, err := os.ReadFile(dir + "/cgroup"); err != nil || !strings.Contains(string(cgroup), c.Inspect.ID) {
		return false
	}
	status, err := os.ReadFile(dir + "/status")
	return err == nil && strings.Contains(string(status), "\nNoNewPrivs:\t1\n")
}
