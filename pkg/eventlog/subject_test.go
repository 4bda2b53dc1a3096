package eventlog

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// Reading one subject leaves out the others, pages, and is not ended by a message
// that looks like the end of an answer.
func TestReadSubject(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	writer, reader := testBus(t, s, Options{}), testBus(t, s, Options{NoConsumers: true})
	control, plan := writer.subjects.Control(), writer.subjects.Plan()
	place := nats.Header{"Nats-Sequence": {"1"}, "Nats-Stream": {"OTHER"}, "Nats-Subject": {plan}, "Nats-Time-Stamp": {"1999-01-01T00:00:00Z"}}
	for _, header := range []nats.Header{{}, {"Status": {"404"}}, place, {"Status": {"204"}, "Description": {"EOB"}}, {}} {
		publish(t, writer, plan, nats.Header{}, "")
		publish(t, writer, control, header, "")
	}
	for _, bus := range []*Bus{writer, reader} {
		for after, want := range map[uint64][]uint64{0: {2, 4, 6, 8, 10}, 2: {4, 6, 8, 10}, 3: {4, 6, 8, 10}, 9: {10}, 10: nil, 99: nil} {
			records, err := bus.ReadSubject(patience(t), control, after, 100)
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for _, r := range records {
				got = append(got, r.Sequence)
				if r.Message.Subject != control {
					t.Errorf("record %d is on %s", r.Sequence, r.Message.Subject)
				}
			}
			if len(got) != len(want) {
				t.Errorf("behind %d are %v, want %v", after, got, want)
				continue
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("behind %d are %v, want %v", after, got, want)
				}
			}
		}
		if records, err := bus.ReadSubject(patience(t), control, 0, 2); err != nil || len(records) != 2 {
			t.Errorf("of two there came %d, %v", len(records), err)
		}
		if records, err := bus.ReadSubject(patience(t), writer.subjects.Trust(), 0, 2); err != nil || len(records) != 0 {
			t.Errorf("of nothing there came %d, %v", len(records), err)
		}
	}
}

// One whose place cannot be read is found all the same.
func TestReadSubjectBehindAnUnreadableMessage(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	bus := testBus(t, s, Options{})
	control := bus.subjects.Control()
	publish(t, bus, bus.subjects.Plan(), nats.Header{}, "")
	publishUnreadable(t, s, control)
	publish(t, bus, control, nats.Header{}, "")
	ctx := patience(t)
	for { // the connection that wrote it may be ahead of the stream
		if last, err := bus.Log().Last(ctx); err != nil || last == 3 {
			break
		}
	}
	records, err := bus.ReadSubject(ctx, control, 0, 10)
	if err != nil || len(records) != 2 || records[0].Sequence != 2 || records[1].Sequence != 3 {
		t.Errorf("%d records, %v: %+v", len(records), err, records)
	}
}
