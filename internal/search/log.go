package search

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// ids are the nodes of the small fleet.
var ids = [...]fleet.NodeID{"a", "b"}

var (
	subjects = events.DefaultSubjects()
	// stored is when the log stored everything, decided when a planner looks:
	// so late that every backoff is over, for waiting only allows less.
	stored  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	decided = stored.Add(7 * 24 * time.Hour)
)

// prefix is a beginning of a log. Two logs that begin alike share it, so that
// equal logs are one pointer and each is folded once.
type prefix struct {
	parent  *prefix
	seq     uint64
	event   *events.Event
	subject string
	plan    *prefix // the newest plan.decided up to here
	next    map[string]*prefix
	known   *facts // made when first asked for
}

// then is the prefix with one more event.
func (p *prefix) then(e *events.Event) *prefix {
	key := string(e.Type) + "|" + e.ID
	if next := p.next[key]; next != nil {
		return next
	}
	subject, err := subjects.Of(e)
	if err != nil {
		panic(err) // the model makes an event that the registry does not know
	}
	next := &prefix{parent: p, seq: p.seq + 1, event: e, subject: subject, plan: p.plan}
	if e.Type == events.TypePlanDecided {
		next.plan = next
	}
	if p.next == nil {
		p.next = make(map[string]*prefix)
	}
	p.next[key] = next
	return next
}

// at is the prefix up to a sequence that is not beyond p.
func (p *prefix) at(seq uint64) *prefix {
	for p.seq > seq {
		p = p.parent
	}
	return p
}

// lastOn is the newest sequence on a subject, 0 for none.
func (p *prefix) lastOn(subject string) uint64 {
	for ; p.parent != nil; p = p.parent {
		if p.subject == subject {
			return p.seq
		}
	}
	return 0
}

func (p *prefix) hasOutcome(id fleet.ActionID) bool { return p.lastOn(subjects.Outcome(id)) > 0 }

// insidePlan says that the prefix ends between plan.decided and the last of
// the plan's actions.
func (p *prefix) insidePlan() bool {
	return p.plan != nil && p.seq < p.plan.seq+uint64(len(planOf(p.plan).Actions))
}

func planOf(p *prefix) *events.PlanDecided { return p.event.Data.(*events.PlanDecided) }

// entry is one event to append and its condition, as in eventlog.Entry.
type entry struct {
	event *events.Event
	fence fence
}

type fence struct {
	kind fenceKind
	seq  uint64
}

type fenceKind int

const (
	none fenceKind = iota
	lastOnSubject
	lastInLog
)

// append stores all entries or, when a fence does not hold, none. Fences are
// compared with the log before the batch, as the server does.
func (p *prefix) append(entries []entry) (after *prefix, ok bool) {
	for _, e := range entries {
		switch e.fence.kind {
		case lastOnSubject:
			subject, err := subjects.Of(e.event)
			if err != nil || p.lastOn(subject) != e.fence.seq {
				return p, false
			}
		case lastInLog:
			if p.seq != e.fence.seq {
				return p, false
			}
		}
	}
	for _, e := range entries {
		p = p.then(e.event)
	}
	return p, true
}
