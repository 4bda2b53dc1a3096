package eventlog

import (
	"context"
	"errors"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
)

func TestPostsReachTheReceiverAndItsAnswerTheSender(t *testing.T) {
	b := testBus(t, testServer(t, t.TempDir(), 0), Options{})
	m := events.Message{Subject: b.PostSubject("a/b"), Header: map[string][]string{"ce-id": {"1"}}, Data: []byte("x")}
	if m.Subject != "fleet.post.a%2Fb" {
		t.Errorf("subject is %s", m.Subject)
	}
	if _, err := b.Post(patience(t), m); !errors.Is(err, ErrNoReceiver) {
		t.Errorf("nobody listens: %v", err)
	}
	stop, err := b.ServePosts(patience(t), "a/b", func(_ context.Context, got events.Message) events.Message {
		return events.Message{Header: got.Header, Data: append([]byte(got.Subject+" "), got.Data...)}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	answer, err := b.Post(patience(t), m)
	if err != nil || string(answer.Data) != "fleet.post.a%2Fb x" || answer.Header["ce-id"][0] != "1" {
		t.Errorf("answer %q %v, %v", answer.Data, answer.Header, err)
	}
	stop()
	stop()
	if _, err := b.Post(patience(t), m); !errors.Is(err, ErrNoReceiver) {
		t.Errorf("the receiver has stopped: %v", err)
	}
}
