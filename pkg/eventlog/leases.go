package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	headerMarker = "Nats-Marker-Reason"
	headerTTL    = "Nats-TTL"
)

// Sightings reads the leases of all nodes. Next is for one goroutine; Close may
// be called from another.
type Sightings interface {
	// Next waits and returns what has come, in the order the server stored it:
	// first the newest word of each node, then each new one. A sighting may
	// come again.
	//
	// caughtUp is true once every lease that ran at the start has been
	// returned, also when there were none; seen is empty where only caughtUp is
	// news. It falls back to false when the leases have to be read anew,
	// because the server lost them or the reader lost touch: whoever is not
	// seen again then may still be there, and needs a lease's time to say so. What
	// a node said before is not returned then: it may have been unable to renew it.
	Next(ctx context.Context) (seen []Sighting, caughtUp bool, err error)
	Close()
}

// Beat publishes a heartbeat of node id that counts for lease, in whole seconds
// and rounded up, and waits until it is stored. Without a connection it waits for
// that first, as long as ctx and a bound of its own allow.
//
// A farewell lives as long as any heartbeat: a sensor that is just starting
// again still reads that the node left. The marker that follows says of an
// absent node that it is absent.
func (b *Bus) Beat(ctx context.Context, id fleet.NodeID, heartbeat *events.Event, lease time.Duration) error {
	if heartbeat.Type != events.TypeNodeHeartbeat || heartbeat.Node != id {
		return fmt.Errorf("publish heartbeat of %s: event is %s of %q", id, heartbeat.Type, heartbeat.Node)
	}
	m, err := events.Encode(b.subjects, heartbeat)
	if err != nil {
		return fmt.Errorf("encode heartbeat: %w", err)
	}
	// A farewell does not wait: whoever leaves without a server simply goes.
	if beat, ok := heartbeat.Data.(*events.Heartbeat); ok && !beat.Leaving {
		if err := b.online(ctx); err != nil {
			return fmt.Errorf("publish heartbeat of %s: %w", id, err)
		}
	}
	if err := b.toIngest(ctx, m, jetstream.WithMsgTTL(wholeSeconds(lease))); err != nil {
		return fmt.Errorf("publish heartbeat of %s: %w", id, err)
	}
	return nil
}

// wholeSeconds rounds up, because the server rounds down, and knows no less
// than one second.
func wholeSeconds(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}

func (b *Bus) toIngest(ctx context.Context, m events.Message, opts ...jetstream.PublishOpt) error {
	msg := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	ack, err := b.js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return plain(err)
	}
	if ack.Stream != b.ingestStream() {
		return fmt.Errorf("stream %s answered instead of %s", ack.Stream, b.ingestStream())
	}
	return nil
}

// Sightings starts with the newest word of each node.
func (b *Bus) Sightings(ctx context.Context) (Sightings, error) {
	t, err := b.newTail(ctx, b.presenceStream(), b.subjects.AllPresence(), jetstream.DeliverLastPerSubjectPolicy)
	if err != nil {
		return nil, err
	}
	return &sightings{tail: t, known: newKnownLeases()}, nil
}

type sightings struct {
	tail     *tail
	known    *knownLeases
	caughtUp bool
}

func (s *sightings) Close() { s.tail.Close() }

func (s *sightings) Next(ctx context.Context) ([]Sighting, bool, error) {
	got, caughtUp, err := s.tail.Next(ctx)
	if err != nil {
		return nil, false, err
	}
	if s.caughtUp && !caughtUp { // leases may have ended that nobody will tell of
		s.known.forget()
	}
	s.caughtUp = caughtUp
	seen := make([]Sighting, len(got))
	for i, m := range got {
		seen[i] = s.sighting(m)
	}
	return seen, caughtUp, nil
}

func (s *sightings) sighting(m *nats.Msg) Sighting {
	meta, err := metadata(m)
	if err != nil {
		return Sighting{Err: err}
	}
	return s.known.sighting(s.tail.bus.subjects, m, meta.Timestamp)
}

// sightingAt is the border for presence: whatever a node wrote becomes a
// heartbeat, the end of a lease, or a refusal. at is when it was stored.
func sightingAt(subjects events.Subjects, m *nats.Msg, at time.Time) (s Sighting) {
	s.Time = at
	if s.Node, s.Err = subjects.PresenceNode(m.Subject); s.Err != nil {
		s.Node = ""
		return s
	}
	if len(m.Data) == 0 && m.Header.Get(headerMarker) != "" {
		return s
	}
	e, err := admit(subjects, m, events.TypeNodeHeartbeat)
	if err != nil {
		s.Err = err
		return s
	}
	// Without an end in sight it would be no lease.
	if s.Err = checkTTL(m.Header.Get(headerTTL)); s.Err == nil {
		s.Heartbeat = e.Data.(*events.Heartbeat)
	}
	return s
}

func checkTTL(value string) error {
	ttl, err := time.ParseDuration(value)
	if err != nil || ttl < events.MinLeaseSeconds*time.Second || ttl > events.MaxLeaseSeconds*time.Second {
		return &events.Refusal{Reason: events.ReasonBadHeader, Detail: fmt.Sprintf(
			"header %s of a heartbeat is %q, not %ds to %ds", headerTTL, value, events.MinLeaseSeconds, events.MaxLeaseSeconds)}
	}
	return nil
}

// maxSaid is the largest body of what a node says, in bytes: many times what one
// needs, and little enough that what is copied to the log always fits there.
const maxSaid = 64 << 10

// admit decodes what came from outside and checks it against its schema. Only
// type want is expected on the message's subject.
func admit(subjects events.Subjects, m *nats.Msg, want events.Type) (*events.Event, error) {
	if len(m.Data) > maxSaid {
		return nil, &events.Refusal{Reason: events.ReasonOversize, Detail: fmt.Sprintf("body has %d bytes, a node may say %d", len(m.Data), maxSaid)}
	}
	e, err := events.Decode(subjects, events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	if err != nil {
		return nil, err
	}
	if e.Type != want {
		return nil, &events.Refusal{Reason: events.ReasonWrongSubject, Detail: fmt.Sprintf("%s came where only %s may", e.Type, want)}
	}
	if err := events.CheckSchema(e.Type, e.Body); err != nil {
		return nil, err
	}
	return e, nil
}
