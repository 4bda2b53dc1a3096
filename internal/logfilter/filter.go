package logfilter

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Unfit stands in place of a type for messages that are no event.
const Unfit = "unfit"

// Filter says which records to keep: those that fit all that is set. The zero
// Filter keeps everything.
type Filter struct {
	Node fleet.NodeID
	// Types are names of event types, Unfit, or beginnings with a star behind
	// them, such as credential.*.
	Types []string
	// Action is an id or its beginning.
	Action string
	// Plan is the one with this id, and its actions those.
	Plan    fleet.PlanID
	Actions map[fleet.ActionID]bool
	// Begins is the first sequence that can fit; 0 where that is not known.
	Begins uint64
	// Region and its nodes.
	Region string
	Nodes  map[fleet.NodeID]bool
}

// Any says that there is something to fit.
func (f *Filter) Any() bool {
	return f.Node != "" || len(f.Types) > 0 || f.Action != "" || f.Plan != "" || f.Region != ""
}

// Keep says whether a record fits.
func (f *Filter) Keep(r eventlog.Record) bool {
	if !f.typed(r) {
		return false
	}
	if f.Node == "" && f.Action == "" && f.Plan == "" && f.Region == "" {
		return true
	}
	e := r.Event
	switch {
	case e == nil,
		f.Node != "" && e.Node != f.Node,
		f.Action != "" && !strings.HasPrefix(string(ActionOf(e)), f.Action),
		f.Plan != "" && PlanOf(e) != f.Plan && !f.Actions[ActionOf(e)]:
		return false
	}
	return f.Region == "" || e.Node != "" && f.Nodes[e.Node] || regionOf(e) == f.Region
}

func (f *Filter) typed(r eventlog.Record) bool {
	if len(f.Types) == 0 {
		return true
	}
	have := Unfit
	if r.Event != nil {
		have = string(r.Event.Type)
	}
	for _, t := range f.Types {
		begin, many := strings.CutSuffix(t, "*")
		if t == have || many && r.Event != nil && strings.HasPrefix(have, begin) {
			return true
		}
	}
	return false
}

// CheckType says whether there may be events of a type on the log.
func CheckType(t string) error {
	begin, many := strings.CutSuffix(t, "*")
	var similar []string
	for _, d := range events.Registry() {
		if d.Channel != events.ChannelLog && d.Channel != events.ChannelAction {
			continue
		}
		name := string(d.Type)
		if name == t || many && strings.HasPrefix(name, begin) {
			return nil
		}
		if word, _, _ := strings.Cut(begin, "."); word != "" && strings.Contains(name, word) {
			similar = append(similar, name)
		}
	}
	switch {
	case t == Unfit:
		return nil
	case len(similar) > 0:
		return fmt.Errorf("no event on the log has the type %q; there are %s", t, strings.Join(similar, ", "))
	}
	return fmt.Errorf("no event on the log has the type %q; types are such as node.appeared, credential.*, plan.decided, enroll-node, action.failed", t)
}

// Types lists the types of the log.
func Types() (names []string) {
	for _, d := range events.Registry() {
		if d.Channel == events.ChannelLog || d.Channel == events.ChannelAction {
			names = append(names, string(d.Type))
		}
	}
	return names
}

// ActionOf is the action that an event asks for, ends, or is an effect of; empty
// for none.
func ActionOf(e *events.Event) fleet.ActionID {
	switch d := e.Data.(type) {
	case *events.ActionRequested:
		return d.Action
	case *events.ActionSucceeded:
		return d.Action
	case *events.ActionFailed:
		return d.Action
	case *events.ActionRefused:
		return d.Action
	case *events.CredentialIssued:
		return d.Action
	case *events.CredentialRevoked:
		return d.Action
	case *events.NodeRemoved:
		return d.Action
	case *events.EnforcementEnabled:
		return d.Action
	case *events.EnforcementDisabled:
		return d.Action
	}
	return ""
}

// PlanOf is the plan that an event published or belongs to; empty where the event
// itself names none.
func PlanOf(e *events.Event) fleet.PlanID {
	if d, ok := e.Data.(*events.PlanDecided); ok {
		return d.Plan
	}
	if e.Step != nil {
		return e.Step.Plan
	}
	return ""
}

func regionOf(e *events.Event) string {
	switch d := e.Data.(type) {
	case *events.ControlPaused:
		return d.Region
	case *events.ControlResumed:
		return d.Region
	case *events.RotationRequested:
		return d.Region
	case *events.TrustDelegated:
		return d.Region
	case *events.TrustRotationRequested:
		return d.Region
	case *events.TrustRotationHeld:
		return d.Region
	case *events.TrustActivated:
		return d.Region
	case *events.TrustRetired:
		return d.Region
	}
	return ""
}
