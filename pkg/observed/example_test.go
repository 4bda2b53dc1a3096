package observed_test

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/observed"
)

func Example() {
	state, err := observed.Parse([]byte(`{
  "nodes": [
    {"id": "node-1", "present": true, "can_sign": true},
    {"id": "node-2", "present": true, "can_sing": true}
  ],
  "strict_enforced": false
}`))
	fmt.Println(state == nil)
	fmt.Println(err)
	// Output:
	// true
	// observed state has 2 problems
	//   line 4: nodes[1].can_sing: unknown key "can_sing": the keys here are id, present, can_sign
	//   line 4: nodes[1].can_sign: key "can_sign" is missing
}
