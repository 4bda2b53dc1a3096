package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestStuckIsGroupedByError(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)
	enroll := func(id fleet.NodeID, failures int, seconds time.Duration) engine.Stuck {
		return engine.Stuck{Action: fleet.Action{Type: fleet.EnrollNode, ID: id}, Failures: failures, LastError: "odd: very", NextAttempt: noon.Add(seconds * time.Second)}
	}
	flip := engine.Stuck{Action: fleet.Action{Type: fleet.EnableStrictEnforcement}, Failures: 3, LastError: strings.Repeat("é", 300)}
	for does, c := range map[string]struct {
		stuck []engine.Stuck
		want  string
	}{
		"nothing is said of nothing": {nil, ""},
		"the most failures and the earliest attempt stand for all": {
			[]engine.Stuck{enroll("a", 3, 20), enroll("b", 5, 10), enroll("c", 4, 30), flip},
			"\nx 4 actions are stuck, and tried on:\n    EnrollNode  a, b and 1 more\n        odd: very\n" +
				"        failed up to 5 times in a row; next attempt at 12:00:10\n" +
				"    EnableStrictEnforcement\n        " + strings.Repeat("é", 200) + "…\n        failed 3 times in a row; another attempt is under way\n",
		},
	} {
		var b strings.Builder
		if err := render.Stuck(&b, c.stuck, render.Options{MaxBlockers: 2}); err != nil || b.String() != c.want {
			t.Errorf("%s: %v, got:\n%s", does, err, b.String())
		}
	}
}
