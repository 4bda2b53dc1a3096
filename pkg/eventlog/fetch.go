package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// errCodeNoMessage is the server's word for a sequence or a subject that has no
// message.
const errCodeNoMessage = 10037

// errNoMessage says that the stream's leader has no such message.
var errNoMessage = errors.New("no such message")

// stored is one message as the stream's leader keeps it.
type stored struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Header  []byte    `json:"hdrs"`
	Data    []byte    `json:"data"`
	Time    time.Time `json:"time"`
	// header, where it came apart already.
	header nats.Header
}

// fetch asks the leader for one message. The quicker ways of the client library
// read the server's word, such as "there is none", and a message's place from
// headers that stand beside those of the message; here they are apart, so that
// no writer can pass off its headers as the server's. Whoever may not ask the
// leader asks any replica, and takes the server's headers for those at the end.
func (l *streamLog) fetch(ctx context.Context, asked map[string]any) (stored, error) {
	if l.bus.options.NoConsumers {
		return l.bus.getDirect(ctx, l.name, asked)
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return stored{}, err
	}
	reply, err := ask(ctx, l.bus, func(ctx context.Context) (*nats.Msg, error) {
		return l.bus.nc.RequestWithContext(ctx, l.bus.apiPrefix()+"STREAM.MSG.GET."+l.name, body)
	})
	if err != nil {
		return stored{}, err
	}
	var answer struct {
		Message *stored `json:"message"`
		Error   *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return stored{}, fmt.Errorf("read answer: %w", err)
	}
	switch {
	case answer.Error != nil && answer.Error.Code == errCodeNoMessage:
		return stored{}, errNoMessage
	case answer.Error != nil:
		return stored{}, errors.New(answer.Error.Description)
	case answer.Message == nil:
		return stored{}, errors.New("the answer has no message")
	}
	return *answer.Message, nil
}

// fetchAt returns the record at one sequence.
func (l *streamLog) fetchAt(ctx context.Context, seq uint64) (Record, error) {
	m, err := l.fetch(ctx, map[string]any{"seq": seq})
	switch {
	case errors.Is(err, errNoPlace): // it is the one that was asked for
		m.Seq = seq
	case err != nil:
		return Record{}, fmt.Errorf("fetch sequence %d: %w", seq, err)
	case m.Seq != seq:
		return Record{}, fmt.Errorf("fetch sequence %d: %d came", seq, m.Seq)
	}
	header := m.header
	if len(m.Header) > 0 {
		if header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			header = nil // what cannot be read is no event, and a record all the same
		}
	}
	return l.record(ctx, m.Seq, m.Time, m.Subject, header, m.Data)
}

// LastOn asks the stream's leader, or any replica where that is not allowed.
func (l *streamLog) LastOn(ctx context.Context, subject string) (uint64, error) {
	if l.bus.options.NoConsumers {
		last, err := l.lastDirect(ctx, subject)
		if err != nil {
			return 0, fmt.Errorf("ask for the end of %s: %w", subject, err)
		}
		return last, nil
	}
	var last stored
	err := l.bus.whenSettled(ctx, func(ctx context.Context) (err error) {
		last, err = l.fetch(ctx, map[string]any{"last_by_subj": subject})
		if errors.Is(err, errNoMessage) {
			last, err = stored{}, nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ask for the end of %s: %w", subject, err)
	}
	return last.Seq, nil
}

// placeHeaders are what the server adds to a message that is read directly.
var placeHeaders = []string{
	jetstream.StreamHeader, jetstream.SequenceHeader, jetstream.SubjectHeader, jetstream.TimeStampHeaer, "Nats-Num-Pending",
}

// forged says that the writer of a message put such a header there as well, and
// that it cannot be told which is the server's.
func forged(header nats.Header) bool {
	for _, name := range placeHeaders {
		if len(header[name]) > 1 {
			return true
		}
	}
	return false
}
