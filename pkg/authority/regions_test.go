package authority_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// regions reads the board as a receiver does.
func (b *board) regions(o *office) *identity.RegionSet {
	o.Helper()
	set := new(identity.RegionSet)
	for n := range identity.RegionShards {
		b.mu.Lock()
		text, ok := b.texts[string(eventlog.TrustRegions)+fmt.Sprintf("%02x", n)]
		b.mu.Unlock()
		if !ok {
			continue
		}
		var err error
		set, err = set.With(n, text.Text)
		o.must(err)
	}
	return set
}

// allowed names who may be signed for by the intermediates of which regions.
func (b *board) allowed(o *office) string {
	o.Helper()
	set := b.regions(o)
	if !set.Complete() {
		return "unknown"
	}
	var all []string
	for _, region := range []string{"nyc", "oslo"} {
		for _, id := range []fleet.NodeID{"a", "b", "c"} {
			if set.Allows(region, id) {
				all = append(all, region+"/"+string(id))
			}
		}
	}
	return strings.Join(all, " ")
}

func (o *office) sees(b *board, why, want string) {
	o.Helper()
	o.later(2 * time.Second)
	if got := b.allowed(o); got != want {
		o.Errorf("%s: told is %q, want %q", why, got, want)
	}
}

func (o *office) remove(id fleet.NodeID) {
	o.append(events.TypeNodeRemoved, id, &events.NodeRemoved{Epoch: 1, Action: "x"})
}

func TestReceiversAreToldWhichIntermediateSignsForWhom(t *testing.T) {
	story(t, func(o *office) {
		b := &board{texts: map[string]eventlog.TrustText{}}
		i := o.issuers("ca")
		o.publisher(i, b, "")
		o.sees(b, "before there is an inventory", "unknown")
		inv := o.want()
		o.sees(b, "before there is an intermediate", "nyc/a nyc/b")
		o.issue(i, inv, "a")
		o.issue(i, inv, "c")
		o.sees(b, "c's region has no intermediate", "nyc/a nyc/b")

		before, _ := b.total()
		o.want(func(inv *fleet.Inventory) { inv.QuorumWidth = 2 })
		o.sees(b, "another inventory with the same regions", "nyc/a nyc/b")
		if now, _ := b.total(); now > before+1 {
			t.Errorf("%d texts were published, though only the bundle's version is another", now-before)
		}

		moved := func(inv *fleet.Inventory) {
			inv.Regions[0].Nodes, inv.Regions[1].Nodes = inv.Regions[0].Nodes[1:], append(inv.Regions[1].Nodes, inv.Regions[0].Nodes[0])
			inv.Regions[1].IntermediateCA = "oslo/ca"
		}
		inv = o.want(moved)
		o.sees(b, "a was moved and signs with what it was given before", "nyc/a nyc/b oslo/a oslo/c")
		o.issue(i, inv, "c")
		o.sees(b, "oslo has an intermediate", "nyc/a nyc/b oslo/a oslo/c")
		o.issue(i, inv, "a")
		o.sees(b, "a may not have heard yet that its next one counts", "nyc/a nyc/b oslo/a oslo/c")
		// Another executor that starts now says the same.
		o.publisher(o.issuers("ca"), b, "")
		o.sees(b, "told by two", "nyc/a nyc/b oslo/a oslo/c")
		o.later(identity.SupersededAfter)
		o.sees(b, "a signs by oslo", "nyc/b oslo/a oslo/c")

		o.want(moved, func(inv *fleet.Inventory) { inv.Regions[1].Nodes = inv.Regions[1].Nodes[:1] })
		o.sees(b, "a was taken out and is still there", "nyc/b oslo/a oslo/c")
		o.remove("a")
		o.sees(b, "a is removed", "nyc/b oslo/c")
	})
}

// Receivers wait for the last part, which takes 17 times as long as one, not 257
// times; and for the bundle less.
func TestManyPartsAreToldSoon(t *testing.T) {
	story(t, func(o *office) {
		b := &board{texts: map[string]eventlog.TrustText{}, slow: time.Second}
		i := o.issuers("ca")
		o.issue(i, o.want(), "a")
		o.publisher(i, b, "")
		o.later(3 * time.Second) // the posture is told before
		if b.get("bundle").Version == 0 {
			t.Error("the bundle waits")
		}
		o.later(17 * time.Second)
		if got := b.allowed(o); got != "nyc/a nyc/b" {
			t.Errorf("told is %q", got)
		}
	})
}

// A copy of a credential that its node has replaced is on the list until it ends.
func TestSupersededCertificatesAreListedUntilTheyEnd(t *testing.T) {
	story(t, func(o *office) {
		b := &board{texts: map[string]eventlog.TrustText{}}
		i := o.issuers("ca")
		o.publisher(i, b, "")
		inv := o.want()
		old := o.issue(i, inv, "c")
		o.later(10 * time.Minute)
		next := o.issue(i, inv, "c")
		ca, err := i.For(o.ctx, inv, inv.Find("c"))
		o.must(err)
		reason := func(of *identity.Issued) fleet.Reason {
			o.Helper()
			v := identity.Verification{Roots: [][]byte{ca.CertificatePEM()}, TrustDomain: domain, Node: "c", CRLs: []*identity.CRL{b.crl(o, ca)}, Now: old.NotAfter}
			_, err := v.Leaf(of.CertificatePEM)
			return fleet.ReasonOf(err)
		}
		o.later(identity.SupersededAfter - time.Minute)
		if got := reason(old); got != "" {
			t.Errorf("soon after the next was proved the old one is refused: %s", got)
		}
		o.later(3 * time.Minute)
		if got := reason(old); got != identity.CertificateSuperseded {
			t.Errorf("the old one is refused as %q", got)
		}
		if got := reason(next); got != "" {
			t.Errorf("the one in use is refused as %q", got)
		}
		before, _ := b.total()
		o.later(30 * time.Minute)
		if now, _ := b.total(); now != before {
			t.Errorf("nothing has changed, and %d texts were published", now-before)
		}
		o.later(13 * time.Hour)
		if got := reason(old); got != "" {
			t.Errorf("it is still listed, long after its end: %s", got)
		}
	})
}
