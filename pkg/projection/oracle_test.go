package projection_test

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// chronicle is the naive oracle of the fold: it keeps the list of all messages
// and nothing else, and answers each question by reading the list again from
// the start. It is told from what doc.go promises, and shares no idea with the
// fold beyond the words: where the fold moves something, this looks back.
type chronicle []message

// message is one entry of the log. Without an event it did not fit; then the
// subject is empty if that is not known either.
type message struct {
	seq     uint64
	at      time.Time
	event   *events.Event
	subject string
	fits    bool
}

func (m message) is(types ...events.Type) bool {
	return m.event != nil && slices.Contains(types, m.event.Type)
}

// fits says that the type and the data of an event belong together.
func fits(e *events.Event) bool {
	if e == nil {
		return false
	}
	descriptor, known := events.Describe(e.Type)
	if !known || descriptor.Channel > events.ChannelAction {
		return known // whatever it says, it is no business of the log
	}
	got := reflect.ValueOf(e.Data)
	if !got.IsValid() || got.Type() != reflect.TypeOf(blank(e.Type)) || got.IsNil() {
		return false
	}
	switch d := e.Data.(type) {
	case *events.ControlPaused:
		return d.Valid() && d.ID == e.Node
	case *events.ControlResumed:
		return d.Valid() && d.ID == e.Node
	case *events.PartitionApplied:
		return d.Validate() == nil
	case *events.RotationRequested:
		return d.Valid() && d.ID == e.Node && d.RatePerSecond > 0
	case *events.RetryRequested:
		return slices.Contains(fleet.ActionTypes[:], d.Type) && d.ID == e.Node && (d.ID != "") == d.Type.ConcernsNode()
	case *events.ActionRequested:
		aboutNode := d.Type == fleet.EnrollNode || d.Type == fleet.IssueCredential || d.Type == fleet.DecommissionNode
		return events.TypeOfAction(d.Type) == e.Type && d.ID == e.Node && aboutNode == (d.ID != "")
	}
	return true
}

// of lists the messages of some types that fit.
func (c chronicle) of(types ...events.Type) (list []message) {
	for _, m := range c {
		if m.is(types...) && m.fits {
			list = append(list, m)
		}
	}
	return list
}

func (c chronicle) unfit() (n int) {
	for _, m := range c {
		if !m.fits {
			n++
		}
	}
	return n
}

// lastOn is the last sequence on a subject, whatever stood there.
func (c chronicle) lastOn(subject string) (last uint64) {
	for _, m := range c {
		on := m.subject
		if m.event != nil {
			on = subjectOf(m.event)
		}
		if on == subject {
			last = m.seq
		}
	}
	return last
}

func subjectOf(e *events.Event) string {
	switch {
	case slices.Contains(nodeFacts, e.Type):
		return subjects.Node(e.Node)
	case e.Type == events.TypePlanDecided:
		if d, ok := e.Data.(*events.PlanDecided); ok && d != nil && d.Shard != "" {
			return subjects.Plan() + "." + d.Shard
		}
		return subjects.Plan()
	case e.Type == events.TypePartitionApplied:
		return "fleet.events.partition"
	case e.Type == events.TypeEnforcementEnabled || e.Type == events.TypeEnforcementDisabled:
		return subjects.Enforcement()
	case e.Type == events.TypeInventoryApplied:
		return subjects.Inventory()
	case slices.Contains(trustFacts, e.Type):
		return subjects.Trust()
	}
	return "elsewhere"
}

// insidePlan: behind the newest plan stand fewer actions than it announced, and
// nothing that cannot be one of them.
func (c chronicle) insidePlan() bool {
	plans := c.of(events.TypePlanDecided)
	if len(plans) == 0 {
		return false
	}
	plan := plans[len(plans)-1]
	behind := c[plan.seq:]
	for _, m := range behind {
		if m.event == nil && !strings.HasPrefix(m.subject, "fleet.actions.") || m.event != nil && !m.event.Type.IsAction() {
			return false
		}
	}
	return len(behind) < len(plan.event.Data.(*events.PlanDecided).Actions)
}

// leap is more than any counter moves at once.
const leap = 1<<20 + 1

// inventories that counted: each of a higher generation than all before it, and
// not by a leap.
func (c chronicle) inventories() (counted []message) {
	highest := uint64(0)
	for _, m := range c.of(events.TypeInventoryApplied) {
		if d := m.event.Data.(*events.InventoryApplied); d.Generation > highest && d.Generation-highest < leap {
			highest, counted = d.Generation, append(counted, m)
		}
	}
	return counted
}

func (c chronicle) inventory() projection.InventoryRef {
	counted := c.inventories()
	if len(counted) == 0 {
		return projection.InventoryRef{}
	}
	m := counted[len(counted)-1]
	d := m.event.Data.(*events.InventoryApplied)
	return projection.InventoryRef{Digest: d.Digest, Generation: d.Generation, Sequence: m.seq, Actor: d.Actor, Note: d.Note}
}

func (c chronicle) trust() (roots []string) {
	for _, m := range c.of(events.TypeTrustPublished) {
		if pem := m.event.Data.(*events.TrustPublished).CertificatePEM; !slices.Contains(roots, pem) {
			roots = append(roots, pem)
		}
	}
	return roots
}

// enforcement is what the last fact says, and the action of the first of those
// that have said so without a break. Before the first enabling there is none.
func (c chronicle) enforcement() (strict bool, by fleet.ActionID) {
	all := c.of(events.TypeEnforcementEnabled, events.TypeEnforcementDisabled)
	for len(all) > 0 && all[0].is(events.TypeEnforcementDisabled) {
		all = all[1:]
	}
	if len(all) == 0 {
		return false, ""
	}
	first := len(all) - 1
	for first > 0 && all[first-1].event.Type == all[first].event.Type {
		first--
	}
	switch d := all[first].event.Data.(type) {
	case *events.EnforcementEnabled:
		return true, d.Action
	case *events.EnforcementDisabled:
		return false, d.Action
	}
	panic("no fact of enforcement")
}

// paused is the first of the pauses of a target since it was last resumed.
func (c chronicle) paused(target fleet.Target) (p fleet.Pause, paused bool) {
	for _, m := range slices.Backward(c.of(events.TypeControlPaused, events.TypeControlResumed)) {
		switch d := m.event.Data.(type) {
		case *events.ControlPaused:
			if d.Target == target {
				p, paused = fleet.Pause{Target: target, Actor: d.Actor, Note: d.Note, Since: m.at}, true
			}
		case *events.ControlResumed:
			if d.Target == target {
				return p, paused
			}
		}
	}
	return p, paused
}

// rotation is the newest of a target since the fleet's newest.
func (c chronicle) rotation(target fleet.Target) (r projection.Rotation, asked bool) {
	for _, m := range slices.Backward(c.of(events.TypeRotationRequested)) {
		d := m.event.Data.(*events.RotationRequested)
		if d.Target == target {
			return projection.Rotation{Target: target, Sequence: m.seq, At: m.at, RatePerSecond: d.RatePerSecond, Actor: d.Actor, Note: d.Note}, true
		}
		if d.Scope == fleet.ScopeFleet {
			break
		}
	}
	return r, false
}

// rotationDue is the newest that covers a node of region "a" and is newer than
// the credential that it has proved.
func (c chronicle) rotationDue(n projection.Node) (due projection.Rotation) {
	for _, m := range c.of(events.TypeRotationRequested) {
		t := m.event.Data.(*events.RotationRequested).Target
		covers := t.Scope == fleet.ScopeFleet || t.Region == "a" || t.ID == n.ID && n.ID != ""
		if covers && n.Proved != nil && m.seq > n.Proved.Sequence {
			due, _ = c[:m.seq].rotation(t)
		}
	}
	return due
}

// approvals under the inventory in force. Of several for one set the one with
// the highest basis counts, and of those the first.
func (c chronicle) approvals() []projection.Approval {
	list, inv := []projection.Approval{}, c.inventory()
	if inv.Sequence == 0 {
		return list
	}
	var given []projection.Approval
	for _, m := range c[inv.Sequence:].of(events.TypePlanApproved) {
		if d := m.event.Data.(*events.PlanApproved); d.Basis >= inv.Sequence && d.Basis < m.seq {
			given = append(given, projection.Approval{ID: d.Approval, Basis: d.Basis, Actor: d.Actor, Note: d.Note})
		}
	}
	for i, a := range given {
		beaten := func(b projection.Approval) bool { return b.ID == a.ID && b.Basis > a.Basis }
		before := func(b projection.Approval) bool { return b.ID == a.ID && b.Basis >= a.Basis }
		if !slices.ContainsFunc(given, beaten) && !slices.ContainsFunc(given[:i], before) {
			list = append(list, a)
		}
	}
	return list
}

var trustFacts = []events.Type{
	events.TypeTrustPublished, events.TypeTrustDelegated, events.TypeTrustRotationHeld,
	events.TypeTrustActivated, events.TypeTrustRetired,
}

// posture is the fact that last changed what is enforced.
func (c chronicle) posture() (p projection.Posture) {
	for _, m := range c.of(events.TypeEnforcementEnabled, events.TypeEnforcementDisabled) {
		strict, generation := false, uint64(0)
		switch d := m.event.Data.(type) {
		case *events.EnforcementEnabled:
			strict, generation = true, d.Generation
		case *events.EnforcementDisabled:
			generation = d.Generation
		}
		if strict != p.Strict {
			p = projection.Posture{Strict: strict, Sequence: m.seq, Generation: generation, Since: m.at}
		}
	}
	return p
}
