package nodehistory

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/internal/inventorydiff"
	"github.com/fleetfold/fleetfold/internal/logfilter"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Teller folds a log and keeps what concerns one node.
type Teller struct {
	id       fleet.NodeID
	subjects events.Subjects
	// inventory returns the one of a digest.
	inventory func(digest string) (*fleet.Inventory, error)

	fold    *projection.State
	desired *fleet.Inventory
	plans   map[fleet.ActionID]fleet.PlanID
	held    map[fleet.ActionType]fleet.Reason // as the newest plan said
	state   State
	known   bool
	entries []Entry
}

// New returns a Teller at the beginning of a log.
func New(id fleet.NodeID, subjects events.Subjects, inventory func(digest string) (*fleet.Inventory, error)) *Teller {
	return &Teller{
		id: id, subjects: subjects, inventory: inventory, fold: projection.New(),
		plans: map[fleet.ActionID]fleet.PlanID{}, held: map[fleet.ActionType]fleet.Reason{},
	}
}

// Entries told so far.
func (t *Teller) Entries() []Entry { return t.entries }

// Known says that something was about the node itself, and not only about its
// whole region or fleet.
func (t *Teller) Known() bool { return t.known }

// See folds the next record. The only error is a gap.
func (t *Teller) See(r eventlog.Record) error {
	if r.Event == nil {
		return t.fold.Skip(r.Sequence, t.subjects, r.Message.Subject)
	}
	before := t.fold.Inventory()
	change, err := t.fold.Apply(r.Sequence, r.Time, r.Event)
	if err != nil {
		return err
	}
	if r.Event.Step != nil && r.Event.Node == t.id {
		t.plans[logfilter.ActionOf(r.Event)] = r.Event.Step.Plan
	}
	e := Entry{Sequence: r.Sequence, Time: r.Time.UTC(), Type: r.Event.Type, Action: logfilter.ActionOf(r.Event), Plan: logfilter.PlanOf(r.Event), Changed: []string{}}
	if !t.tell(&e, r.Event, change, before) {
		return nil
	}
	if e.Plan == "" {
		e.Plan = t.plans[e.Action]
	}
	e.State = t.state
	t.entries = append(t.entries, e)
	return nil
}

// tell says whether an event belongs to the story, and fills the entry.
func (t *Teller) tell(e *Entry, event *events.Event, change projection.Change, before projection.InventoryRef) bool {
	switch d := event.Data.(type) {
	case *events.InventoryApplied:
		return t.applied(e, d, before)
	case *events.PlanDecided:
		return t.planned(e, d)
	case *events.ControlPaused:
		return t.said(e, event, d.Target)
	case *events.ControlResumed:
		return t.said(e, event, d.Target)
	case *events.RotationRequested:
		return t.said(e, event, d.Target)
	}
	if event.Node != t.id {
		return false
	}
	t.known = true
	e.Detail = logline.Describe(event)
	e.Changed = t.observe()
	if len(e.Changed) == 0 && change.Empty() && isNodeFact(event.Type) {
		e.Detail = strings.TrimPrefix(e.Detail+", counts for nothing", ", ")
	}
	return true
}

// isNodeFact says that such an event is there to change something.
func isNodeFact(t events.Type) bool {
	return strings.HasPrefix(string(t), "node.") || strings.HasPrefix(string(t), "credential.")
}

// observe takes over what the fold says, and returns what is new of it.
func (t *Teller) observe() (changed []string) {
	changed = []string{}
	was, is := t.state, t.state
	n, seen := t.fold.Node(t.id)
	is.Observed, is.Present, is.CanSign = seen, seen && n.Present, seen && t.fold.CanSign(t.id)
	if seen {
		is.Epoch = n.Epoch
	}
	t.state = is
	if was.Observed != is.Observed {
		changed = append(changed, word(is.Observed, fmt.Sprintf("observed, life %d", is.Epoch), "observed no more"))
	}
	if was.Present != is.Present {
		changed = append(changed, word(is.Present, "present", "absent"))
	}
	if was.CanSign != is.CanSign {
		changed = append(changed, word(is.CanSign, "can sign", "cannot sign"))
	}
	return changed
}

func word(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// applied tells of an inventory that asks for something else of the node.
func (t *Teller) applied(e *Entry, d *events.InventoryApplied, before projection.InventoryRef) bool {
	if t.fold.Inventory() == before {
		return false // it counts for nothing
	}
	inv, err := t.inventory(d.Digest)
	if err != nil {
		e.Detail = fmt.Sprintf("generation %d by %s: its text cannot be read: %v", d.Generation, d.Actor, err)
		return t.known
	}
	for _, c := range inventorydiff.Of(t.desired, inv) {
		if c.Node == t.id {
			e.Changed = append(e.Changed, wish(c))
		}
	}
	t.desired, t.state.Desired, t.state.Region = inv, false, ""
	if region := inv.RegionOf(t.id); region != nil {
		t.state.Desired, t.state.Region, t.known = true, region.Name, true
	}
	e.Detail = fmt.Sprintf("generation %d by %s", d.Generation, d.Actor)
	if d.Note != "" {
		e.Detail += fmt.Sprintf(" (%q)", d.Note)
	}
	t.held = map[fleet.ActionType]fleet.Reason{}
	return len(e.Changed) > 0
}

func wish(c inventorydiff.Change) string {
	switch c.Kind {
	case inventorydiff.Added:
		return "desired in " + c.Region
	case inventorydiff.Removed:
		return "desired no more"
	case inventorydiff.Moved:
		return fmt.Sprintf("desired in %s and not in %s", c.Region, c.Old)
	}
	return fmt.Sprintf("%s %s -> %s", c.Field, c.Old, c.New)
}

// planned tells of a plan that publishes something for the node, or holds
// something for another reason than the plan before.
func (t *Teller) planned(e *Entry, d *events.PlanDecided) bool {
	var parts []string
	for _, a := range d.Actions {
		if a.ID == t.id {
			e.Action = a.Action
			parts = append(parts, fmt.Sprintf("wants %s, attempt %d", a.Type, a.Attempt))
		}
	}
	held := map[fleet.ActionType]fleet.Reason{}
	for _, h := range d.Held {
		if h.ID != t.id {
			continue
		}
		held[h.Type] = h.Reason
		if t.held[h.Type] != h.Reason {
			parts = append(parts, fmt.Sprintf("holds %s: %s: %s", h.Type, h.Reason, h.Detail))
		}
	}
	t.held = held
	e.Detail = strings.Join(parts, "; ")
	t.known = t.known || len(parts) > 0
	return len(parts) > 0
}

// said tells of what a person said of the node, its region or the fleet.
func (t *Teller) said(e *Entry, event *events.Event, target fleet.Target) bool {
	t.known = t.known || target.Scope == fleet.ScopeNode && target.ID == t.id
	e.Detail = logline.Describe(event)
	return target.Covers(t.state.Region, t.id)
}
