package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ActionsHealth is what the server says of the consumer that hands out the actions.
type ActionsHealth struct {
	Consumer string
	// Missing: no executor of this fleet has ever started.
	Missing bool
	// Wrong are the settings under which an action could be skipped, or run
	// without being acknowledged.
	Wrong []Mismatch
	// Paused: nothing is handed out.
	Paused bool
	// Waiting is how many requests for actions wait at the server. An executor has
	// one there, or two so that it never runs dry; Bus.Services says who they are.
	Waiting int
	// Pending were not handed out yet, Unacknowledged were and have not ended,
	// Redelivered of these more than once. At most Limit may be unacknowledged.
	Pending                            uint64
	Unacknowledged, Redelivered, Limit int
	// Oldest is the sequence of the oldest action that is handed out and has
	// not ended, stored at OldestTime; 0 for none.
	Oldest     uint64
	OldestTime time.Time
}

// waitingAgain is how long after nobody waited it is asked once more: between
// two requests of an executor lies the way to the server and back.
const waitingAgain = 200 * time.Millisecond

// CheckActions asks for the executors' consumer; it makes and changes nothing.
func (b *Bus) CheckActions(ctx context.Context) (ActionsHealth, error) {
	h, err := b.checkActions(ctx)
	if err != nil || h.Missing || h.Waiting > 0 {
		return h, err
	}
	timer := time.NewTimer(waitingAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
		return b.checkActions(ctx)
	case <-ctx.Done():
		return h, nil
	}
}

func (b *Bus) checkActions(ctx context.Context) (ActionsHealth, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	h := ActionsHealth{Consumer: actionConsumer}
	var c jetstream.Consumer
	err := b.whileAllowed(ctx, "CONSUMER.INFO."+b.logStream()+"."+actionConsumer, func(ctx context.Context) (err error) {
		c, err = b.js.Consumer(ctx, b.logStream(), actionConsumer)
		return err
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		h.Missing = true
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("look up consumer %s of %s: %w", actionConsumer, b.logStream(), plain(err))
	}
	i := c.CachedInfo()
	h.Wrong = b.compareActions(i.Config)
	h.Paused, h.Waiting = i.Paused, i.NumWaiting
	h.Pending, h.Unacknowledged, h.Redelivered, h.Limit = i.NumPending, i.NumAckPending, i.NumRedelivered, i.Config.MaxAckPending
	if h.Unacknowledged > 0 {
		err = b.findOldest(ctx, i.AckFloor.Stream, &h)
	}
	return h, err
}

func (b *Bus) compareActions(c jetstream.ConsumerConfig) []Mismatch {
	var wrong []Mismatch
	for _, s := range []struct{ name, have, want string }{
		{"filter_subject", c.FilterSubject, b.subjects.AllActions()},
		{"deliver_policy", c.DeliverPolicy.String(), jetstream.DeliverAllPolicy.String()},
		{"ack_policy", c.AckPolicy.String(), jetstream.AckExplicitPolicy.String()},
		{"max_deliver", fmt.Sprint(c.MaxDeliver), "-1"},
	} {
		if s.have != s.want {
			wrong = append(wrong, Mismatch{actionConsumer, s.name, s.have, s.want})
		}
	}
	return wrong
}

// findOldest looks for the first action above the floor, below which all are
// acknowledged. It may have been acknowledged a moment ago.
func (b *Bus) findOldest(ctx context.Context, floor uint64, h *ActionsHealth) error {
	m, err := b.getDirect(ctx, b.logStream(), map[string]any{"seq": floor + 1, "next_by_subj": b.subjects.AllActions()})
	if errors.Is(err, errNoMessage) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read oldest action behind sequence %d: %w", floor, plain(err))
	}
	h.Oldest, h.OldestTime = m.Seq, m.Time
	return nil
}
