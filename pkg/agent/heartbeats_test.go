package agent_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
)

func TestAnAgentIsReadyWhileItsLeaseRuns(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, err := agent.Open(agent.Config{Node: node, Dir: dir, Random: steady}, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		if a.Ready() == nil {
			t.Error("ready before the first heartbeat")
		}
		ctx, cancel := context.WithCancel(t.Context())
		bus, done, began := newBus(), make(chan error), time.Now()
		go func() { done <- a.Run(ctx, bus) }()
		synctest.Wait()
		if err := a.Ready(); err != nil {
			t.Errorf("after the first heartbeat: %v", err)
		}
		bus.fail(errors.New("away"), nil)
		time.Sleep(15*time.Second - time.Nanosecond) // fake time
		if err := a.Ready(); err != nil {
			t.Errorf("while the lease runs: %v", err)
		}
		time.Sleep(time.Nanosecond) // fake time
		if a.Ready() == nil {
			t.Error("ready at the end of the lease")
		}
		beats := a.Heartbeats()
		if beats.Acknowledged != 1 || beats.Failed == 0 || !beats.Last.Equal(began) {
			t.Errorf("heartbeats are %+v", beats)
		}
		bus.fail(nil, nil)
		time.Sleep(15 * time.Second) // fake time
		synctest.Wait()
		if err := a.Ready(); err != nil {
			t.Errorf("after the bus came back: %v", err)
		}
		acked := a.Heartbeats().Acknowledged
		cancel()
		if err := <-done; err != nil || a.Ready() == nil {
			t.Errorf("after the farewell: run %v, ready %v", err, a.Ready())
		}
		if got := a.Heartbeats().Acknowledged; got != acked {
			t.Errorf("the farewell counts as heartbeat %d", got)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheEndOfTheCredentialIsTold(t *testing.T) {
	dir := t.TempDir()
	r := start(t, agent.Config{Dir: dir})
	d := newIssuer(t).enrol(t, r.fakeBus)
	r.end(t)
	for does, c := range map[string]struct {
		dir  string
		want bool
	}{"one that is held": {dir, true}, "none": {t.TempDir(), false}} {
		a, err := agent.Open(agent.Config{Node: node, Dir: c.dir}, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		end, ok := a.NotAfter()
		if ok != c.want || ok && end.Sub(leafStart(t, d)) < 50*time.Minute {
			t.Errorf("%s: ends at %v, %v", does, end, ok)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}
