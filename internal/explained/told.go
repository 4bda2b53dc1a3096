package explained

import (
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/explain"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// told is a log that is to be explained.
type told struct {
	records   []eventlog.Record
	subjects  events.Subjects
	inventory func(digest string) (*fleet.Inventory, error)
	now       time.Time
	// believed is what is believed behind each sequence; 0 is the empty log.
	believed []belief
	state    *projection.State // of the whole log
	named    []fleet.NodeID    // by records and inventories
}

// belief is what explanations make claims about.
type belief struct {
	nodes    map[fleet.NodeID]beliefOfNode
	strict   bool
	wanted   bool
	unready  int
	inFlight map[fleet.ActionID]bool
}

type beliefOfNode struct {
	desired, observed, present, canSign bool
	epoch                               uint64
}

// fold folds every beginning of the log.
func (h *told) fold() error {
	h.state = projection.New()
	h.believed = append(h.believed, h.believe())
	for _, r := range h.records {
		if _, err := snapshot.Fold(h.state, h.subjects, r); err != nil {
			return err
		}
		h.believed = append(h.believed, h.believe())
		h.name(r)
	}
	slices.Sort(h.named)
	h.named = slices.Compact(h.named)
	return nil
}

// name notes whom a record, or the inventory that it applies, speaks of.
func (h *told) name(r eventlog.Record) {
	if r.Event == nil {
		return
	}
	if r.Event.Node != "" {
		h.named = append(h.named, r.Event.Node)
	}
	if inv := h.inForce(); inv != nil && r.Event.Type == events.TypeInventoryApplied {
		for n := range inv.Nodes() {
			h.named = append(h.named, n.ID)
		}
	}
}

// inForce is nil where none is, or where it cannot be read.
func (h *told) inForce() *fleet.Inventory {
	digest := h.state.Inventory().Digest
	if digest == "" {
		return nil
	}
	inv, err := h.inventory(digest)
	if err != nil {
		return nil
	}
	return inv
}

func (h *told) believe() belief {
	b := belief{nodes: map[fleet.NodeID]beliefOfNode{}, strict: h.state.StrictEnforced(), inFlight: map[fleet.ActionID]bool{}}
	for _, n := range h.state.Observed().Nodes {
		b.nodes[n.ID] = beliefOfNode{observed: true, present: n.Present, canSign: n.CanSign}
	}
	if inv := h.inForce(); inv != nil {
		b.wanted = inv.RequireSig
		for n := range inv.Nodes() {
			is := b.nodes[n.ID]
			is.desired = true
			b.nodes[n.ID] = is
			if !is.present || !is.canSign {
				b.unready++
			}
		}
	}
	for id, is := range b.nodes {
		is.epoch = h.state.Ledger().Epoch(id)
		b.nodes[id] = is
	}
	for _, f := range h.state.Ledger().Flights() {
		b.inFlight[f.ID] = true
	}
	return b
}

// all are the subjects there are, and a node of whom nothing is said.
func (h *told) all() []explain.Subject {
	list := []explain.Subject{{Kind: explain.KindStrict}, {Kind: explain.KindNode, Node: "explained/stranger"}}
	for _, id := range h.named {
		list = append(list, explain.Subject{Kind: explain.KindNode, Node: id})
	}
	seen := make(map[explain.Subject]bool)
	for _, r := range h.records {
		if r.Event == nil {
			continue
		}
		if d, ok := r.Event.Data.(*events.ActionRequested); ok {
			s := explain.Subject{Kind: explain.KindAction, Node: d.ID, Action: d.Action, Type: d.Type}
			if !seen[s] {
				list = append(list, s)
			}
			seen[s] = true
		}
	}
	return list
}

func (h *told) explain(s explain.Subject) (explain.Explanation, error) {
	e := explain.New(s, h.subjects, h.inventory)
	for _, r := range h.records {
		if err := e.Follow(r); err != nil {
			return explain.Explanation{}, err
		}
	}
	return e.Explain(h.now), nil
}

// check explains one subject and returns what is wrong with that.
func (h *told) check(s explain.Subject) ([]string, error) {
	x, err := h.explain(s)
	if err != nil {
		return nil, err
	}
	return h.judge(x), nil
}

// judge says what is wrong with an explanation.
func (h *told) judge(x explain.Explanation) []string {
	c := checker{told: h, x: x}
	c.sequences()
	if len(c.wrong) > 0 {
		return c.wrong // the rest relies on records that are there
	}
	c.steps()
	c.pending()
	switch x.Subject.Kind {
	case explain.KindNode:
		c.node()
	case explain.KindStrict:
		c.strict()
	case explain.KindAction:
		c.action()
	}
	return c.wrong
}
