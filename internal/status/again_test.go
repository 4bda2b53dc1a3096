package status

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// changing is a log that grows at random.
type changing struct {
	t   *rapid.T
	st  *projection.State
	at  time.Time
	inv *fleet.Inventory
	// epochs of the ids, as nodes are removed and come again.
	epochs  map[fleet.NodeID]uint64
	actions []events.ActionRequested
}

func (c *changing) apply(kind events.Type, id fleet.NodeID, data events.Payload) {
	c.at = c.at.Add(time.Second)
	if _, err := c.st.Apply(c.st.Sequence()+1, c.at, &events.Event{Type: kind, Node: id, Data: data}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *changing) step() {
	id := fleet.NodeID(fmt.Sprint("n", rapid.IntRange(0, 5).Draw(c.t, "node")))
	epoch := max(c.epochs[id], 1)
	switch rapid.IntRange(0, 9).Draw(c.t, "step") {
	case 0:
		c.inv = &fleet.Inventory{QuorumWidth: 1, RequireSig: rapid.Bool().Draw(c.t, "strict"), Regions: []fleet.Region{{Name: "r"}}}
		for i := range rapid.IntRange(0, 5).Draw(c.t, "nodes") {
			c.inv.Regions[0].Nodes = append(c.inv.Regions[0].Nodes, fleet.Node{ID: fleet.NodeID(fmt.Sprint("n", i))})
		}
		c.apply(events.TypeInventoryApplied, "", &events.InventoryApplied{Digest: fmt.Sprint("d", c.st.Sequence()), Generation: c.st.Inventory().Generation + 1})
	case 1, 2:
		c.apply(events.TypeNodeAppeared, id, &events.NodeAppeared{Epoch: epoch, Session: fmt.Sprint(c.st.Sequence()), KeyFingerprint: "k"})
	case 3:
		c.apply(events.TypeNodeLost, id, &events.NodeLost{Epoch: epoch})
	case 4:
		c.apply(events.TypeNodeRemoved, id, &events.NodeRemoved{Epoch: epoch})
		if _, known := c.st.Node(id); !known {
			c.epochs[id] = c.st.Ledger().Epoch(id)
		}
	case 5, 6:
		serial := fmt.Sprint(c.st.Sequence())
		c.apply(events.TypeCredentialIssued, id, &events.CredentialIssued{Epoch: epoch, Serial: serial, Nonce: serial, KeyFingerprint: "k"})
		c.apply(events.TypeCredentialProved, id, &events.CredentialProved{Epoch: epoch, Serial: serial, Nonce: serial})
	case 7:
		a := events.ActionRequested{Type: fleet.EnrollNode, ID: id, Action: fleet.ActionID(fmt.Sprint("a", c.st.Sequence())), Attempt: 1, Epoch: c.st.Ledger().Epoch(id), Generation: c.st.Inventory().Generation}
		c.apply(events.TypeEnrollNode, id, &a)
		c.actions = append(c.actions, a)
	case 8:
		if len(c.actions) > 0 {
			a := rapid.SampledFrom(c.actions).Draw(c.t, "action")
			c.apply(events.TypeActionFailed, a.ID, &events.ActionFailed{Type: a.Type, ID: a.ID, Action: a.Action, Reason: "odd"})
		}
	case 9:
		c.apply(events.TypeEnforcementEnabled, "", &events.EnforcementEnabled{})
	}
}

// Looking again says what looking for the first time says.
func TestLookingAgainSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &changing{t: t, st: projection.New(), at: time.Unix(1_800_000_000, 0), epochs: map[fleet.NodeID]uint64{}}
		var again, once Again
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c.step()
			if rapid.IntRange(0, 3).Draw(t, "look away") == 0 {
				continue
			}
			want := Of(c.st, c.inv, c.at)
			got := again.Brief(c.st, c.inv, c.at)
			if once.Converged(c.st, c.inv) != want.Converged || Converged(c.st, c.inv) != want.Converged {
				t.Fatalf("converged is not %v", want.Converged)
			}
			want.Observed.Nodes, want.Rotations, want.BlockedBy = []fleet.ObservedNode{}, []Rotation{}, []engine.Blocker{}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("again it is\n%+v\nand at first\n%+v", got, want)
			}
		}
	})
}
