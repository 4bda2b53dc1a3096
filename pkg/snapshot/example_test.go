package snapshot_test

import (
	"bytes"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// A state is saved, read back, and folded on: it is the state that saw all.
func Example() {
	key := "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	node := func(id fleet.NodeID) *events.Event {
		return &events.Event{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: key}}
	}
	whole := projection.New()
	_, _ = whole.Apply(1, noon, node("nyc/node-1"))

	var file bytes.Buffer
	_, err := snapshot.Encode(&file, whole.Still(), snapshot.Mark{Sequence: 1, Time: noon, Message: "m1"})
	if err != nil {
		fmt.Println(err)
	}
	saved, err := snapshot.Decode(&file)
	if err != nil {
		fmt.Println(err)
	}

	_, _ = whole.Apply(2, noon, node("nyc/node-2"))
	_, _ = saved.State.Apply(2, noon, node("nyc/node-2"))
	a, _ := snapshot.HashOf(whole)
	b, _ := snapshot.HashOf(saved.State)
	fmt.Println(saved.Mark.Sequence, len(saved.State.Observed().Nodes), a == b)
	// Output: 1 2 true
}
