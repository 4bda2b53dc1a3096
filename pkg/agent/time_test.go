package agent_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/agent"
	"github.com/fleetfold/fleetfold/pkg/events"
)

func steady() float64 { return 0 }

func TestTheLeaseIsRenewedAtAThirdAndEndedByAFarewell(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agent.Config{Dir: dir, Random: steady})
		began := time.Now()
		for n := range 4 {
			if beat := <-r.beats; beat.Leaving {
				t.Error("farewell too early")
			}
			if at, want := time.Since(began), time.Duration(n)*5*time.Second; at != want {
				t.Errorf("heartbeat %d came at %v, want %v", n, at, want)
			}
		}
		if last := r.end(t); last == nil || !last.Leaving {
			t.Errorf("last heartbeat is %+v", last)
		}
	})
}

func TestJitterOnlyShortensTheWait(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agent.Config{Dir: dir, Jitter: 0.4, Random: func() float64 { return 0.5 }})
		<-r.beats
		began := time.Now()
		<-r.beats
		if at := time.Since(began); at != 4*time.Second {
			t.Errorf("heartbeat came after %v, want 4s", at)
		}
		r.end(t)
	})
}

func TestABusThatIsAwayIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agent.Config{Dir: dir, Random: steady})
		<-r.beats
		r.fail(errors.New("away"), nil)
		time.Sleep(time.Hour) // fake time
		r.fail(nil, nil)
		back := time.Now()
		<-r.beats
		if at := time.Since(back); at > 5*time.Second {
			t.Errorf("the first heartbeat came %v after the bus was back", at)
		}
		r.fail(errors.New("away again"), nil)
		if last := r.end(t); last != nil {
			t.Errorf("heartbeat after the bus went away: %+v", last)
		}
	})
}

func TestHeartbeatsGoOnWhileACommandHangs(t *testing.T) {
	dir := t.TempDir()
	i := newIssuer(t)
	r := start(t, agent.Config{Dir: dir})
	d := i.enrol(t, r.fakeBus)
	r.end(t)
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock begins in 2000: the credential's window is the real one.
		shift := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		real := leafStart(t, d)
		r := start(t, agent.Config{Dir: dir, Random: steady, Lease: 3 * time.Second, Now: func() time.Time { return real.Add(time.Since(shift)) }})
		<-r.beats
		r.fail(nil, errHang)
		answered := make(chan *events.CommandAnswered)
		go func() { answered <- r.command(t, d, events.TypeCredentialDelivered) }()
		synctest.Wait()
		for range 3 {
			<-r.beats
		}
		select {
		case a := <-answered:
			t.Errorf("answered early: %+v", a)
		default:
		}
		if a := <-answered; a.Error == "" {
			t.Error("a proof that got no ack was answered as done")
		}
		r.end(t)
	})
}

func TestDialTriesUntilTheBusIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, bus := 0, newBus()
		got, err := agent.Dial(t.Context(), func(context.Context) (agent.Bus, error) {
			if tries++; tries < 20 {
				return nil, errors.New("refused")
			}
			return bus, nil
		}, zerolog.Nop())
		if err != nil || got != bus {
			t.Errorf("got %v, %v after %d tries", got, err, tries)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := agent.Dial(ctx, func(context.Context) (agent.Bus, error) { return nil, errors.New("refused") }, zerolog.Nop()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the end of the context: %v", err)
		}
		if _, err := agent.Dial(t.Context(), func(context.Context) (agent.Bus, error) { return nil, agent.ErrPermanent }, zerolog.Nop()); !errors.Is(err, agent.ErrPermanent) {
			t.Errorf("a permanent error: %v", err)
		}
	})
}
