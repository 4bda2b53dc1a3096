package agent_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
)

// pacedBus also tells how often to send heartbeats.
type pacedBus struct {
	*fakeBus
	paces chan []byte
}

func (b pacedBus) BundlesAndPaces(ctx context.Context, bundle, pace func([]byte)) error {
	for {
		select {
		case text := <-b.bundles:
			bundle(text)
		case text := <-b.paces:
			pace(text)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b pacedBus) say(t *testing.T, seconds int) {
	t.Helper()
	text, err := json.Marshal(events.Pace{IntervalSeconds: seconds, Nodes: 1, Sequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	b.paces <- text
}

// paced runs an agent in fake time, and expects heartbeats so long after each
// other and with that lease.
func paced(t *testing.T, cfg agent.Config, test func(b pacedBus, expect func(after time.Duration, lease int))) {
	t.Helper()
	cfg.Dir, cfg.Node, cfg.Random = t.TempDir(), node, steady
	synctest.Test(t, func(t *testing.T) {
		b := pacedBus{newBus(), make(chan []byte)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- agent.Run(ctx, cfg, b, zerolog.Nop()) }()
		last := time.Now()
		test(b, func(after time.Duration, lease int) {
			t.Helper()
			beat := <-b.beats
			if took := time.Since(last); took != after || beat.LeaseSeconds != lease {
				t.Errorf("after %s a heartbeat with a lease of %d s, want %s and %d s", took, beat.LeaseSeconds, after, lease)
			}
			last = time.Now()
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestANodeSlowsDownAsTheFleetAsks(t *testing.T) {
	paced(t, agent.Config{}, func(b pacedBus, expect func(time.Duration, int)) {
		expect(0, 15)
		b.say(t, 20)
		expect(5*time.Second, 60) // the lease that runs allows no longer wait
		expect(20*time.Second, 60)
		expect(20*time.Second, 60)
		b.say(t, 2)
		expect(20*time.Second, 15) // never faster than it is set to
		expect(5*time.Second, 15)
	})
}

func TestANodeKeepsToItsOwnBounds(t *testing.T) {
	paced(t, agent.Config{SlowestLease: 30 * time.Second}, func(b pacedBus, expect func(time.Duration, int)) {
		expect(0, 15)
		b.say(t, 20)
		expect(5*time.Second, 30)
		expect(10*time.Second, 30)
	})
	paced(t, agent.Config{SlowestLease: agent.DefaultLease}, func(b pacedBus, expect func(time.Duration, int)) {
		expect(0, 15)
		b.say(t, 20)
		expect(5*time.Second, 15)
		expect(5*time.Second, 15)
	})
}

func TestAPaceThatCannotBeReadChangesNothing(t *testing.T) {
	paced(t, agent.Config{}, func(b pacedBus, expect func(time.Duration, int)) {
		expect(0, 15)
		for _, text := range []string{"", "{", `{"interval_seconds":-1}`, `{"interval_seconds":100000}`} {
			b.paces <- []byte(text)
		}
		expect(5*time.Second, 15)
		expect(5*time.Second, 15)
	})
}

// A node whose bus tells no pace keeps its own.
func TestSlowestLeaseIsChecked(t *testing.T) {
	for _, wrong := range []time.Duration{time.Second, 2 * time.Hour, 90*time.Second + time.Millisecond} {
		if err := (agent.Config{Node: node, Dir: "d", SlowestLease: wrong}).Validate(); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}
