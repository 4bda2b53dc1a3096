package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/natsd"
)

const ackWait = 30 * time.Second

// publishActions puts n actions on the log, of the nodes n1 to n<n>.
func publishActions(t *testing.T, b *Bus, n int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		id := fleet.NodeID(fmt.Sprintf("n%d", i))
		m, err := events.Encode(b.subjects, &events.Event{
			ID: fmt.Sprint(i), Source: events.SourcePlanner, Type: events.TypeEnrollNode, Node: id, Time: time.Now().UTC(),
			Step: &events.Step{Plan: "p1", Step: i, Steps: n, Basis: 1},
			Data: &events.ActionRequested{Type: fleet.EnrollNode, ID: id, Action: fleet.ActionID(fmt.Sprintf("a%d", i)), Attempt: 1, Generation: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, b, m.Subject, m.Header, string(m.Data))
	}
}

func takeActions(t *testing.T, b *Bus, concurrency int, wait time.Duration) Actions {
	t.Helper()
	a, err := b.Actions(t.Context(), concurrency, wait)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func take(t *testing.T, a Actions) Delivery {
	t.Helper()
	d, err := a.Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ackOf(t *testing.T, d Delivery) {
	t.Helper()
	if err := d.Ack(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestActionsComeInOrderOneByOne(t *testing.T) {
	b := busOn(t)
	publishActions(t, b, 20)
	a := takeActions(t, b, 1, ackWait)
	defer a.Close()
	for i := 1; i <= 20; i++ {
		d := take(t, a)
		if d.Record.Err != nil || d.Record.Sequence != uint64(i) || d.Record.Event.Node != fleet.NodeID(fmt.Sprintf("n%d", i)) {
			t.Fatalf("delivery %d is %+v", i, d.Record)
		}
		ackOf(t, d)
	}
}

func TestNextWaitsForTheAckOfTheOnlyOneOut(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		publishActions(t, b, 2)
		a := takeActions(t, b, 1, ackWait)
		defer a.Close()
		first := take(t, a)
		ctx, cancel := context.WithTimeout(t.Context(), ackWait/2)
		defer cancel()
		if d, err := a.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("second action is out before the first was acknowledged: %+v, %v", d.Record, err)
		}
		ackOf(t, first)
		if d := take(t, a); d.Record.Sequence != 2 {
			t.Fatalf("next is %+v", d.Record)
		}
	})
}

func TestAnActionNotAcknowledgedInTimeComesAgain(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		publishActions(t, b, 2)
		a := takeActions(t, b, 1, ackWait)
		defer a.Close()
		start := time.Now()
		if d := take(t, a); d.Record.Sequence != 1 {
			t.Fatalf("first is %+v", d.Record)
		}
		for time.Since(start) < ackWait {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			d, err := a.Next(ctx)
			cancel()
			if err != nil {
				continue
			}
			if d.Record.Sequence != 1 {
				t.Fatalf("the first was passed over for %+v", d.Record)
			}
			ackOf(t, d)
			return
		}
		if d := take(t, a); d.Record.Sequence != 1 || time.Since(start) > ackWait+5*time.Second {
			t.Fatalf("after %s came %+v", time.Since(start), d.Record)
		}
	})
}

func TestInProgressKeepsAnAction(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		publishActions(t, b, 1)
		a := takeActions(t, b, 2, ackWait)
		defer a.Close()
		d := take(t, a)
		for range 12 {
			time.Sleep(ackWait / 3) // fake time
			if err := d.InProgress(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if again, err := a.Next(ctx); err == nil {
				t.Fatalf("action came again although it is in progress: %+v", again.Record)
			}
			cancel()
		}
		ackOf(t, d)
	})
}

// A release that waits less takes over a consumer of one that waited longer, and
// the other way round, while both run: what is out already follows the newest.
func TestTheNewestAckWaitHoldsForWhatIsOutAlready(t *testing.T) {
	for does, c := range map[string]struct{ old, now time.Duration }{
		"shorter": {time.Hour, ackWait},
		"longer":  {ackWait, 10 * ackWait},
	} {
		t.Run(does, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, b *Bus) {
				publishActions(t, b, 1)
				old := takeActions(t, b, 1, c.old)
				defer old.Close()
				first := take(t, old)
				next := takeActions(t, b, 1, c.now)
				defer next.Close()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour/2)
				defer cancel()
				again, err := next.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if after := time.Since(start); again.Record.Sequence != first.Record.Sequence || after > c.now+pullExpires+pullGrace || after < c.now-time.Second {
					t.Errorf("after %s came %+v", after, again.Record)
				}
				ackOf(t, again)
			})
		})
	}
}

func TestRetryHandsAnActionOutAgainLater(t *testing.T) {
	inFakeTime(t, func(t *testing.T, b *Bus) {
		publishActions(t, b, 1)
		a := takeActions(t, b, 1, ackWait)
		defer a.Close()
		start := time.Now()
		if err := take(t, a).Retry(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		d := take(t, a)
		if after := time.Since(start); d.Record.Sequence != 1 || after < 10*time.Second || after > 15*time.Second {
			t.Fatalf("after %s came %+v", after, d.Record)
		}
		ackOf(t, d)
	})
}

// No number of failures makes the server drop an action.
func TestAnActionIsHandedOutAgainAsOftenAsItTakes(t *testing.T) {
	b := busOn(t)
	publishActions(t, b, 2)
	a := takeActions(t, b, 1, ackWait)
	defer a.Close()
	for range 20 {
		d := take(t, a)
		if d.Record.Sequence != 1 {
			t.Fatalf("sequence %d was handed out before the first had ended", d.Record.Sequence)
		}
		if err := d.Retry(0); err != nil {
			t.Fatal(err)
		}
	}
	ackOf(t, take(t, a))
}

func TestTwoExecutorsShareTheActions(t *testing.T) {
	b := busOn(t)
	publishActions(t, b, 6)
	first, second := takeActions(t, b, 6, ackWait), takeActions(t, b, 6, ackWait)
	defer first.Close()
	defer second.Close()
	seen := make(map[uint64]bool)
	for range 3 {
		for _, a := range []Actions{first, second} {
			d := take(t, a)
			if seen[d.Record.Sequence] {
				t.Fatalf("action %d was handed out twice", d.Record.Sequence)
			}
			seen[d.Record.Sequence] = true
		}
	}
}

func TestWhatWasNotHandedOutGoesToTheNextExecutor(t *testing.T) {
	b := busOn(t)
	first := takeActions(t, b, 1, ackWait)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := first.Next(ctx)
		failed <- err
	}()
	cancel() // leaves a request open at the server, or none at all
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	publishActions(t, b, 1)
	first.Close()
	second := takeActions(t, b, 1, ackWait)
	defer second.Close()
	ackOf(t, take(t, second)) // within waits less than twice ackWait
	if _, err := first.Next(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}

func TestAnActionThatDoesNotFitIsHandedOutWithItsError(t *testing.T) {
	b := busOn(t)
	publish(t, b, b.subjects.Prefix()+".actions.enroll-node.n1", nil, "garbage")
	publishActions(t, b, 1)
	a := takeActions(t, b, 1, ackWait)
	defer a.Close()
	d := take(t, a)
	if d.Record.Event != nil || d.Record.Err == nil || d.Record.Sequence != 1 {
		t.Fatalf("misfit is %+v", d.Record)
	}
	ackOf(t, d)
	if d := take(t, a); d.Record.Err != nil {
		t.Fatalf("action after it is %+v", d.Record)
	}
}

func TestActionsSurviveARestartOfTheServer(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, natsd.RandomPort)
	port := portOf(t, server)
	b := connectTo(t, Options{URL: server.URL()})
	if err := b.EnsureStreams(within(t)); err != nil {
		t.Fatal(err)
	}
	publishActions(t, b, 1)
	a := takeActions(t, b, 1, ackWait)
	defer a.Close()
	ackOf(t, take(t, a))
	restored := b.nextReconnect()
	server.Shutdown()
	server = startServer(t, dir, port)
	defer server.Shutdown()
	<-restored
	publishActions(t, b, 1)
	d := take(t, a)
	if d.Record.Sequence != 2 {
		t.Fatalf("after the restart came %+v", d.Record)
	}
	ackOf(t, d)
}

func TestActionsRefusesSettingsThatCannotWork(t *testing.T) {
	b := busOn(t)
	if _, err := b.Actions(t.Context(), 0, ackWait); err == nil {
		t.Error("concurrency 0 was accepted")
	}
	if _, err := b.Actions(t.Context(), 1, 0); err == nil {
		t.Error("ack wait 0 was accepted")
	}
}
