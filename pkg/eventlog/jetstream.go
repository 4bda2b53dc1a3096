package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	batch := make([]*nats.Msg, len(messages))
	for i, m := range messages {
		batch[i] = l.message(m, entries[i].Fence)
	}
	last, err := l.publish(ctx, batch)
	switch {
	case err == nil:
		return last, nil
	case isConflict(err):
		return 0, fmt.Errorf("append to log: %w: %w", ErrConflict, err)
	}
	return 0, fmt.Errorf("append to log: not known whether it was stored: %w", err)
}

func (l *streamLog) publish(ctx context.Context, batch []*nats.Msg) (uint64, error) {
	if len(batch) == 1 {
		ack, err := l.bus.js.PublishMsg(ctx, batch[0])
		if err != nil {
			return 0, plain(err)
		}
		return ack.Sequence, nil
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.bus.js, batch)
	if err != nil {
		return 0, plain(err)
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
	var api jetstream.JetStreamError
	if !errors.As(err, &api) || api.APIError() == nil {
		return false
	}
	switch api.APIError().ErrorCode {
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
			return nil, fmt.Errorf("read log: %w", err)
		}
		if err := wait(ctx, readPause); err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
	}
	return records, nil
}

// page adds the records of one answer, as far as they follow one another.
func (l *streamLog) page(ctx context.Context, records []Record, after uint64, want int) ([]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	next := after + uint64(len(records)) + 1
	messages, err := jetstreamext.GetBatch(ctx, l.bus.js, l.name, min(want-len(records), readMessages),
		jetstreamext.GetBatchSeq(next), jetstreamext.GetBatchMaxBytes(readBytes))
	if err != nil {
		return records, plain(err)
	}
	for m, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages): // a replica that is behind
			return records, nil
		case err != nil:
			return records, err
		case m.Sequence != next:
			return records, fmt.Errorf("%w: sequence %d is missing, %d follows", ErrGap, next, m.Sequence)
		}
		records = append(records, l.record(m.Sequence, m.Time, m.Subject, m.Header, m.Data))
		next++
	}
	return records, ctx.Err()
}

func (l *streamLog) record(seq uint64, at time.Time, subject string, header nats.Header, data []byte) Record {
	m := events.Message{Subject: subject, Header: ownHeader(header), Data: data}
	return record(l.bus.subjects, Record{Sequence: seq, Time: at.UTC(), Message: m})
}

// ownHeader leaves out what the transport put there: fences, batch numbers, and
// what the server adds to an answer.
func ownHeader(header nats.Header) map[string][]string {
	own := make(map[string][]string, len(header))
	for k, v := range header {
		if !strings.HasPrefix(k, "Nats-") {
			own[k] = v
		}
	}
	return own
}

// Last asks the stream's leader, or any replica where consumers are not allowed.
func (l *streamLog) Last(ctx context.Context) (uint64, error) {
	if l.bus.options.NoConsumers {
		last, _, err := l.bus.lastDirect(ctx, l.name, ">")
		if err != nil {
			return 0, fmt.Errorf("ask for the end of the log: %w", err)
		}
		return last, nil
	}
	state, err := l.state(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of the log: %w", err)
	}
	return state.LastSeq, nil
}

func (l *streamLog) state(ctx context.Context) (jetstream.StreamState, error) {
	s, err := l.bus.js.Stream(ctx, l.name)
	if err != nil {
		return jetstream.StreamState{}, plain(err)
	}
	return s.CachedInfo().State, nil
}

func (l *streamLog) LastOn(ctx context.Context, subject string) (uint64, error) {
	if l.bus.options.NoConsumers {
		last, _, err := l.bus.lastDirect(ctx, l.name, subject)
		if err != nil {
			return 0, fmt.Errorf("ask for the end of %s: %w", subject, err)
		}
		return last, nil
	}
	s, err := l.bus.js.Stream(ctx, l.name)
	if err != nil {
		return 0, fmt.Errorf("ask for the end of %s: %w", subject, plain(err))
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the end of %s: %w", subject, plain(err))
	}
	return m.Sequence, nil
}
