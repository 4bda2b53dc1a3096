package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// trustQueue is how many texts may wait for Next; more are dropped, and found
	// again by the next look.
	trustQueue = 1024
	// trustLook is how often the stream itself is asked: a text that only passed
	// by, and was lost, is found then.
	trustLook = 30 * time.Second
)

// Trusts follows the trust stream. Next is for one goroutine; Close may be
// called from another, once.
type Trusts interface {
	// Next waits and returns what is new, at least one: first the newest of each
	// kind and issuer, then each newer one. Versions of one kind and issuer only grow.
	Next(ctx context.Context) ([]TrustText, error)
	Close()
}

// Trust follows the trust stream. It needs no more than a node has: to subscribe
// to <prefix>.trust.> and to get from the stream directly. A stream that is not
// there yet is waited for.
func (b *Bus) Trust(context.Context) (Trusts, error) {
	return b.trust(b.subjects.AllTrust(), b.subjects.TrustPosture())
}

// trust follows what is on subject, which may have wildcards. first is the one of
// it that is asked for before all others.
func (b *Bus) trust(subject, first string) (Trusts, error) {
	f := &trustFeed{bus: b, subject: subject, first: first, messages: make(chan *nats.Msg, trustQueue), closed: make(chan struct{}), versions: make(map[string]uint64)}
	var err error
	f.sub, err = b.nc.ChanSubscribe(subject, f.messages)
	if err != nil {
		return nil, fmt.Errorf("follow trust: %w", plain(err))
	}
	return f, nil
}

// Bundles calls take with each newer trust bundle, in the SPIFFE format, until
// ctx ends or the bus is closed. It needs no more than Trust, and reads nothing else.
func (b *Bus) Bundles(ctx context.Context, take func(text []byte)) error {
	feed, err := b.trust(b.subjects.TrustBundle(), b.subjects.TrustBundle())
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
			if t.Kind == TrustBundle {
				take(t.Text)
			}
		}
	}
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
	failures int
	// seen is the sequence up to which the stream was read, firstSeen that of the
	// message on first.
	seen, firstSeen uint64
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
		wait := trustLook
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
	f.looked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, trustLook)
	defer cancel()
	fresh, err := f.read(ctx)
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
func (f *trustFeed) read(ctx context.Context) (fresh []TrustText, err error) {
	fresh, err = f.readFirst(ctx)
	for err == nil {
		var m stored
		m, err = f.bus.getDirect(ctx, f.bus.trustStream(), map[string]any{"seq": f.seen + 1, "next_by_subj": f.subject})
		if errors.Is(err, errNoPlace) { // rubbish, somewhere behind: step over it
			f.seen, err = f.seen+1, nil
		} else if err == nil {
			f.seen = m.Seq
			fresh = f.fresh(fresh, m.Subject, m.header, m.Data)
		}
	}
	if errors.Is(err, errNoMessage) {
		err = nil
	}
	return fresh, err
}

// readFirst reads the message that has to be prompt. Its sequence only grows, unless
// the stream was made anew: then all of it is read again.
func (f *trustFeed) readFirst(ctx context.Context) ([]TrustText, error) {
	m, err := f.bus.getDirect(ctx, f.bus.trustStream(), map[string]any{"last_by_subj": f.first})
	if err != nil && !errors.Is(err, errNoMessage) && !errors.Is(err, errNoPlace) {
		return nil, err
	}
	if m.Seq < f.firstSeen {
		f.seen = 0
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
		f.bus.tell("refused a text of "+f.bus.trustStream(), err)
		return to
	}
	if had, ok := f.versions[subject]; ok && had >= t.Version {
		return to
	}
	f.versions[subject] = t.Version
	return append(to, t)
}
