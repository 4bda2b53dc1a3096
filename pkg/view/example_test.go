package view_test

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// A view of a log, and somebody who waits for a node to appear.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	log := eventlog.NewMemory(events.DefaultSubjects(), nil)
	v := view.New(log)
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()

	if _, err := log.Append(ctx, appeared("nyc/node-1")); err != nil {
		fmt.Println(err)
	}
	err := v.Wait(ctx, func(s *projection.State) bool { return len(s.Observed().Nodes) > 0 })
	if err != nil {
		fmt.Println(err)
	}
	v.Read(func(s *projection.State) { fmt.Printf("%+v\n", s.Observed().Nodes) })

	cancel()
	fmt.Println("Run:", <-done)
	// Output:
	// [{ID:nyc/node-1 Present:true CanSign:false}]
	// Run: <nil>
}
