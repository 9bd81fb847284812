package inventory

import (
	"reflect"
	"testing"
	"time"

	"plimsoll/checks"
)

// TestRulesOfTheProjectReachImages holds that none is left out.
func TestRulesOfTheProjectReachImages(t *testing.T) {
	rules := reflect.ValueOf(imageRules(&checks.Policy{Registries: []string{"docker.io"}, Licenses: []string{"MIT"}, CoolDown: time.Hour}))
	for i := range rules.NumField() {
		if rules.Field(i).IsZero() {
			t.Errorf("%s does not reach images", rules.Type().Field(i).Name)
		}
	}
}
