//go:build benchgate

package benchgate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/decide"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// site is a fleet in which everybody is present and signs.
type site struct {
	state   *projection.State
	desired *decide.Desired
	ids     []fleet.NodeID
	turn    int
}

// enrolment is what a log holds of a node that has come to that.
func enrolment(n int) []*events.Event {
	id := fleet.NodeID(fmt.Sprintf("edge/node-%07d", n))
	key, serial := keyOf(n), fmt.Sprintf("%032x", n+1)
	enroll, issue := fleet.ActionID(fmt.Sprintf("enroll-%020x", n)), fleet.ActionID(fmt.Sprintf("issue-%020x", n))
	list := []*events.Event{
		{Type: events.TypeOfAction(fleet.EnrollNode), Data: &events.ActionRequested{Type: fleet.EnrollNode, ID: id, Action: enroll, Attempt: 1, Epoch: 1, Generation: 1}},
		{Type: events.TypeNodeAppeared, Data: &events.NodeAppeared{Epoch: 1, Session: serial, KeyFingerprint: key}},
		{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Action: enroll}},
		{Type: events.TypeOfAction(fleet.IssueCredential), Data: &events.ActionRequested{Type: fleet.IssueCredential, ID: id, Action: issue, Attempt: 1, Epoch: 1, Generation: 1}},
		{Type: events.TypeCredentialIssued, Data: &events.CredentialIssued{
			Epoch: 1, Serial: serial, Nonce: serial, KeyFingerprint: key, Issuer: "sha256:aa", NotBefore: noon, NotAfter: noon.Add(24 * time.Hour),
		}},
		{Type: events.TypeCredentialProved, Data: &events.CredentialProved{Epoch: 1, Serial: serial, Nonce: serial}},
		{Type: events.TypeActionSucceeded, Data: &events.ActionSucceeded{Action: issue}},
	}
	for _, e := range list {
		e.Node = id
	}
	return list
}

// renewals are those of a fleet that goes on, in rounds: each ends before the
// next but one.
type renewals struct {
	state  *projection.State
	rounds [4][]*events.Event
	at     time.Time
	turn   int
}

func newRenewals(tb testing.TB, nodes int) *renewals {
	r := &renewals{state: folded(tb, enrolments(nodes)), at: noon}
	for n := range nodes {
		id := fleet.NodeID(fmt.Sprintf("edge/node-%07d", n))
		for i := range r.rounds {
			serial := fmt.Sprintf("%028x%04x", n+1, i+1)
			r.rounds[i] = append(r.rounds[i],
				&events.Event{Type: events.TypeCredentialIssued, Node: id, Data: &events.CredentialIssued{Epoch: 1, Serial: serial, Nonce: serial, KeyFingerprint: keyOf(n), Issuer: "sha256:aa"}},
				&events.Event{Type: events.TypeCredentialProved, Node: id, Data: &events.CredentialProved{Epoch: 1, Serial: serial, Nonce: serial}})
		}
	}
	for range 2 * len(r.rounds) { // until all memory is there that is needed
		r.next(tb)
	}
	return r
}

// next folds the next round, and says how many events it had.
func (r *renewals) next(tb testing.TB) int {
	all := r.rounds[r.turn%len(r.rounds)]
	r.at = r.at.Add(18 * time.Hour)
	for _, e := range all {
		if d, ok := e.Data.(*events.CredentialIssued); ok {
			d.NotBefore, d.NotAfter = r.at, r.at.Add(24*time.Hour)
		}
		if change, err := r.state.Apply(r.state.Sequence()+1, r.at, e); err != nil || change.Empty() {
			tb.Fatal(change, err)
		}
	}
	r.turn++
	return len(all)
}

func keyOf(n int) string { return fmt.Sprintf("sha256:%064x", n+1) }

func enrolments(nodes int) (all []*events.Event) {
	for n := range nodes {
		all = append(all, enrolment(n)...)
	}
	return all
}

func folded(tb testing.TB, all []*events.Event) *projection.State {
	s := projection.New()
	for i, e := range all {
		if _, err := s.Apply(uint64(i+1), noon.Add(time.Duration(i)*time.Millisecond), e); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func newSite(tb testing.TB, nodes int) *site {
	s := &site{state: folded(tb, enrolments(nodes))}
	inv := &fleet.Inventory{QuorumWidth: 1, Regions: make([]fleet.Region, 10)}
	for n := range nodes {
		region := &inv.Regions[n*10/nodes]
		region.Name = fmt.Sprint("region-", n*10/nodes)
		s.ids = append(s.ids, s.state.Observed().Nodes[n].ID)
		region.Nodes = append(region.Nodes, fleet.Node{ID: s.ids[n]})
	}
	s.desired = decide.NewDesired(inv)
	return s
}

// shuffled is what is observed, in another order than the inventory's.
func (s *site) shuffled() *fleet.ObservedState {
	o := &fleet.ObservedState{Nodes: slices.Clone(s.state.Observed().Nodes)}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(o.Nodes), func(i, j int) { o.Nodes[i], o.Nodes[j] = o.Nodes[j], o.Nodes[i] })
	return o
}

// change has a node be lost, and come back the next time.
func (s *site) change(tb testing.TB) {
	n := s.turn / 2 * 7919 % len(s.ids)
	id := s.ids[n]
	e := &events.Event{Type: events.TypeNodeLost, Node: id, Data: &events.NodeLost{Epoch: 1}}
	if s.turn%2 == 1 {
		e = &events.Event{Type: events.TypeNodeAppeared, Node: id, Data: &events.NodeAppeared{Epoch: 1, Session: "back", KeyFingerprint: keyOf(n)}}
	}
	s.turn++
	if _, err := s.state.Apply(s.state.Sequence()+1, noon, e); err != nil {
		tb.Fatal(err)
	}
}
