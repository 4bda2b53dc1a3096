package eventlog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/eventlog/logtest"
	"github.com/fleetfold/fleetfold/pkg/events"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	logtest.Run(t, func(*testing.T) eventlog.Log { return eventlog.NewMemory(events.DefaultSubjects(), nil) })
}

// Two writers saw the same end of the log; the second must look again.
func Example() {
	ctx := context.Background()
	clock := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	log := eventlog.NewMemory(events.DefaultSubjects(), clock)

	first, second := logtest.Appeared("n1", "first"), logtest.Appeared("n1", "second")
	last, err := log.Append(ctx, eventlog.Entry{Event: first, Fence: eventlog.LastOnSubject(0)})
	fmt.Println(last, err)
	_, err = log.Append(ctx, eventlog.Entry{Event: second, Fence: eventlog.LastOnSubject(0)})
	fmt.Println(err)

	cursor, err := log.Follow(ctx, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cursor.Close()
	records, err := cursor.Next(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range records {
		fmt.Println(r.Sequence, r.Event.Type, r.Event.Node, r.Time.Format(time.TimeOnly))
	}
	// Output:
	// 1 <nil>
	// append to log: log has moved on
	// 1 node.appeared n1 03:04:05
}
