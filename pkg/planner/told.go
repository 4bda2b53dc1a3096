package planner

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// toldRefusals collects, from the goroutine that folds, what is on the log of
// refusals: another planner may have said it.
type toldRefusals struct {
	mu   sync.Mutex
	news []eventlog.Record
	last uint64
}

// add notes a record of the log. One on the subject of refusals moves the fence
// there, whether or not it fits.
func (t *toldRefusals) add(subject string, r eventlog.Record) {
	if r.Message.Subject != subject {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = r.Sequence
	if r.Event == nil {
		return
	}
	if len(t.news) == refusalKinds {
		t.news = t.news[1:] // of a long log only the newest are news
	}
	t.news = append(t.news, r)
}

func (t *toldRefusals) take() (news []eventlog.Record, last uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	news, t.news = t.news, nil
	return news, t.last
}

// tellRefusals puts onto the log what is due of what the border refused. It is
// fenced on what others said of refusals, so that two planners that refused the
// same do not both say so; whoever loses looks again once it has read the other.
// A bus that fails keeps nobody from anything else.
func (p *Planner) tellRefusals(ctx context.Context) {
	if p.refusals.due(p.Now()) == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if err := p.tellRefusal(ctx); err != nil {
		p.saying = "" // should it be there all the same, it was said by somebody
		p.refusals.unsaid(p.Now())
		p.Logger.Debug().Err(err).Msg("could not record a refusal, trying again")
	}
}

func (p *Planner) tellRefusal(ctx context.Context) error {
	fence, err := p.refusalFence(ctx)
	if err != nil {
		return err
	}
	now := p.Now()
	d := p.refusals.due(now)
	if d == nil {
		return nil // another has said it
	}
	e := &events.Event{
		ID:     events.NewID(string(events.TypeMessageRefused), fmt.Sprintf("%+v", *d), strconv.FormatInt(now.UnixNano(), 10)),
		Source: events.SourcePlanner, Type: events.TypeMessageRefused, Node: d.Node, Time: now, Data: d,
	}
	p.saying = e.ID
	seq, err := p.Log.Append(ctx, eventlog.Entry{Event: e, Fence: eventlog.LastOnSubject(fence)})
	if err != nil {
		return fmt.Errorf("record refusal: %w", err)
	}
	p.refusals.said(d, now)
	p.Metrics.facts.WithLabelValues(string(e.Type)).Inc()
	p.Logger.Debug().Uint64(field.Seq, seq).Str(field.Node, string(d.Node)).Str(field.Reason, string(d.Reason)).Msg("recorded a refusal")
	return nil
}

// refusalFence is the last sequence that this planner has read on the subject of
// refusals, and takes in what it says.
func (p *Planner) refusalFence(ctx context.Context) (uint64, error) {
	if p.refusalsBefore == nil { // a snapshot may stand for those before
		last, err := p.Log.LastOn(ctx, p.Log.Subjects().Refusal())
		if err != nil {
			return 0, fmt.Errorf("find the last refusal: %w", err)
		}
		p.refusalsBefore = &last
	}
	if err := p.View.CatchUp(ctx); err != nil {
		return 0, fmt.Errorf("catch up before recording a refusal: %w", err)
	}
	news, last := p.told.take()
	now := p.Now()
	for _, r := range news {
		// What this planner said itself was taken off its tally when it said it.
		if d := r.Event.Data.(*events.MessageRefused); r.Event.ID != p.saying && now.Sub(r.Time) < refusalEvery {
			p.refusals.heard(d, now)
		}
	}
	return max(last, *p.refusalsBefore), nil
}
