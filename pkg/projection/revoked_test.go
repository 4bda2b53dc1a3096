package projection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// given is one certificate of a history, as the oracle sees it.
type given struct {
	who, key, serial string
	ends             uint64
	over             bool
}

// revokedOracle reads the history from its start: which certificates were given
// to the present life of a node, and which of them something ended.
func revokedOracle(s *projection.State, counted []line, at []uint64) (want []string) {
	var all []*given
	revoke := func(now uint64, which func(*given) bool) {
		for _, g := range all {
			if !g.over && which(g) {
				g.over = true
				if g.ends >= now {
					want = append(want, fmt.Sprintf("%s at %d until %d", g.serial, now, g.ends))
				}
			}
		}
	}
	for n, l := range counted {
		now := at[n]
		switch l.verb {
		case "issued":
			all = append(all, &given{who: l.who, key: l.text("key", "k1"), serial: l.text("serial", ""), ends: l.number("ends")})
		case "expired":
			for _, g := range all {
				g.over = g.over || g.who == l.who && g.serial == l.text("serial", "")
			}
		case "revoked":
			revoke(now, func(g *given) bool { return g.who == l.who && g.serial == l.text("serial", "") })
		case "removed":
			revoke(now, func(g *given) bool { return g.who == l.who })
		case "appeared":
			revoke(now, func(g *given) bool { return g.who == l.who && g.key != l.text("key", "k1") })
		}
	}
	end := s.Sequence()
	return slices.DeleteFunc(want, func(text string) bool {
		var ends uint64
		_, err := fmt.Sscanf(text[strings.LastIndex(text, " ")+1:], "%d", &ends)
		return err != nil || ends < end
	})
}

// Each certificate has a serial of its own, as issuers see to.
func TestRevokedIsWhatHistoryGaveAndEnded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		var counted []line
		var at []uint64
		serials := 0
		for range rapid.IntRange(5, 60).Draw(rt, "length") {
			node := rapid.SampledFrom([]string{"n1", "n2"}).Draw(rt, "node")
			epoch := fmt.Sprintf(" epoch=%d", s.Ledger().Epoch(fleet.NodeID(node)))
			verb := rapid.SampledFrom([]string{"appeared", "issued", "issued", "proved", "proved", "expired", "revoked", "removed", "lost"}).Draw(rt, "verb")
			text := verb + " " + node + epoch + rapid.SampledFrom([]string{" key=k1", " key=k1", " key=k2"}).Draw(rt, "key")
			if verb == "issued" {
				serials++
				text += fmt.Sprintf(" serial=%02x ends=%d", serials, rapid.IntRange(0, 90).Draw(rt, "ends"))
			} else {
				text += fmt.Sprintf(" serial=%02x", rapid.IntRange(max(1, serials-3), max(1, serials)).Draw(rt, "serial"))
			}
			l := parseLine(text)
			if !apply(t, s, l.event()).Empty() {
				counted, at = append(counted, l), append(at, s.Sequence())
			}
			var got []string
			for _, r := range s.Revoked() {
				got = append(got, fmt.Sprintf("%s at %d until %d", r.Serial, int(r.At.Sub(midnight)/time.Second), int(r.NotAfter.Sub(midnight)/time.Second)))
			}
			want := revokedOracle(s, counted, at)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				rt.Fatalf("after %v:\ngot  %v\nwant %v", counted, got, want)
			}
		}
	})
}

func TestRevokedIsBoundedAndKeepsWhatEndsLast(t *testing.T) {
	s := projection.New()
	const over = 10
	for n := range projection.MaxRevoked + over {
		node := fmt.Sprintf("n%d", n)
		for _, text := range []string{
			"appeared " + node, fmt.Sprintf("issued %s serial=%06x ends=%d", node, n, 1000000+n), "removed " + node,
		} {
			apply(t, s, parseLine(text).event())
		}
	}
	all := s.Revoked()
	if len(all) != projection.MaxRevoked || s.RevokedDropped() != over || all[0].Serial != fmt.Sprintf("%06x", over) {
		t.Errorf("%d are kept, %d dropped, the first is %s", len(all), s.RevokedDropped(), all[0].Serial)
	}
}

func TestOneNodeCannotBeGivenMoreThanIsKept(t *testing.T) {
	s := after(t, "appeared n1")
	for n := range 200 {
		apply(t, s, parseLine(fmt.Sprintf("issued n1 serial=%02x ends=%d", n, 100000+n)).event())
	}
	apply(t, s, parseLine("removed n1").event())
	if all := s.Revoked(); len(all) != 65 || all[0].Serial != fmt.Sprintf("%02x", 200-65) {
		t.Errorf("%d are revoked, the first is %s", len(all), all[0].Serial)
	}
}
