package executor

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// decision says whether an action may begin, on one fold and one inventory.
type decision struct {
	flight   projection.Flight
	inFlight bool
	// refuse is why the action must not begin, empty if it may; why is one
	// sentence on that.
	refuse     fleet.Reason
	why        string
	basis      uint64
	digest     string
	generation uint64
	desired    *decide.Desired
}

// decide decides again on the newest fold. Fetching an inventory takes time, so
// the fold is read again afterwards, until both belong together.
func (e *Executor) decide(ctx context.Context, id fleet.ActionID) (decision, error) {
	for {
		var digest string
		e.View.Read(func(s *projection.State) { digest = s.Inventory().Digest })
		in, err := e.inForce.get(ctx, e.Inventories, digest)
		if err != nil {
			return decision{}, err
		}
		var d decision
		e.View.Read(func(s *projection.State) { d = e.decideOn(s, in, id) })
		if d.digest == digest {
			return d, nil
		}
	}
}

func (e *Executor) decideOn(s *projection.State, in *decide.Desired, id fleet.ActionID) decision {
	inventory := s.Inventory()
	d := decision{basis: s.Sequence(), digest: inventory.Digest, generation: inventory.Generation, desired: in}
	d.flight, d.inFlight = s.Ledger().Flight(id)
	if !d.inFlight {
		return d
	}
	if !decide.Wanted(s, in, d.flight.Action) {
		d.refuse, d.why = ReasonNoLongerWanted, whyUnwanted(s, in, d.flight.Action)
	} else if held, ok := e.holds.Of(s, in, d.flight.Action); ok {
		d.refuse, d.why = ReasonHeld, string(held.Reason)+": "+held.Detail
	}
	return d
}

// whyUnwanted puts the decision into words; it decides nothing.
func whyUnwanted(s *projection.State, in *decide.Desired, a fleet.Action) string {
	node, observed := s.Node(a.ID)
	desired := in.Node(a.ID) != nil
	switch {
	case a.Type == fleet.EnableStrictEnforcement && !in.Inventory.RequireSig:
		return "the inventory does not ask for strict enforcement"
	case a.Type == fleet.EnableStrictEnforcement && s.Observed().StrictEnforced:
		return "strict enforcement is on already"
	case a.Type == fleet.EnableStrictEnforcement:
		return blockedBy(engine.Blocking(in.Inventory, s.Observed()))
	case a.Type == fleet.DisableStrictEnforcement && in.Inventory.RequireSig:
		return "the inventory asks for strict enforcement"
	case a.Type == fleet.DisableStrictEnforcement:
		return "strict enforcement is off already"
	case a.Type == fleet.DecommissionNode && desired:
		return "the inventory names the node"
	case a.Type == fleet.DecommissionNode:
		return "the node is gone already"
	case !desired:
		return "the inventory does not name the node"
	case a.Type == fleet.EnrollNode:
		return "the node is present already"
	case !observed || !node.Present:
		return "the node is absent"
	}
	return "the node can sign already"
}

func blockedBy(blockers []engine.Blocker) string {
	if len(blockers) == 0 {
		return "not every desired node is present and can sign"
	}
	first := fmt.Sprintf("node %q is %s", blockers[0].ID, blockers[0].Why)
	if blockers[0].Why == engine.WhyCannotSign {
		first = fmt.Sprintf("node %q cannot sign", blockers[0].ID)
	}
	if more := len(blockers) - 1; more > 0 {
		first += fmt.Sprintf(", and %d more nodes are not ready", more)
	}
	return first
}
