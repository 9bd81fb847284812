package image

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
	"plimsoll/checks/image/layers"
)

var emptyPassword = filesRule(checks.Check{
	ID:       "image-empty-password",
	Title:    "Account without a password",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"dockle DKL-LI-0001", "CWE-258"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	for _, a := range s.Accounts {
		if a.NoPassword {
			report(checks.Finding{
				Key:      a.Name,
				Message:  checks.Msg("%s has no password in %s: whoever may switch users becomes it", a.Name, i.Ref().Name),
				Evidence: []checks.Evidence{{Source: "/etc/passwd and /etc/shadow", Detail: a.Name + ": the password field is empty"}},
			})
		}
	}
})

var extraRoot = filesRule(checks.Check{
	ID:       "image-extra-uid0-account",
	Title:    "Second account with the rights of root",
	Severity: checks.High,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"CWE-250"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	for _, a := range s.Accounts {
		if a.UID == 0 && a.Name != "root" {
			report(checks.Finding{
				Key:      a.Name,
				Message:  checks.Msg("%s in %s is root under another name", a.Name, i.Ref().Name),
				Evidence: []checks.Evidence{{Source: "/etc/passwd", Detail: a.Name + ": uid 0"}},
			})
		}
	}
})

var duplicateID = filesRule(checks.Check{
	ID:       "image-duplicate-uid-gid",
	Title:    "Two accounts that are one",
	Severity: checks.Low,
	Chapter:  checks.LeastPrivilege,
	Refs:     []string{"dockle DKL-LI-0002", "CWE-694"},
}, func(i *Image, s *layers.Summary, report func(checks.Finding)) {
	var evidence []checks.Evidence
	tell := func(file string, names []string, what string) {
		if len(names) > 1 {
			evidence = append(evidence, checks.Evidence{Source: file, Detail: what + ": " + strings.Join(names, ", ")})
		}
	}
	uids, users := map[int][]string{}, map[string][]string{}
	for _, a := range s.Accounts {
		if a.UID != 0 { // image-extra-uid0-account tells
			uids[a.UID] = append(uids[a.UID], a.Name)
		}
		users[a.Name] = append(users[a.Name], fmt.Sprint(a.UID))
	}
	gids, groups := map[int][]string{}, map[string][]string{}
	for _, g := range s.Groups {
		gids[g.GID] = append(gids[g.GID], g.Name)
		groups[g.Name] = append(groups[g.Name], fmt.Sprint(g.GID))
	}
	for uid, names := range uids {
		tell("/etc/passwd", names, fmt.Sprintf("uid %d", uid))
	}
	for name, ids := range users {
		tell("/etc/passwd", ids, "uids of "+name)
	}
	for gid, names := range gids {
		tell("/etc/group", names, fmt.Sprintf("gid %d", gid))
	}
	for name, ids := range groups {
		tell("/etc/group", ids, "gids of "+name)
	}
	if len(evidence) == 0 {
		return
	}
	slices.SortFunc(evidence, func(a, b checks.Evidence) int { return strings.Compare(a.String(), b.String()) })
	all := len(evidence)
	report(checks.Finding{
		Message:  checks.Msg("accounts of %s share a number or a name, so that one may do what the other may", i.Ref().Name),
		Evidence: more(evidence[:min(all, mostEvidence)], all),
	})
})
