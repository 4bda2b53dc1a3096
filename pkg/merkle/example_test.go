package merkle_test

import (
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

func record(seq uint64) eventlog.Record {
	return eventlog.Record{
		Sequence: seq,
		Time:     time.Date(2026, 1, 2, 3, 4, 5, int(seq), time.UTC),
		Message: events.Message{
			Subject: "fleet.events.plan",
			Header:  map[string][]string{"ce-type": {"plan.decided"}, "ce-id": {fmt.Sprint(seq)}},
			Data:    []byte(`{"basis":7}`),
		},
	}
}

// The third of five records is proved to be under a root, by three hashes.
func Example() {
	var prover merkle.Prover
	if err := prover.WantInclusion(3, 5); err != nil {
		fmt.Println(err)
		return
	}
	for seq := uint64(1); seq <= 5; seq++ {
		prover.Append(merkle.LeafOf(record(seq)))
	}
	root := prover.Tree().Root()
	proof, err := prover.Inclusion(3, 5)
	fmt.Println(len(proof), err)
	fmt.Println(merkle.CheckInclusion(proof, 3, merkle.LeafOf(record(3)), 5, root))
	other := record(3)
	other.Message.Data = []byte(`{"basis":8}`)
	fmt.Println(merkle.CheckInclusion(proof, 3, merkle.LeafOf(other), 5, root) != nil)
	// Output:
	// 3 <nil>
	// <nil>
	// true
}
