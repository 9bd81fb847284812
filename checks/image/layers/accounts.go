package layers

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// largestAccounts bounds /etc/passwd and its like.
const largestAccounts = 1 << 20

var errEnough = errors.New("enough was read")

// A collector keeps the beginning of a file.
type collector struct {
	data  []byte
	limit int
}

func (c *collector) Write(p []byte) (int, error) {
	c.data = append(c.data, p[:min(len(p), c.limit-len(c.data))]...)
	if len(c.data) == c.limit {
		return 0, errEnough
	}
	return len(p), nil
}

// accounts is the visitor that learns who there is.
type accounts struct {
	layer *Layer
	collector
	path string
}

func (a *accounts) Visit(f *File) io.WriteCloser {
	switch f.Path {
	case "etc/passwd", "etc/shadow", "etc/group":
		a.path, a.collector = f.Path, collector{limit: largestAccounts}
		return a
	}
	return nil
}

// Close reads what was collected and forgets it: it may hold password hashes.
func (a *accounts) Close() error {
	l := a.layer
	switch a.path {
	case "etc/passwd":
		l.Accounts = []Account{}
	case "etc/group":
		l.Groups = []Group{}
	case "etc/shadow":
		l.Unlocked = []string{}
	}
	for line := range bytes.Lines(a.data) {
		a.line(strings.TrimSpace(string(line)))
	}
	clear(a.data)
	a.data = nil
	return nil
}

func (a *accounts) line(line string) {
	l := a.layer
	if strings.HasPrefix(line, "#") {
		return
	}
	fields := strings.SplitN(line, ":", 6)
	switch a.path {
	case "etc/passwd":
		if len(fields) >= 4 {
			uid, err := strconv.Atoi(fields[2])
			gid, err2 := strconv.Atoi(fields[3])
			if err == nil && err2 == nil {
				l.Accounts = append(l.Accounts, Account{Name: fields[0], UID: uid, GID: gid, NoPassword: fields[1] == ""})
			}
		}
	case "etc/group":
		if len(fields) >= 3 {
			if gid, err := strconv.Atoi(fields[2]); err == nil {
				l.Groups = append(l.Groups, Group{fields[0], gid})
			}
		}
	case "etc/shadow":
		if len(fields) >= 3 && fields[0] != "" && fields[1] == "" {
			l.Unlocked = append(l.Unlocked, fields[0])
		}
	}
}
