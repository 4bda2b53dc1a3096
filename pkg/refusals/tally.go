package refusals

import (
	"cmp"
	"errors"
	"math"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Bounds of what refusals may put onto the log. Who is refused chooses how often.
const (
	// maxKinds is how many kinds are told apart at once; the others are counted
	// together.
	maxKinds = 256
	// sameKind is how long nothing more is said of a kind.
	sameKind = time.Minute
	// pace is the time between two facts of any kind, otherPace that after a fact
	// of somebody else: the flip to strict needs moments in which nothing is
	// appended. It is shorter, so that one who always has something to tell keeps
	// nobody else from it.
	pace      = time.Second
	otherPace = pace / 2
)

// kind is what one message.refused tells of.
type kind struct {
	channel string
	node    fleet.NodeID
	reason  fleet.Reason
}

var others = kind{channel: events.RefusedOthers, reason: events.RefusedOthers}

func (k kind) compare(o kind) int {
	return cmp.Or(cmp.Compare(k.channel, o.channel), cmp.Compare(k.node, o.node), cmp.Compare(k.reason, o.reason))
}

func kindOf(d *events.MessageRefused) kind { return kind{d.Channel, d.Node, d.Reason} }

// count is what is not on the log yet of one kind.
type count struct {
	number uint64
	detail string    // of the newest
	since  time.Time // of the first that was counted
	said   time.Time // zero if never
}

// ready is when the count may be said.
func (c *count) ready() time.Time {
	if next := c.said.Add(sameKind); !c.said.IsZero() && next.After(c.since) {
		return next
	}
	return c.since
}

// tally decides what of the refusals becomes a fact, and when: the first of a
// kind at once, then one a minute with their number, and never two facts within
// a second. The zero value is ready for use. It reads no clock.
type tally struct {
	kinds   map[kind]*count
	spoke   time.Time // when anything was said here
	silence time.Time // until when to let others finish
}

// add counts n refusals.
func (t *tally) add(k kind, detail string, n uint64, now time.Time) {
	c := t.of(k, now)
	if c == nil {
		c, detail = t.kinds[others], "refusals of more kinds than are told apart at once"
	}
	if c.number == 0 {
		c.since = now
	}
	c.number += min(n, math.MaxUint64-c.number)
	c.detail = events.RefusalDetail(detail)
}

// of is the count of a kind; nil if there is no room for it.
func (t *tally) of(k kind, now time.Time) *count {
	if t.kinds == nil {
		t.kinds = map[kind]*count{others: {}}
	}
	c := t.kinds[k]
	if c != nil {
		return c
	}
	if len(t.kinds) > maxKinds {
		t.forget(now)
	}
	if len(t.kinds) > maxKinds {
		return nil
	}
	c = &count{}
	t.kinds[k] = c
	return c
}

// forget makes room of kinds of which there is nothing to say, and has not been
// for as long as it would have been kept back.
func (t *tally) forget(now time.Time) {
	for k, c := range t.kinds {
		if c.number == 0 && now.Sub(c.said) >= sameKind && k != others {
			delete(t.kinds, k)
		}
	}
}

// heard notes what somebody else has said; same says that they were refused the
// same messages, which then need not be told of again.
func (t *tally) heard(d *events.MessageRefused, same bool, now time.Time) {
	t.silence = now.Add(otherPace)
	t.settle(d, same, now)
}

// settle notes that something was said of a kind.
func (t *tally) settle(d *events.MessageRefused, same bool, now time.Time) {
	c := t.of(kindOf(d), now)
	if c == nil {
		return
	}
	if same {
		c.number -= min(c.number, d.Count)
	}
	c.said = now
}

// first is the count that is ready before all others; nil if there is nothing
// to say. Of several it is always the same.
func (t *tally) first() (found kind, first *count) {
	for k, c := range t.kinds {
		if c.number == 0 {
			continue
		}
		if first == nil || cmp.Or(c.ready().Compare(first.ready()), k.compare(found)) < 0 {
			found, first = k, c
		}
	}
	return found, first
}

// next is when there will be something to say; zero: not by itself.
func (t *tally) next() time.Time {
	_, c := t.first()
	if c == nil {
		return time.Time{}
	}
	at := c.ready()
	if paced := t.spoke.Add(pace); !t.spoke.IsZero() && paced.After(at) {
		at = paced
	}
	if t.silence.After(at) {
		at = t.silence
	}
	return at
}

// wake is next, and a pace from now where that has passed: whoever could not
// look then waits for something else.
func (t *tally) wake(now time.Time) time.Time {
	at := t.next()
	if at.IsZero() || at.After(now) {
		return at
	}
	return now.Add(pace)
}

// due is what is to be said now; nil if nothing is.
func (t *tally) due(now time.Time) *events.MessageRefused {
	k, c := t.first()
	if c == nil || t.next().After(now) {
		return nil
	}
	return &events.MessageRefused{Channel: k.channel, Node: k.node, Reason: k.reason, Detail: c.detail, Count: c.number}
}

// said notes that d is on the log.
func (t *tally) said(d *events.MessageRefused, now time.Time) {
	t.spoke = now
	t.settle(d, true, now)
}

// unsaid notes that what was due could not be said: it is tried again, no sooner
// than anything else would be.
func (t *tally) unsaid(now time.Time) { t.spoke = now }

// detailOf is what a refusal says beyond its reason.
func detailOf(err error) string {
	if refusal, ok := errors.AsType[*fleet.Refusal](err); ok {
		return refusal.Detail
	}
	return err.Error()
}
