package planner

import (
	"cmp"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Bounds of what refusals may put onto the log. Who is refused chooses how often.
const (
	// refusalKinds is how many kinds are told apart at once; the others are
	// counted together.
	refusalKinds = 256
	// refusalEvery is how long nothing more is said of a kind.
	refusalEvery = time.Minute
	// refusalPace is the time between two facts of any kind: the flip to strict
	// needs moments in which nothing is appended.
	refusalPace = time.Second
)

// refusalKind is what one message.refused tells of.
type refusalKind struct {
	channel string
	node    fleet.NodeID
	reason  fleet.Reason
}

var otherRefusals = refusalKind{channel: events.RefusedOthers, reason: events.RefusedOthers}

func (k refusalKind) compare(o refusalKind) int {
	return cmp.Or(cmp.Compare(k.channel, o.channel), cmp.Compare(k.node, o.node), cmp.Compare(k.reason, o.reason))
}

// tally counts what is not on the log yet of one kind.
type tally struct {
	count  uint64
	detail string    // of the newest
	since  time.Time // of the first that was counted
	said   time.Time // zero if never
}

// ready is when the tally may be said.
func (t *tally) ready() time.Time {
	if next := t.said.Add(refusalEvery); !t.said.IsZero() && next.After(t.since) {
		return next
	}
	return t.since
}

// refusals decides what of the border's refusals becomes a fact, and when: the
// first of a kind at once, then one a minute with their number, and never two
// facts within a second. The zero value is ready for use. It reads no clock.
type refusals struct {
	kinds map[refusalKind]*tally
	spoke time.Time
}

// add counts a refusal.
func (r *refusals) add(kind refusalKind, detail string, now time.Time) {
	t := r.tally(kind, now)
	if t == nil {
		t, detail = r.kinds[otherRefusals], "refusals of more kinds than are told apart at once"
	}
	if t.count++; t.count == 1 {
		t.since = now
	}
	t.detail = sanitize(detail)
}

// tally of a kind; nil if there is no room for it.
func (r *refusals) tally(kind refusalKind, now time.Time) *tally {
	if r.kinds == nil {
		r.kinds = map[refusalKind]*tally{otherRefusals: {}}
	}
	t := r.kinds[kind]
	if t != nil {
		return t
	}
	if len(r.kinds) > refusalKinds {
		r.forget(now)
	}
	if len(r.kinds) > refusalKinds {
		return nil
	}
	t = &tally{}
	r.kinds[kind] = t
	return t
}

// forget makes room of kinds of which there is nothing to say, and has not been
// for as long as it would have been kept back.
func (r *refusals) forget(now time.Time) {
	for kind, t := range r.kinds {
		if t.count == 0 && now.Sub(t.said) >= refusalEvery && kind != otherRefusals {
			delete(r.kinds, kind)
		}
	}
}

// heard notes what another planner has said: it was refused the same messages.
func (r *refusals) heard(d *events.MessageRefused, now time.Time) {
	if t := r.tally(kindOf(d), now); t != nil {
		t.count -= min(t.count, d.Count)
		t.said = now
	}
}

// first is the tally that is ready before all others; nil if there is nothing
// to say. Of several it is always the same.
func (r *refusals) first() (kind refusalKind, first *tally) {
	for k, t := range r.kinds {
		if t.count == 0 {
			continue
		}
		if first == nil || cmp.Or(t.ready().Compare(first.ready()), k.compare(kind)) < 0 {
			kind, first = k, t
		}
	}
	return kind, first
}

// next is when there will be something to say; zero: not by itself.
func (r *refusals) next() time.Time {
	_, t := r.first()
	if t == nil {
		return time.Time{}
	}
	at := t.ready()
	if paced := r.spoke.Add(refusalPace); !r.spoke.IsZero() && paced.After(at) {
		at = paced
	}
	return at
}

// wake is next, and a pace from now where that has passed: whoever could not
// look then waits for something else.
func (r *refusals) wake(now time.Time) time.Time {
	at := r.next()
	if at.IsZero() || at.After(now) {
		return at
	}
	return now.Add(refusalPace)
}

// due is what is to be said now; nil if nothing is.
func (r *refusals) due(now time.Time) *events.MessageRefused {
	kind, t := r.first()
	if t == nil || r.next().After(now) {
		return nil
	}
	return &events.MessageRefused{Channel: kind.channel, Node: kind.node, Reason: kind.reason, Detail: t.detail, Count: t.count}
}

// said notes that d is on the log.
func (r *refusals) said(d *events.MessageRefused, now time.Time) {
	r.spoke = now
	r.heard(d, now)
}

// unsaid notes that d could not be said: it is tried again, no sooner than
// anything else would be.
func (r *refusals) unsaid(now time.Time) { r.spoke = now }

func kindOf(d *events.MessageRefused) refusalKind { return refusalKind{d.Channel, d.Node, d.Reason} }

// detailOf is what a refusal says beyond its reason.
func detailOf(err error) string {
	if refusal, ok := errors.AsType[*fleet.Refusal](err); ok {
		return refusal.Detail
	}
	return err.Error()
}

// sanitize bounds what others wrote, and leaves out what could move a cursor.
func sanitize(text string) string {
	const more = "…"
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return unicode.ReplacementChar
		}
		return c
	}, strings.ToValidUTF8(text[:min(len(text), 4*events.MaxRefusalDetail)], string(unicode.ReplacementChar)))
	if len(text) <= events.MaxRefusalDetail {
		return text
	}
	end := events.MaxRefusalDetail - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}
