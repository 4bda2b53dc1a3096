// Package status answers what a fleet is, what it should be and what lies
// between, from one fold of its log.
package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Status is the fleet at one sequence of its log.
type Status struct {
	Inventory Inventory           `json:"inventory"`
	Observed  fleet.ObservedState `json:"observed"`
	Plan      fleet.Plan          `json:"plan"`
	InFlight  []Flight            `json:"in_flight"`
	// Held is what of the plan a safeguard holds, as engine.Hold answers on this
	// fold, and then what waits for time or room, as engine.Dispatch does. Whether
	// a planner is warm is not on the log: it is taken to be.
	Held []fleet.Held `json:"held"`
	// Stuck is what of the plan keeps failing, in plan order.
	Stuck []engine.Stuck `json:"stuck"`
	// Services are the planners and executors that answered; of a fold alone none.
	Services []Service `json:"services"`
	// Unfit counts the messages of the log that are no event, and so count for
	// nothing.
	Unfit int `json:"unfit"`
	// Paused lists what people paused.
	Paused []fleet.Pause `json:"paused"`
	// Rotations lists, by target, what people wanted renewed, as far as it is not.
	Rotations []Rotation `json:"rotations"`
	// BlockedBy are the nodes that keep strict enforcement off while it is wanted.
	BlockedBy []engine.Blocker `json:"blocked_by"`
	// Converged: an inventory is in force, the plan is empty, nothing is in flight.
	Converged bool   `json:"converged"`
	Sequence  uint64 `json:"sequence"`
	// Shards of a fleet that is divided among planners.
	Shards []Shard `json:"shards,omitempty"`
}

// Shard is one part of a fleet that is divided.
type Shard struct {
	Name string `json:"name"`
	// Rest says that it has what no other shard is named for.
	Rest bool `json:"rest,omitempty"`
	// InFlight counts the actions that its planners published and that have no
	// outcome; LastPlan is the sequence of their newest plan, 0 for none.
	InFlight int    `json:"in_flight"`
	LastPlan uint64 `json:"last_plan"`
}

func shardsOf(st *projection.State) (list []Shard) {
	p := st.Partition()
	for _, name := range p.Names() {
		list = append(list, Shard{Name: name, Rest: name == p.Rest, InFlight: st.Ledger().OutstandingOf(name), LastPlan: st.LastPlanOf(name)})
	}
	return list
}

// Inventory names the inventory in force; an empty digest means none yet.
type Inventory struct {
	Digest     string `json:"digest"`
	Generation uint64 `json:"generation"`
}

// Flight is an action without an outcome.
type Flight struct {
	Type     fleet.ActionType `json:"type"`
	ID       fleet.NodeID     `json:"id,omitempty"`
	Action   fleet.ActionID   `json:"action"`
	Plan     fleet.PlanID     `json:"plan"`
	Attempt  int              `json:"attempt"`
	Sequence uint64           `json:"sequence"`
	Since    time.Time        `json:"since"`
}

// Of is the status of a fold. inv is the inventory in force, nil for none; now
// is for what time alone ends. The result shares nothing with st.
func Of(st *projection.State, inv *fleet.Inventory, now time.Time) Status {
	s := blank(st)
	s.Observed.Nodes = append(s.Observed.Nodes, st.Observed().Nodes...)
	if inv != nil {
		plan := engine.Reconcile(inv, &s.Observed)
		s.Plan.Actions = append(s.Plan.Actions, plan.Actions...)
		s.BlockedBy = append(s.BlockedBy, engine.Blocking(inv, &s.Observed)...)
		s.Held = append(s.Held, held(st, inv, plan, now)...)
		s.Stuck = append(s.Stuck, stuck(st, plan)...)
		s.Rotations = append(s.Rotations, rotations(st, inv)...)
		s.Converged = settled(st, plan)
	}
	s.plain()
	return s
}

// blank is what a fold tells without a look at nodes or inventory.
func blank(st *projection.State) Status {
	ref := st.Inventory()
	s := Status{
		Inventory: Inventory{ref.Digest, ref.Generation},
		Observed:  fleet.ObservedState{Nodes: []fleet.ObservedNode{}, StrictEnforced: st.StrictEnforced()},
		Plan:      fleet.Plan{Actions: []fleet.Action{}},
		InFlight:  []Flight{},
		Held:      []fleet.Held{},
		Stuck:     []engine.Stuck{},
		Services:  []Service{},
		Unfit:     st.Unfit(),
		Paused:    st.Pauses(),
		BlockedBy: []engine.Blocker{},
		Rotations: []Rotation{},
		Sequence:  st.Sequence(),
		Shards:    shardsOf(st),
	}
	for _, f := range st.Ledger().Flights() {
		s.InFlight = append(s.InFlight, Flight{
			Type: f.Action.Type, ID: f.Action.ID, Action: f.ID, Plan: f.Plan,
			Attempt: f.Attempt, Sequence: f.Sequence, Since: f.At.UTC(),
		})
	}
	return s
}

// plain has all times in UTC.
func (s *Status) plain() {
	for i := range s.Paused {
		s.Paused[i].Since = s.Paused[i].Since.UTC()
	}
	for i, stuck := range s.Stuck {
		s.Stuck[i].LastOutcome, s.Stuck[i].NextAttempt = stuck.LastOutcome.UTC(), stuck.NextAttempt.UTC()
	}
}

// Converged says whether a fold is as the inventory in force asks, with nothing
// in flight. It copies nothing and looks at the nodes only when the ledger is
// empty: whoever waits for a large fleet asks it after each fold.
func Converged(st *projection.State, inv *fleet.Inventory) bool {
	return inv != nil && st.Ledger().Outstanding() == 0 && engine.Reconcile(inv, st.Observed()).Empty()
}

// Node is one node, desired or observed.
type Node struct {
	ID fleet.NodeID `json:"id"`
	// Region of the inventory; empty for a node that is not desired.
	Region  string `json:"region"`
	Desired bool   `json:"desired"`
	Present bool   `json:"present"`
	CanSign bool   `json:"can_sign"`
	// Epoch counts the lives of the id; 0: never observed.
	Epoch uint64 `json:"epoch"`
	// Serial and NotAfter of the credential it proved; empty without one.
	Serial   string     `json:"serial,omitempty"`
	NotAfter *time.Time `json:"not_after,omitempty"`
	// InFlight is the action on its way for the node.
	InFlight fleet.ActionType `json:"in_flight,omitempty"`
	// Failures counts the consecutive failures of the newest need, and
	// LastError is what the last one said.
	Failures  int    `json:"failures,omitempty"`
	LastError string `json:"last_error,omitempty"`
	// Stuck says that the fleet still waits for what keeps failing.
	Stuck bool `json:"stuck"`
}

// Nodes lists the desired nodes in inventory order, then the observed ones
// that are not desired, in observed order.
func Nodes(st *projection.State, inv *fleet.Inventory) []Node {
	nodes := []Node{}
	desired := make(map[fleet.NodeID]bool)
	stuck := stuckNodes(st, inv)
	if inv != nil {
		for _, region := range inv.Regions {
			for _, n := range region.Nodes {
				desired[n.ID] = true
				n := node(st, n.ID, region.Name, stuck[n.ID])
				n.Desired = true
				nodes = append(nodes, n)
			}
		}
	}
	for _, n := range st.Observed().Nodes {
		if !desired[n.ID] {
			nodes = append(nodes, node(st, n.ID, "", stuck[n.ID]))
		}
	}
	return nodes
}

func node(st *projection.State, id fleet.NodeID, region string, stuck *engine.Stuck) Node {
	n := Node{ID: id, Region: region}
	seen, known := st.Node(id)
	if known {
		n.Present, n.Epoch, n.CanSign = seen.Present, seen.Epoch, seen.Proved != nil
		if c := seen.Proved; c != nil {
			end := c.NotAfter.UTC()
			n.Serial, n.NotAfter = c.Serial, &end
		}
	}
	if _, kind, ok := st.Ledger().InFlight(id); ok {
		n.InFlight = kind
	}
	// Of the failures of several needs the one of the later phase counts: what
	// came before it was achieved, or is no longer wanted.
	for _, kind := range []fleet.ActionType{fleet.EnrollNode, fleet.IssueCredential, fleet.DecommissionNode} {
		a := st.Ledger().AttemptsAt(fleet.Action{Type: kind, ID: id}, st.Ledger().Epoch(id), st.Inventory().Generation)
		if a.Failures > 0 {
			n.Failures, n.LastError = a.Failures, a.LastError
		}
	}
	if stuck != nil {
		n.Failures, n.LastError, n.Stuck = stuck.Failures, stuck.LastError, true
	}
	return n
}

// Missing says what keeps a fleet from being converged, in one line.
func (s Status) Missing() string {
	const shown = 5
	if s.Inventory.Digest == "" {
		return "no inventory is in force"
	}
	var parts []string
	for i, a := range s.Plan.Actions {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(s.Plan.Actions)-shown))
			break
		}
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s", a.Type, a.ID)))
	}
	text := "to do: " + strings.Join(parts, ", ")
	if len(parts) == 0 {
		text = "nothing more to do"
	}
	text = fmt.Sprintf("%s; %d in flight", text, len(s.InFlight))
	if n := len(s.Stuck); n > 0 {
		first := s.Stuck[0]
		text += fmt.Sprintf("; %d stuck, the first is %s after %d failures: %s",
			n, strings.TrimSpace(fmt.Sprintf("%s %s", first.Type, first.ID)), first.Failures, first.LastError)
	}
	if len(s.Held) > 0 {
		text += fmt.Sprintf("; %d held, the first because of %s: %s", len(s.Held), s.Held[0].Reason, s.Held[0].Detail)
	}
	return text
}
