package authority_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// A node is issued by the intermediate of its region, if the inventory wants one.
func Example() {
	dir, err := os.MkdirTemp("", "authority")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	log := eventlog.NewMemory(events.DefaultSubjects(), time.Now) // a real one comes from eventlog.Connect
	v := view.New(log)
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	defer func() { cancel(); <-done }()

	issuers, err := authority.New(authority.Config{
		Log: log, View: v, Inventories: view.NewInventories(nil), Dir: filepath.Join(dir, "ca"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	inv := &fleet.Inventory{TrustDomain: "fleet.example", Regions: []fleet.Region{
		{Name: "nyc", IntermediateCA: "nyc", Nodes: []fleet.Node{{ID: "a", CredTTL: time.Hour}}},
	}}
	ca, err := issuers.For(ctx, inv, inv.Find("a"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("intermediate of", ca.Region())
	// Output:
	// intermediate of nyc
}
