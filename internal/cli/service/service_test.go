package service

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/internal/cli/obs"
	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/internal/port"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

func TestMain(m *testing.M) { leak.Main(m) }

// start runs a server on a port; its stop can be called again.
func start(t *testing.T, on int) *natsd.Server {
	t.Helper()
	server, err := natsd.Start(natsd.Options{Dir: t.TempDir(), Port: on, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	return server
}

var errLost = errors.New("subscribe: no answer")

// A server may go away between the look at its streams and the first
// subscription. Once there was a readiness to lose, work knows by itself.
func TestAServerThatGoesAwayBeforeTheWorkBeginsIsWaitedFor(t *testing.T) {
	for name, opened := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			on := port.Hold(t)
			server := start(t, on)
			tries := 0
			err := Service{
				Bus: eventlog.Options{URL: server.URL()}, Logger: zerolog.Nop(),
				Begin: func(context.Context, *eventlog.Bus) error { return nil },
				Work: func(ctx context.Context, bus *eventlog.Bus, ready *obs.Gate) error {
					if tries++; tries > 1 {
						return nil
					}
					if opened {
						ready.Open(func() error { return nil })
					}
					server.Shutdown()
					for bus.Connected() {
						if err := ctx.Err(); err != nil {
							return err
						}
					}
					start(t, on)
					return errLost
				},
			}.Run(ctx)
			if want := map[bool]int{false: 2, true: 1}[opened]; tries != want || opened != errors.Is(err, errLost) {
				t.Errorf("%d tries, want %d: %v", tries, want, err)
			}
		})
	}
}

// What the server answers is no reason to wait.
func TestWorkThatFailsOnAServerThatIsThereEnds(t *testing.T) {
	server := start(t, port.Hold(t))
	tries := 0
	err := Service{
		Bus: eventlog.Options{URL: server.URL()}, Logger: zerolog.Nop(),
		Begin: func(context.Context, *eventlog.Bus) error { return nil },
		Work:  func(context.Context, *eventlog.Bus, *obs.Gate) error { tries++; return errLost },
	}.Run(t.Context())
	if tries != 1 || !errors.Is(err, errLost) {
		t.Errorf("%d tries: %v", tries, err)
	}
}
