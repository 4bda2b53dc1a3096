package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// getDirect asks for one message of a stream, as the server's API for that
// understands it. Any replica may answer, and one that is behind answers with
// what it has. Without such a message the error is errNoMessage.
func (b *Bus) getDirect(ctx context.Context, stream string, asked map[string]any) (stored, error) {
	reply, err := b.askDirect(ctx, stream, asked, func(*nats.Msg) bool { return true })
	if err != nil {
		return stored{}, err
	}
	m, err := placed(reply)
	if err != nil {
		return m, fmt.Errorf("stream %s: %w", stream, err)
	}
	return m, nil
}

// askDirect returns the first of the answers that is wanted.
func (b *Bus) askDirect(ctx context.Context, stream string, asked map[string]any, wanted func(*nats.Msg) bool) (*nats.Msg, error) {
	question, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	return ask(ctx, b, func(ctx context.Context) (*nats.Msg, error) {
		return b.requestUnread(ctx, b.apiPrefix()+"DIRECT.GET."+stream, question, wanted)
	})
}

// requestUnread takes answers as they come: the client library's own request
// takes a "Status" header of a stored message for the server's word.
func (b *Bus) requestUnread(ctx context.Context, subject string, question []byte, wanted func(*nats.Msg) bool) (*nats.Msg, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	answers := make(chan *nats.Msg, 4) // a message and the end of a batch, with room
	sub, err := b.nc.ChanSubscribe(b.nc.NewInbox(), answers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only where the connection has ended
	if err := b.nc.PublishRequest(subject, sub.Subject, question); err != nil {
		return nil, err
	}
	for {
		select {
		case m := <-answers:
			if wanted(m) {
				return m, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// errNoPlace says that a message came whose headers cannot be read, and with
// them not its place. Somebody wrote it so; a stored message it is all the same.
var errNoPlace = errors.New("message has headers that cannot be read")

// placed reads a message's place from the headers that the server adds behind
// those of the message. An answer without them is the server's word and no
// message, unless it has none at all: then it comes with errNoPlace.
func placed(m *nats.Msg) (stored, error) {
	place := func(name string) string {
		if all := m.Header[name]; len(all) > 0 {
			return all[len(all)-1]
		}
		return ""
	}
	if len(m.Header) == 0 {
		return stored{Data: m.Data}, errNoPlace
	}
	if place(jetstream.SequenceHeader) == "" {
		switch status := m.Header.Get("Status"); status {
		case "404":
			return stored{}, errNoMessage
		case "503":
			return stored{}, jetstream.ErrStreamNotFound
		default:
			return stored{}, fmt.Errorf("answer %q %s has no message", status, m.Header.Get("Description"))
		}
	}
	sequence, err := strconv.ParseUint(place(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return stored{}, fmt.Errorf("read sequence of a message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, place(jetstream.TimeStampHeaer))
	if err != nil {
		return stored{}, fmt.Errorf("read time of a message: %w", err)
	}
	return stored{Subject: place(jetstream.SubjectHeader), Seq: sequence, Data: m.Data, Time: at, header: m.Header}, nil
}

// lastDirect is the sequence of the newest message of the log on subject, which
// may have wildcards; 0 for none.
func (l *streamLog) lastDirect(ctx context.Context, subject string) (uint64, error) {
	m, err := l.bus.getDirect(ctx, l.name, map[string]any{"last_by_subj": subject})
	switch {
	case errors.Is(err, errNoMessage):
		return 0, nil
	case !errors.Is(err, errNoPlace):
		return m.Seq, err
	case subject == everything:
		// Of all that follows the first message, the server counts how much it is.
		return l.batchEnd(ctx, map[string]any{"seq": 1, "batch": 1, "next_by_subj": everything}, pendingHeader, 1)
	}
	return l.batchEnd(ctx, map[string]any{"multi_last": []string{subject}}, lastHeader, 0)
}

const (
	everything    = ">"
	pendingHeader = "Nats-Num-Pending"
	lastHeader    = "Nats-Last-Sequence"
)

// batchEnd asks for a batch, and adds more to what a header of its end says.
// That is the server's own message, whatever came before it.
func (l *streamLog) batchEnd(ctx context.Context, asked map[string]any, header string, more uint64) (uint64, error) {
	end, err := l.bus.askDirect(ctx, l.name, asked, func(m *nats.Msg) bool {
		return len(m.Header) > 0 && m.Header.Get(jetstream.SequenceHeader) == ""
	})
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(end.Header.Get(header), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read end of a batch: %w", err)
	}
	return n + more, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
