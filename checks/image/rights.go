package image

import (
	"path"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
)

// expectedSetID are programs that distributions ship with these bits, without
// the /usr before them.
var expectedSetID = func() map[string]bool {
	m := map[string]bool{}
	for dir, names := range map[string]string{
		"bin": "su mount umount passwd chsh chfn gpasswd newgrp chage expiry wall write bsd-write ping ping6 crontab at ssh-agent " +
			"fusermount fusermount3 newuidmap newgidmap newuidmap sudo sudoedit pkexec doas bbsuid dotlockfile locate mlocate plocate staprun procmail mail-lock mail-unlock mail-touchlock",
		"sbin":                           "unix_chkpwd pam_timestamp_check pam_extrausers_chkpwd usernetctl userhelper mount.nfs mount.cifs pppd suexec postdrop postqueue netreport sendmail.sendmail unix2_chkpwd",
		"lib/openssh":                    "ssh-keysign",
		"libexec/openssh":                "ssh-keysign",
		"lib/ssh":                        "ssh-keysign",
		"lib/dbus-1.0":                   "dbus-daemon-launch-helper",
		"libexec/dbus-1":                 "dbus-daemon-launch-helper",
		"lib/policykit-1":                "polkit-agent-helper-1",
		"lib/polkit-1":                   "polkit-agent-helper-1",
		"libexec":                        "polkit-agent-helper-1 dbus-daemon-launch-helper",
		"libexec/utempter":               "utempter",
		"lib/utempter":                   "utempter",
		"lib/x86_64-linux-gnu/utempter":  "utempter",
		"lib/aarch64-linux-gnu/utempter": "utempter",
	} {
		for name := range strings.FieldsSeq(names) {
			m[path.Join(dir, name)] = true
		}
	}
	return m
}()

func expected(f layers.Found) bool { return expectedSetID[strings.TrimPrefix(f.Path, "usr/")] }

var setIDFiles = filesRule(checks.Check{
	ID:       "image-setuid-setgid-files",
	Title:    "Programs that run with more rights than their caller",
	Severity: checks.Medium,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CIS 4.8 (v1.6.0)", "dockle CIS-DI-0008", "CWE-250"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if len(s.SetID) == 0 {
		return
	}
	// What no distribution ships comes first and is what counts.
	found := slices.Clone(s.SetID)
	slices.SortStableFunc(found, func(a, b layers.Found) int { return order(expected(a)) - order(expected(b)) })
	own := slices.IndexFunc(found, expected)
	if own < 0 {
		own = len(found)
	}
	f := checks.Finding{Evidence: i.files(found, withMode)}
	if own > 0 {
		f.Message = checks.Msg("%s has setuid or setgid programs that no distribution ships so: %s", i.Ref().Name, some(found[:own]))
	} else {
		f.Severity = checks.Low
		f.Message = checks.Msg("%s keeps the setuid and setgid programs of its distribution: %s", i.Ref().Name, some(found))
	}
	report(f)
})

func order(last bool) int {
	if last {
		return 1
	}
	return 0
}

var fileCapabilities = filesRule(checks.Check{
	ID:       "image-file-capabilities",
	Title:    "Programs with capabilities of their own",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-250"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if len(s.Capable) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("whoever starts %s in %s gets capabilities with it", some(s.Capable), i.Ref().Name),
			Evidence: i.files(s.Capable, withMode),
		})
	}
})

var worldWritable = filesRule(checks.Check{
	ID:       "image-world-writable-files",
	Title:    "Files that every user may change",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-732"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	if len(s.WorldWritable) > 0 {
		report(checks.Finding{
			Message:  checks.Msg("every user in a container of %s may change %s", i.Ref().Name, some(s.WorldWritable)),
			Evidence: i.files(s.WorldWritable, withMode),
		})
	}
})
