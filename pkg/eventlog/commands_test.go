package eventlog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const csr = "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"

func stopRequest(id fleet.NodeID, reason string) *events.Event {
	return &events.Event{
		ID: events.NewID(string(id), reason), Source: events.SourceExecutor, Type: events.TypeNodeStopRequested,
		Node: id, Time: time.Now().UTC(), Data: &events.NodeStopRequested{Reason: fleet.Reason(reason), Forget: true},
	}
}

func answerOf(id fleet.NodeID, csr string) *events.Event {
	return &events.Event{
		ID: "answer", Source: events.NodeSource(id), Type: events.TypeCommandAnswered,
		Node: id, Time: time.Now().UTC(), Data: &events.CommandAnswered{CSRPEM: csr},
	}
}

func TestACommandIsAnswered(t *testing.T) {
	b := busOn(t)
	var got []string
	stop, err := b.ServeCommands(t.Context(), "nyc/n.1", func(_ context.Context, e *events.Event) *events.Event {
		got = append(got, string(e.Data.(*events.NodeStopRequested).Reason))
		return answerOf(e.Node, csr)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"first", "second"} {
		answer, err := b.Command(within(t), stopRequest("nyc/n.1", reason))
		if err != nil {
			t.Fatal(err)
		}
		if a := answer.Data.(*events.CommandAnswered); a.CSRPEM != csr || a.Error != "" {
			t.Errorf("answer is %+v", a)
		}
	}
	stop()
	stop()
	if strings.Join(got, " ") != "first second" {
		t.Errorf("handled %v", got)
	}
	if _, err := b.Command(within(t), stopRequest("nyc/n.1", "third")); !errors.Is(err, ErrNoAgent) {
		t.Errorf("command after stop: %v", err)
	}
}

func TestNoAgentListens(t *testing.T) {
	b := busOn(t)
	if _, err := b.Command(within(t), stopRequest("n1", "x")); !errors.Is(err, ErrNoAgent) {
		t.Errorf("error is %v, want ErrNoAgent", err)
	}
	if _, err := b.Command(within(t), heartbeat("n1", "a", false)); err == nil || errors.Is(err, ErrNoAgent) {
		t.Errorf("a heartbeat as a command: %v", err)
	}
}

func TestACommandThatDoesNotFitIsAnsweredWithAnError(t *testing.T) {
	b := busOn(t)
	stop, err := b.ServeCommands(t.Context(), "n1", func(context.Context, *events.Event) *events.Event {
		t.Error("a misfit reached the handler")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	answered, err := events.EncodeTo(b.subjects.Command("n1"), answerOf("n1", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*nats.Msg{
		{Subject: b.subjects.Command("n1"), Data: []byte("garbage")},
		{Subject: answered.Subject, Header: answered.Header, Data: answered.Data},
	} {
		reply, err := b.nc.RequestMsgWithContext(within(t), m)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := admit(b.subjects, reply, events.TypeCommandAnswered)
		if err != nil {
			t.Fatal(err)
		}
		if a := answer.Data.(*events.CommandAnswered); !strings.HasPrefix(a.Error, "read command: ") {
			t.Errorf("answer is %+v", a)
		}
	}
}

func TestAnAnswerMustComeFromTheNodeThatWasAsked(t *testing.T) {
	b := busOn(t)
	sub, err := b.nc.Subscribe(b.subjects.Command("n1"), func(m *nats.Msg) {
		a, err := events.EncodeTo(m.Reply, answerOf("n2", ""))
		if err == nil {
			err = m.RespondMsg(&nats.Msg{Header: a.Header, Data: a.Data})
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	var refusal *events.Refusal
	if _, err := b.Command(within(t), stopRequest("n1", "x")); !errors.As(err, &refusal) || refusal.Reason != events.ReasonWrongIdentity {
		t.Errorf("error is %v", err)
	}
}

func TestAHandlerThatAnswersWronglyIsReported(t *testing.T) {
	b := busOn(t)
	answers := []*events.Event{nil, answerOf("n2", ""), {Type: events.TypeCommandAnswered, Node: "n1"}}
	stop, err := b.ServeCommands(t.Context(), "n1", func(context.Context, *events.Event) *events.Event {
		a := answers[0]
		answers = answers[1:]
		return a
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for range 3 {
		answer, err := b.Command(within(t), stopRequest("n1", "x"))
		if err != nil {
			t.Fatal(err)
		}
		if answer.Data.(*events.CommandAnswered).Error == "" {
			t.Errorf("answer is %+v, not an error", answer.Data)
		}
	}
}

func TestStopAnswersWhatHasCome(t *testing.T) {
	b := busOn(t)
	agent := connectTo(t, Options{URL: b.nc.ConnectedUrl()})
	entered, release := make(chan struct{}, 2), make(chan struct{})
	stop, err := agent.ServeCommands(t.Context(), "n1", func(context.Context, *events.Event) *events.Event {
		entered <- struct{}{}
		<-release
		return answerOf("n1", csr)
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := b.Command(within(t), stopRequest("n1", "x"))
		failed <- err
	}()
	<-entered
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Fatal("stop did not wait for the handler")
	case release <- struct{}{}:
	}
	<-stopped
	if err := <-failed; err != nil {
		t.Errorf("answer under way at stop: %v", err)
	}
}

// Any node may have the server send what no agent can answer: that must not fill the
// agent's log.
func TestCommandsThatCannotBeAnsweredAreToldOnce(t *testing.T) {
	var told []string
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{Logger: func(event string, _ error) { told = append(told, event) }})
	stop, err := b.ServeCommands(t.Context(), "n1", func(_ context.Context, e *events.Event) *events.Event { return answerOf(e.Node, csr) })
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := b.nc.PublishMsg(&nats.Msg{Subject: b.subjects.Command("n1"), Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Command(within(t), stopRequest("n1", "last")); err != nil {
		t.Fatal(err)
	}
	stop()
	if strings.Join(told, ", ") != "command without a place for the answer was passed over" {
		t.Errorf("told of %q", told)
	}
}
