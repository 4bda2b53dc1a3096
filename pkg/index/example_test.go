package index_test

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/index"
)

func ExampleTable() {
	names := []string{"oslo", "nyc", "ams"}
	var table index.Table
	for place, name := range names {
		table.Add(index.HashOf(name), place)
	}

	find := func(name string) int {
		hash := index.HashOf(name)
		place, next := table.Probe(hash, table.Start(hash))
		for place >= 0 && names[place] != name {
			place, next = table.Probe(hash, next)
		}
		return place
	}
	fmt.Println(find("nyc"), find("rome"))
	// Output: 1 -1
}
