package decide

import (
	"math"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Safeguards are those of the newest plan on the log: who is no planner does not
// know how planners were started. Before the first plan they are the defaults.
func Safeguards(s *projection.State) engine.Safeguards {
	g := safeguardsOf(s.Safeguards())
	if g.Validate() != nil {
		return engine.DefaultSafeguards()
	}
	return g
}

// Policy is that of the newest plan on the log, as Safeguards are.
func Policy(s *projection.State) engine.Policy {
	p := policyOf(s.Policy())
	if p.Validate() != nil {
		return engine.DefaultPolicy()
	}
	return p
}

func safeguardsOf(r events.HoldSafeguards) engine.Safeguards {
	return engine.Safeguards{
		RemovalMin: r.RemovalMin, RemovalFraction: r.RemovalFraction,
		BlindFraction: r.BlindFraction, BlindMin: r.BlindMin, LostWait: seconds(r.LostWaitSeconds),
		FlapThreshold: r.FlapThreshold, FlapHalfLife: seconds(r.FlapHalfLifeSeconds),
	}
}

func policyOf(r events.DispatchPolicy) engine.Policy {
	return engine.Policy{
		MaxInFlight: r.MaxInFlight, Jitter: r.Jitter, StuckAfter: r.StuckAfter,
		BackoffBase: seconds(r.BackoffBaseSeconds), BackoffCap: seconds(r.BackoffCapSeconds),
	}
}

// seconds is exact for what time.Duration.Seconds gave, up to a hundred days: an
// audit must decide by the thresholds that there were, to the nanosecond.
func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// Recorded are safeguards as plan.decided carries them.
func Recorded(g engine.Safeguards) events.HoldSafeguards {
	return events.HoldSafeguards{
		RemovalMin: g.RemovalMin, RemovalFraction: g.RemovalFraction,
		BlindFraction: g.BlindFraction, BlindMin: g.BlindMin, LostWaitSeconds: g.LostWait.Seconds(),
		FlapThreshold: g.FlapThreshold, FlapHalfLifeSeconds: g.FlapHalfLife.Seconds(),
	}
}

// RecordedPolicy is a policy as plan.decided carries it.
func RecordedPolicy(p engine.Policy) events.DispatchPolicy {
	return events.DispatchPolicy{
		MaxInFlight: p.MaxInFlight, Jitter: p.Jitter,
		BackoffBaseSeconds: p.BackoffBase.Seconds(), BackoffCapSeconds: p.BackoffCap.Seconds(), StuckAfter: p.StuckAfter,
	}
}
