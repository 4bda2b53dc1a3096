package executor_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/executor"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// shelf is where the example keeps its one inventory.
type shelf struct{ inventory *fleet.Inventory }

func (s shelf) Get(context.Context, string) (*fleet.Inventory, error) { return s.inventory, nil }

// An executor of one's own needs a handler for each action it can carry out.
// Here the log is in memory and the planner is played by hand; on a server the
// log comes from eventlog.Connect and the actions from Bus.Actions.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	log := eventlog.NewMemory(events.DefaultSubjects(), time.Now)
	v := view.New(log)
	actions, err := executor.FromLog(ctx, log)
	if err != nil {
		fmt.Println(err)
	}
	e, err := executor.New(executor.Config{
		Log: log, View: v, Actions: actions,
		Inventories: shelf{&fleet.Inventory{
			TrustDomain: "fleet.example", QuorumWidth: 1,
			Regions: []fleet.Region{{Name: "oslo", Nodes: []fleet.Node{{ID: "node-1", CredTTL: time.Hour}}}},
		}},
		Handlers: map[fleet.ActionType]executor.Handler{
			fleet.EnrollNode: executor.HandlerFunc(func(ctx context.Context, t executor.Task) (executor.Result, error) {
				fmt.Println("bring up", t.Node.ID)
				// Facts that must hold exactly when the action succeeded go into Result.Closing.
				return executor.Result{}, nil
			}),
		},
		Deadline: map[fleet.ActionType]time.Duration{fleet.EnrollNode: time.Minute},
	})
	if err != nil {
		fmt.Println(err)
	}
	viewing, running := make(chan error), make(chan error)
	go func() { viewing <- v.Run(ctx) }()
	go func() { running <- e.Run(ctx) }()

	action := events.ActionRequested{
		Type: fleet.EnrollNode, ID: "node-1", Action: "enroll-9f2c", Attempt: 1, Epoch: 1, Generation: 1,
	}
	_, err = log.Append(ctx,
		eventlog.Entry{Event: &events.Event{
			ID: "1", Source: events.SourceOperator, Type: events.TypeInventoryApplied, Time: time.Now(),
			Data: &events.InventoryApplied{
				Digest:     "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
				Generation: 1, Actor: "me",
			},
		}},
		eventlog.Entry{Event: &events.Event{
			ID: "2", Source: events.SourcePlanner, Type: events.TypeEnrollNode, Node: "node-1", Time: time.Now(),
			Step: &events.Step{Plan: "plan-1", Step: 1, Steps: 1, Basis: 1}, Data: &action,
		}})
	if err != nil {
		fmt.Println(err)
	}
	err = v.Wait(ctx, func(s *projection.State) bool {
		return s.Sequence() > 2 && s.Ledger().Outstanding() == 0
	})
	fmt.Println("outcome recorded", err)

	cancel()
	<-running
	<-viewing
	// Output:
	// bring up node-1
	// outcome recorded <nil>
}
