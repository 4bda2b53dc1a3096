package eventlog

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func renewalRequest(id fleet.NodeID, nonce string) *events.Event {
	return &events.Event{
		ID: events.NewID(string(id), nonce), Source: "spiffe://fleet.example/" + string(id), Type: events.TypeRenewalRequested,
		Node: id, Time: time.Now().UTC(), DSSEMaterial: []byte("{}"),
		Data: &events.RenewalRequested{Epoch: 1, Serial: "0a", CSRPEM: csr, Nonce: "0123456789abcdef" + nonce},
	}
}

func confirmation(id fleet.NodeID, serial string) *events.Event {
	return &events.Event{
		ID: events.NewID(string(id), serial), Source: events.SourceExecutor, Type: events.TypeCredentialConfirmed,
		Node: id, Time: time.Now().UTC(), Data: &events.CredentialConfirmed{Serial: serial},
	}
}

// serveRequests answers with handle until the test ends, and tells the misfits.
func serveRequests(t *testing.T, b *Bus, handle func(*events.Event) *events.Event) (refused func() []string) {
	t.Helper()
	var mu sync.Mutex
	var reasons []string
	stop, err := b.ServeRequests(t.Context(), func(_ context.Context, e *events.Event) *events.Event { return handle(e) },
		func(id fleet.NodeID, err error) {
			mu.Lock()
			defer mu.Unlock()
			reasons = append(reasons, string(id)+" "+string(fleet.ReasonOf(err)))
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), reasons...)
	}
}

func TestARequestIsAnsweredByOneOfSeveral(t *testing.T) {
	b := busOn(t)
	var mu sync.Mutex
	handled := 0
	for range 2 {
		serveRequests(t, connectTo(t, Options{URL: b.nc.ConnectedUrl()}), func(e *events.Event) *events.Event {
			mu.Lock()
			defer mu.Unlock()
			handled++
			if d, ok := e.Data.(*events.RenewalRequested); !ok || string(e.DSSEMaterial) != "{}" || d.CSRPEM != csr {
				t.Errorf("request is %+v", e)
			}
			return confirmation(e.Node, "0b")
		})
	}
	for _, nonce := range []string{"1", "2", "3"} {
		answer, err := b.Request(within(t), "nyc/n.1", renewalRequest("nyc/n.1", nonce))
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := answer.Data.(*events.CredentialConfirmed); !ok || c.Serial != "0b" {
			t.Errorf("answer is %+v", answer.Data)
		}
	}
	if mu.Lock(); handled != 3 {
		t.Errorf("3 requests were handled %d times", handled)
	}
	mu.Unlock()
}

func TestARequestThatNobodyServes(t *testing.T) {
	b := busOn(t)
	if _, err := b.Request(within(t), "n1", renewalRequest("n1", "1")); err == nil || !strings.Contains(err.Error(), "no executor listens") {
		t.Errorf("error is %v", err)
	}
	for _, e := range []*events.Event{renewalRequest("n2", "1"), heartbeat("n1", "s", false)} {
		if _, err := b.Request(within(t), "n1", e); err == nil || !strings.Contains(err.Error(), "is none of its") {
			t.Errorf("%s of %s as a request of n1: %v", e.Type, e.Node, err)
		}
	}
}

// What does not fit is refused with its reason, and reaches nobody.
func TestRequestsThatDoNotFitAreRefused(t *testing.T) {
	b := busOn(t)
	refused := serveRequests(t, b, func(e *events.Event) *events.Event {
		t.Errorf("a misfit reached the handler: %+v", e)
		return nil
	})
	subject := b.subjects.Request("n1")
	of := func(e *events.Event) *nats.Msg {
		m, err := events.EncodeTo(subject, e)
		if err != nil {
			t.Fatal(err)
		}
		return &nats.Msg{Subject: subject, Header: m.Header, Data: m.Data}
	}
	short := renewalRequest("n1", "1")
	short.Data.(*events.RenewalRequested).Nonce = "short"
	for name, c := range map[string]struct {
		m    *nats.Msg
		want fleet.Reason
	}{
		"garbage":            {&nats.Msg{Subject: subject, Data: []byte("garbage")}, events.ReasonBadAttribute},
		"more than is read":  {&nats.Msg{Subject: subject, Data: make([]byte, 1<<20)}, events.ReasonOversize},
		"for another node":   {of(renewalRequest("n2", "1")), events.ReasonWrongSubject},
		"a command":          {of(stopRequest("n1", "x")), events.ReasonWrongSubject},
		"against its schema": {of(short), events.ReasonSchema},
	} {
		reply, err := b.nc.RequestMsgWithContext(within(t), c.m)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := admitAnswer(reply, "n1")
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := answer.Data.(*events.CommandAnswered); !ok || a.Reason != c.want || !strings.HasPrefix(a.Error, "read request: ") {
			t.Errorf("%s: %+v, want %s", name, answer.Data, c.want)
		}
	}
	if got := refused(); len(got) != 5 || !strings.HasPrefix(got[0], "n1 ") {
		t.Errorf("told of %q", got)
	}
}

func TestAnAnswerToARequestMustComeFromAnExecutor(t *testing.T) {
	b := busOn(t)
	answers := []*events.Event{answerOf("n1", ""), confirmation("n2", "0b"), stopRequest("n1", "x")}
	sub, err := b.nc.Subscribe(b.subjects.Request("n1"), func(m *nats.Msg) {
		a, err := events.EncodeTo(m.Reply, answers[0])
		answers = answers[1:]
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
	for range 3 {
		if _, err := b.Request(within(t), "n1", renewalRequest("n1", "1")); fleet.ReasonOf(err) != events.ReasonWrongIdentity {
			t.Errorf("error is %v", err)
		}
	}
}

func TestARequestHandlerThatAnswersWronglyIsReported(t *testing.T) {
	b := busOn(t)
	answers := []*events.Event{nil, answerOf("n1", ""), confirmation("n2", "0b"), stopRequest("n1", "x")}
	serveRequests(t, b, func(*events.Event) *events.Event {
		a := answers[0]
		answers = answers[1:]
		return a
	})
	for range 4 {
		answer, err := b.Request(within(t), "n1", renewalRequest("n1", "1"))
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := answer.Data.(*events.CommandAnswered); !ok || a.Error == "" || a.Reason != ReasonUnreadable {
			t.Errorf("answer is %+v, not a refusal", answer.Data)
		}
	}
}

func TestStopAnswersRequestsThatHaveCome(t *testing.T) {
	b := busOn(t)
	executor := connectTo(t, Options{URL: b.nc.ConnectedUrl()})
	entered, release := make(chan struct{}, 1), make(chan struct{})
	stop, err := executor.ServeRequests(t.Context(), func(_ context.Context, e *events.Event) *events.Event {
		entered <- struct{}{}
		<-release
		return confirmation(e.Node, "0b")
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := b.Request(within(t), "n1", renewalRequest("n1", "1"))
		failed <- err
	}()
	<-entered
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	release <- struct{}{}
	<-stopped
	stop()
	if err := <-failed; err != nil {
		t.Errorf("answer under way at stop: %v", err)
	}
}
