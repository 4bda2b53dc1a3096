package render_test

import (
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestHeldIsGroupedByWhy(t *testing.T) {
	remove := func(id fleet.NodeID) fleet.Held {
		return fleet.Held{Action: fleet.Action{Type: fleet.DecommissionNode, ID: id}, Reason: "removal_budget", Detail: "too many"}
	}
	flip := fleet.Held{Action: fleet.Action{Type: fleet.EnableStrictEnforcement}, Reason: "paused", Detail: "by kim"}
	for does, c := range map[string]struct {
		held []fleet.Held
		want string
	}{
		"nothing is said of nothing": {nil, ""},
		"one reason, one line, and no more names than asked for": {
			[]fleet.Held{remove("a"), remove("b"), remove("c"), flip},
			"\n= 4 actions held by a safeguard:\n    DecommissionNode  a, b and 1 more\n        removal_budget: too many\n" +
				"    EnableStrictEnforcement\n        paused: by kim\n",
		},
	} {
		var b strings.Builder
		if err := render.Held(&b, c.held, render.Options{MaxBlockers: 2}); err != nil || b.String() != c.want {
			t.Errorf("%s: %v, got:\n%s", does, err, b.String())
		}
	}
}
