package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Bus is what an agent needs of the fleet's bus; *eventlog.Bus satisfies it.
type Bus interface {
	// Beat publishes a heartbeat that counts for lease, and waits for the ack.
	Beat(ctx context.Context, id fleet.NodeID, heartbeat *events.Event, lease time.Duration) error
	// State publishes what the node states about its credential, and waits for the ack.
	State(ctx context.Context, statement *events.Event) error
	// Request sends the node's request to the services and returns the answer of
	// the one that took it.
	Request(ctx context.Context, id fleet.NodeID, request *events.Event) (*events.Event, error)
	// ServeCommands answers the node's commands until stop is called, which
	// returns when the answers under way are sent.
	ServeCommands(ctx context.Context, id fleet.NodeID, handle func(context.Context, *events.Event) *events.Event) (stop func(), err error)
	Close()
}

// Bounds of the wait between two tries to reach the bus.
const (
	firstWait   = 250 * time.Millisecond
	longestWait = 15 * time.Second
)

// Dial calls connect until it succeeds or ctx ends, waiting longer from try to
// try. An error that wraps ErrPermanent ends it at once.
func Dial(ctx context.Context, connect func(context.Context) (Bus, error), log zerolog.Logger) (Bus, error) {
	for try := 0; ; try++ {
		bus, err := connect(ctx)
		switch {
		case err == nil:
			return bus, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrPermanent):
			return nil, err
		}
		wait := backoff(try, firstWait, longestWait, rand.Float64)
		log.Warn().Err(err).Dur(field.Wait, wait).Msg("bus unreachable, trying again")
		if !sleep(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}

// ErrPermanent marks an error of connect that another try would only repeat.
var ErrPermanent = errors.New("another try will not help")

// backoff doubles from first to longest with the tries; half of it is random.
func backoff(try int, first, longest time.Duration, random func() float64) time.Duration {
	d := longest
	if try < 16 {
		d = min(first<<try, longest)
	}
	return d/2 + time.Duration(random()*float64(d/2))
}

// sleep waits for d and says whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
