package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
)

const (
	// trustQueue is how many texts may wait for Next; more are dropped, and found
	// again by the next look.
	trustQueue = 1024
	// trustLook is how often the stream itself is asked: a text that only passed
	// by, and was lost, is found then.
	trustLook = 30 * time.Second
	// trustLookBeats is how many heartbeats apart two looks are at least: many
	// nodes must not ask for their trust more often than they say that they live.
	trustLookBeats = 6
)

// Trusts follows the trust stream. Next is for one goroutine; Close may be
// called from another, once.
type Trusts interface {
	// Next waits and returns what is new, at least one: first the posture, then the
	// newest of each kind and issuer, then each newer one. Versions of one kind and
	// issuer only grow.
	Next(ctx context.Context) ([]TrustText, error)
	Close()
}

// Trust follows the trust stream. It needs no more than a node has: to subscribe
// to <prefix>.trust.> and to get from the stream directly. A stream that is not
// there yet is waited for.
func (b *Bus) Trust(context.Context) (Trusts, error) {
	return b.trust(b.subjects.AllTrust(), b.subjects.TrustPosture(), new(atomic.Pointer[events.Pace]))
}

// trust follows what is on subject, which may have wildcards. first is the one of
// it that is asked for before all others. The pace that was heard says how often
// the stream is asked.
func (b *Bus) trust(subject, first string, heard *atomic.Pointer[events.Pace]) (Trusts, error) {
	f := &trustFeed{bus: b, subject: subject, first: first, pace: heard, messages: make(chan *nats.Msg, trustQueue), closed: make(chan struct{}), versions: make(map[string]uint64)}
	var err error
	f.sub, err = b.nc.ChanSubscribe(subject, f.messages)
	if err != nil {
		return nil, fmt.Errorf("follow trust: %w", plain(err))
	}
	return f, nil
}

// Trusted calls take with each newer text until ctx ends or the bus is closed. It
// needs no more than Trust.
func (b *Bus) Trusted(ctx context.Context, take func(TrustText)) error {
	feed, err := b.Trust(ctx)
	if err != nil {
		return err
	}
	defer feed.Close()
	for {
		texts, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		for _, t := range texts {
			take(t)
		}
	}
}

// BundlesAndPaces is Bundles and besides calls pace with each newer pace, as
// events.ParsePace reads it. It reads nothing else: what is told of regions is
// much, and only receivers need it. The two may be called at the same time.
func (b *Bus) BundlesAndPaces(ctx context.Context, bundle, pace func(text []byte)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var heard atomic.Pointer[events.Pace]
	ended := make(chan error, 2)
	for subject, take := range map[string]func([]byte){b.subjects.TrustBundle(): bundle, b.subjects.TrustPace(): pace} {
		go func() { ended <- b.each(ctx, subject, &heard, take) }()
	}
	err := <-ended
	cancel()
	<-ended
	return err
}

// each calls take with each newer text on one subject.
func (b *Bus) each(ctx context.Context, subject string, heard *atomic.Pointer[events.Pace], take func(text []byte)) error {
	feed, err := b.trust(subject, subject, heard)
	if err != nil {
		return err
	}
	defer feed.Close()
	for {
		texts, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		for _, t := range texts {
			take(t.Text)
		}
	}
}

// Pace is the newest that was published; the zero Pace for none.
func (b *Bus) Pace(ctx context.Context) (events.Pace, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, b.trustStream())
	if err != nil {
		return events.Pace{}, fmt.Errorf("read pace: %w", plain(err))
	}
	m, err := s.GetLastMsgForSubject(ctx, b.subjects.TrustPace())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return events.Pace{}, nil
	case err != nil:
		return events.Pace{}, fmt.Errorf("read pace: %w", plain(err))
	}
	return events.ParsePace(m.Data)
}

// PublishPace publishes a pace unless one of the same or a newer sequence is there.
func (b *Bus) PublishPace(ctx context.Context, p events.Pace) (published bool, err error) {
	text, err := json.Marshal(p)
	if err != nil {
		return false, fmt.Errorf("encode pace: %w", err)
	}
	return b.PublishTrust(ctx, TrustText{Kind: TrustPace, Version: p.Sequence, Text: text})
}

// Bundles calls take with each newer trust bundle, in the SPIFFE format, until
// ctx ends or the bus is closed. It needs no more than Trust, and reads nothing else.
func (b *Bus) Bundles(ctx context.Context, take func(text []byte)) error {
	return b.each(ctx, b.subjects.TrustBundle(), new(atomic.Pointer[events.Pace]), take)
}

type trustFeed struct {
	bus *Bus
	// subject is what is followed, first what is asked for at first.
	subject, first string
	sub            *nats.Subscription
	messages       chan *nats.Msg
	once           sync.Once
	closed         chan struct{}
	// versions by subject of what was returned.
	versions map[string]uint64
	looked   time.Time
	pace     *atomic.Pointer[events.Pace] // the newest; nil for none
	failures int
	// seen is the sequence up to which the stream was read, firstSeen that of the
	// message on first.
	seen, firstSeen uint64
	// refused is when a text was last told of that does not fit.
	refused time.Time
	// ahead are sequences behind seen that were read already; nil: not yet looked.
	ahead map[uint64]bool
}

func (f *trustFeed) interval() time.Duration {
	if pace := f.pace.Load(); pace != nil {
		return pace.Interval()
	}
	return 0
}

func (f *trustFeed) Close() {
	f.once.Do(func() {
		close(f.closed)
		_ = f.sub.Unsubscribe() // the connection may be gone
	})
}

func (f *trustFeed) Next(ctx context.Context) ([]TrustText, error) {
	for {
		back := f.bus.nextReconnect() // before looking, so that none is missed
		if fresh := f.look(ctx); len(fresh) > 0 {
			return fresh, nil
		}
		wait := max(trustLook, trustLookBeats*f.interval())
		if f.failures > 0 {
			wait = min(firstReconnect<<min(f.failures, 10), longestReconnect)
		}
		timer := time.NewTimer(wait - min(wait, time.Since(f.looked)))
		select {
		case m := <-f.messages:
			timer.Stop()
			if fresh := f.fresh(nil, m.Subject, m.Header, m.Data); len(fresh) > 0 {
				return fresh, nil
			}
			continue
		case <-back:
			f.looked = time.Time{}
		case <-timer.C:
			f.looked = time.Time{}
		case <-f.closed:
			timer.Stop()
			return nil, fmt.Errorf("follow trust: %w", errClosed)
		case <-f.bus.closed:
			timer.Stop()
			return nil, fmt.Errorf("follow trust: %w", nats.ErrConnectionClosed)
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("follow trust: %w", context.Cause(ctx))
		}
		timer.Stop()
	}
}

// look asks the stream for what it has behind what was read, when it is time to.
func (f *trustFeed) look(ctx context.Context) (fresh []TrustText) {
	if !f.looked.IsZero() {
		return nil
	}
	looked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, trustLook)
	defer cancel()
	fresh, err := f.readFirst(ctx)
	if err == nil && len(fresh) > 0 && f.first != f.subject {
		return fresh // the next look has the rest
	}
	if err == nil {
		fresh, err = f.read(ctx, fresh)
	}
	f.looked = looked
	if err == nil {
		f.failures = 0
		return fresh
	}
	if f.failures++; f.failures == 1 && ctx.Err() == nil && !errors.Is(err, jetstream.ErrStreamNotFound) { // not found: not made yet
		f.bus.complain("cannot read "+f.bus.trustStream(), err)
	}
	return fresh
}

// read asks for one message after the other: of several answers to one question, a
// server whose accounts are apart would let a node have the first only.
func (f *trustFeed) read(ctx context.Context, fresh []TrustText) ([]TrustText, error) {
	parts, err := f.readParts(ctx)
	fresh = append(fresh, parts...)
	for err == nil {
		f.step()
		var m stored
		m, err = f.bus.getDirect(ctx, f.bus.trustStream(), map[string]any{"seq": f.seen + 1, "next_by_subj": f.subject})
		if errors.Is(err, errNoPlace) { // rubbish, somewhere behind: step over it
			f.seen, err = f.seen+1, nil
		} else if err == nil {
			f.seen = m.Seq
			fresh = f.fresh(fresh, m.Subject, m.header, m.Data)
		}
	}
	return fresh, unlessMissing(err)
}

// readFirst reads the message that has to be prompt. Its sequence only grows, unless
// the stream was made anew: then all of it is read again.
func (f *trustFeed) readFirst(ctx context.Context) ([]TrustText, error) {
	m, err := f.bus.getDirect(ctx, f.bus.trustStream(), map[string]any{"last_by_subj": f.first})
	if err != nil && !errors.Is(err, errNoMessage) && !errors.Is(err, errNoPlace) {
		return nil, err
	}
	if m.Seq < f.firstSeen {
		f.seen, f.ahead = 0, nil
	}
	f.firstSeen = m.Seq
	if err != nil {
		return nil, nil
	}
	return f.fresh(nil, m.Subject, m.header, m.Data), nil
}

// fresh adds the text unless it is as old as one that was returned. A message
// that lost its race for the stream passes by here, too; its version tells.
func (f *trustFeed) fresh(to []TrustText, subject string, header nats.Header, data []byte) []TrustText {
	t, err := trustTextOf(f.bus.subjects, subject, header, data)
	if err != nil {
		f.refuse(err)
		return to
	}
	if had, ok := f.versions[subject]; ok && had >= t.Version {
		return to
	}
	f.versions[subject] = t.Version
	if t.Kind == TrustPace {
		pace, err := events.ParsePace(t.Text)
		if err != nil {
			f.refuse(err)
			return to
		}
		f.pace.Store(&pace)
	}
	return append(to, t)
}

// refuse tells of a text that does not fit, once a minute: any node may have the
// server send some.
func (f *trustFeed) refuse(err error) {
	if now := time.Now(); now.Sub(f.refused) >= time.Minute {
		f.refused = now
		f.bus.tell("refused a text of "+f.bus.trustStream(), err)
	}
}
