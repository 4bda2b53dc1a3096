package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// actionConsumer is the durable consumer that all executors of a fleet share.
const actionConsumer = "executor"

// Actions hands out the actions of the log. Next is for one goroutine; Close
// and the functions of a Delivery may be called from others.
type Actions interface {
	// Next waits for the next action that nobody else has, in stream order;
	// one that was given back or not acknowledged in time comes again. At most
	// concurrency actions are out at a time, from 16 on eight times as many, over
	// all executors together. A
	// record that does not fit has Err set and is to be acknowledged.
	Next(ctx context.Context) (Delivery, error)
	// Close acknowledges nothing: what is out goes to the next executor when
	// its time is over.
	Close()
}

// Actions takes part in carrying out the actions. The consumer outlives the
// process; concurrency and ackWait of whoever called last hold for all.
func (b *Bus) Actions(ctx context.Context, concurrency int, ackWait time.Duration) (Actions, error) {
	if concurrency < 1 || ackWait <= 0 {
		return nil, fmt.Errorf("take actions: concurrency is %d and ack wait %s, both must be above zero", concurrency, ackWait)
	}
	a := &actions{bus: b, acks: acks{bus: b}, concurrency: concurrency, config: jetstream.ConsumerConfig{
		Durable: actionConsumer, Description: "Hands each action to one executor",
		FilterSubject: b.subjects.AllActions(), DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: out(concurrency),
		// A limit would skip the action in silence and run the next.
		MaxDeliver: -1,
	}}
	a.ctx, a.close = context.WithCancel(context.Background())
	if err := b.whenSettled(ctx, a.start); err != nil {
		a.close()
		return nil, fmt.Errorf("take actions: %w", err)
	}
	return a, nil
}

type actions struct {
	bus         *Bus
	acks        acks
	config      jetstream.ConsumerConfig
	concurrency int
	ctx         context.Context // ends at Close
	close       context.CancelFunc
	mu          sync.Mutex // held by Next; Close waits for it

	pull     *pull
	failures int
}

// manyOut is from how many side by side on actions are asked for in numbers.
const manyOut = 16

// asking is how many actions one request asks for, and with how many to come the
// next one goes out. Where few run side by side they are asked for one by one: what
// waited here would be kept from the other executors. Where many do, who asks for
// few has little to append together; the server hands out to all who ask in turns.
func asking(concurrency int) (batch, ahead int) {
	if concurrency < manyOut {
		return 1 + concurrency/8, 0
	}
	return concurrency / 2, concurrency/2 - 1
}

// out is how many actions may be out at a time. Where many run side by side, others
// are on their way to it and from it meanwhile: their outcomes are stored together,
// and the more they are the less that costs for each.
func out(concurrency int) int {
	if concurrency < manyOut {
		return concurrency
	}
	return 8 * concurrency
}

// start makes the consumer where it is missing.
func (a *actions) start(ctx context.Context) error {
	// An answer may never come: who was asked may have been lost meanwhile.
	ctx, cancel := question(ctx)
	defer cancel()
	if _, err := a.bus.js.CreateOrUpdateConsumer(ctx, a.bus.logStream(), a.config); err != nil {
		return fmt.Errorf("create consumer %s of %s: %w", actionConsumer, a.bus.logStream(), plain(err))
	}
	batch, ahead := asking(a.concurrency)
	p, err := a.bus.newPull(a.bus.logStream(), actionConsumer, batch)
	if err != nil {
		return err
	}
	p.ahead = ahead
	a.pull = p
	return nil
}

func (a *actions) Close() {
	a.close()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopPull()
}

// stopPull takes back what was asked for, and gives back at once what came and was
// never handed out.
func (a *actions) stopPull() {
	if a.pull == nil {
		return
	}
	a.pull.withdraw(func(m *nats.Msg) { _ = a.bus.nc.Publish(m.Reply, nakBody(0)) })
	a.pull = nil
}

func (a *actions) Next(ctx context.Context) (Delivery, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil {
		return Delivery{}, fmt.Errorf("take next action: %w", errClosed)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(a.ctx, func() { cancel(errClosed) })()
	for {
		d, err := a.step(ctx)
		switch {
		case err == nil:
			a.failures = 0
			return d, nil
		case ctx.Err() != nil:
			// Whoever stops gives back what it has, and that must not come here again.
			a.stopPull()
			return Delivery{}, fmt.Errorf("take next action: %w", context.Cause(ctx))
		case errors.Is(err, errPullIdle):
			continue
		case errors.Is(err, nats.ErrConnectionClosed):
			return Delivery{}, fmt.Errorf("take next action: %w", err)
		}
		a.bus.complain("cannot take actions", err)
		a.stopPull()
		a.failures++
		if err := a.bus.pause(ctx, a.failures); err != nil {
			return Delivery{}, fmt.Errorf("take next action: %w", err)
		}
	}
}

func (a *actions) step(ctx context.Context) (Delivery, error) {
	if a.pull == nil {
		if err := a.start(ctx); err != nil {
			return Delivery{}, err
		}
	}
	m, err := a.pull.next(ctx)
	if err != nil {
		return Delivery{}, err
	}
	meta, err := metadata(m)
	if err != nil {
		return Delivery{}, err
	}
	return a.delivery(ctx, m, meta)
}

func (a *actions) delivery(ctx context.Context, m *nats.Msg, meta *nats.MsgMetadata) (Delivery, error) {
	r := Record{
		Sequence: meta.Sequence.Stream, Time: meta.Timestamp,
		Message: events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data},
	}
	if err := (&streamLog{bus: a.bus, name: a.bus.logStream()}).restore(ctx, &r); err != nil {
		return Delivery{}, err
	}
	r.Event, r.Err = events.Decode(a.bus.subjects, r.Message)
	if r.Err == nil && !r.Event.Type.IsAction() {
		r.Err = &events.Refusal{Reason: events.ReasonWrongSubject, Detail: fmt.Sprintf("%s on %q is no action", r.Event.Type, m.Subject)}
		r.Event = nil
	}
	reply := m.Reply
	return Delivery{
		Record:     r,
		Again:      meta.NumDelivered > 1,
		Ack:        func(ctx context.Context) error { return a.acks.send(ctx, reply) },
		InProgress: func() error { return wrapSend("ask for more time", a.bus.nc.Publish(reply, []byte("+WPI"))) },
		Retry: func(delay time.Duration) error {
			return wrapSend("give action back", a.bus.nc.Publish(reply, nakBody(delay)))
		},
	}, nil
}

func nakBody(delay time.Duration) []byte {
	if delay <= 0 {
		return []byte("-NAK")
	}
	return []byte(`-NAK {"delay":` + strconv.FormatInt(delay.Nanoseconds(), 10) + `}`)
}

func wrapSend(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, plain(err))
	}
	return nil
}
