package history_test

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/history"
)

// A log that switches enforcement on while a desired node is lost.
func Example() {
	log := goodLog()
	log[goneC] = event("b", &events.NodeLost{Epoch: 1})
	for _, v := range history.Check(records(log), inventories) {
		fmt.Println(v)
	}
	// Output:
	// sequence 19 breaks flip: desired node "b" is absent
	// sequence 20 breaks phase: action enable (EnableStrictEnforcement) of plan p2 ends before 1 of its phase 3 do
}
