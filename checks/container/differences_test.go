package container

import (
	"testing"

	api "github.com/moby/moby/api/types/container"
)

func TestFewerCapabilities(t *testing.T) {
	host := func(drop, add string) *api.HostConfig {
		h := &api.HostConfig{}
		if drop != "" {
			h.CapDrop = []string{drop}
		}
		if add != "" {
			h.CapAdd = []string{add}
		}
		return h
	}
	for _, c := range []struct {
		name       string
		some, than *api.HostConfig
		want       bool
	}{
		{"the same", host("", ""), host("", ""), false},
		{"all dropped", host("ALL", ""), host("", ""), true},
		{"all dropped and one added is fewer", host("all", "CAP_CHOWN"), host("", ""), true},
		{"the defaults are more than one", host("", ""), host("ALL", "CHOWN"), false},
		{"one more", host("", "NET_ADMIN"), host("", ""), false},
		{"one less", host("", ""), host("", "NET_ADMIN"), true},
		{"one that is there already", host("", "CHOWN"), host("", ""), false},
		{"others", host("ALL", "NET_ADMIN"), host("", ""), false},
		{"every one", host("", "ALL"), host("", ""), false},
		{"not every one", host("", ""), host("", "ALL"), true},
	} {
		if got := fewerCapabilities(c.some, c.than); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
