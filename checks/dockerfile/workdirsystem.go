package dockerfile

import (
	"path"
	"strings"

	"plimsoll/checks"
)

var workdirSystemDir = check(checks.Check{
	ID:       "workdir-system-dir",
	Title:    "Working directory among the system's files",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"trivy DS-0030", "CVE-2024-21626"},
}, func(f *File, report func(checks.Finding)) {
	for _, in := range f.Instructions {
		if in.Keyword != "WORKDIR" || in.Stage == nil || in.Stage.windows {
			continue
		}
		dir, certain := in.Args.String, true
		if strings.ContainsAny(dir, "$\"'\\") {
			dir, certain = f.expand(dir, f.variablesAt(in))
		}
		if !certain || !strings.HasPrefix(dir, "/") {
			continue
		}
		severity := systemDir(dir)
		if severity == 0 || severity < checks.High && !f.Shipped(in.Stage) {
			continue
		}
		finding := f.finding(in, in.Stage.label()+"/"+dir, checks.Msg("WORKDIR %s is a folder of the system: the build and the container write among its files", dir))
		if strings.HasPrefix(dir, "/proc") || strings.HasPrefix(dir, "/sys") {
			finding.Message = checks.Msg("WORKDIR %s is no folder but a view into the kernel, through which a container can get at the host", dir)
		}
		finding.Severity = severity
		if !strings.Contains(in.Args.String, "$") {
			start, end := in.Args.Range(0, len(in.Args.String))
			choice := in.Stage.choice("workdir")
			finding.Fixes = []checks.Fix{{
				ID: "own-directory", Title: checks.Msg("work in a folder of the application"),
				Caution: checks.Msg("later steps with relative paths then mean that folder: rebuild and test"),
				Choices: []checks.Choice{{
					Key: choice, Label: checks.Msg("working directory"), Default: "/app", Valid: validOwnDir,
					Why: checks.Msg("nothing of the system is there"),
				}},
				Edit: func(v checks.Values) ([]checks.Edit, error) {
					if err := validOwnDir(v[choice]); err != nil {
						return nil, err
					}
					return []checks.Edit{{Start: start, End: end, New: v[choice], Reason: checks.Msg("away from the files of the system")}}, nil
				},
			}}
		}
		report(finding)
	}
})

// systemDir returns how bad it is to work in dir, 0 if it is fine.
func systemDir(dir string) checks.Severity {
	dir = path.Clean(dir)
	first, rest, _ := strings.Cut(dir[1:], "/")
	switch first {
	case "proc", "sys":
		return checks.High
	case "dev":
		if rest == "shm" || strings.HasPrefix(rest, "shm/") {
			return 0
		}
		return checks.High
	case "boot", "bin", "sbin", "lib", "lib32", "lib64":
		if rest != "" {
			return checks.Low
		}
		return checks.High
	case "etc":
		if rest != "" {
			return checks.Low
		}
		return checks.High
	}
	switch dir {
	case "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/libexec":
		return checks.Medium
	}
	return 0
}

func validOwnDir(dir string) error {
	if !strings.HasPrefix(dir, "/") || strings.ContainsAny(dir, " \t\r\n\"'\\$#`") || systemDir(dir) != 0 {
		return &checks.Problem{What: checks.Msg("a whole path outside of the system's folders, such as /app")}
	}
	return nil
}
