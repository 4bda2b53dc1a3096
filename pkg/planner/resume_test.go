package planner

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// expired is a log on which a node has proved a credential that has ended since,
// and with a message that is no event.
func expired(t *testing.T) *eventlog.Memory {
	t.Helper()
	log := eventlog.NewMemory(events.DefaultSubjects(), func() time.Time { return dawn })
	key := "sha256:" + strings.Repeat("0", 64)
	for _, e := range []*events.Event{
		{Type: events.TypeNodeAppeared, Data: &events.NodeAppeared{Epoch: 1, Session: "s1", KeyFingerprint: key}},
		{Type: events.TypeCredentialIssued, Data: &events.CredentialIssued{
			Epoch: 1, Action: "a1", Serial: "a1", Nonce: "x", KeyFingerprint: key, NotBefore: dawn, NotAfter: dawn.Add(time.Hour), CertificatePEM: "pem",
		}},
		{Type: events.TypeCredentialProved, Data: &events.CredentialProved{Epoch: 1, Serial: "a1", Nonce: "x"}},
	} {
		e.ID, e.Source, e.Node, e.Time = string(e.Type), events.SourcePlanner, "n1", dawn
		if _, err := log.Append(t.Context(), eventlog.Entry{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.AppendRaw(t.Context(), events.Message{Subject: log.Subjects().Node("n1")}); err != nil {
		t.Fatal(err)
	}
	return log
}

// at folds the log up to a sequence and makes a snapshot of it.
func at(t *testing.T, log eventlog.Log, seq uint64) view.Source {
	t.Helper()
	v := view.New(arriving{log, seq})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	if err := v.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	img, mark := v.Still()
	return func(context.Context) (*snapshot.Snapshot, error) {
		if seq == 0 {
			return nil, nil
		}
		var file bytes.Buffer
		if _, err := snapshot.Encode(&file, img, mark); err != nil {
			return nil, err
		}
		return snapshot.Decode(&file)
	}
}

// What a planner does on time alone it does also about nodes of which it has
// seen no record, and it counts what it has not seen.
func TestAPlannerKnowsWhatASnapshotHolds(t *testing.T) {
	for _, seq := range []uint64{0, 1, 3, 4} {
		log := expired(t)
		metrics := NewMetrics()
		v := view.Resume(log, at(t, log, seq))
		p, err := New(Config{
			Log: log, View: v, Inventories: view.NewInventories(func(context.Context, string) ([]byte, error) { return nil, nil }),
			Sightings: noSightings{}, Statements: noStatements{}, Lease: time.Second, Logger: zerolog.Nop(), Metrics: metrics,
			Now: func() time.Time { return dawn.Add(time.Hour) },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- v.Run(ctx) }()
		if err := v.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		// One that is in the snapshot counts without its reason.
		n := 0.0
		for _, reason := range []string{"before_snapshot", string(events.ReasonBadAttribute)} {
			n += testutil.ToFloat64(metrics.unfit.WithLabelValues(reason))
		}
		if n != 1 || testutil.ToFloat64(metrics.sequence) != 4 {
			t.Errorf("from %d: %v unfit at sequence %v", seq, n, testutil.ToFloat64(metrics.sequence))
		}
		if err := p.step(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		<-ended
		records, err := log.Read(t.Context(), 4, 10)
		if err != nil || len(records) != 1 || records[0].Event.Type != events.TypeCredentialExpired {
			t.Errorf("from %d: appended %v, %v", seq, records, err)
		}
	}
}
