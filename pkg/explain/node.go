package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// nodeLens looks at one node.
type nodeLens struct {
	*Explainer
	id     fleet.NodeID
	region string // of the inventory in force
	now    nodeMarks
	past   past[nodeMarks]
}

type nodeMarks struct {
	marks
	desired Truth
}

func newNodeLens(e *Explainer, id fleet.NodeID) *nodeLens {
	l := &nodeLens{Explainer: e, id: id}
	l.past.add(0, l.now)
	return l
}

func (l *nodeLens) about(a fleet.Action) bool { return a.ID == l.id }

func (l *nodeLens) touched(c projection.Change) bool {
	return c.Inventory || c.Control || c.Ledger || slices.Contains(c.Nodes, l.id)
}

func (l *nodeLens) note(r eventlog.Record, c projection.Change) {
	changed := false
	if c.Inventory {
		l.region = ""
		desired := false
		if l.inventory != nil {
			if region := l.inventory.RegionOf(l.id); region != nil {
				desired, l.region = true, region.Name
			}
		}
		changed = l.now.desired.set(desired, r)
	}
	if slices.Contains(c.Nodes, l.id) {
		changed = l.now.note(l.state, l.id, r) || changed
	}
	if changed {
		l.past.add(r.Sequence, l.now)
	}
}

// facts is all that decisions about the node are made on.
func (l *nodeLens) facts() []fact {
	n, known := l.state.Node(l.id)
	list := []fact{
		{"desired", l.desiredIn()}, {"observed", yes(known)}, {"present", yes(n.Present)}, {"can sign", yes(n.Proved != nil)},
		{"epoch", strconv.FormatUint(l.state.Ledger().Epoch(l.id), 10)},
		{"session", short(n.Session)}, {"key", short(n.KeyFingerprint)},
		{"credential issued", serial(n.Issued)}, {"credential proved", serial(n.Proved)}, {"bundle", short(n.Bundle)},
		{"in flight", l.flying()},
	}
	ledger := decide.Ledger(l.state)
	for _, t := range fleet.ActionTypes {
		if !t.ConcernsNode() {
			continue
		}
		a := ledger.Attempts(fleet.Action{Type: t, ID: l.id})
		list = append(list, fact{"failures of " + string(t), strconv.Itoa(a.Failures)}, fact{"retry of " + string(t), yes(a.Retry)})
	}
	paused, _ := l.pause()
	due, isDue := l.state.RotationDue(l.id, l.region)
	rotation := "no"
	if isDue {
		rotation = due.Target.String()
	}
	pause := "no"
	if paused != nil {
		pause = paused.Target.String()
	}
	return append(list, fact{"paused", pause}, fact{"removal approved", yes(l.state.RemovalApproved(l.id))}, fact{"to be rotated", rotation})
}

func (l *nodeLens) desiredIn() string {
	switch {
	case l.now.desired.Is && l.region != "":
		return "in region " + l.region
	case l.now.desired.Is:
		return "yes"
	}
	return "no"
}

func (l *nodeLens) flying() string {
	var ids []string
	for _, t := range l.state.Ledger().Flights() {
		if t.Action.ID == l.id {
			ids = append(ids, string(t.ID))
		}
	}
	if len(ids) == 0 {
		return "nothing"
	}
	return strings.Join(ids, ", ")
}

// pause is the widest pause that covers the node.
func (l *nodeLens) pause() (*Paused, bool) {
	targets := []fleet.Target{{Scope: fleet.ScopeFleet}, {Scope: fleet.ScopeRegion, Region: l.region}, {Scope: fleet.ScopeNode, ID: l.id}}
	for _, t := range targets {
		if p, ok := l.state.Paused(t); ok {
			p.Since = p.Since.UTC()
			return &Paused{Pause: p, Sequence: l.paused[t]}, true
		}
	}
	return nil, false
}

// why a need of the node was there at a basis.
func (l *nodeLens) why(need fleet.Action, basis uint64) (string, []Cause) {
	m, known := l.past.at(basis)
	if !known {
		return "", nil
	}
	switch {
	case need.Type == fleet.EnrollNode && m.desired.Is && !m.present.Is:
		switch {
		case m.observed.Is:
			return "it is absent", append(m.desired.cause("desired"), m.present.cause("absent")...)
		case m.observed.Since > 0:
			return "it was removed", append(m.desired.cause("desired"), m.observed.cause("removed")...)
		}
		return "it was never seen", m.desired.cause("desired")
	case need.Type == fleet.IssueCredential && m.desired.Is && m.present.Is && !m.canSign.Is:
		causes := append(m.desired.cause("desired"), m.present.cause("present")...)
		return "it is present and cannot sign", append(causes, m.canSign.cause("cannot sign")...)
	case need.Type == fleet.DecommissionNode && !m.desired.Is && m.observed.Is:
		return "it is observed and not desired", append(m.desired.cause("not desired"), m.observed.cause("observed")...)
	}
	return notAsked, nil
}

// notAsked is said of what no rule wants on the basis it names: no planner does
// that.
const notAsked = "nothing asks for that there"

// node is what holds now.
func (l *nodeLens) node() *Node {
	m := &l.now
	n, _ := l.state.Node(l.id)
	out := &Node{
		ID: l.id, Region: l.region, Epoch: l.state.Ledger().Epoch(l.id), Desired: m.desired, Observed: m.observed, Present: m.present, CanSign: m.canSign,
		Absence: absence(l.state, l.id), Expires: ends(n.Proved),
	}
	out.Unsigned, out.Challenge = m.unsigned(l.state, l.id)
	out.Paused, _ = l.pause()
	return out
}

// short cuts what only tells one from another.
func short(s string) string {
	const shown = 12
	s = strings.TrimPrefix(s, "sha256:")
	if s == "" {
		return "none"
	}
	return s[:min(shown, len(s))]
}

func serial(c *projection.Credential) string {
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%s (%d)", short(c.Serial), c.Sequence)
}
