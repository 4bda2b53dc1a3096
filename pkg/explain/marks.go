package explain

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// set takes down that something holds, or does not, from a record on.
func (t *Truth) set(is bool, r eventlog.Record) bool {
	if t.Is == is {
		return false
	}
	*t = Truth{Is: is, Since: r.Sequence, At: r.Time.Round(0).UTC()}
	if r.Event != nil {
		t.By = r.Event.Type
	}
	return true
}

// cause names the record that made it so; nothing, if none did.
func (t *Truth) cause(says string) []Cause {
	if t.Since == 0 {
		return nil
	}
	return []Cause{{Sequence: t.Since, Type: t.By, Says: says}}
}

// marks is since when what holds of one node.
type marks struct {
	observed, present, canSign Truth
	// holds says that it has a credential, proved or not, and ended how the last
	// one ended of those that it had in its present life.
	holds bool
	ended Why
}

// note looks at the node after a record that concerned it.
func (m *marks) note(st *projection.State, id fleet.NodeID, r eventlog.Record) (changed bool) {
	n, known := st.Node(id)
	changed = m.observed.set(known, r)
	changed = m.present.set(known && n.Present, r) || changed
	changed = m.canSign.set(known && n.Proved != nil, r) || changed
	holds := known && (n.Proved != nil || n.Issued != nil)
	switch {
	case !known:
		m.ended = ""
	case m.holds && !holds:
		m.ended = endOf(r.Event)
	}
	m.holds = holds
	return changed
}

func endOf(e *events.Event) Why {
	switch e.Type {
	case events.TypeCredentialExpired:
		return WhyExpired
	case events.TypeCredentialRevoked:
		return WhyRevoked
	}
	return WhyKeyChanged
}

// absence says why a node is not present.
func absence(st *projection.State, id fleet.NodeID) Why {
	n, known := st.Node(id)
	switch {
	case known && n.Present:
		return ""
	case known && n.Lost:
		return WhyLost
	case known:
		return WhyLeft
	case !st.RemovedAt(id).IsZero():
		return WhyRemoved
	}
	return WhyNeverSeen
}

// unsigned says why a node cannot sign, and where the challenge stands that it
// has not answered.
func (m *marks) unsigned(st *projection.State, id fleet.NodeID) (Why, uint64) {
	n, known := st.Node(id)
	switch {
	case !known && !st.RemovedAt(id).IsZero():
		return WhyRemoved, 0
	case !known:
		return WhyNeverIssued, 0
	case n.Proved != nil && n.Issued != nil && n.Issued.Sequence != n.Proved.Sequence:
		return "", n.Issued.Sequence
	case n.Proved != nil:
		return "", 0
	case n.Issued != nil:
		return WhyNotProved, n.Issued.Sequence
	case m.ended != "":
		return m.ended, 0
	}
	return WhyNeverIssued, 0
}

// yes is a truth in words.
func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// ends is a moment that is zero where there is none.
func ends(c *projection.Credential) time.Time {
	if c == nil {
		return time.Time{}
	}
	return c.NotAfter.UTC()
}

// past is what was taken down at each change, so that a decision on an older
// sequence can be explained.
type past[T any] []struct {
	from  uint64
	value T
}

// maxPast is how far back decisions are explained: between a basis and its plan
// there is rarely more than a handful of records.
const maxPast = 64

func (p *past[T]) add(from uint64, value T) {
	if len(*p) == maxPast {
		*p = append((*p)[:0], (*p)[1:]...)
	}
	*p = append(*p, struct {
		from  uint64
		value T
	}{from, value})
}

// at is what held at a sequence; false if that is not known any more.
func (p past[T]) at(sequence uint64) (value T, known bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].from <= sequence {
			return p[i].value, true
		}
	}
	return value, false
}
