package eventlog

import (
	"context"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// within bounds a test that would otherwise wait for ever.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// busOn starts a server on a free port and connects to it. Both end with the test.
func busOn(t *testing.T) *Bus {
	t.Helper()
	s := startServer(t, t.TempDir(), natsd.RandomPort)
	t.Cleanup(s.Shutdown)
	b := connectTo(t, Options{URL: s.URL()})
	if err := b.EnsureStreams(within(t)); err != nil {
		t.Fatal(err)
	}
	return b
}

func startServer(t *testing.T, dir string, port int) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(natsd.Options{Dir: dir, Port: port, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func portOf(t *testing.T, s *natsd.Server) int {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func connectTo(t *testing.T, o Options) *Bus {
	t.Helper()
	o.Name = t.Name()
	b, err := Connect(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// publish sends raw bytes, as a program that is not ours would.
func publish(t *testing.T, b *Bus, subject string, header nats.Header, data string) {
	t.Helper()
	if _, err := b.js.PublishMsg(within(t), &nats.Msg{Subject: subject, Header: header, Data: []byte(data)}); err != nil {
		t.Fatal(err)
	}
}

func heartbeat(id fleet.NodeID, session string, leaving bool) *events.Event {
	return &events.Event{
		ID: events.NewID(string(id), session), Source: events.NodeSource(id), Type: events.TypeNodeHeartbeat,
		Node: id, Time: time.Now().UTC(),
		Data: &events.Heartbeat{Session: session, LeaseSeconds: 15, KeyFingerprint: fingerprint, Leaving: leaving},
	}
}

const fingerprint = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func beat(t *testing.T, b *Bus, id fleet.NodeID, session string, lease time.Duration) {
	t.Helper()
	if err := b.Beat(within(t), id, heartbeat(id, session, false), lease); err != nil {
		t.Fatal(err)
	}
}
