package projection_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Counters move by one. What would move one to the end of its numbers counts
// for nothing, or nobody could ever count on.
func TestACounterThatLeapsIsNotBelieved(t *testing.T) {
	s := after(t, fmt.Sprintf("inventory d generation=1\n inventory e generation=%d\n inventory f generation=2", uint64(math.MaxUint32)))
	if ref := s.Inventory(); ref.Digest != "f" || ref.Generation != 2 {
		t.Errorf("in force is %+v, want the second", ref)
	}
	enrol := fleet.Action{Type: fleet.EnrollNode, ID: "n1"}
	l := after(t, fmt.Sprintf("enroll n1 action=e1 attempt=%d\n enroll n1 action=e2", uint64(math.MaxUint32))).Ledger()
	if a := l.AttemptsAt(enrol, 1, 1); a.Published != 1 || l.Outstanding() != 1 {
		t.Errorf("attempts are %+v, %d in flight", a, l.Outstanding())
	}
	l = after(t, fmt.Sprintf("inventory d generation=1\n enroll n1 action=e1 generation=%d\n enroll n1 action=e2", uint64(math.MaxUint32))).Ledger()
	if a := l.AttemptsAt(enrol, 1, 1); a.Published != 1 || l.Outstanding() != 1 {
		t.Errorf("of an inventory that is not there yet: attempts are %+v, %d in flight", a, l.Outstanding())
	}
}

// Before the first inventory nobody can tell which generation is one.
func TestAnAccountFromTheFutureEndsWithItsInventory(t *testing.T) {
	l := after(t, "appeared n1\n enroll n1 action=e1 generation=9\n refused e1\n inventory d generation=1\n enroll n1 action=e2 generation=1").Ledger()
	if a := l.AttemptsAt(fleet.Action{Type: fleet.EnrollNode, ID: "n1"}, 1, 1); a.Published != 1 {
		t.Errorf("attempts under the first inventory are %+v", a)
	}
}

func TestAnOlderInventoryDoesNotComeBack(t *testing.T) {
	s := after(t, "inventory d generation=1\n inventory e generation=2\n inventory d generation=1\n inventory f generation=2")
	if ref := s.Inventory(); ref.Digest != "e" || ref.Generation != 2 {
		t.Errorf("in force is %+v, want the second", ref)
	}
}

func TestAnActionOfAnOlderGenerationDoesNotFly(t *testing.T) {
	l := after(t, "appeared n1\n inventory d generation=1\n inventory e generation=2\n issue n1 action=new generation=2\n failed new\n issue n1 action=old generation=1 attempt=5").Ledger()
	if a := l.AttemptsAt(fleet.Action{Type: fleet.IssueCredential, ID: "n1"}, 1, 2); a.Published != 1 || a.Failures != 1 || l.Outstanding() != 0 {
		t.Errorf("attempts are %+v, %d in flight", a, l.Outstanding())
	}
}

// Who came, or came again, after what a person looked at is not what they approved.
func TestAnApprovalIsOfLivesThatHadBegun(t *testing.T) {
	s := after(t, "inventory d generation=1\n appeared n1\n appeared n2\n approved x basis=3\n appeared n3\n removed n2\n appeared n2 epoch=2")
	for id, want := range map[fleet.NodeID]bool{"n1": true, "n2": false, "n3": false} {
		if got := s.RemovalApproved(id); got != want {
			t.Errorf("the removal of %s is approved: %v, want %v", id, got, want)
		}
	}
}
