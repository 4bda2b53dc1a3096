package eventlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// What the watch of headers costs is bounded: of each kind of message so many a
// second are looked at, whatever comes.
const (
	watchGroup = "planners"
	watchRate  = 5000
)

// forbidden is how those headers begin by which a publisher asks a stream for more
// than to store its message. The stream of what nodes say knows the first ones not,
// stores nothing then, and tells nobody but the publisher. The last ones it heeds, on
// the node's own message; what it does not store for them it does not tell, either.
var forbidden = []string{"Nats-Rollup", "Nats-Schedule", "Nats-Incr", "Nats-Batch-", "Nats-Expected-"}

// ReasonForbiddenHeader: a node has asked a stream for more than to store its message.
const ReasonForbiddenHeader fleet.Reason = "forbidden_header"

// forbiddenHeader is the refusal of a message with such a header; nil without one.
func forbiddenHeader(m *nats.Msg) error {
	if len(m.Header) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		if slices.ContainsFunc(forbidden, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return &fleet.Refusal{Reason: ReasonForbiddenHeader, Detail: fmt.Sprintf("header %.64q on %q is none that a node may use", name, m.Subject)}
		}
	}
	return nil
}

// WatchHeaders looks at what nodes say on its way to the stream, for headers that
// the stream refuses without a word to anybody but the node, and tells of each: the
// node, and a *fleet.Refusal. Of all who watch one sees each message, and nobody more
// than 5,000 a second of heartbeats and as many proofs. tell is called from two
// goroutines, and must not wait. stop must be called, and may be called twice.
func (b *Bus) WatchHeaders(ctx context.Context, tell func(id fleet.NodeID, err error)) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	stop = func() { cancel(); watching.Wait() }
	for _, w := range []headerWatch{
		{bus: b, subject: b.subjects.AllPresence(), nodeOf: b.subjects.PresenceNode, tell: tell},
		{bus: b, subject: b.subjects.AllCredentials(), nodeOf: b.subjects.CredentialNode, tell: tell},
	} {
		if err := w.subscribe(); err != nil {
			stop()
			return nil, fmt.Errorf("watch headers on %s: %w", w.subject, plain(err))
		}
		watching.Go(func() { w.run(ctx) })
	}
	b.flush(ctx)
	return stop, nil
}

type headerWatch struct {
	bus     *Bus
	subject string
	nodeOf  func(string) (fleet.NodeID, error)
	tell    func(fleet.NodeID, error)
	sub     *nats.Subscription
	came    chan *nats.Msg
	seen    int // by sub
}

// subscribe has the server stop by itself after as many as may come in a second.
func (w *headerWatch) subscribe() (err error) {
	w.seen, w.came = 0, make(chan *nats.Msg, watchRate)
	if w.sub, err = w.bus.nc.ChanQueueSubscribe(w.subject, watchGroup, w.came); err != nil {
		return err
	}
	return w.sub.AutoUnsubscribe(watchRate)
}

func (w *headerWatch) run(ctx context.Context) {
	defer func() { _ = w.sub.Unsubscribe() }() // fails only where it has ended
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case m := <-w.came:
			w.seen++
			w.look(m)
		case <-tick.C:
			if err := w.goOn(); err != nil {
				return // the connection was closed
			}
		case <-ctx.Done():
			return
		}
	}
}

// goOn lets another second's worth come.
func (w *headerWatch) goOn() error {
	if w.sub.IsValid() && w.sub.AutoUnsubscribe(w.seen+watchRate) == nil {
		return nil
	}
	if len(w.came) > 0 {
		return nil // first what came
	}
	return w.subscribe()
}

func (w *headerWatch) look(m *nats.Msg) {
	refusal := forbiddenHeader(m)
	if refusal == nil {
		return
	}
	id, err := w.nodeOf(m.Subject)
	if err != nil {
		id = ""
	}
	w.tell(id, refusal)
}
