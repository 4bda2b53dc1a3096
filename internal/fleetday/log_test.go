package fleetday

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// mark is the place that the fold has come to.
func (r *rig) mark() (seq uint64) {
	r.witness.view.Read(func(s *projection.State) { seq = s.Sequence() })
	return seq
}

// since are the records behind a mark.
func (r *rig) since(mark uint64) []eventlog.Record { return r.witness.log()[mark:] }

// find returns the records of these types, of a node unless it is empty.
func find(records []eventlog.Record, node fleet.NodeID, types ...events.Type) (found []eventlog.Record) {
	for _, record := range records {
		for _, t := range types {
			if e := record.Event; e != nil && e.Type == t && (node == "" || e.Node == node) {
				found = append(found, record)
			}
		}
	}
	return found
}

// actions are the types of all actions.
func actions() (types []events.Type) {
	for _, t := range fleet.ActionTypes {
		types = append(types, events.TypeOfAction(t))
	}
	return types
}

// awaitEvent waits for a record of a type behind a mark.
func (r *rig) awaitEvent(bound time.Duration, mark uint64, node fleet.NodeID, t events.Type) eventlog.Record {
	r.Helper()
	var found []eventlog.Record
	r.await(bound, string(t), func(*projection.State) bool {
		found = find(r.since(mark), node, t)
		return len(found) > 0
	})
	return found[0]
}

// none demands that no such record is behind a mark.
func (r *rig) none(mark uint64, node fleet.NodeID, types ...events.Type) {
	r.Helper()
	for _, record := range find(r.since(mark), node, types...) {
		r.Errorf("at %s, sequence %d is %s of %q", record.Time.Sub(r.began), record.Sequence, record.Event.Type, record.Event.Node)
	}
}

// signs demands that a node is present and able to sign.
func (r *rig) signs(id fleet.NodeID) {
	r.Helper()
	r.witness.view.Read(func(s *projection.State) {
		if n, ok := s.Node(id); !ok || !n.Present || !s.CanSign(id) {
			r.Errorf("node %s is not there or cannot sign: %+v", id, n)
		}
	})
}
