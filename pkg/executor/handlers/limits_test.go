package handlers

import (
	"fmt"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestLimitsCutWhatIsTooMuch(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimits()
	admitted := func(id string) bool {
		err := l.admit(fleet.NodeID(id), now)
		if reason := fleet.ReasonOf(err); err != nil && reason != RefusedTooMany {
			t.Errorf("refused with %v", err)
		}
		return err == nil
	}
	if !admitted("a") || admitted("a") || !admitted("b") {
		t.Error("a node's second request at once is to be cut, and no other's")
	}
	now = now.Add(requestEvery)
	if !admitted("a") {
		t.Error("a node was cut after a pause")
	}
	now = now.Add(time.Minute)
	many := 0
	for i := range 3 * requestRate {
		if admitted(fmt.Sprint("n", i)) {
			many++
		}
	}
	if many != requestRate {
		t.Errorf("%d of %d nodes were admitted at once, want %d", many, 3*requestRate, requestRate)
	}
	now = now.Add(time.Second / 2)
	for i := range 3 * requestRate {
		if admitted(fmt.Sprint("m", i)) {
			many++
		}
	}
	if many != requestRate+requestRate/2 {
		t.Errorf("%d were admitted within half a second more", many-requestRate)
	}
}

func TestANonceCountsOnceAndIsForgottenWhenItIsStale(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimits()
	use := func(id fleet.NodeID, nonce string) fleet.Reason { return fleet.ReasonOf(l.once(id, nonce, now)) }
	if a, again, other := use("a", "x"), use("a", "x"), use("b", "x"); a != "" || again != RefusedReplayed || other != "" {
		t.Errorf("refused %q, %q and %q", a, again, other)
	}
	for range 4 {
		now = now.Add(31 * time.Second)
		if err := l.admit("c", now); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.nonces) != 0 || len(l.last) != 1 {
		t.Errorf("%d nonces and %d nodes are remembered", len(l.nonces), len(l.last))
	}
}
