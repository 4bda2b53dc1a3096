package render_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/internal/inventorydiff"
	"github.com/fleetfold/fleetfold/internal/render"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestChangesOfManyNodesAreOneLine(t *testing.T) {
	changes := []inventorydiff.Change{
		{Kind: inventorydiff.Changed, Path: "quorum.width", Field: "quorum.width", Old: "2", New: "3"},
		{Kind: inventorydiff.Changed, Path: "root_ca", Field: "root_ca", New: "r2"},
		{Kind: inventorydiff.Added, Path: "regions[oslo]", Region: "oslo"},
		{Kind: inventorydiff.Moved, Path: "regions[oslo].nodes[b]", Node: "b", Region: "oslo", Old: "nyc", New: "oslo"},
		{Kind: inventorydiff.Removed, Path: "regions[nyc].nodes[c]", Node: "c", Region: "nyc", Old: "attestor mtls-cert"},
		{Kind: inventorydiff.Reordered, Path: "regions"},
	}
	for i := range 200 {
		id := fleet.NodeID(fmt.Sprintf("n%03d", i))
		changes = append(changes, inventorydiff.Change{Kind: inventorydiff.Changed, Path: "p" + string(id), Node: id, Region: "nyc", Field: "cred_ttl", Old: "1h", New: "2h"})
	}
	var b strings.Builder
	if err := render.Changes(&b, changes, render.Options{MaxBlockers: 2}); err != nil {
		t.Fatal(err)
	}
	want := `~ quorum.width  2 -> 3
~ root_ca  (none) -> r2
+ regions[oslo]
> node b in oslo  from nyc
- node c in nyc  (mtls-cert)
~ regions  in another order
~ 200 nodes in nyc  cred_ttl 1h -> 2h
    n000, n001 and 198 more
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if err := render.Changes(full{}, changes, render.Options{}); err == nil {
		t.Error("the error of writing got lost")
	}
}
