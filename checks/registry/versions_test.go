package registry

import "testing"

func TestBefore(t *testing.T) {
	for _, c := range []struct {
		tag, other string
		want       bool
	}{
		{"1.0", "2.0", true}, {"2.0", "1.0", false}, {"2.0", "2.0", false}, {"12", "12.5", false}, {"12.4", "12", false}, {"11", "12.5", true},
		{"1.25-alpine", "1.26", true}, {"latest", "1.0", false}, {"1.0", "latest", false}, {"", "1", false},
	} {
		if got := Before(c.tag, c.other); got != c.want {
			t.Errorf("%s before %s: %t", c.tag, c.other, got)
		}
	}
}
