package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/engine"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// before makes the step of a record on the fold before it, where what it ends
// still stands, and says whether it concerns the subject whatever it changes.
func (e *Explainer) before(r eventlog.Record) (s Step, concerns bool) {
	s = Step{Sequence: r.Sequence, Time: r.Time.Round(0).UTC()}
	if r.Event == nil {
		s.Ignored, s.Says = true, fmt.Sprintf("unfit: %v", r.Err)
		return s, e.subject.Node != "" && r.Message.Subject == e.subjects.Node(e.subject.Node)
	}
	s.Type, s.Source, s.Node = r.Event.Type, r.Event.Source, r.Event.Node
	concerns = s.Node != "" && s.Node == e.subject.Node
	switch d := r.Event.Data.(type) {
	case *events.PlanDecided:
		return e.plans(s, d)
	case *events.ActionRequested:
		concerns = concerns || e.lens.about(fleet.Action{Type: d.Type, ID: d.ID})
		s.Action, s.Says = d.Action, fmt.Sprintf("attempt %d, epoch %d, generation %d", d.Attempt, d.Epoch, d.Generation)
		if p := r.Event.Step; p != nil && p.Plan == e.plan.id && e.plan.sequence > 0 {
			s.Because = []Cause{{Sequence: e.plan.sequence, Type: events.TypePlanDecided, Says: "published with the plan"}}
		}
		return s, concerns
	case *events.ActionSucceeded:
		return e.outcome(s, d.Action, took(d.DurationMS), concerns)
	case *events.ActionFailed:
		return e.outcome(s, d.Action, because(d.Reason, d.Detail), concerns)
	case *events.ActionRefused:
		return e.outcome(s, d.Action, because(d.Reason, d.Detail), concerns)
	case *events.EnforcementEnabled, *events.EnforcementDisabled:
		_, strict := e.lens.(*strictLens)
		return e.enforcement(s, d), strict
	}
	if s.Node == "" || concerns || e.subject.Node == "" { // what is said of other nodes is no step
		e.says(&s, r.Event)
	}
	return s, concerns
}

// plans takes a plan down, and is a step where it says something of the subject.
func (e *Explainer) plans(s Step, d *events.PlanDecided) (Step, bool) {
	e.plan = lastPlan{id: d.Plan, sequence: s.Sequence, settled: d.Settled}
	for _, a := range d.Actions {
		need := fleet.Action{Type: a.Type, ID: a.ID}
		if e.lens.about(need) {
			s.Action = a.Action
			s.Says, s.Because = e.wants(need, d.Basis)
			s.Says += fmt.Sprintf("; published as %s, attempt %d", a.Action, a.Attempt)
			return s, true
		}
	}
	for _, h := range d.Held {
		if e.lens.about(h.Action) && !e.waitsForItself(h) {
			held := h
			s.Says, s.Because = e.wants(h.Action, d.Basis)
			s.Held = &held
			s.Says += "; held: " + because(h.Reason, h.Detail)
			return s, true
		}
	}
	return s, false
}

// waitsForItself: what is in flight is wanted by every plan until it has ended,
// and that is no step.
func (e *Explainer) waitsForItself(h fleet.Held) bool {
	return h.Reason == engine.ReasonInFlight && slices.ContainsFunc(e.state.Ledger().Flights(), func(f projection.Flight) bool { return f.Action == h.Action })
}

// wants is what a plan wanted on its basis, and why.
func (e *Explainer) wants(need fleet.Action, basis uint64) (string, []Cause) {
	why, causes := e.lens.why(need, basis)
	text := fmt.Sprintf("on %d, wants %s", basis, need.Type)
	if why != "" {
		text += ": " + why
	}
	return text, causes
}

// outcome ends an action that is in flight; a second outcome ends nothing.
func (e *Explainer) outcome(s Step, id fleet.ActionID, says string, concerns bool) (Step, bool) {
	s.Action, s.Says = id, says
	f, flies := e.state.Ledger().Flight(id)
	if !flies {
		return s, concerns
	}
	s.Because = []Cause{actionCause(f, "ends the action")}
	if !e.lens.about(f.Action) {
		return s, concerns
	}
	e.ended[f.Action] = ending{id, Cause{Sequence: s.Sequence, Type: s.Type, Says: "how the attempt ended"}}
	return s, true
}

func actionCause(f projection.Flight, says string) Cause {
	return Cause{Sequence: f.Sequence, Type: events.TypeOfAction(f.Action.Type), Says: says}
}

// byAction names the action that a fact was recorded for, if it is in flight.
func (e *Explainer) byAction(s *Step, id fleet.ActionID) {
	if f, flies := e.state.Ledger().Flight(id); flies {
		s.Action = id
		s.Because = append(s.Because, actionCause(f, "done by the action"))
	}
}

func (e *Explainer) enforcement(s Step, d events.Payload) Step {
	switch d := d.(type) {
	case *events.EnforcementEnabled:
		s.Says = fmt.Sprintf("for generation %d", d.Generation)
		e.byAction(&s, d.Action)
	case *events.EnforcementDisabled:
		s.Says = fmt.Sprintf("for generation %d", d.Generation)
		e.byAction(&s, d.Action)
	}
	return s
}

// says tells of facts about nodes and of what people wanted.
func (e *Explainer) says(s *Step, ev *events.Event) {
	switch d := ev.Data.(type) {
	case *events.InventoryApplied:
		s.Says = fmt.Sprintf("generation %d by %s", d.Generation, d.Actor) + quoted(d.Note)
	case *events.ControlPaused:
		s.Says = fmt.Sprintf("%s by %s", d.Target, d.Actor) + quoted(d.Note)
	case *events.ControlResumed:
		s.Says = fmt.Sprintf("%s by %s", d.Target, d.Actor) + quoted(d.Note)
		if at, paused := e.paused[d.Target]; paused {
			s.Because = []Cause{{Sequence: at, Type: events.TypeControlPaused, Says: "the pause that it ends"}}
		}
	case *events.PlanApproved:
		s.Says = fmt.Sprintf("%s by %s, on %d", d.Approval, d.Actor, d.Basis) + quoted(d.Note)
	case *events.RotationRequested:
		s.Says = fmt.Sprintf("%s by %s", d.Target, d.Actor) + quoted(d.Note)
	case *events.RetryRequested:
		s.Action, s.Says = d.Action, fmt.Sprintf("of attempt %d by %s", d.Attempt, d.Actor)+quoted(d.Note)
		if end := e.ended[fleet.Action{Type: d.Type, ID: d.ID}]; end.action == d.Action {
			s.Because = []Cause{end.cause}
		}
	case *events.MessageRefused:
		s.Says = fmt.Sprintf("%s: %s, %d in all", d.Channel, because(d.Reason, d.Detail), d.Count)
	default:
		e.saysOfNode(s, ev)
		if epoch, now := epochOf(ev.Data), e.state.Ledger().Epoch(ev.Node); epoch > 0 && epoch != now {
			s.Says += fmt.Sprintf(", of life %d, and the present one is %d", epoch, now)
		}
	}
}

// saysOfNode tells of what the log says about one node.
func (e *Explainer) saysOfNode(s *Step, ev *events.Event) {
	n, known := e.state.Node(ev.Node)
	switch d := ev.Data.(type) {
	case *events.NodeAppeared:
		s.Says = "its lease began"
		if known && n.Present {
			s.Says = "it started anew within its lease"
		}
	case *events.NodeLost:
		s.Says = "its lease ended: " + word(string(d.Reason), "no reason given")
		e.since(s, "present", true)
	case *events.NodeLeft:
		s.Says = "it said farewell"
		e.since(s, "present", true)
	case *events.NodeRemoved:
		s.Says = fmt.Sprintf("life %d ended", d.Epoch)
		e.byAction(s, d.Action)
	case *events.CredentialIssued:
		s.Says = "serial " + short(d.Serial)
		if known && d.Renews != "" && n.Proved != nil && n.Proved.Serial == d.Renews {
			s.Says += ", renews " + short(d.Renews)
			s.Because = []Cause{issuedCause(n.Proved, "the credential that it renews")}
		}
		e.byAction(s, d.Action)
	case *events.CredentialProved:
		s.Says = "serial " + short(d.Serial)
		s.Because = credentialCause(n, d.Serial, "the challenge that it answers")
	case *events.CredentialExpired:
		s.Says = "serial " + short(d.Serial)
		s.Because = credentialCause(n, d.Serial, "the credential that ended")
	case *events.CredentialRevoked:
		s.Says = fmt.Sprintf("serial %s: %s", short(d.Serial), word(string(d.Reason), "no reason given"))
		s.Because = credentialCause(n, d.Serial, "the credential that was revoked")
		e.byAction(s, d.Action)
	case *events.NodeBundleReported:
		s.Says = "trust bundle " + short(d.Digest)
	}
}

// since adds the record that made the subject's node present.
func (e *Explainer) since(s *Step, says string, is bool) {
	l, ok := e.lens.(*nodeLens)
	if ok && l.id == s.Node && l.now.present.Is == is {
		s.Because = l.now.present.cause(says)
	}
}

// credentialCause names where a credential was issued that still counts.
func credentialCause(n projection.Node, serial, says string) []Cause {
	for _, c := range []*projection.Credential{n.Issued, n.Proved} {
		if c != nil && c.Serial == serial {
			return []Cause{issuedCause(c, says)}
		}
	}
	return nil
}

func issuedCause(c *projection.Credential, says string) Cause {
	return Cause{Sequence: c.Sequence, Type: events.TypeCredentialIssued, Says: says}
}

func because(reason fleet.Reason, detail string) string {
	if detail == "" {
		return string(reason)
	}
	return string(reason) + ": " + detail
}

func word(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func quoted(note string) string {
	if note == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", note)
}

func took(ms int64) string {
	if ms == 0 {
		return "in under 1ms"
	}
	return "in " + (time.Duration(ms) * time.Millisecond).String()
}

// epochOf is the life of the node that a fact is about; 0 where it says none.
func epochOf(d events.Payload) uint64 {
	switch d := d.(type) {
	case *events.NodeAppeared:
		return d.Epoch
	case *events.NodeLost:
		return d.Epoch
	case *events.NodeLeft:
		return d.Epoch
	case *events.NodeRemoved:
		return d.Epoch
	case *events.CredentialIssued:
		return d.Epoch
	case *events.CredentialProved:
		return d.Epoch
	case *events.CredentialExpired:
		return d.Epoch
	case *events.CredentialRevoked:
		return d.Epoch
	case *events.NodeBundleReported:
		return d.Epoch
	}
	return 0
}
