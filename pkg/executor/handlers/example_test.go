package handlers_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/executor/handlers"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// The built-in handlers cover every type of action; one of them can be replaced
// before the map goes into executor.Config.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server, err := natsd.Start(natsd.Options{Dir: filepath.Join(dir, "jetstream")})
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

	set, err := handlers.New(ctx, handlers.Config{
		Log: bus.Log(), View: v, Inventories: view.NewInventories(bus.GetInventory),
		Commands: bus, Driver: handlers.Wait{}, CADir: filepath.Join(dir, "ca"),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, kind := range fleet.ActionTypes {
		fmt.Println(kind, set[kind] != nil)
	}
	cancel()
	<-done
	// Output:
	// EnrollNode true
	// IssueCredential true
	// DecommissionNode true
	// DisableStrictEnforcement true
	// EnableStrictEnforcement true
}
