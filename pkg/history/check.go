package history

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Rule names what a violation breaks.
type Rule string

// The rules, as the package comment explains them.
const (
	RuleGap     Rule = "gap"
	RuleFlip    Rule = "flip"
	RuleBatch   Rule = "batch"
	RuleOnce    Rule = "once"
	RuleOutcome Rule = "outcome"
	RulePhase   Rule = "phase"
	RuleProof   Rule = "proof"
)

// Violation is one place at which the log breaks a rule.
type Violation struct {
	Sequence uint64
	Rule     Rule
	// Detail is one sentence for a person.
	Detail string
}

func (v Violation) String() string {
	return fmt.Sprintf("sequence %d breaks %s: %s", v.Sequence, v.Rule, v.Detail)
}

// Inventory finds a desired state by the digest of its text.
type Inventory func(digest string) (*fleet.Inventory, error)

// Check reads a log from its first record and returns what is wrong with it, in
// order; none for a log that keeps its promises. It stops at a gap, since
// nothing behind one can be folded.
func Check(records []eventlog.Record, inventory Inventory) (found []Violation) {
	state, c := projection.New(), NewChecker(inventory)
	for _, r := range records {
		if want := state.Sequence() + 1; r.Sequence != want {
			found = append(found, Violation{r.Sequence, RuleGap, fmt.Sprintf("sequence %d was to follow", want)})
			break
		}
		found = append(found, c.Record(state, r)...)
		if _, err := state.Apply(r.Sequence, r.Time, r.Event); err != nil {
			found = append(found, Violation{r.Sequence, RuleGap, err.Error()})
			break
		}
	}
	return append(found, c.End(state.Sequence())...)
}

// Checker checks a log record by record.
type Checker struct {
	inventory Inventory
	state     *projection.State // of everything before the record
	// actions have no outcome yet.
	actions map[fleet.ActionID]*action
	// newest plan, and whether more of its actions are to follow.
	newest *plan
	open   bool
	found  []Violation
	// ends are where the newest plan of each shard ends.
	ends map[string]*plan
}

// NewChecker is for a log that begins with its first record.
func NewChecker(inventory Inventory) *Checker {
	return &Checker{inventory: inventory, actions: make(map[fleet.ActionID]*action), ends: make(map[string]*plan)}
}

// Record says what is wrong with a record. before is the fold of everything
// before it, which has r.Sequence-1 as its sequence.
func (c *Checker) Record(before *projection.State, r eventlog.Record) (found []Violation) {
	c.state = before
	if r.Event == nil || !r.Event.Type.IsAction() {
		c.closeBatch(r.Sequence)
	}
	if r.Event != nil {
		c.event(r.Sequence, r.Event)
	}
	return c.take()
}

// Open says that the newest plan announced more actions than have come.
func (c *Checker) Open() bool { return c.open }

// End says what is missing at the end of a log, whose last sequence is given.
func (c *Checker) End(last uint64) []Violation {
	c.closeBatch(last)
	return c.take()
}

func (c *Checker) take() (found []Violation) {
	found, c.found = c.found, nil
	return found
}

// action is a published action without an outcome.
type action struct {
	plan      *plan
	data      events.ActionRequested
	published uint64
}

type plan struct {
	id       fleet.PlanID
	sequence uint64
	decided  *events.PlanDecided
	// actions that followed. short says that no more of them can.
	actions []*action
	short   bool
	// void says that it does not count where it stands, and so none of its actions
	// is published by it.
	void bool
	// open counts those without an outcome, by phase.
	open [len(fleet.ActionTypes) + 1]int
}

// end is the sequence of the last action the plan announced; of one that was cut
// short, of the last that followed.
func (p *plan) end() uint64 {
	if p.short {
		return p.sequence + uint64(len(p.actions))
	}
	return p.sequence + uint64(len(p.decided.Actions))
}

func (c *Checker) add(seq uint64, rule Rule, format string, args ...any) {
	c.found = append(c.found, Violation{seq, rule, fmt.Sprintf(format, args...)})
}

func (c *Checker) event(seq uint64, e *events.Event) {
	switch d := e.Data.(type) {
	case *events.PlanDecided:
		c.begin(seq, d)
	case *events.ActionRequested:
		c.publish(seq, e, d)
	case *events.ActionSucceeded:
		c.end(seq, d.Action, fleet.Action{Type: d.Type, ID: d.ID})
	case *events.ActionFailed:
		c.end(seq, d.Action, fleet.Action{Type: d.Type, ID: d.ID})
	case *events.ActionRefused:
		c.end(seq, d.Action, fleet.Action{Type: d.Type, ID: d.ID})
	case *events.NodeRemoved:
		c.effect(seq, d.Action, fleet.Action{Type: fleet.DecommissionNode, ID: e.Node})
	case *events.EnforcementDisabled:
		c.effect(seq, d.Action, fleet.Action{Type: fleet.DisableStrictEnforcement})
	case *events.EnforcementEnabled:
		c.effect(seq, d.Action, fleet.Action{Type: fleet.EnableStrictEnforcement})
		c.flip(seq)
	case *events.CredentialProved:
		c.proof(seq, e.Node, d)
	}
}

func (c *Checker) proof(seq uint64, id fleet.NodeID, d *events.CredentialProved) {
	n, _ := c.state.Node(id)
	switch {
	case n.Epoch != d.Epoch || n.Issued == nil || n.Issued.Serial != d.Serial || n.Issued.Nonce != d.Nonce:
		c.add(seq, RuleProof, "node %q proves serial %s in epoch %d, and that is not the challenge it was issued last", id, d.Serial, d.Epoch)
	case n.Proved != nil && n.Proved.Serial == d.Serial:
		c.add(seq, RuleProof, "node %q proves serial %s, and has done so before", id, d.Serial)
	}
}

// flip holds enforcement.enabled against the fold of everything before it. It
// asks each node for itself and not engine.Reconcile, which it would repeat.
func (c *Checker) flip(seq uint64) {
	digest := c.state.Inventory().Digest
	if digest == "" {
		c.add(seq, RuleFlip, "no inventory is in force")
		return
	}
	desired, err := c.inventory(digest)
	if err != nil {
		c.add(seq, RuleFlip, "the inventory in force is not there to compare with: %v", err)
		return
	}
	if !desired.RequireSig {
		c.add(seq, RuleFlip, "the inventory in force does not ask for it")
	}
	for node := range desired.Nodes() {
		have, observed := c.state.Node(node.ID)
		switch {
		case !observed || !have.Present:
			c.add(seq, RuleFlip, "desired node %q is absent", node.ID)
		case !c.state.CanSign(node.ID):
			c.add(seq, RuleFlip, "desired node %q cannot sign", node.ID)
		}
	}
}
