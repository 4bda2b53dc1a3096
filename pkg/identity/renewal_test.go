package identity_test

import (
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

func TestRenewFrom(t *testing.T) {
	issued := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ ttl, before, want time.Duration }{
		"as the inventory says":                                      {time.Hour, 15 * time.Minute, 45 * time.Minute},
		"nearly all of its time":                                     {time.Hour, 50 * time.Minute, 10 * time.Minute},
		"unsaid: the last third":                                     {59*time.Minute + 30*time.Second, 0, 39*time.Minute + 30*time.Second},
		"too late to be in time: two margins before the end":         {time.Hour, 10 * time.Second, 59 * time.Minute},
		"a short life: no earlier than at half of what counts of it": {time.Minute, 40 * time.Second, 15 * time.Second},
		"the shortest life":                                          {31 * time.Second, time.Second, 500 * time.Millisecond},
	} {
		notBefore, notAfter := issued.Add(-identity.SkewMargin), issued.Add(c.ttl)
		if got := identity.RenewFrom(notBefore, notAfter, c.before).Sub(issued); got != c.want {
			t.Errorf("%s: due %v after the issue, want %v", name, got, c.want)
		}
	}
}
