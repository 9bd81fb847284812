package checks

import (
	"strconv"
	"strings"
)

// UID returns the numeric id of user as an engine resolves it: user is what
// USER, --user or the config of an image holds ("", "app", "1000:1000"), and
// passwd is /etc/passwd of the image, nil when it was not read. It is not known
// when user is a name that passwd does not explain.
func UID(user string, passwd []byte) (uid int, known bool) {
	name, _, _ := strings.Cut(user, ":")
	number, err := strconv.Atoi(name)
	numeric := err == nil
	if name == "" {
		return 0, true
	}
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 3 {
			continue
		}
		id, err := strconv.Atoi(fields[2])
		if err == nil && (fields[0] == name || numeric && id == number) {
			return id, true
		}
	}
	if numeric {
		return number, true
	}
	return 0, name == "root"
}

// IsRoot reports whether user is known to have uid 0; see [UID].
func IsRoot(user string, passwd []byte) bool {
	uid, known := UID(user, passwd)
	return known && uid == 0
}
