package eventlog

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// dedupWindow is how long the server remembers the id of a message.
const dedupWindow = 2 * time.Minute

// A server that is told the ids of messages keeps a second one off the log, for
// two minutes. Nothing here relies on that: behind the window it is stored, and
// changes the fold as little as before; under its fence it is never stored.
func TestOnceOnlyComesFromFoldAndFence(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		log := b.Log()
		e := &events.Event{
			ID: "once", Source: events.SourcePlanner, Type: events.TypeNodeAppeared, Node: "n1", Time: time.Now(),
			Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: "sha256:00"},
		}
		send := func(wantDuplicate bool) {
			t.Helper()
			m, err := events.Encode(b.subjects, e)
			if err != nil {
				t.Fatal(err)
			}
			ack, err := b.js.PublishMsg(within(t), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, jetstream.WithMsgID(e.ID))
			if err != nil {
				t.Fatal(err)
			}
			if ack.Duplicate != wantDuplicate {
				t.Errorf("duplicate is %v %s", ack.Duplicate, time.Now())
			}
			if _, err := log.Append(within(t), Entry{Event: e, Fence: LastOnSubject(0)}); !errors.Is(err, ErrConflict) {
				t.Errorf("append under its fence: %v", err)
			}
		}
		send(false)
		time.Sleep(dedupWindow - time.Second) // fake time
		send(true)
		time.Sleep(2 * time.Second)
		send(false)

		records, err := log.Read(within(t), 0, 10)
		if err != nil || len(records) != 2 {
			t.Fatalf("the log has %d records, %v", len(records), err)
		}
		st := projection.New()
		for i, r := range records {
			change, err := st.Apply(r.Sequence, r.Time, r.Event)
			if err != nil {
				t.Fatal(err)
			}
			if first := i == 0; first != (len(change.Nodes) == 1) {
				t.Errorf("record %d changed %v", r.Sequence, change.Nodes)
			}
		}
	})
}
