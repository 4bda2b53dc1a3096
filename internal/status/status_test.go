package status

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// A program that reads plans reads states, too: the same thing has the same name.
func TestBlockersAreNamedAsInAPlan(t *testing.T) {
	strict := &fleet.Inventory{RequireSig: true, Regions: []fleet.Region{{Nodes: []fleet.Node{{ID: "node-1"}}}}}
	for does, c := range map[string]struct {
		inv  *fleet.Inventory
		want string
	}{
		"a node that was never seen blocks":     {strict, `[{"id":"node-1","reason":"absent and cannot sign"}]`},
		"a list stays a list when it is empty":  {&fleet.Inventory{}, `[]`},
		"without an inventory nothing is asked": {nil, `[]`},
	} {
		text, err := json.Marshal(Of(projection.New(), c.inv, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			BlockedBy json.RawMessage `json:"blocked_by"`
		}
		if err := json.Unmarshal(text, &got); err != nil || string(got.BlockedBy) != c.want {
			t.Errorf("%s: blocked_by is %s, %v, want %s", does, got.BlockedBy, err, c.want)
		}
	}
}
