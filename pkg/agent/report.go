package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// How often a node tells what it has refused: whoever is refused chooses how often
// that is, and must not get the node to send more for it.
const (
	// reportAfter gathers what comes together.
	reportAfter = time.Second
	// reportEvery is the longest time between two reports; half of it is random.
	reportEvery = 2 * time.Minute
	// reportTime bounds one report, lastReportTime that before the farewell.
	reportTime     = 5 * time.Second
	lastReportTime = time.Second
)

// reportOthers sums up what finds no room of its own: there are fewer reasons.
const reportOthers fleet.Reason = "others"

type reportKind struct {
	channel string
	reason  fleet.Reason
}

// reports is what the node has refused and nobody was told of yet. The zero value
// is ready for use.
type reports struct {
	mu    sync.Mutex
	kinds map[reportKind]events.Refused
	news  chan struct{}
}

// add counts refusals.
func (r *reports) add(d events.Refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := reportKind{d.Channel, d.Reason}
	if _, known := r.kinds[k]; !known && len(r.kinds) >= events.MaxReported-2 { // one is left for each channel
		d.Reason, k.reason = reportOthers, reportOthers
	}
	if r.kinds == nil {
		r.kinds = make(map[reportKind]events.Refused)
	}
	d.Detail = events.RefusalDetail(d.Detail)
	d.Count = min(d.Count+r.kinds[k].Count, events.MaxReportedCount)
	r.kinds[k] = d
	select {
	case r.signal() <- struct{}{}:
	default:
	}
}

// signal says that there is news. mu is held.
func (r *reports) signal() chan struct{} {
	if r.news == nil {
		r.news = make(chan struct{}, 1)
	}
	return r.news
}

func (r *reports) awaited() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signal()
}

// all is what there is to tell, in order.
func (r *reports) all() []events.Refused {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]events.Refused, 0, len(r.kinds))
	for _, d := range r.kinds {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b events.Refused) int {
		return strings.Compare(a.Channel+" "+string(a.Reason), b.Channel+" "+string(b.Reason))
	})
	return all
}

// told takes off what was told; what came meanwhile stays.
func (r *reports) told(all []events.Refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range all {
		k := reportKind{d.Channel, d.Reason}
		left := r.kinds[k]
		if left.Count -= min(left.Count, d.Count); left.Count == 0 {
			delete(r.kinds, k)
			continue
		}
		r.kinds[k] = left
	}
}

// Refused notes that the node has refused something: the post of somebody
// (events.RefusedPost), or a file (events.RefusedFile). Executors are told, within
// a second of the first and then every two minutes at most, and put it onto the
// log; what they do not hear is told later. It never waits, and may be called from
// any goroutine.
func (a *Agent) Refused(channel string, reason fleet.Reason, detail string) {
	a.reports.add(events.Refused{Channel: channel, Reason: reason, Detail: detail, Count: 1})
}

// reportOn tells what was refused until ctx ends.
func (a *Agent) reportOn(ctx context.Context, bus Bus) {
	failures := 0
	for {
		select {
		case <-a.reports.awaited():
		case <-ctx.Done():
			return
		}
		for wait := reportAfter; sleep(ctx, wait); {
			err := a.report(ctx, bus)
			if err == nil {
				failures = 0
				if !sleep(ctx, backoff(0, reportEvery, reportEvery, a.cfg.Random)) {
					return
				}
				break
			}
			wait = backoff(failures, firstWait, reportEvery, a.cfg.Random)
			if failures++; failures == 1 && ctx.Err() == nil {
				a.log.Warn().Err(err).Dur(field.Wait, wait).Msg("nobody took the report of what was refused, trying again")
			}
		}
	}
}

// reasonTooMany is an executor's for a report that follows on another at once.
const reasonTooMany fleet.Reason = "too_many_requests"

// reportPause is longer than an executor wants between two requests of a node.
const reportPause = 300 * time.Millisecond

// reportLast tells what there is before the farewell.
func (a *Agent) reportLast(ctx context.Context, bus Bus) {
	all := a.reports.all()
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastReportTime)
	defer cancel()
	if err := Report(ctx, bus, a.speaker(), all); err != nil {
		a.log.Debug().Err(err).Msg("what was refused last stays untold")
	}
}

// report tells all that there is.
func (a *Agent) report(ctx context.Context, bus Bus) error {
	all := a.reports.all()
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	if err := reportOnce(ctx, bus, a.speaker(), all); err != nil {
		return err
	}
	a.reports.told(all)
	return nil
}

// Report tells executors what a node has refused, at most events.MaxReported kinds,
// and returns nil once one of them has taken it. While they have too much to do it
// tries again until ctx ends. It is for a program that has no Agent, such as one whose
// folder Open refused: of the speaker it needs no key.
func Report(ctx context.Context, bus Bus, by Speaker, refused []events.Refused) error {
	for {
		err := reportOnce(ctx, bus, by, refused)
		if fleet.ReasonOf(err) != reasonTooMany || !sleep(ctx, reportPause) {
			return err
		}
	}
}

func reportOnce(ctx context.Context, bus Bus, by Speaker, refused []events.Refused) error {
	answer, err := bus.Request(ctx, by.Node, by.Event(events.TypeRefusalReported, events.NodeSource(by.Node), &events.RefusalReported{Refused: refused}))
	if err != nil {
		return fmt.Errorf("report refusals: %w", err)
	}
	d, ok := answer.Data.(*events.CommandAnswered)
	switch {
	case ok && d.Taken:
		return nil
	case ok && d.Reason != "":
		return fmt.Errorf("report refusals: %w", &fleet.Refusal{Reason: d.Reason, Detail: d.Error})
	}
	return errors.New("report refusals: the answer is none")
}
