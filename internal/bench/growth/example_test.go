package growth_test

import (
	"fmt"

	"github.com/fleetfold/fleetfold/internal/bench"
	"github.com/fleetfold/fleetfold/internal/bench/growth"
)

func ExampleLines() {
	measured := []bench.Result{
		{Name: "engine/full/1000", Value: 31_000, Unit: "ns"},
		{Name: "engine/full/100000", Value: 4_900_000, Unit: "ns"},
	}
	for _, line := range growth.Lines(nil, measured) {
		fmt.Println(line.Name, line.Unit, line.Points)
	}
	// Output: engine/full ns [{1000 31000 0} {100000 4.9e+06 0}]
}
