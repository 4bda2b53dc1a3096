package index

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A table under few hashes, so that nearly everything collides, gives all places
// of a hash and, behind them, an end; as a map of lists does.
func TestATableGivesAllThatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table
		want := make(map[Hash][]int)
		// The last bits choose the slot, the first ones only tell entries apart.
		hash := rapid.Map(rapid.IntRange(0, 20), func(n int) Hash { return Hash(n%4) | Hash(n/4)<<29 })
		places := 0
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 20).Draw(t, "reset") == 0 {
				table.Reset(rapid.IntRange(0, 100).Draw(t, "room"))
				clear(want)
			}
			h := hash.Draw(t, "hash")
			table.Add(h, places)
			want[h] = append(want[h], places)
			places++
			for _, h := range []Hash{h, hash.Draw(t, "asked")} {
				var got []int
				for place, next := table.Probe(h, table.Start(h)); place >= 0; place, next = table.Probe(h, next) {
					got = append(got, place)
				}
				slices.Sort(got)
				if !slices.Equal(got, want[h]) {
					t.Fatalf("%x has %v, want %v", h, got, want[h])
				}
			}
		}
	})
}

func TestAnEmptyTableHoldsNothing(t *testing.T) {
	var table Table
	h := HashOf("a")
	if place, _ := table.Probe(h, table.Start(h)); place != -1 || table.Len() != 0 {
		t.Errorf("place %d of %d", place, table.Len())
	}
}

func TestFillingAnewAllocatesNothing(t *testing.T) {
	const n = 1000
	var names [n]string
	for i := range names {
		names[i] = fmt.Sprint("node-", i)
	}
	var table Table
	if got := testing.AllocsPerRun(10, func() {
		table.Reset(n)
		for i, name := range names {
			table.Add(HashOf(name), i)
		}
	}); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
