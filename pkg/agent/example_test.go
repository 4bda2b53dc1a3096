package agent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// An agent beats until its context ends, and its last heartbeat is a farewell.
func Example() {
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	bus := newBus() // a real one comes from eventlog.Connect
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	cfg := agent.Config{Node: "n1", Dir: filepath.Join(dir, "n1")}
	go func() { done <- agent.Run(ctx, cfg, bus, zerolog.Nop()) }()

	show := func(h *events.Heartbeat) {
		fmt.Println("lease", h.LeaseSeconds, "s, credential", h.Serial != "", "leaving", h.Leaving)
	}
	show(<-bus.beats)
	cancel()
	fmt.Println(<-done)
	show(<-bus.beats)
	// Output:
	// lease 15 s, credential false leaving false
	// <nil>
	// lease 15 s, credential false leaving true
}
