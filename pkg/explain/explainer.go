package explain

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// Explainer follows a log from its beginning and keeps what concerns one subject.
// It is for one goroutine.
type Explainer struct {
	subject     Subject
	subjects    events.Subjects
	inventories func(digest string) (*fleet.Inventory, error)

	state *projection.State
	at    time.Time
	// inventory in force; nil: none, or it is unreadable.
	inventory  *fleet.Inventory
	unreadable []Unreadable

	lens  lens
	trail trail
	story *story // of an action; nil for another subject
	plan  lastPlan
	// paused is where each pause that counts began.
	paused map[fleet.Target]uint64
	// ended is the newest outcome of each need of the subject.
	ended map[fleet.Action]ending
}

// ending is the outcome of an action, as a cause.
type ending struct {
	action fleet.ActionID
	cause  Cause
}

// lastPlan is the newest plan.decided.
type lastPlan struct {
	id       fleet.PlanID
	sequence uint64
	settled  bool
}

// New returns an Explainer that has seen nothing. subjects are those of the log.
// inventories returns the inventory whose text has a digest; it is asked once for
// each inventory that is applied, and what it cannot return is told of and stops
// nothing.
func New(subject Subject, subjects events.Subjects, inventories func(digest string) (*fleet.Inventory, error)) *Explainer {
	e := &Explainer{
		subject: subject, subjects: subjects, inventories: inventories, state: projection.New(),
		paused: make(map[fleet.Target]uint64), ended: make(map[fleet.Action]ending),
	}
	if subject.Node != "" {
		e.lens = newNodeLens(e, subject.Node)
	} else {
		e.lens = newStrictLens(e)
	}
	if subject.Kind == KindAction {
		e.story = &story{need: fleet.Action{Type: subject.Type, ID: subject.Node}, id: subject.Action, lens: e.lens}
	}
	e.trail.facts = e.lens.facts()
	return e
}

// lens is how a subject is looked at.
type lens interface {
	// facts is what holds of the subject now; always of the same length and order.
	facts() []fact
	// note takes down since when what holds, after a record was folded.
	note(r eventlog.Record, c projection.Change)
	// touched says whether a change may be one of the subject.
	touched(projection.Change) bool
	// about says whether an action is one of the subject's.
	about(fleet.Action) bool
	// why a need was there at a sequence of the log.
	why(need fleet.Action, basis uint64) (string, []Cause)
}

// fact is one thing that holds, in words.
type fact struct{ what, value string }

// Follow takes the next record of the log. The only error is eventlog.ErrGap, for
// a record out of order.
func (e *Explainer) Follow(r eventlog.Record) error {
	step, concerns := e.before(r)
	change, err := snapshot.Fold(e.state, e.subjects, r)
	if err != nil {
		return err
	}
	e.at = r.Time.Round(0).UTC()
	if change.Inventory {
		e.applied(r)
	}
	if change.Control {
		e.control(r)
	}
	e.lens.note(r, change)
	step.Ignored = r.Event != nil && change.Empty() && r.Event.Type != events.TypePlanDecided
	if e.trail.frozen {
		e.story.follow(r, change, step)
		return nil
	}
	if e.lens.touched(change) {
		step.Changed = e.trail.compare(e.lens.facts())
	}
	if concerns || len(step.Changed) > 0 {
		e.trail.add(step)
	}
	if e.story != nil {
		e.story.follow(r, change, step)
		e.trail.frozen = e.story.told()
	}
	return nil
}

// applied finds the inventory that is in force now.
func (e *Explainer) applied(r eventlog.Record) {
	digest := e.state.Inventory().Digest
	inv, err := e.inventories(digest)
	if err != nil {
		e.unreadable = append(e.unreadable, Unreadable{Sequence: r.Sequence, Digest: digest, Error: err.Error()})
		inv = nil
	}
	e.inventory = inv
}

func (e *Explainer) control(r eventlog.Record) {
	switch d := r.Event.Data.(type) {
	case *events.ControlPaused:
		e.paused[d.Target] = r.Sequence
	case *events.ControlResumed:
		delete(e.paused, d.Target)
	}
}

// At is when the log stored the last record; zero before the first.
func (e *Explainer) At() time.Time { return e.at }

// trail is the steps so far, at most MaxSteps.
type trail struct {
	steps   []Step
	omitted int
	facts   []fact
	// frozen: whatever comes now is behind the end of the story.
	frozen bool
}

// compare says what has changed since it was asked last.
func (t *trail) compare(now []fact) (changed []Change) {
	for i, f := range now {
		if was := t.facts[i].value; was != f.value {
			changed = append(changed, Change{What: f.what, From: was, To: f.value})
		}
	}
	t.facts = now
	return changed
}

// add appends a step, unless it is another plan that says the same.
func (t *trail) add(s Step) {
	if n := len(t.steps); n > 0 && s.Held != nil && len(s.Changed) == 0 {
		if last := &t.steps[n-1]; last.Held != nil && last.Type == s.Type && *last.Held == *s.Held && last.Action == s.Action {
			last.Again++
			last.LastAgain = s.Sequence
			return
		}
	}
	if len(t.steps) == MaxSteps {
		t.steps = append(t.steps[:0], t.steps[1:]...)
		t.omitted++
	}
	t.steps = append(t.steps, s)
}

// Explain is the explanation as of the last record. now is what holds and waits
// are judged by: for the present, the clock; for the past, the time of the log.
func (e *Explainer) Explain(now time.Time) Explanation {
	x := Explanation{
		Subject: e.subject, Sequence: e.state.Sequence(), Now: now.UTC(), Pending: []Pending{},
		Steps: append([]Step{}, e.trail.steps...), Omitted: e.trail.omitted, Unreadable: e.unreadable,
	}
	if ref := e.state.Inventory(); ref.Generation > 0 {
		x.Inventory = &Inventory{Digest: ref.Digest, Generation: ref.Generation, Sequence: ref.Sequence, Actor: ref.Actor, Note: ref.Note}
		x.Inventory.RequireSig = e.inventory != nil && e.inventory.RequireSig
	}
	all := PendingOf(e.state, e.inventory, now)
	for _, p := range all {
		if e.lens.about(p.Action) && (e.story == nil || p.Action == e.story.need) {
			x.Pending = append(x.Pending, p)
		}
	}
	switch l := e.lens.(type) {
	case *nodeLens:
		x.Node = l.node()
	case *strictLens:
		if e.subject.Kind == KindStrict {
			x.Strict = l.strict(now, all)
		}
	}
	if e.story != nil {
		x.Action = e.story.action()
		e.story.trim(&x)
	}
	x.Verdict = verdict(&x, e.inventory != nil)
	return x
}
