package eventlog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

type toldHeader struct {
	id  fleet.NodeID
	err error
}

func watchHeaders(t *testing.T, b *Bus) <-chan toldHeader {
	t.Helper()
	told := make(chan toldHeader, 10*watchRate)
	stop, err := b.WatchHeaders(t.Context(), func(id fleet.NodeID, err error) { told <- toldHeader{id, err} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return told
}

func say(t *testing.T, b *Bus, subject string, headers ...string) {
	t.Helper()
	m := nats.NewMsg(subject)
	for i := 0; i+1 < len(headers); i += 2 {
		m.Header[headers[i]] = []string{headers[i+1]}
	}
	if err := b.nc.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
}

// Each header by which a node asks the stream for more than to store its message is
// told of, once, whoever watches; no other is.
func TestHeadersThatAStreamRefusesAreToldOf(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	b := testBus(t, s, Options{})
	one, two := watchHeaders(t, b), watchHeaders(t, testBus(t, s, Options{}))
	harmless := []string{"Nats-TTL", "15s", "Nats-Msg-Id", "x", "ce-type", "node.heartbeat", "Nats-Marker-Reason", "MaxAge"}
	for _, name := range []string{"Nats-Rollup", "Nats-Schedule", "Nats-Schedule-Target", "Nats-Incr", "Nats-Batch-Id", "Nats-Expected-Stream", "Nats-Expected-Last-Sequence", "Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Msg-Id"} {
		for _, subject := range []string{"fleet.presence.region%2Fn1", "fleet.credential.region%2Fn1"} {
			say(t, b, subject, harmless...)
			say(t, b, subject, append([]string{name, "all"}, harmless...)...)
			var got toldHeader
			select {
			case got = <-one:
			case got = <-two:
			case <-time.After(30 * time.Second):
				t.Fatalf("nothing is told of %s", name)
			}
			if got.id != "region/n1" || fleet.ReasonOf(got.err) != ReasonForbiddenHeader || !strings.Contains(got.err.Error(), fmt.Sprintf("header %q on %q", name, subject)) {
				t.Errorf("of %s is told %+v", name, got)
			}
		}
	}
	b.flush(t.Context())
	if len(one)+len(two) > 0 {
		t.Errorf("and %d more", len(one)+len(two))
	}
}

// More than so many a second are not looked at, and that passes.
func TestAFloodOfMessagesIsNotAllLookedAt(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	b := testBus(t, s, Options{})
	told := watchHeaders(t, b)
	began := time.Now()
	for range 4 * watchRate {
		say(t, b, "fleet.presence.n1", "Nats-Rollup", "all")
	}
	b.flush(t.Context())
	seconds := int(time.Since(began)/time.Second) + 2
	if len(told) > seconds*watchRate {
		t.Errorf("%d were looked at in %d seconds", len(told), seconds)
	}
	for { // whoever asks later is seen again
		say(t, b, "fleet.presence.n2", "Nats-Rollup", "all")
		select {
		case got := <-told:
			if got.id == "n2" {
				return
			}
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(began) > time.Minute {
			t.Fatal("nothing is told of later")
		}
	}
}
