package projection_test

import (
	"slices"
	"testing"
	"time"
)

// What another credential took the place of is superseded from the time that one
// was proved, and until it ends.
func TestSupersededIsWhatAnotherCredentialTookThePlaceOf(t *testing.T) {
	s := after(t, `
		appeared n1
		issued n1 serial=01 ends=1000
		proved n1 serial=01
		issued n1 serial=02 ends=2000`)
	at := func(seconds int) time.Time { return midnight.Add(time.Duration(seconds) * time.Second) }
	serials := func(before time.Time) (all []string) {
		for _, r := range s.Superseded(before) {
			all = append(all, r.Serial)
			if !s.IsSuperseded("n1", r.Serial, before) {
				t.Errorf("%s is listed, and IsSuperseded denies it", r.Serial)
			}
		}
		slices.Sort(all)
		return all
	}
	if got := serials(at(100)); got != nil {
		t.Errorf("before the next was proved %v are superseded", got)
	}
	apply(t, s, parseLine("proved n1 serial=02").event())
	proved := s.Sequence()
	if got := serials(at(int(proved))); !slices.Equal(got, []string{"01"}) {
		t.Errorf("after it was proved %v are superseded", got)
	}
	if got := serials(at(int(proved) - 1)); got != nil || s.IsSuperseded("n1", "02", at(100)) || s.IsSuperseded("n2", "01", at(100)) {
		t.Errorf("at the time before, %v were", got)
	}
	if got := s.SignersOf("n1", at(100)); len(got) != 1 {
		t.Errorf("n1 may sign by %q", got)
	}
	apply(t, s, parseLine("removed n1").event())
	if got := serials(at(100000)); got != nil || s.SignersOf("n1", at(0)) != nil {
		t.Errorf("of a node that is gone %v are superseded: they are revoked", got)
	}
	revoked := 0
	for _, r := range s.Revoked() {
		if r.Serial == "01" || r.Serial == "02" {
			revoked++
		}
	}
	if revoked != 2 {
		t.Errorf("%d of two are revoked", revoked)
	}
}

// A node that was moved signs with what either region's issuer has given it, until
// the time in which it puts the old one away has passed.
func TestSignersAreWhoGaveWhatANodeMaySignWith(t *testing.T) {
	s := after(t, `
		appeared n1
		issued n1 serial=01 ends=1000 issuer=a
		proved n1 serial=01
		issued n1 serial=02 ends=2000 issuer=b
		proved n1 serial=02`)
	proved := midnight.Add(time.Duration(s.Sequence()) * time.Second)
	for _, c := range []struct {
		after time.Time
		want  []string
	}{{proved.Add(-time.Second), []string{"a", "b"}}, {proved, []string{"b"}}} {
		var got []string
		for id, issuer := range s.Signers(c.after) {
			if id != "n1" {
				t.Errorf("%s signs", id)
			}
			got = append(got, issuer)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("after %v: %v, want %v", c.after, got, c.want)
		}
	}
}
