package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

func foldBenchmarks() []Benchmark {
	return []Benchmark{
		{
			Rows: []Row{{
				Name: "fold/memory", Unit: "events/s", Bound: atLeast(2e6, 5e6),
				Help: "decoded events applied to a fold of 10,000 nodes",
			}},
			run: runFoldMemory,
		},
		{
			Rows: []Row{{
				Name: "fold/jetstream", Unit: "events/s", Bound: ratioAtLeast(0.8, 0.95),
				Help: "a stored log read, decoded and folded; the floor is a bare ordered read of the same stream",
			}},
			run: runFoldJetStream,
		},
	}
}

func runFoldMemory(ctx context.Context, r *run) error {
	n := r.pick(1_000_000, 250_000, 40_000)
	facts := history(10_000, n)
	at := time.Now()
	var best float64
	for range 3 {
		began := time.Now()
		s := projection.New()
		for i, e := range facts {
			if _, err := s.Apply(uint64(i+1), at, e); err != nil {
				return err
			}
		}
		best = max(best, float64(n)/time.Since(began).Seconds())
	}
	r.add("fold/memory", best, n)
	return ctx.Err()
}

func runFoldJetStream(ctx context.Context, r *run) error {
	n, rounds := r.pick(200_000, 50_000, 7_000), r.pick(5, 3, 1)
	g, err := r.rig(ctx)
	if err != nil {
		return err
	}
	defer g.close()
	if err := write(ctx, g.bus.Log(), history(2_000, n)); err != nil {
		return err
	}
	var bare, ours []time.Duration
	for range rounds {
		began := time.Now()
		if _, err := g.bare.Read(ctx, "FLEET", uint64(n)); err != nil {
			return err
		}
		bare = append(bare, time.Since(began))
		began = time.Now()
		if err := g.foldAll(ctx, uint64(n)); err != nil {
			return err
		}
		ours = append(ours, time.Since(began))
	}
	rate := func(d []time.Duration) float64 { return float64(n) / slices.Min(d).Seconds() }
	r.compare("fold/jetstream", rate(ours), rate(bare), n)
	return nil
}

// foldAll folds the log up to a sequence, as planners and executors do.
func (g *rig) foldAll(ctx context.Context, last uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	v := view.New(g.bus.Log())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	err := v.Wait(ctx, func(s *projection.State) bool { return s.Sequence() >= last })
	cancel()
	<-done
	if err != nil {
		return fmt.Errorf("fold the log: %w", err)
	}
	return nil
}
