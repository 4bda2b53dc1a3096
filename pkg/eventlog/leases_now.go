package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// CurrentSightings is the newest word of each node, once and without a consumer:
// for looking at the leases, not for watching them. The stream must exist.
func (b *Bus) CurrentSightings(ctx context.Context) (all []Sighting, err error) {
	for next := uint64(1); ; {
		var got []stored
		got, err = b.leasesFrom(ctx, next)
		if err != nil {
			return nil, fmt.Errorf("read leases: %w", err)
		}
		if len(got) == 0 {
			return all, nil
		}
		for _, m := range got {
			all = append(all, sightingFrom(b.subjects, m))
		}
		next = got[len(got)-1].Seq + 1
	}
}

// leasesFrom are messages of the lease stream from sequence next on, none at its
// end. Where they come together and look odd, the first is asked for by itself: a
// node must not hide another's lease behind headers that look like the server's.
func (b *Bus) leasesFrom(ctx context.Context, next uint64) ([]stored, error) {
	got, err := b.leasePage(ctx, next)
	if len(got) > 0 || err != nil && ctx.Err() != nil {
		return got, err
	}
	m, err := b.getDirect(ctx, b.presenceStream(), map[string]any{"seq": next, "next_by_subj": b.subjects.AllPresence()})
	switch {
	case errors.Is(err, errNoMessage):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []stored{m}, nil
}

// leasePage is as much of one answer as is in order.
func (b *Bus) leasePage(ctx context.Context, next uint64) (got []stored, err error) {
	ctx, cancel := question(ctx)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, b.js, b.presenceStream(), readMessages,
		jetstreamext.GetBatchSeq(next), jetstreamext.GetBatchSubject(b.subjects.AllPresence()), jetstreamext.GetBatchMaxBytes(readBytes))
	if err != nil {
		return nil, plain(err)
	}
	for m, err := range messages {
		if err != nil || m.Sequence < next || forged(m.Header) {
			break
		}
		got = append(got, stored{Subject: m.Subject, Seq: m.Sequence, Data: m.Data, Time: m.Time, header: m.Header})
		next = m.Sequence + 1
	}
	return got, ctx.Err()
}

func sightingFrom(subjects events.Subjects, m stored) Sighting {
	return sightingAt(subjects, &nats.Msg{Subject: m.Subject, Header: m.header, Data: m.Data}, m.Time)
}
