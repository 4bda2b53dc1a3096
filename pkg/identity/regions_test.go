package identity_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

func TestARegionSetAllowsWhatWasPutIntoIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct {
			region string
			node   fleet.NodeID
		}
		draw := rapid.Custom(func(t *rapid.T) pair {
			return pair{rapid.SampledFrom([]string{"oslo", "oslo1", "nyc"}).Draw(t, "region"), fleet.NodeID(fmt.Sprint("1n"[rapid.IntRange(0, 1).Draw(t, "cut"):], rapid.IntRange(0, 300).Draw(t, "node")))}
		})
		in := rapid.SliceOf(draw).Draw(t, "in")
		var shards [identity.RegionShards][]identity.RegionDigest
		for _, p := range in {
			d := identity.DigestRegion(p.region, p.node)
			shards[d.Shard()] = append(shards[d.Shard()], d)
		}
		set := new(identity.RegionSet)
		for n := range shards {
			if set.Complete() {
				t.Fatal("it is complete before all parts are known")
			}
			var err error
			if set, err = set.With(n, identity.EncodeRegions(shards[n])); err != nil {
				t.Fatal(err)
			}
		}
		if !set.Complete() {
			t.Fatal("it is not complete")
		}
		for _, p := range append(rapid.SliceOf(draw).Draw(t, "others"), in...) {
			if got, want := set.Allows(p.region, p.node), slices.Contains(in, p); got != want {
				t.Fatalf("%v: %v, want %v", p, got, want)
			}
		}
	})
}

func TestRegionSetsRefuseWhatIsNone(t *testing.T) {
	a, b := identity.RegionDigest{1, 1}, identity.RegionDigest{1, 2}
	text := identity.EncodeRegions([]identity.RegionDigest{b, a, b})
	if len(text) != 32 {
		t.Fatalf("two digests have %d bytes", len(text))
	}
	set, err := new(identity.RegionSet).With(1, text)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		shard int
		text  []byte
	}{
		"cut short": {1, text[:31]}, "of another part": {2, text}, "no part": {256, nil}, "below": {-1, nil},
		"out of order": {1, slices.Concat(b[:], a[:])}, "twice": {1, slices.Concat(a[:], a[:])}, "too large": {1, make([]byte, 2<<20)},
	} {
		if _, err := set.With(bad.shard, bad.text); fleet.ReasonOf(err) != identity.RegionsUnparsable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
