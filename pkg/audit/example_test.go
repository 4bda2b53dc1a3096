package audit_test

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/archive"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// An export is audited, and then replayed up to one of its sequences.
func Example() {
	file, err := archive.Open("testdata/rule-1.jsonl", archive.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	ctx := context.Background()
	report, err := audit.Run(ctx, file, audit.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("differences:", report.MismatchesTotal)

	_, err = audit.Replay(ctx, file, audit.Change{}, audit.Show{Point: func(st *projection.State, p audit.Point) error {
		if p.Sequence < 10 {
			fmt.Printf("on %d, with %d nodes observed: %d actions, the first %s\n", p.Basis, len(st.Observed().Nodes), len(p.Actions), p.Actions[0].Type)
		}
		return nil
	}})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// differences: 0
	// on 3, with 0 nodes observed: 9 actions, the first EnrollNode
}
