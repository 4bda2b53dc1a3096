package engine

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestABitsetIsASortedSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, 63, 64, 65, 4096, 4097, 300_000}).Draw(t, "size")
		b, want := newBitset(size), map[int]bool{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if size == 0 {
				break
			}
			i, member := rapid.IntRange(0, size-1).Draw(t, "number"), rapid.IntRange(0, 2).Draw(t, "member") > 0
			if b.put(i, member) != (want[i] != member) {
				t.Fatalf("putting %d: %v tells wrong whether it changed", i, member)
			}
			if want[i] = member; !member {
				delete(want, i)
			}
		}
		var got []int
		for i := b.next(0); i >= 0; i = b.next(i + 1) {
			got = append(got, i)
		}
		var sorted []int
		for i := range want {
			sorted = append(sorted, i)
		}
		slices.Sort(sorted)
		if !slices.Equal(got, sorted) || b.length != len(want) {
			t.Fatalf("holds %v, %d of them, want %v", got, b.length, sorted)
		}
	})
}
