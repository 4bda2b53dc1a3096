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

// ErrNoAgent means that no agent of the node listens for commands right now.
var ErrNoAgent = errors.New("no agent listens")

// commandQueue is how many commands may wait at an agent; more are dropped, and
// whoever sent them hears nothing.
const commandQueue = 64

// Command sends a command to the agent of its node and returns the answer, an
// event of type command.answered. What went wrong at the agent stands in the
// answer. The error is ErrNoAgent when nobody listens; any other leaves it open
// whether the command was carried out.
func (b *Bus) Command(ctx context.Context, command *events.Event) (*events.Event, error) {
	if !isCommand(command.Type) {
		return nil, fmt.Errorf("send command: %s is none", command.Type)
	}
	m, err := events.Encode(b.subjects, command)
	if err != nil {
		return nil, fmt.Errorf("encode command: %w", err)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	reply, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("send %s to %s: %w", command.Type, command.Node, ErrNoAgent)
	case err != nil:
		return nil, fmt.Errorf("send %s to %s: %w", command.Type, command.Node, plain(err))
	}
	answer, err := admit(b.subjects, reply, events.TypeCommandAnswered)
	if err == nil && (answer.Node != command.Node || answer.Source != events.NodeSource(command.Node)) {
		err = &events.Refusal{Reason: events.ReasonWrongIdentity, Detail: fmt.Sprintf("%q of %q answered for %q", answer.Source, answer.Node, command.Node)}
	}
	if err != nil {
		return nil, fmt.Errorf("read answer of %s to %s: %w", command.Node, command.Type, err)
	}
	return answer, nil
}

func isCommand(t events.Type) bool {
	d, ok := events.Describe(t)
	return ok && d.Channel == events.ChannelCommand && t != events.TypeCommandAnswered
}

// ServeCommands answers the commands to node id, one at a time and in the order
// they come, until stop is called. handle is called from one goroutine with a
// context that ends with ctx. A command that does not fit is answered with an
// error and does not reach it.
//
// stop takes no more commands, answers those that have come, and returns when
// the answers are sent. It must be called, and may be called twice.
func (b *Bus) ServeCommands(ctx context.Context, id fleet.NodeID, handle func(context.Context, *events.Event) *events.Event) (stop func(), err error) {
	s := &commandServer{bus: b, id: id, handle: handle}
	stop, err = b.listen(ctx, listener{subject: b.subjects.Command(id), queue: commandQueue, workers: 1, serve: s.serve})
	if err != nil {
		return nil, fmt.Errorf("listen for commands to %s: %w", id, err)
	}
	return stop, nil
}

type commandServer struct {
	bus    *Bus
	id     fleet.NodeID
	handle func(context.Context, *events.Event) *events.Event
	told   time.Time // of a command that cannot be answered
}

func (s *commandServer) serve(ctx context.Context, m *nats.Msg) {
	if m.Reply == "" {
		// Any node may have the server send some: told once a minute.
		if now := time.Now(); now.Sub(s.told) >= time.Minute {
			s.told = now
			s.bus.tell("command without a place for the answer was passed over", nil)
		}
		return
	}
	s.bus.answer(m, "command", s.answer(ctx, m), func(err error) *events.Event { return s.failure(m, err) })
}

func (s *commandServer) answer(ctx context.Context, m *nats.Msg) *events.Event {
	command, err := events.Decode(s.bus.subjects, events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	switch {
	case err != nil:
		return s.failure(m, fmt.Errorf("read command: %w", err))
	case !isCommand(command.Type):
		return s.failure(m, fmt.Errorf("read command: %s is none", command.Type))
	}
	if err := events.CheckSchema(command.Type, command.Body); err != nil {
		return s.failure(m, fmt.Errorf("read command: %w", err))
	}
	answer := s.handle(ctx, command)
	switch {
	case answer == nil:
		return s.failure(m, fmt.Errorf("handle %s: no answer", command.Type))
	case answer.Type != events.TypeCommandAnswered || answer.Node != s.id:
		return s.failure(m, fmt.Errorf("handle %s: answer is %s of %q", command.Type, answer.Type, answer.Node))
	}
	return answer
}

func (s *commandServer) failure(m *nats.Msg, err error) *events.Event {
	return &events.Event{
		ID:     events.NewID(string(events.TypeCommandAnswered), string(s.id), m.Reply),
		Source: events.NodeSource(s.id), Type: events.TypeCommandAnswered, Node: s.id,
		Time: time.Now().UTC(), Data: &events.CommandAnswered{Error: err.Error()},
	}
}

// manyQueue is how many commands may wait at one who speaks for many nodes.
const manyQueue = 16 << 10

// ServeCommandsOf is ServeCommands for one who speaks for many nodes, of which
// mine knows each: commands to others are passed over, and whoever sent them hears
// nothing. workers are handled side by side, also those to one node.
func (b *Bus) ServeCommandsOf(ctx context.Context, mine func(fleet.NodeID) bool, workers int, handle func(context.Context, *events.Event) *events.Event) (stop func(), err error) {
	serve := func(ctx context.Context, m *nats.Msg) {
		if id, err := b.subjects.CommandNode(m.Subject); err == nil && mine(id) {
			(&commandServer{bus: b, id: id, handle: handle}).serve(ctx, m)
		}
	}
	stop, err = b.listen(ctx, listener{subject: b.subjects.AllCommands(), queue: manyQueue, workers: workers, serve: serve})
	if err != nil {
		return nil, fmt.Errorf("listen for commands to many nodes: %w", err)
	}
	return stop, nil
}
