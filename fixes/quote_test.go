package fixes

import "testing"

func TestCommand(t *testing.T) {
	got := Command([]string{"docker", "run", "", "a b", "it's", "$x", "a=b", "/srv/x-1"})
	if want := `docker run '' 'a b' "it's" '$x' 'a=b' /srv/x-1`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
