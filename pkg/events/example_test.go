package events_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

func Example() {
	subjects := events.DefaultSubjects()
	m, err := events.Encode(subjects, &events.Event{
		ID:     events.NewID("node.lost", "region/nyc/node.1", "17"),
		Source: events.SourcePlanner,
		Type:   events.TypeNodeLost,
		Node:   "region/nyc/node.1",
		Time:   time.Date(2026, 11, 24, 6, 30, 0, 0, time.UTC),
		Data:   &events.NodeLost{Epoch: 1, Reason: "lease_expired"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Subject)
	fmt.Println(m.Header["ce-subject"], string(m.Data))

	e, err := events.Decode(subjects, m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Node, e.Data.(*events.NodeLost).Reason)

	m.Data = []byte(`{"epoch":1,"reason":"lease_expired","Epoch":2}`)
	_, err = events.Decode(subjects, m)
	var refusal *events.Refusal
	fmt.Println(errors.As(err, &refusal), refusal)

	// Output:
	// fleet.events.node.region%2Fnyc%2Fnode%2E1
	// [region/nyc/node.1] {"epoch":1,"reason":"lease_expired"}
	// region/nyc/node.1 lease_expired
	// true bad_data: data of node.lost: field "Epoch" is unknown
}
