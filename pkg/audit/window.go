package audit

import (
	"context"
	"iter"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// window reads a history once and looks ahead of itself for the next plan.
type window struct {
	ctx    context.Context
	source Source
	pull   func() (eventlog.Record, error, bool)
	stop   func()
	// lead reads further ahead, see farPlan; nil: it was not needed yet.
	lead     func() (eventlog.Record, error, bool)
	stopLead func()
	// ahead was read and not taken yet; the first looked of it hold no plan that
	// was not found already.
	ahead  []eventlog.Record
	looked int
	// last that was read; found is that of the last plan found.
	last, found uint64
	ended       bool
	err         error // of reading: what was read before comes first
}

// maxAhead bounds what is kept of what was read ahead.
const maxAhead = 2048

func newWindow(ctx context.Context, source Source) *window {
	w := &window{ctx: ctx, source: source}
	w.pull, w.stop = iter.Pull2(source.Records(ctx, 0))
	return w
}

// read takes the next record off the source.
func (w *window) read() bool {
	if w.ended {
		return false
	}
	r, err, ok := w.pull()
	if !ok || err != nil {
		w.ended, w.err = true, err
		return false
	}
	w.last = r.Sequence
	w.ahead = append(w.ahead, r)
	return true
}

// next takes the next record; false at the end, or where reading failed.
func (w *window) next() (eventlog.Record, bool) {
	if len(w.ahead) == 0 && !w.read() {
		return eventlog.Record{}, false
	}
	r := w.ahead[0]
	w.ahead[0] = eventlog.Record{} // what was taken is not kept alive
	w.ahead = w.ahead[1:]
	w.looked = max(w.looked-1, 0)
	return r, true
}

// plan finds the first plan behind the last one found; false if there is none.
func (w *window) plan() (eventlog.Record, bool) {
	for {
		for ; w.looked < len(w.ahead); w.looked++ {
			if r := w.ahead[w.looked]; isPlan(r) && r.Sequence > w.found {
				w.found = r.Sequence
				return r, true
			}
		}
		if len(w.ahead) >= maxAhead {
			return w.farPlan()
		}
		if !w.read() {
			return eventlog.Record{}, false
		}
	}
}

// farPlan looks for it with a reader of its own, which is opened once and goes on
// from plan to plan: what is read twice is read twice and not more often. What it
// fails at, the first reader will meet, too.
func (w *window) farPlan() (eventlog.Record, bool) {
	if w.lead == nil {
		w.lead, w.stopLead = iter.Pull2(w.source.Records(w.ctx, w.last))
	}
	for {
		r, err, ok := w.lead()
		if !ok || err != nil {
			w.found = ^uint64(0)
			return eventlog.Record{}, false
		}
		if isPlan(r) && r.Sequence > max(w.last, w.found) {
			w.found = r.Sequence
			return r, true
		}
	}
}

func (w *window) close() {
	w.stop()
	if w.stopLead != nil {
		w.stopLead()
	}
}

func isPlan(r eventlog.Record) bool { return r.Event != nil && r.Event.Type == events.TypePlanDecided }
