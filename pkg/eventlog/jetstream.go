package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/fleetfold/fleetfold/pkg/events"
)

const (
	// readMessages and readBytes bound one answer to Read's question.
	readMessages = 500
	readBytes    = 16 << 20
	// readPause is between two questions when a replica is behind.
	readPause = 20 * time.Millisecond

	// The server's words for a fence that did not hold: with and without the
	// sequence it found.
	errCodeWrongLastSequence         jetstream.ErrorCode = 10071
	errCodeWrongLastSequenceConstant jetstream.ErrorCode = 10164
)

// streamLog is the Log on a JetStream stream.
type streamLog struct {
	bus   *Bus
	name  string
	stall time.Duration
}

// Log of the fleet. Call EnsureStreams once before.
func (b *Bus) Log() Log { return &streamLog{bus: b, name: b.logStream(), stall: stallAfter} }

func (l *streamLog) Subjects() events.Subjects { return l.bus.subjects }

// Append publishes one entry by itself and several as one atomic batch.
func (l *streamLog) Append(ctx context.Context, entries ...Entry) (uint64, error) {
	messages, err := prepare(l.bus.subjects, entries)
	if err != nil {
		return 0, fmt.Errorf("append to log: %w", err)
	}
	if err := l.bus.online(ctx); err != nil {
		return 0, fmt.Errorf("append to log: nothing was sent: %w", err)
	}
	batch, subjects := make([]*nats.Msg, len(messages)), make([]string, len(messages))
	for i, m := range messages {
		batch[i], subjects[i] = l.message(m, entries[i].Fence), m.Subject
	}
	allowed, release := l.bus.denials.watch(ctx, subjects...)
	defer release()
	last, err := l.publish(allowed, batch)
	denied, isDenied := errors.AsType[deniedError](context.Cause(allowed))
	switch {
	case err == nil:
		return last, nil
	case isDenied: // a batch lacks a message then, and is stored as little
		return 0, fmt.Errorf("append to log: nothing was stored: %w", denied)
	case isConflict(err):
		return 0, fmt.Errorf("append to log: %w: %w", ErrConflict, err)
	}
	return 0, fmt.Errorf("append to log: not known whether it was stored: %w", err)
}

func (l *streamLog) publish(ctx context.Context, batch []*nats.Msg) (uint64, error) {
	if len(batch) == 1 {
		ack, err := ask(ctx, l.bus, func(ctx context.Context) (*jetstream.PubAck, error) {
			return l.bus.js.PublishMsg(ctx, batch[0])
		})
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	// The answer to the last message tells of the whole batch. One to the first
	// would be waited for whatever becomes of ctx.
	ack, err := ask(ctx, l.bus, func(ctx context.Context) (*jetstreamext.BatchAck, error) {
		return jetstreamext.PublishMsgBatch(ctx, l.bus.js, batch, jetstreamext.BatchFlowControl{})
	})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

func (l *streamLog) message(m events.Message, f Fence) *nats.Msg {
	header := nats.Header(m.Header)
	// A subject that another stream took over must not swallow the log.
	header.Set(jetstream.ExpectedStreamHeader, l.name)
	switch f.kind {
	case fenceSubject:
		header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(f.seq))
	case fenceLog:
		header.Set(jetstream.ExpectedLastSeqHeader, fmt.Sprint(f.seq))
	}
	return &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}
}

func isConflict(err error) bool {
	switch errCode(err) {
	case errCodeWrongLastSequence, errCodeWrongLastSequenceConstant:
		return true
	}
	return false
}

// Read asks the stream's leader how far the log goes, so that a replica that is
// behind never makes it look shorter.
func (l *streamLog) Read(ctx context.Context, after uint64, limit int) ([]Record, error) {
	last, err := l.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	if after >= last || limit <= 0 {
		return nil, nil
	}
	want := int(min(uint64(limit), last-after))
	records := make([]Record, 0, want)
	failures := 0
	for len(records) < want {
		n := len(records)
		records, err = l.page(ctx, records, after, want)
		if len(records) > n {
			failures = 0
			continue
		}
		// Twice at the same place: once may be an answer that got lost.
		if failures++; err != nil && failures > 1 {
			if len(records) > 0 {
				return records, nil // what follows them is the next question's trouble
			}
			return nil, fmt.Errorf("read log: %w", err)
		}
		if err := wait(ctx, readPause); err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
	}
	return records, nil
}

// page adds the records of one answer, as far as they follow one another. Where
// the answer ends early or looks odd, the leader is asked for the next record
// alone: a message whose headers look like the server's must not end the log.
func (l *streamLog) page(ctx context.Context, records []Record, after uint64, want int) ([]Record, error) {
	began := len(records)
	records, odd, err := l.direct(ctx, records, after, want)
	if err == nil && !odd && len(records) > began || ctx.Err() != nil {
		return records, err
	}
	next := after + uint64(len(records)) + 1
	r, one := l.fetchAt(ctx, next)
	switch {
	case one == nil:
		return append(records, r), nil
	case errors.Is(one, errNoMessage):
		return records, fmt.Errorf("%w: sequence %d is missing", ErrGap, next)
	}
	return records, errors.Join(err, one)
}

// direct reads many at once; odd says that it was ended by a message that was
// not the next one.
func (l *streamLog) direct(ctx context.Context, records []Record, after uint64, want int) (_ []Record, odd bool, err error) {
	ctx, cancel := question(ctx)
	defer cancel()
	next := after + uint64(len(records)) + 1
	messages, err := jetstreamext.GetBatch(ctx, l.bus.js, l.name, min(want-len(records), readMessages),
		jetstreamext.GetBatchSeq(next), jetstreamext.GetBatchMaxBytes(readBytes))
	if err != nil {
		return records, false, plain(err)
	}
	for m, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages): // a replica that is behind, or a message that says so
			return records, true, nil
		case err != nil:
			return records, true, err
		case m.Sequence != next || forged(m.Header):
			return records, true, nil
		}
		r, err := l.record(ctx, m.Sequence, m.Time, m.Subject, m.Header, m.Data)
		if err != nil {
			return records, false, err
		}
		records = append(records, r)
		next++
	}
	return records, false, ctx.Err()
}

func (l *streamLog) record(ctx context.Context, seq uint64, at time.Time, subject string, header nats.Header, data []byte) (Record, error) {
	r := Record{Sequence: seq, Time: at.UTC(), Message: events.Message{Subject: subject, Header: header, Data: data}}
	if _, imported := header[headerTime]; !imported {
		for _, name := range usualTransport {
			delete(header, name)
		}
		r.Event, r.Err = events.DecodeStripped(l.bus.subjects, r.Message, transportHeaders)
		return r, nil
	}
	events.Strip(header, transportHeaders)
	if err := l.restore(ctx, &r); err != nil {
		return Record{}, err
	}
	return record(l.bus.subjects, r), nil
}

// transportHeaders is how the names begin of what the transport puts there:
// fences, batch numbers, and what the server adds to an answer. They are taken
// out in place: the header is that of a message that is ours.
const transportHeaders = "Nats-"

// usualTransport is what almost every message of the log has of them. Without
// those, most have the attributes of their event and no other header.
var usualTransport = [...]string{jetstream.ExpectedStreamHeader, jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader}

// Last asks the stream's leader, or any replica where consumers are not allowed.
func (l *streamLog) Last(ctx context.Context) (uint64, error) {
	if l.bus.options.NoConsumers {
		last, err := l.lastDirect(ctx, everything)
		if err != nil {
			return 0, fmt.Errorf("ask for the end of the log: %w", err)
		}
		return last, nil
	}
	var state jetstream.StreamState
	err := l.bus.whenSettled(ctx, func(ctx context.Context) (err error) {
		state, err = l.state(ctx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ask for the end of the log: %w", err)
	}
	return state.LastSeq, nil
}

func (l *streamLog) state(ctx context.Context) (jetstream.StreamState, error) {
	s, err := l.stream(ctx)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return s.CachedInfo().State, nil
}

func (l *streamLog) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := ask(ctx, l.bus, func(ctx context.Context) (jetstream.Stream, error) { return l.bus.js.Stream(ctx, l.name) })
	if err != nil {
		return nil, err
	}
	return s, l.bus.remember(s.CachedInfo().Config)
}
