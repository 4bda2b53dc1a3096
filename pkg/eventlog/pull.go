package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullExpires is how long one request for messages stays open at the
	// server, and so how often a quiet reader looks whether it has stalled.
	pullExpires = 2 * time.Second
	// pullGrace is how much later the server's word that it is over may come.
	pullGrace = time.Second
)

// What may come instead of a message.
var (
	errPullIdle = errors.New("no message came")
	errPullGone = errors.New("consumer cannot be read")
	errClosed   = errors.New("closed")
)

// pull reads a consumer by requests of our own. What nodes publish reaches us
// with the headers they chose, and the client library takes a "Status" header
// on an empty message for the server's word. Here that word is a message
// without an acknowledgement subject, which no node can send.
type pull struct {
	bus     *Bus
	request string // subject of the requests
	batch   int
	// least and most bound what batch is adapted to; 0: it stays as it is.
	least, most int
	// ahead is with how many messages to come the next request goes out: the
	// server then reads on while those are worked on. 0: with none.
	ahead int
	// maxBytes bounds what one request may bring; 0: nothing does. The server
	// cuts off whoever has too much waiting.
	maxBytes int
	// large says that the next message alone has more than maxBytes.
	large       bool
	sub         *nats.Subscription
	messages    chan *nats.Msg
	closed      chan nats.Status
	reconnected <-chan struct{}
	// lost, unless nil, ends the pull as soon as the connection is lost.
	lost <-chan struct{}
	// open is how many messages the requests under way may still bring, and
	// brought says that one came since the last of them ended.
	open     int
	brought  bool
	deadline time.Time
}

func (b *Bus) newPull(stream, consumer string, batch int) (*pull, error) {
	p := &pull{
		bus: b, batch: batch,
		request:  b.apiPrefix() + "CONSUMER.MSG.NEXT." + stream + "." + consumer,
		messages: make(chan *nats.Msg, 2*batch+16),
	}
	var err error
	p.sub, err = b.nc.ChanSubscribe(b.nc.NewInbox(), p.messages)
	if err != nil {
		return nil, fmt.Errorf("subscribe for messages: %w", err)
	}
	p.closed = b.nc.StatusChanged(nats.CLOSED)
	return p, nil
}

// apiPrefix is where the client library sends its own requests.
func (b *Bus) apiPrefix() string {
	o := b.js.Options()
	switch {
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "."
	}
	return jetstream.DefaultAPIPrefix
}

// stop reads no more. What had already come, and what the request that is still
// open at the server brings until it ends or the connection does, goes to
// unread: the server thinks it was handed out, and would keep it from others
// until its time is over.
func (p *pull) stop(unread func(*nats.Msg)) {
	go func() {
		defer p.bus.nc.RemoveStatusListener(p.closed)
		defer func() { _ = p.sub.Unsubscribe() }() // fails only where the connection has ended
		timer := time.NewTimer(time.Until(p.deadline))
		defer timer.Stop()
		for p.open > 0 || p.waiting() {
			select {
			case m := <-p.messages:
				if m, _ := p.take(m); m != nil {
					unread(m)
				}
			case <-p.closed:
				return
			case <-timer.C:
				return
			}
		}
	}()
}

// withdrawTime bounds the wait for the server to hear that nothing is asked for.
const withdrawTime = 2 * time.Second

// withdraw takes back what is still asked for. When it returns the server hands
// out nothing more to this one, and unread has had all that had come: what is
// given back from then on goes to others. A server that is away forgets by itself.
func (p *pull) withdraw(unread func(*nats.Msg)) {
	defer p.bus.nc.RemoveStatusListener(p.closed)
	if err := p.sub.Drain(); err != nil {
		return // the connection has ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTime)
	defer cancel()
	if p.bus.nc.IsConnected() {
		_ = p.bus.nc.FlushWithContext(ctx)
	}
	for p.waiting() {
		if m, _ := p.take(<-p.messages); m != nil {
			unread(m)
		}
	}
}

// next waits for the next message. errPullIdle says that a request ended
// without one, errPullGone that the consumer has to be made again.
func (p *pull) next(ctx context.Context) (m *nats.Msg, err error) {
	for m == nil && err == nil {
		m, err = p.wait(ctx)
	}
	return m, err
}

// some waits for the next message and returns it with those that are here
// already, at most limit. Messages may come along with an error.
func (p *pull) some(ctx context.Context, limit int) (got []*nats.Msg, err error) {
	m, err := p.next(ctx)
	if err != nil {
		return nil, err
	}
	got = append(make([]*nats.Msg, 0, min(limit, 1+len(p.messages))), m)
	for err == nil && len(got) < limit && p.waiting() {
		if m, err = p.wait(ctx); m != nil {
			got = append(got, m)
		}
	}
	return got, err
}

// wait is next, but for a request that ended after it had brought messages:
// that is no silence to look behind, and the next request follows.
func (p *pull) wait(ctx context.Context) (*nats.Msg, error) {
	if p.bus.nc.IsClosed() {
		return nil, nats.ErrConnectionClosed
	}
	if p.open <= p.ahead {
		if err := p.ask(); err != nil {
			return nil, fmt.Errorf("%w: %w", errPullGone, err)
		}
	}
	select { // in a long history the next one is here, and a timer would cost more than it
	case m := <-p.messages:
		return p.take(m)
	default:
	}
	timer := time.NewTimer(time.Until(p.deadline))
	defer timer.Stop()
	select {
	case m := <-p.messages:
		return p.take(m)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, nats.ErrConnectionClosed
	case <-p.lost:
		return nil, errPullGone
	case <-p.reconnected: // the server has forgotten the request
	case <-timer.C:
	}
	p.open = 0
	return nil, errPullIdle
}

// waiting says whether the next message is already here.
func (p *pull) waiting() bool { return len(p.messages) > 0 }

// adapt asks for more at a time where what is open is still on its way, and for
// less where it is already here.
func (p *pull) adapt() {
	if p.most == 0 || !p.brought {
		return
	}
	if len(p.messages) > p.open/2 {
		p.batch = max(p.batch/2, p.least)
	} else {
		p.batch = min(p.batch*2, p.most)
	}
	p.ahead = p.batch / 2
}

func (p *pull) ask() error {
	p.adapt()
	asked := p.batch
	if p.large {
		asked = 1
	}
	question := map[string]any{"batch": asked, "expires": pullExpires}
	if p.maxBytes > 0 && !p.large {
		question["max_bytes"] = p.maxBytes
	}
	p.large = false
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	select {
	case <-p.reconnected:
		p.open = 0
	default:
	}
	p.reconnected = p.bus.nextReconnect()
	if err := p.bus.nc.PublishRequest(p.request, p.sub.Subject, body); err != nil {
		return plain(err)
	}
	if p.open == 0 {
		p.brought = false
	}
	p.open += asked
	p.deadline = time.Now().Add(pullExpires + pullGrace)
	return nil
}

// take returns neither message nor error at the end of a request before which
// something came.
func (p *pull) take(m *nats.Msg) (*nats.Msg, error) {
	if m.Reply != "" {
		p.open, p.brought = max(p.open-1, 0), true
		return m, nil
	}
	p.open = max(p.open-unbrought(m, p.open), 0)
	brought := p.brought
	p.brought = false
	switch status := m.Header.Get("Status"); {
	case status == "404", status == "408": // none there, or no more came in time
		if brought {
			return nil, nil
		}
		return nil, errPullIdle
	case status == "409" && strings.Contains(m.Header.Get("Description"), "MaxBytes"): // more would be too much at once
		p.large = !brought
		return nil, errPullIdle
	case status == "409" && m.Header.Get("Description") == "Batch Completed": // said where bytes are bounded, too
		return nil, nil
	default:
		p.open = 0
		return nil, fmt.Errorf("%w: %s %s", errPullGone, status, m.Header.Get("Description"))
	}
}

// unbrought is how many of its messages the request did not bring that ended with
// the server's word m; all that are open where it does not say.
func unbrought(m *nats.Msg, open int) int {
	n, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil || n < 0 {
		return open
	}
	return n
}

// pause waits before the try number n. While there is no connection it waits
// for that: every try before would fail.
func (b *Bus) pause(ctx context.Context, n int) error { return b.pauseUnless(ctx, n, nil) }

// pauseUnless is a pause that stop ends.
func (b *Bus) pauseUnless(ctx context.Context, n int, stop <-chan struct{}) error {
	back := b.nextReconnect() // before asking, so that none is missed
	var again <-chan time.Time
	if b.nc.IsConnected() {
		timer := time.NewTimer(min(firstReconnect<<min(n, 10), longestReconnect))
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-stop:
	case <-b.closed:
	case <-back:
	case <-again:
	}
	if b.nc.IsClosed() {
		return nats.ErrConnectionClosed
	}
	return nil
}

// placeOf reads the place of a message in its stream, and when it was stored.
func placeOf(m *nats.Msg) (seq uint64, at time.Time, err error) {
	if seq, at, ok := quickPlace(m.Reply); ok {
		return seq, at, nil
	}
	meta, err := metadata(m)
	if err != nil {
		return 0, time.Time{}, err
	}
	return meta.Sequence.Stream, meta.Timestamp, nil
}

// quickPlace reads the acknowledgement subjects of a server without a domain,
// $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<of the consumer>.<time>.<pending>.
func quickPlace(reply string) (seq uint64, at time.Time, ok bool) {
	rest, ok := strings.CutPrefix(reply, "$JS.ACK.")
	if !ok || strings.Count(rest, ".") != 6 {
		return 0, time.Time{}, false
	}
	for range 3 {
		_, rest, _ = strings.Cut(rest, ".")
	}
	sequence, rest, _ := strings.Cut(rest, ".")
	_, rest, _ = strings.Cut(rest, ".")
	stored, _, _ := strings.Cut(rest, ".")
	seq, wrong := strconv.ParseUint(sequence, 10, 64)
	nanos, bad := strconv.ParseInt(stored, 10, 64)
	return seq, time.Unix(0, nanos), wrong == nil && bad == nil
}

// metadata reads the place of a message from its acknowledgement subject.
func metadata(m *nats.Msg) (*nats.MsgMetadata, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read place of a message in its stream: %w", err)
	}
	return meta, nil
}

// gone says whether err means that a consumer or its stream is not there.
func gone(err error) bool {
	return errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) ||
		err != nil && strings.Contains(err.Error(), "consumer not found")
}
