package checks

import "testing"

func TestIsRoot(t *testing.T) {
	const passwd = "# comment\nroot:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\r\n7:x:7:7::/:\n0day:x:8:8::/:\nbroken:x\napp:x:1000:1000::/:"
	tests := []struct {
		user, passwd string
		want         bool
	}{
		{"", "", true},
		{":1000", "", true},
		{"root", "", true},
		{"root:app", "", true},
		{"0", "", true},
		{"0:1000", "", true},
		{"00", "", true},
		{"+0", "", true},
		{"-0", "", true},
		{"toor", passwd, true},
		{"toor", "", false},
		{"app", passwd, false},
		{"nobody", passwd, false},
		{"broken", passwd, false},
		{"0day", passwd, false},
		{"1000", passwd, false},
		{"1000:0", "", false},
		{"root", "root:x:5:5::/:\n", false},
	}
	for _, test := range tests {
		if got := IsRoot(test.user, []byte(test.passwd)); got != test.want {
			t.Errorf("%q with %q: %v", test.user, test.passwd, got)
		}
	}
}

func TestUID(t *testing.T) {
	const passwd = "app:x:1000:1000::/:\n42:x:7:7::/:\n"
	tests := []struct {
		user  string
		uid   int
		known bool
	}{
		{"app:x", 1000, true},
		{"1000", 1000, true},
		{"5000", 5000, true},
		{"42", 7, true}, // a name, even though it is a number
		{"other", 0, false},
	}
	for _, test := range tests {
		if uid, known := UID(test.user, []byte(passwd)); uid != test.uid || known != test.known {
			t.Errorf("%q: %d, %v", test.user, uid, known)
		}
	}
}
