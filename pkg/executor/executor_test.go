package executor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

func (s *shop) check(what string, got, want any) {
	s.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestAnActionThatIsDoneIsAcknowledgedWithoutRunning(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.append(fact(events.TypeActionSucceeded, "a", &events.ActionSucceeded{Type: fleet.EnrollNode, ID: "a", Action: "p1-1"}))
		s.open()
		acked, _ := s.source.counts()
		s.check("acknowledged", acked, 1)
		s.check("runs", r.order(), "[]")
		s.check("outcome", s.ended[0].Kind, executor.KindKnown)
	})
}

func TestWhatIsNoLongerWantedIsRefusedOnTheLogBeforeTheAck(t *testing.T) {
	for name, c := range map[string]struct {
		action fleet.Action
		world  func(*shop)
		why    string
	}{
		"enrol a node that came":        {enroll("a"), func(s *shop) { s.want(false, "a"); s.appear("a") }, "the node is present already"},
		"enrol a node nobody desires":   {enroll("a"), func(s *shop) { s.want(false) }, "the inventory does not name the node"},
		"enrol without any inventory":   {enroll("a"), func(*shop) {}, "the inventory does not name the node"},
		"issue to an absent node":       {issue("a"), func(s *shop) { s.want(false, "a") }, "the node is absent"},
		"issue to a node that signs":    {issue("a"), func(s *shop) { s.want(false, "a"); s.appear("a"); s.sign("a") }, "the node can sign already"},
		"remove a desired node":         {remove("a"), func(s *shop) { s.want(false, "a"); s.appear("a") }, "the inventory names the node"},
		"remove a node that is gone":    {remove("a"), func(s *shop) { s.want(false) }, "the node is gone already"},
		"enforce what nobody asks for":  {enable, func(s *shop) { s.want(false) }, "the inventory does not ask for strict enforcement"},
		"enforce while one cannot sign": {enable, func(s *shop) { s.want(true, "a"); s.appear("a") }, `node "a" cannot sign`},
		"relax a fleet that is relaxed": {fleet.Action{Type: fleet.DisableStrictEnforcement}, func(s *shop) { s.want(false) }, "strict enforcement is off already"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				c.world(s)
				s.publish("p1", c.action)
				s.handle(c.action.Type, func(context.Context, executor.Task) (executor.Result, error) {
					t.Error("handler ran")
					return executor.Result{}, nil
				})
				s.open()
				s.check("outcomes", s.outcomes(), "[p1-1 refused: "+c.why+"]")
				acked, _ := s.source.counts()
				s.check("acknowledged", acked, 1)
			})
		})
	}
}

func TestAnOutcomeIsRecordedForEachEndOfAHandler(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(context.Context, executor.Task) (executor.Result, error)
		want string
	}{
		"success": {func(context.Context, executor.Task) (executor.Result, error) { return executor.Result{}, nil }, "p1-1 succeeded"},
		"an error": {func(context.Context, executor.Task) (executor.Result, error) {
			return executor.Result{}, errors.New("no")
		}, "p1-1 failed handler_error: no"},
		"a failure with a word": {func(context.Context, executor.Task) (executor.Result, error) {
			return executor.Result{}, executor.Failed("odd", "very")
		}, "p1-1 failed odd: very"},
		"a failure in very many words": {func(context.Context, executor.Task) (executor.Result, error) {
			return executor.Result{}, executor.Failed("odd", "%s", strings.Repeat("é", 100_000))
		}, "p1-1 failed odd: " + strings.Repeat("é", 2048) + "…"},
		"a panic": {func(context.Context, executor.Task) (executor.Result, error) { panic("ouch") }, "p1-1 failed handler_panic: ouch"},
		"the end of its time": {func(ctx context.Context, _ executor.Task) (executor.Result, error) {
			<-ctx.Done()
			return executor.Result{}, errors.New("wait for x")
		}, "p1-1 failed deadline_exceeded: wait for x"},
		"no handler for the type": {nil, "p1-1 failed no_handler: this executor has no handler for EnrollNode"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				if c.end != nil {
					s.handle(fleet.EnrollNode, c.end)
				}
				s.want(false, "a")
				s.publish("p1", enroll("a"))
				s.open()
				time.Sleep(executor.DefaultDeadline) // fake time
				synctest.Wait()
				got := strings.Join(s.outcomes(), ", ")
				if !strings.HasPrefix(got, c.want) {
					t.Errorf("got %q, want %q", got, c.want)
				}
				acked, _ := s.source.counts()
				s.check("acknowledged", acked, 1)
			})
		})
	}
}

func TestAnActionWaitsForEarlierPhasesOfItsOwnPlan(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.handle(fleet.DecommissionNode, r.Handle)
		s.config.Concurrency = 2
		s.want(false, "a", "b", "c", "keeper")
		s.keep("keeper")
		s.appear("old")
		s.publish("p1", enroll("a"), enroll("b"), remove("old"))
		s.publish("p2", enroll("c"))
		s.open()
		s.check("both of the first phase", r.sorted(), "[p1-1 p1-2]")
		r.end("p1-1", nil)
		s.check("the barrier holds p1-3 and takes no slot from p2-1", r.sorted(), "[p1-1 p1-2 p2-1]")
		r.end("p2-1", nil)
		s.check("still held", r.sorted(), "[p1-1 p1-2 p2-1]")
		r.end("p1-2", errors.New("a failure is an outcome too"))
		s.check("barrier open", r.sorted(), "[p1-1 p1-2 p1-3 p2-1]")
	})
}

func TestConcurrencyOneIsStrictlyOneByOne(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.config.Concurrency = 1
		s.want(false, "a", "b", "c")
		s.publish("p1", enroll("a"), enroll("b"))
		s.publish("p2", enroll("c"))
		s.open()
		for i, id := range []fleet.ActionID{"p1-1", "p1-2", "p2-1"} {
			s.check("started", len(strings.Fields(r.order())), i+1)
			r.end(id, nil)
		}
		s.check("order", r.order(), "[p1-1 p1-2 p2-1]")
		s.check("outcomes", s.outcomes(), "[p1-1 succeeded p1-2 succeeded p2-1 succeeded]")
	})
}

func TestSideBySideUpToTheConcurrencyInTheOrderOfTheLog(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.config.Concurrency = 3
		s.want(false, "a", "b", "c", "d", "e")
		s.publish("p1", enroll("a"), enroll("b"), enroll("c"), enroll("d"), enroll("e"))
		s.open()
		s.check("the first three", r.sorted(), "[p1-1 p1-2 p1-3]")
		r.end("p1-2", nil)
		s.check("next", strings.HasSuffix(r.order(), "p1-4]"), true)
	})
}

func TestTheStrictFlipIsDecidedAgainWhenAnythingWasAppended(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func() *events.Event
		want      string
	}{
		"something that does not matter": {func() *events.Event {
			return fact(events.TypeNodeAppeared, "ghost", appeared())
		}, "[p1-1 succeeded]"},
		"a desired node was lost": {func() *events.Event {
			return fact(events.TypeNodeLost, "a", &events.NodeLost{Epoch: 1, Reason: "lease_expired"})
		}, `[p1-1 refused: node "a" is absent]`},
		"the fleet was paused": {func() *events.Event {
			return fact(events.TypeControlPaused, "", &events.ControlPaused{Target: everything, Actor: "kim"})
		}, `[p1-1 refused: paused: the fleet was paused by kim at 2000-01-01T00:00:00Z]`},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				s.want(true, "a")
				s.appear("a")
				s.sign("a")
				s.publish("p1", enable)
				var bases []uint64
				s.handle(fleet.EnableStrictEnforcement, func(ctx context.Context, task executor.Task) (executor.Result, error) {
					if bases = append(bases, task.Basis); len(bases) == 1 {
						if _, err := s.log.Append(ctx, eventlog.Entry{Event: c.meanwhile()}); err != nil {
							t.Error(err)
						}
					}
					enabled := task.Fact(time.Now(), events.TypeEnforcementEnabled, &events.EnforcementEnabled{Generation: 1, Action: task.Flight.ID})
					return executor.Result{Closing: []eventlog.Entry{{Event: enabled, Fence: eventlog.LastInLog(task.Basis)}}}, nil
				})
				s.open()
				s.check("outcomes", s.outcomes(), c.want)
				s.state(func(st *projection.State) {
					s.check("strict", st.Observed().StrictEnforced, strings.Contains(c.want, "succeeded"))
				})
			})
		})
	}
}

func TestUnderConstantTrafficTheFlipTriesUntilItsDeadline(t *testing.T) {
	story(t, func(s *shop) {
		s.want(true)
		s.publish("p1", enable)
		tries := 0
		s.handle(fleet.EnableStrictEnforcement, func(ctx context.Context, task executor.Task) (executor.Result, error) {
			tries++
			time.Sleep(time.Second) // fake time
			s.append(fact(events.TypeNodeAppeared, fleet.NodeID(fmt.Sprint("ghost-", tries)), appeared()))
			return executor.Result{Closing: []eventlog.Entry{{
				Event: task.Fact(time.Now(), events.TypeEnforcementEnabled, &events.EnforcementEnabled{Generation: 1, Action: task.Flight.ID}),
				Fence: eventlog.LastInLog(task.Basis),
			}}}, nil
		})
		s.config.Deadline = map[fleet.ActionType]time.Duration{fleet.EnableStrictEnforcement: 9500 * time.Millisecond}
		s.open()
		time.Sleep(time.Minute) // fake time
		synctest.Wait()
		s.check("tries", tries, 10)
		s.check("outcomes", s.outcomes(), "[p1-1 failed deadline_exceeded: the log moved on under every decision for 9.5s]")
	})
}

func TestWhatAnExecutorLeftIsRunAgainUnderTheSameID(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.open()
		s.halt()
		acked, returned := s.source.counts()
		s.check("nothing recorded", s.outcomes(), "[]")
		s.check("acknowledged", acked, 0)
		s.check("given back", returned, 1)
		s.open()
		r.end("p1-1", nil)
		s.check("runs", r.order(), "[p1-1 p1-1]")
		s.check("outcomes", s.outcomes(), "[p1-1 succeeded]")
	})
}

func TestAHandlerIsCancelledWhenTheInventoryStopsAsking(t *testing.T) {
	for name, c := range map[string]struct {
		action fleet.Action
		before []fleet.NodeID
		after  []fleet.NodeID
	}{
		"the node to enrol leaves the inventory":           {enroll("a"), []fleet.NodeID{"a", "b"}, []fleet.NodeID{"b"}},
		"the node to remove comes back into the inventory": {remove("old"), []fleet.NodeID{"keeper"}, []fleet.NodeID{"old", "keeper"}},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(s *shop) {
				r := newRuns()
				s.handle(c.action.Type, r.Handle)
				s.want(false, c.before...)
				s.appear("old")
				s.keep("keeper")
				s.publish("p1", c.action)
				s.open()
				s.want(false, append(c.before, "other")...)
				s.check("an inventory that still asks", s.outcomes(), "[]")
				s.want(false, c.after...)
				s.check("outcomes", s.outcomes(), "[p1-1 refused: the inventory changed while the action was running]")
			})
		})
	}
}

func TestTheNodesOwnAppearanceDoesNotCancelItsEnrolment(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.open()
		s.appear("a")
		r.end("p1-1", nil)
		s.check("outcomes", s.outcomes(), "[p1-1 succeeded]")
	})
}

func TestMoreTimeIsAskedForAtAThirdOfTheAckWait(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.config.Deadline = map[fleet.ActionType]time.Duration{fleet.EnrollNode: time.Hour}
		s.want(false, "a", "b")
		s.appear("old")
		s.publish("p1", enroll("a"), remove("old"))
		s.open()
		time.Sleep(executor.DefaultAckWait + time.Millisecond) // fake time
		synctest.Wait()
		s.check("asked, also for the one that waits", s.source.asked, map[uint64]int{4: 3, 5: 3})
	})
}

func TestTwoActionsOfOneNodeDoNotRunAtOnce(t *testing.T) {
	story(t, func(s *shop) {
		r := newRuns()
		s.handle(fleet.EnrollNode, r.Handle)
		s.want(false, "a")
		s.publish("p1", enroll("a"))
		s.publish("p2", enroll("a"))
		s.open()
		s.check("runs", r.order(), "[p1-1]")
		r.end("p1-1", errors.New("no"))
		s.check("runs", r.order(), "[p1-1 p2-1]")
	})
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	_, err := executor.New(executor.Config{
		Concurrency: 257, AckWait: -1,
		Handlers: map[fleet.ActionType]executor.Handler{"Dance": nil},
		Deadline: map[fleet.ActionType]time.Duration{fleet.EnrollNode: -1},
	})
	for _, want := range []string{"are all required", "concurrency is 257", "ack wait", `"Dance"`, "deadline of EnrollNode"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
}
