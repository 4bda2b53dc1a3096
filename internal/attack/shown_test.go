package attack

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/refusals"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// listen takes what nodes report, with the parts of an executor that do so: the test
// has the issuers, and says itself whom to trust.
func (g *target) listen() {
	g.t.Helper()
	fail := func(err error) {
		g.t.Helper()
		if err != nil {
			g.t.Fatal(err)
		}
	}
	appeared := &events.Event{
		ID: "appeared", Source: events.SourcePlanner, Type: events.TypeNodeAppeared, Node: "target", Time: time.Now(),
		Data: &events.NodeAppeared{Epoch: 1, Session: "s", KeyFingerprint: g.root.ca.Fingerprint()},
	}
	_, err := g.bus.Log().Append(g.ctx, eventlog.Entry{Event: appeared})
	fail(err)
	v := view.New(g.bus.Log())
	recorder, err := refusals.New(refusals.Config{Log: g.bus.Log(), View: v, Source: events.SourceExecutor})
	fail(err)
	v.OnRecord(func(r eventlog.Record, _ projection.Change) { recorder.OnRecord(r) })
	vouches, err := attest.OpenLocal(g.t.TempDir(), nil)
	fail(err)
	renewer, err := handlers.NewRenewer(handlers.Config{
		Log: g.bus.Log(), View: v, Inventories: view.NewInventories(g.bus.GetInventory), Commands: g.bus, Attest: vouches.Verifiers(),
		CADir: filepath.Join(g.t.TempDir(), "ca"), Refusals: recorder, Logger: zerolog.Nop(),
	}, g.bus, nil)
	fail(err)
	ctx, cancel := context.WithCancel(g.ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = v.Run(ctx) })
	running.Go(func() { recorder.Run(ctx) })
	running.Go(func() {
		if err := renewer.Run(ctx); err != nil {
			g.t.Error(err)
		}
	})
	g.t.Cleanup(func() { cancel(); running.Wait() })
}

// shown waits until the log shows a refusal for each reason that the receiver has
// answered with, as a person reads it, and none more than there were: of one reason
// there is a fact a minute. The receiver ends.
func (g *target) shown() {
	g.t.Helper()
	g.stop() // it tells then what it has not told
	cursor, err := g.bus.Log().Follow(g.ctx, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	defer cursor.Close()
	ctx, cancel := context.WithTimeout(g.ctx, time.Minute)
	defer cancel()
	shown := make(map[fleet.Reason]uint64)
	for len(shown) < len(g.refused) {
		records, err := cursor.Next(ctx)
		if err != nil {
			g.t.Fatalf("the log shows %v, want %v: %v", shown, g.refused, err)
		}
		for _, r := range records {
			d, ok := r.Event.Data.(*events.MessageRefused)
			if !ok {
				continue
			}
			shown[d.Reason] += d.Count
			if shown[d.Reason] > g.refused[d.Reason] {
				g.t.Errorf("the log shows %d %s, there were %d", shown[d.Reason], d.Reason, g.refused[d.Reason])
			}
			text := logline.Text(r)
			want := fmt.Sprintf("post: %s", d.Reason)
			if !strings.Contains(text, "message.refused") || !strings.Contains(text, "target") || !strings.Contains(text, want) || d.Channel != events.RefusedPost || r.Event.Node != "target" {
				g.t.Errorf("the log shows %q, want %q", text, want)
			}
		}
	}
}
