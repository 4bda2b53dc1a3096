package handlers_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

// A credential that never counts would be asked for at once again; a failure
// makes the planner back off.
func TestACredentialThatWouldNeverCountIsAFailure(t *testing.T) {
	story(t, func(s *shop) {
		s.want(false, "a")
		for _, inventory := range s.inventories {
			inventory.Regions[0].Nodes[0].CredTTL = identity.SkewMargin
		}
		s.agent("a")
		s.appear("a")
		s.open()
		s.publish("i1", issue("a"))
		synctest.Wait()
		if got, want := s.history(), "appeared, published, failed (ttl_too_short: "; !strings.HasPrefix(got, want) {
			t.Errorf("log:  %s\nwant: %s", got, want)
		}
	})
}
