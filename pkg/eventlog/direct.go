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
	question, err := json.Marshal(asked)
	if err != nil {
		return stored{}, err
	}
	reply, err := ask(ctx, b, func(ctx context.Context) (*nats.Msg, error) {
		return b.requestUnread(ctx, b.apiPrefix()+"DIRECT.GET."+stream, question)
	})
	if err != nil {
		return stored{}, err
	}
	m, err := placed(reply)
	if err != nil {
		return stored{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	return m, nil
}

// requestUnread takes the answer as it comes: the client library's own request
// takes a "Status" header of a stored message for the server's word.
func (b *Bus) requestUnread(ctx context.Context, subject string, question []byte) (*nats.Msg, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	answers := make(chan *nats.Msg, 1)
	sub, err := b.nc.ChanSubscribe(b.nc.NewInbox(), answers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only where the connection has ended
	if err := b.nc.PublishRequest(subject, sub.Subject, question); err != nil {
		return nil, err
	}
	select {
	case m := <-answers:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// placed reads a message's place from the headers that the server adds behind
// those of the message. An answer without them is the server's word and no message.
func placed(m *nats.Msg) (stored, error) {
	place := func(name string) string {
		if all := m.Header[name]; len(all) > 0 {
			return all[len(all)-1]
		}
		return ""
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
	if errors.Is(err, errNoMessage) {
		return 0, nil
	}
	return m.Seq, err
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
