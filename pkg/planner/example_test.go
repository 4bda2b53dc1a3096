package planner_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/planner"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// An inventory is put into force once: applying the same text again is no news.
func ExampleApply() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server, err := natsd.Start(natsd.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Shutdown()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bus, err := eventlog.Connect(ctx, eventlog.Options{InProcess: server})
	if err != nil {
		log.Fatal(err)
	}
	defer bus.Close()
	if err := bus.EnsureStreams(ctx); err != nil {
		log.Fatal(err)
	}
	v := view.New(bus.Log())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()

	text := []byte("trust_domain: fleet.example\nquorum: {width: 1}\n")
	for range 2 {
		generation, applied, err := planner.Apply(ctx, bus, bus.Log(), v, text, "ada", "first fleet", time.Now())
		fmt.Println(generation, applied, err)
	}
	cancel()
	<-done
	// Output:
	// 1 true <nil>
	// 1 false <nil>
}
