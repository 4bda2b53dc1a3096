package executor

import (
	"context"
	"fmt"
	"sync"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// decision says whether an action is wanted, on one fold and one inventory.
type decision struct {
	flight   projection.Flight
	inFlight bool
	wanted   bool
	// why is one sentence on an action that is not wanted.
	why        string
	basis      uint64
	digest     string
	generation uint64
	catalog    *catalog
}

// decide folds to the end of the log and decides again. Fetching an inventory
// takes time, so the fold is read again afterwards, until both belong together.
func (e *Executor) decide(ctx context.Context, id fleet.ActionID) (decision, error) {
	if err := e.View.CatchUp(ctx); err != nil {
		return decision{}, fmt.Errorf("fold to the end of the log: %w", err)
	}
	for {
		var digest string
		e.View.Read(func(s *projection.State) { digest = s.Inventory().Digest })
		c, err := e.catalogs.get(ctx, e.Inventories, digest)
		if err != nil {
			return decision{}, err
		}
		var d decision
		e.View.Read(func(s *projection.State) { d = decideOn(s, c, id) })
		if d.digest == digest {
			return d, nil
		}
	}
}

func decideOn(s *projection.State, c *catalog, id fleet.ActionID) decision {
	inventory := s.Inventory()
	d := decision{basis: s.Sequence(), digest: inventory.Digest, generation: inventory.Generation, catalog: c}
	d.flight, d.inFlight = s.Ledger().Flight(id)
	if d.inFlight {
		d.wanted = wanted(s, c, d.flight.Action)
		if !d.wanted {
			d.why = whyUnwanted(s, c, d.flight.Action)
		}
	}
	return d
}

// wanted asks engine.Reconcile, the one rule there is. What it says of a node
// follows from that node alone, so it is shown only that node: the cost of a
// fleet of any size stays that of one.
func wanted(s *projection.State, c *catalog, a fleet.Action) bool {
	if !a.Type.ConcernsNode() {
		return engine.Reconcile(c.inventory, s.Observed()).Has(a)
	}
	var desired fleet.Inventory
	if node := c.nodes[a.ID]; node != nil {
		desired.Regions = []fleet.Region{{Nodes: []fleet.Node{*node}}}
	}
	var observed fleet.ObservedState
	if node, ok := s.Node(a.ID); ok {
		observed.Nodes = []fleet.ObservedNode{{ID: a.ID, Present: node.Present, CanSign: s.CanSign(a.ID)}}
	}
	return engine.Reconcile(&desired, &observed).Has(a)
}

// stillAsked says whether the inventory still asks for what a running handler
// does. That its node has meanwhile appeared is the handler's own doing.
func stillAsked(s *projection.State, c *catalog, a fleet.Action) bool {
	if !a.Type.ConcernsNode() {
		return wanted(s, c, a)
	}
	return (c.nodes[a.ID] != nil) == (a.Type != fleet.DecommissionNode)
}

// whyUnwanted puts the decision into words; it decides nothing.
func whyUnwanted(s *projection.State, c *catalog, a fleet.Action) string {
	node, observed := s.Node(a.ID)
	desired := c.nodes[a.ID] != nil
	switch {
	case a.Type == fleet.EnableStrictEnforcement && !c.inventory.RequireSig:
		return "the inventory does not ask for strict enforcement"
	case a.Type == fleet.EnableStrictEnforcement && s.Observed().StrictEnforced:
		return "strict enforcement is on already"
	case a.Type == fleet.EnableStrictEnforcement:
		return blockedBy(engine.Blocking(c.inventory, s.Observed()))
	case a.Type == fleet.DisableStrictEnforcement && c.inventory.RequireSig:
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

// catalog is an inventory with an index.
type catalog struct {
	inventory *fleet.Inventory
	nodes     map[fleet.NodeID]*fleet.Node
}

// catalogs keeps the catalog in force, since every decision asks for it.
type catalogs struct {
	mu     sync.Mutex
	digest string
	last   *catalog
}

// get returns the empty catalog for the empty digest: before the first
// inventory nothing is wanted.
func (c *catalogs) get(ctx context.Context, from Inventories, digest string) (*catalog, error) {
	if have := c.find(digest); have != nil {
		return have, nil
	}
	// Nobody waits for a lock while the server is asked: who was told to stop
	// would not hear it.
	made := &catalog{inventory: new(fleet.Inventory), nodes: make(map[fleet.NodeID]*fleet.Node)}
	if digest != "" {
		inventory, err := from.Get(ctx, digest)
		if err != nil {
			return nil, fmt.Errorf("get inventory %s: %w", digest, err)
		}
		made.inventory = inventory
		for node := range inventory.Nodes() {
			made.nodes[node.ID] = node
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digest, c.last = digest, made
	return made, nil
}

func (c *catalogs) find(digest string) *catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.digest == digest {
		return c.last
	}
	return nil
}
