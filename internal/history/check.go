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

// Check reads a log from its first record and returns what is wrong with it, in
// order; none for a log that keeps its promises. It stops at a gap, since
// nothing behind one can be folded. inventory finds a desired state by the
// digest of its text.
func Check(records []eventlog.Record, inventory func(digest string) (*fleet.Inventory, error)) []Violation {
	c := &checker{
		inventory: inventory, state: projection.New(),
		actions: make(map[fleet.ActionID]*action), challenges: make(map[challenge]bool),
	}
	for _, r := range records {
		if !c.record(r) {
			break
		}
	}
	c.closeBatch(c.state.Sequence())
	return c.found
}

// action is one published action. ended is the sequence of its outcome.
type action struct {
	plan      *plan
	data      events.ActionRequested
	published uint64
	ended     uint64
}

type plan struct {
	id       fleet.PlanID
	sequence uint64
	decided  *events.PlanDecided
	actions  []*action
}

// end is the sequence of the last action the plan announced.
func (p *plan) end() uint64 { return p.sequence + uint64(len(p.decided.Actions)) }

// challenge is what a proof must answer.
type challenge struct {
	node          fleet.NodeID
	epoch         uint64
	serial, nonce string
}

type checker struct {
	inventory  func(string) (*fleet.Inventory, error)
	state      *projection.State // of everything before the record at hand
	actions    map[fleet.ActionID]*action
	challenges map[challenge]bool
	newest     *plan
	open       bool // newest still lacks some of its actions
	found      []Violation
}

func (c *checker) add(seq uint64, rule Rule, format string, args ...any) {
	c.found = append(c.found, Violation{seq, rule, fmt.Sprintf(format, args...)})
}

// record says whether to go on.
func (c *checker) record(r eventlog.Record) bool {
	if want := c.state.Sequence() + 1; r.Sequence != want {
		c.add(r.Sequence, RuleGap, "sequence %d was to follow", want)
		return false
	}
	if r.Event == nil || !r.Event.Type.IsAction() {
		c.closeBatch(r.Sequence)
	}
	if r.Event != nil {
		c.event(r.Sequence, r.Event)
	}
	if _, err := c.state.Apply(r.Sequence, r.Time, r.Event); err != nil {
		c.add(r.Sequence, RuleGap, "%v", err)
		return false
	}
	return true
}

func (c *checker) event(seq uint64, e *events.Event) {
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
	case *events.CredentialIssued:
		c.challenges[challenge{e.Node, d.Epoch, d.Serial, d.Nonce}] = true
	case *events.CredentialProved:
		if !c.challenges[challenge{e.Node, d.Epoch, d.Serial, d.Nonce}] {
			c.add(seq, RuleProof, "node %q proves serial %s in epoch %d, and no such challenge was issued to it", e.Node, d.Serial, d.Epoch)
		}
	}
}

// flip holds enforcement.enabled against the fold of everything before it. It
// asks each node for itself and not engine.Reconcile, which it would repeat.
func (c *checker) flip(seq uint64) {
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
