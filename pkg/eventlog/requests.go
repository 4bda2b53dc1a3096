package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const (
	// requestGroup is the queue group of those who answer: one of them gets each
	// request.
	requestGroup = "executors"
	// requestQueue is how many requests may wait here; more are dropped, and the
	// nodes ask again.
	requestQueue = 1024
	// requestWorkers is how many are answered side by side: one that waits for
	// the log must not hold up the others.
	requestWorkers = 8
	// maxRequestBytes bounds the data of a request. Anybody who may speak for a
	// node may send one, and a signing request is a tenth of this.
	maxRequestBytes = 64 << 10
)

// ReasonUnreadable: what came as a request is none.
const ReasonUnreadable fleet.Reason = "unreadable"

// Request sends a node's request to whichever executor takes it, and returns
// the answer: credential.delivered, credential.confirmed, or command.answered
// with the reason of a refusal. An error leaves it open whether the request was
// served.
func (b *Bus) Request(ctx context.Context, id fleet.NodeID, request *events.Event) (*events.Event, error) {
	if !isRequest(request.Type) || request.Node != id {
		return nil, fmt.Errorf("send request of %s: %s of %q is none of its", id, request.Type, request.Node)
	}
	m, err := events.Encode(b.subjects, request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	reply, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("send %s of %s: no executor listens", request.Type, id)
	case err != nil:
		return nil, fmt.Errorf("send %s of %s: %w", request.Type, id, plain(err))
	}
	answer, err := admitAnswer(reply, id)
	if err != nil {
		return nil, fmt.Errorf("read answer to %s of %s: %w", request.Type, id, err)
	}
	return answer, nil
}

func isRequest(t events.Type) bool {
	d, ok := events.Describe(t)
	return ok && d.Channel == events.ChannelRequest
}

// admitAnswer wants one that an executor may give, and that is for this node.
func admitAnswer(m *nats.Msg, id fleet.NodeID) (*events.Event, error) {
	e, err := events.DecodeAnswer(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	if err != nil {
		return nil, err
	}
	if !answersRequest(e, id) {
		return nil, &events.Refusal{Reason: events.ReasonWrongIdentity, Detail: fmt.Sprintf("%s for %q by %q is no answer", e.Type, e.Node, e.Source)}
	}
	if err := events.CheckSchema(e.Type, e.Body); err != nil {
		return nil, err
	}
	return e, nil
}

func answersRequest(e *events.Event, id fleet.NodeID) bool {
	switch e.Type {
	case events.TypeCredentialDelivered, events.TypeCredentialConfirmed, events.TypeCommandAnswered:
		return e.Node == id && e.Source == events.SourceExecutor
	}
	return false
}

// ServeRequests answers requests of all nodes until stop is called, together
// with all others who serve the fleet's: one of them gets each. handle is called
// from several goroutines, with a context that ends with ctx, and with what fits
// the schema; whether the node has signed it is for handle to find out. Answers
// are those of Request. What does not fit is answered with a refusal and told to
// refused, which may be nil.
//
// stop takes no more requests, answers those that have come, and returns when
// the answers are sent. It must be called, and may be called twice.
func (b *Bus) ServeRequests(ctx context.Context, handle func(context.Context, *events.Event) *events.Event, refused func(fleet.NodeID, error)) (stop func(), err error) {
	s := &requestServer{bus: b, handle: handle, refused: refused}
	stop, err = b.listen(ctx, listener{
		subject: b.subjects.AllRequests(), group: requestGroup, queue: requestQueue, workers: requestWorkers, serve: s.serve,
	})
	if err != nil {
		return nil, fmt.Errorf("listen for requests: %w", err)
	}
	return stop, nil
}

type requestServer struct {
	bus     *Bus
	handle  func(context.Context, *events.Event) *events.Event
	refused func(fleet.NodeID, error)
}

func (s *requestServer) serve(ctx context.Context, m *nats.Msg) {
	id, err := s.bus.subjects.RequestNode(m.Subject)
	if err != nil {
		s.tell("", err) // nobody that an answer could be for
		return
	}
	if m.Reply == "" {
		s.tell(id, &events.Refusal{Reason: ReasonUnreadable, Detail: "the request has no place for the answer"})
		return
	}
	s.bus.answer(m, "request", s.answer(ctx, id, m), func(err error) *events.Event {
		return RequestRefused(id, m.Reply, time.Now(), err)
	})
}

func (s *requestServer) answer(ctx context.Context, id fleet.NodeID, m *nats.Msg) *events.Event {
	request, err := s.read(m)
	if err != nil {
		s.tell(id, err)
		return RequestRefused(id, m.Reply, time.Now(), fmt.Errorf("read request: %w", err))
	}
	answer := s.handle(ctx, request)
	if answer == nil || !answersRequest(answer, id) {
		return RequestRefused(id, m.Reply, time.Now(), fmt.Errorf("handle %s: no answer that fits", request.Type))
	}
	return answer
}

func (s *requestServer) read(m *nats.Msg) (*events.Event, error) {
	if len(m.Data) > maxRequestBytes {
		return nil, &events.Refusal{Reason: events.ReasonOversize, Detail: fmt.Sprintf("the request has %d bytes, at most %d are allowed", len(m.Data), maxRequestBytes)}
	}
	e, err := events.Decode(s.bus.subjects, events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	if err != nil {
		return nil, err
	}
	if !isRequest(e.Type) {
		return nil, &events.Refusal{Reason: ReasonUnreadable, Detail: string(e.Type) + " is no request"}
	}
	return e, events.CheckSchema(e.Type, e.Body)
}

func (s *requestServer) tell(id fleet.NodeID, err error) {
	if s.refused != nil {
		s.refused(id, err)
	}
}

// RequestRefused is the answer to a request that is refused. Its reason is that
// of the *fleet.Refusal in err, or else ReasonUnreadable; cause tells the answer
// from others.
func RequestRefused(id fleet.NodeID, cause string, now time.Time, err error) *events.Event {
	reason := fleet.ReasonOf(err)
	if reason == "" {
		reason = ReasonUnreadable
	}
	return &events.Event{
		ID:     events.NewID(string(events.TypeCommandAnswered), string(id), cause),
		Source: events.SourceExecutor, Type: events.TypeCommandAnswered, Node: id, Time: now.UTC(),
		Data: &events.CommandAnswered{Error: err.Error(), Reason: reason},
	}
}
