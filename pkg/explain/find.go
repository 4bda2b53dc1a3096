package explain

import (
	"iter"
	"slices"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Found is an action on the log.
type Found struct {
	fleet.Action
	ActionID fleet.ActionID
	// Sequence of its event; of the first, where it stands there twice.
	Sequence uint64
}

// Subject is the action as what Explainer explains.
func (f Found) Subject() Subject {
	return Subject{Kind: KindAction, Node: f.ID, Action: f.ActionID, Type: f.Type}
}

// Matches is what a name may mean on a log.
type Matches struct {
	// Actions whose id begins with the name, in the order of the log, at most
	// MaxFound of them; only the one whose id is the name, if there is one. More
	// counts the others.
	Actions []Found
	More    int
	// Node says that an event is about the node with that id.
	Node bool
	// Digest of the inventory in force at the end; empty: none.
	Digest string
}

// MaxFound is how many actions of one prefix are listed.
const MaxFound = 10

// Find looks a name up: as the id of an action, as the beginning of one, and as
// a node. An error of records ends it.
func Find(records iter.Seq2[eventlog.Record, error], name string) (Matches, error) {
	var m Matches
	var exact *Found
	generation := uint64(0)
	for r, err := range records {
		switch {
		case err != nil:
			return Matches{}, err
		case r.Event == nil:
			continue
		}
		m.Node = m.Node || r.Event.Node != "" && string(r.Event.Node) == name
		switch d := r.Event.Data.(type) {
		case *events.InventoryApplied:
			if d.Generation > generation {
				generation, m.Digest = d.Generation, d.Digest
			}
		case *events.ActionRequested:
			found := Found{fleet.Action{Type: d.Type, ID: d.ID}, d.Action, r.Sequence}
			switch {
			case exact == nil && string(d.Action) == name:
				exact = &found
			case strings.HasPrefix(string(d.Action), name):
				m.keep(found)
			}
		}
	}
	if exact != nil {
		m.Actions, m.More = []Found{*exact}, 0
	}
	return m, nil
}

// keep lists an action, unless it stands there a second time.
func (m *Matches) keep(f Found) {
	switch {
	case slices.ContainsFunc(m.Actions, func(have Found) bool { return have.ActionID == f.ActionID }):
	case len(m.Actions) < MaxFound:
		m.Actions = append(m.Actions, f)
	default:
		m.More++
	}
}

// IsActionID says whether a name could be the id of an action, or the beginning
// of one that tells which kind of action it is.
func IsActionID(name string) bool {
	for _, kind := range []string{"enroll-", "issue-", "decommission-", "disable-strict-", "enable-strict-"} {
		if rest, ok := strings.CutPrefix(name, kind); ok {
			return strings.Trim(rest, "0123456789abcdef") == ""
		}
	}
	return false
}
