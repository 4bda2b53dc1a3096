package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

const (
	// trustParts is how many parts of the regions there can be: their key ids have
	// two hex digits.
	trustParts = 256
	// trustWindow is how many parts are asked for at once.
	trustWindow = 16
)

// readParts asks for all parts of the regions side by side, before the stream is
// read from its beginning: one after the other they would take as many round trips,
// and a receiver that lacks one has to put senders off. What is read here is stepped
// over later, and only that: a replica that is behind may have answered with less.
func (f *trustFeed) readParts(ctx context.Context) (fresh []TrustText, err error) {
	if f.seen > 0 || f.ahead != nil || f.subject != f.bus.subjects.AllTrust() {
		return nil, nil
	}
	parts, err := f.bus.trustPartsNow(ctx)
	if err != nil {
		return nil, err
	}
	f.ahead = make(map[uint64]bool)
	for _, m := range parts {
		if m.Seq > 0 {
			f.ahead[m.Seq] = true
			fresh = f.fresh(fresh, m.Subject, m.header, m.Data)
		}
	}
	return fresh, nil
}

// trustPartsNow are the newest messages of all parts that there are; of the others
// the sequence is 0.
func (b *Bus) trustPartsNow(ctx context.Context) (parts [trustParts]stored, err error) {
	if _, err := b.lastPart(ctx, "*"); err != nil && !errors.Is(err, errNoPlace) {
		return parts, unlessMissing(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var asking sync.WaitGroup
	var next atomic.Int64
	for range trustWindow {
		asking.Go(func() {
			for n := next.Add(1) - 1; n < trustParts && ctx.Err() == nil; n = next.Add(1) - 1 {
				m, err := b.lastPart(ctx, fmt.Sprintf("%02x", n))
				if err == nil {
					parts[n] = m
				} else if unlessMissing(err) != nil && !errors.Is(err, errNoPlace) { // rubbish is stepped over later
					cancel(err)
				}
			}
		})
	}
	asking.Wait()
	return parts, context.Cause(ctx)
}

func (b *Bus) lastPart(ctx context.Context, part string) (stored, error) {
	return b.getDirect(ctx, b.trustStream(), map[string]any{"last_by_subj": b.subjects.TrustRegions(part)})
}

func unlessMissing(err error) error {
	if errors.Is(err, errNoMessage) {
		return nil
	}
	return err
}

// step passes over what was read ahead.
func (f *trustFeed) step() {
	for f.ahead[f.seen+1] {
		delete(f.ahead, f.seen+1)
		f.seen++
	}
}
