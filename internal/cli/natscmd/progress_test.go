package natscmd

import (
	"strings"
	"testing"
	"time"
)

// Whoever makes a hundred thousand identities hears how far it is; whoever makes
// three hears nothing.
func TestProgressIsToldNowAndThen(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var out strings.Builder
	p := progress{out: &out, now: func() time.Time { return now }, last: now}
	for done := range 50 {
		p.tell(done, 50)
		now = now.Add(100 * time.Millisecond)
	}
	if want := "20 of 50 identities\n40 of 50 identities\n"; out.String() != want {
		t.Errorf("told %q, want %q", out.String(), want)
	}
}
