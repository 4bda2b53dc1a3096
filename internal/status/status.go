// Package status answers what a fleet is, what it should be and what lies
// between, from one fold of its log.
package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
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
	// fold. Whether a planner is warm is not on the log: it is taken to be.
	Held []fleet.Held `json:"held"`
	// Paused lists what people paused.
	Paused []fleet.Pause `json:"paused"`
	// BlockedBy are the nodes that keep strict enforcement off while it is wanted.
	BlockedBy []engine.Blocker `json:"blocked_by"`
	// Converged: an inventory is in force, the plan is empty, nothing is in flight.
	Converged bool   `json:"converged"`
	Sequence  uint64 `json:"sequence"`
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
	ref := st.Inventory()
	s := Status{
		Inventory: Inventory{ref.Digest, ref.Generation},
		Observed:  *st.Observed(),
		Plan:      fleet.Plan{Actions: []fleet.Action{}},
		InFlight:  []Flight{},
		Held:      []fleet.Held{},
		Paused:    st.Pauses(),
		BlockedBy: []engine.Blocker{},
		Sequence:  st.Sequence(),
	}
	s.Observed.Nodes = append([]fleet.ObservedNode{}, s.Observed.Nodes...)
	for _, f := range st.Ledger().Flights() {
		s.InFlight = append(s.InFlight, Flight{
			Type: f.Action.Type, ID: f.Action.ID, Action: f.ID, Plan: f.Plan,
			Attempt: f.Attempt, Sequence: f.Sequence, Since: f.At.UTC(),
		})
	}
	if inv != nil {
		s.Plan.Actions = append(s.Plan.Actions, engine.Reconcile(inv, &s.Observed).Actions...)
		s.BlockedBy = append(s.BlockedBy, engine.Blocking(inv, &s.Observed)...)
		_, held := engine.Hold(s.Plan, situation(st, inv, now), decide.Safeguards(st))
		s.Held = append(s.Held, held...)
	}
	for i := range s.Paused {
		s.Paused[i].Since = s.Paused[i].Since.UTC()
	}
	s.Converged = Converged(st, inv)
	return s
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
}

// Nodes lists the desired nodes in inventory order, then the observed ones
// that are not desired, in observed order.
func Nodes(st *projection.State, inv *fleet.Inventory) []Node {
	nodes := []Node{}
	desired := make(map[fleet.NodeID]bool)
	if inv != nil {
		for _, region := range inv.Regions {
			for _, n := range region.Nodes {
				desired[n.ID] = true
				nodes = append(nodes, node(st, n.ID, region.Name, true))
			}
		}
	}
	for _, n := range st.Observed().Nodes {
		if !desired[n.ID] {
			nodes = append(nodes, node(st, n.ID, "", false))
		}
	}
	return nodes
}

func node(st *projection.State, id fleet.NodeID, region string, desired bool) Node {
	n := Node{ID: id, Region: region, Desired: desired}
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
	if len(s.Held) > 0 {
		text += fmt.Sprintf("; %d held, the first because of %s: %s", len(s.Held), s.Held[0].Reason, s.Held[0].Detail)
	}
	return text
}
