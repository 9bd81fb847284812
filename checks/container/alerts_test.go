package container

import (
	"testing"
	"time"

	"plimsoll/checks"
	"plimsoll/checks/runtime"
)

// alerted lets c have raised an alert some time ago.
func alerted(check, key string, ago time.Duration) func(*Container) {
	return func(c *Container) {
		c.Alerts = append(c.Alerts, runtime.Alert{
			Check: check, Container: c.Inspect.ID, Name: c.Settings.Name, At: noon.Add(-ago), Severity: checks.Low, Key: key, Source: runtime.Events,
			Message: checks.Message{Format: "something was seen"}, Evidence: []checks.Evidence{{Source: "docker events", Detail: key}},
		})
	}
}

// alertChecks are those that alerts are the only source of.
var alertChecks = []string{
	runtime.ExecPrivileged, runtime.ShellOpened, runtime.PackageManagerRun, runtime.UnexpectedListener, runtime.CPUSustained,
	runtime.OutboundSuspicious, runtime.SensitiveFileRead, runtime.EscapeAttempt, runtime.FilelessExec, runtime.FalcoAlert,
}

// alertCases has every check that alerts are a source of, with one and with an old one.
func alertCases() []testCase {
	var all []testCase
	for _, check := range append([]string{runtime.ExecRoot, runtime.FileDrift, runtime.UnexpectedProcess}, alertChecks...) {
		all = append(all,
			testCase{"alert of " + check, alerted(check, "x", time.Hour), []string{check + " x"}},
			testCase{"old alert of " + check, alerted(check, "x", runtime.Lasting+time.Minute), nil})
	}
	return append(all,
		testCase{"alert of a loop", alerted(runtime.CrashLooping, "", time.Hour), []string{runtime.CrashLooping}},
		testCase{"alert of memory", alerted(runtime.OOMKilled, "", time.Hour), []string{runtime.OOMKilled}},
		testCase{"two of one kind", func(c *Container) {
			alerted(runtime.ShellOpened, "sh", time.Hour)(c)
			alerted(runtime.ShellOpened, "sh", time.Minute)(c)
			alerted(runtime.ShellOpened, "bash", time.Minute)(c)
		}, []string{"runtime-shell-in-container bash", "runtime-shell-in-container sh"}},
		testCase{"what the state shows as well", func(c *Container) {
			doing(c, process(11, 10, 1000, "/tmp/x -d"))
			wrote(c, "+/tmp/x")
			alerted(runtime.UnexpectedProcess, "x", time.Minute)(c)
		}, []string{"container-unexpected-process x"}},
	)
}

// TestAlertSeverity holds that an alert has a severity of its own.
func TestAlertSeverity(t *testing.T) {
	c := sound()
	alerted(runtime.PackageManagerRun, "apk", time.Hour)(c)
	if f := judge(t, c).Findings; len(f) != 1 || f[0].Severity != checks.Low || len(f[0].Evidence) != 2 {
		t.Errorf("found %+v", f)
	}
}
