package projection_test

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A node appears, is given a credential, and proves that it holds the key.
func Example() {
	facts := []*events.Event{
		{Type: events.TypeNodeAppeared, Node: "nyc/node-1", Data: &events.NodeAppeared{Epoch: 1, Session: "s1", KeyFingerprint: "sha256:aa"}},
		{Type: events.TypeCredentialIssued, Node: "nyc/node-1", Data: &events.CredentialIssued{Epoch: 1, Serial: "01", Nonce: "n", KeyFingerprint: "sha256:aa"}},
		{Type: events.TypeCredentialProved, Node: "nyc/node-1", Data: &events.CredentialProved{Epoch: 1, Serial: "01", Nonce: "n"}},
	}
	state := projection.New()
	for i, e := range facts {
		if _, err := state.Apply(uint64(i+1), time.Now(), e); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %+v\n", e.Type, state.Observed().Nodes)
	}
	// Output:
	// node.appeared: [{ID:nyc/node-1 Present:true CanSign:false}]
	// credential.issued: [{ID:nyc/node-1 Present:true CanSign:false}]
	// credential.proved: [{ID:nyc/node-1 Present:true CanSign:true}]
}

// Whoever folds the same messages has the same state.
func ExampleFold() {
	log := func(yield func(projection.Fact) bool) {
		yield(projection.Fact{Sequence: 1, Event: &events.Event{
			Type: events.TypeEnforcementEnabled, Data: &events.EnforcementEnabled{Action: "enable-strict-1"},
		}})
	}
	state := projection.New()
	if err := projection.Fold(state, log); err != nil {
		fmt.Println(err)
	}
	fmt.Println(state.StrictEnforced(), "by", state.EnforcementAction())
	// Output: true by enable-strict-1
}
