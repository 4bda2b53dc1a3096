package refusals_test

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/refusals"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// A thousand refusals are told of once, and then in sum.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	log := eventlog.NewMemory(events.DefaultSubjects(), nil)
	v := view.New(log)
	r, err := refusals.New(refusals.Config{Log: log, View: v, Source: events.SourceExecutor})
	if err != nil {
		fmt.Println(err)
	}
	v.OnRecord(func(record eventlog.Record, _ projection.Change) { r.OnRecord(record) })
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()

	for range 1000 {
		r.Add("request", "node-1", &fleet.Refusal{Reason: "renewal_too_early", Detail: "the credential is due tomorrow"})
	}
	r.Tell(ctx)
	records, err := log.Read(ctx, 0, 10)
	for _, rec := range records {
		fmt.Printf("%s %+v\n", rec.Event.Source, *rec.Event.Data.(*events.MessageRefused))
	}
	cancel()
	fmt.Println(err, <-done)
	// Output:
	// fleetfold/executor {Channel:request Node:node-1 Reason:renewal_too_early Detail:the credential is due tomorrow Count:1000}
	// <nil> <nil>
}
