package rollout

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/receiver"
)

func TestNoPostOfADesiredNodeIsRefused(t *testing.T) {
	s := open(t)
	ids := []fleet.NodeID{"n1", "n2", "n3", "n4", "n5"}
	s.start(ids...)
	s.want(false, ids...)
	for _, id := range ids {
		// Its peers may sign already: they prove that they can within a moment.
		s.agents[id].until("an unsigned post", func() bool { return s.agents[id].attack(nil, http.StatusNoContent, "") })
		if s.agents[id].metric(`fleetfold_posts_received_total{reason="unsigned",result="unverified"}`) == 0 {
			t.Errorf("%s does not count what it would refuse", id)
		}
	}

	s.want(true, ids...) // from permissive to strict
	s.attacked(ids)
	s.reissued(ids...)
	s.flow(ids)
	s.want(false, ids...)
	s.flow(ids)
	s.ttl["n5"] = time.Hour
	s.want(true, ids...)
	s.attacked(ids)
	stay := ids[:4]
	s.reissued(stay...)
	s.flow(ids)

	// A node that is taken out is heard no more, whoever has the credential that it
	// had last. That must not change while it is stolen, and not end by itself.
	s.await("a long credential", func(state *projection.State) bool {
		n, ok := state.Node("n5")
		return ok && n.Proved != nil && time.Until(n.Proved.NotAfter) > s.ttl["n5"]/2
	})
	thief := s.stolen("n5")
	s.want(true, stay...)
	s.await("the removal", func(state *projection.State) bool { _, there := state.Node("n5"); return !there })
	for _, id := range stay {
		s.agents[id].until("the revocation", func() bool {
			return s.agents[id].attack(thief, http.StatusUnauthorized, identity.CertificateRevoked)
		})
	}
	s.flow(stay)
	s.account(ids)
}

// attacked demands that the receivers refuse strangers.
func (s *site) attacked(ids []fleet.NodeID) {
	s.Helper()
	self, foreign := stranger(s.T, domain, "n1"), stranger(s.T, "other.example", "n1")
	traitor := s.crossing("oslo", ids[len(ids)-1])
	for _, id := range ids {
		a := s.agents[id]
		if !a.attack(nil, http.StatusUnauthorized, receiver.Unsigned) ||
			!a.attack(self, http.StatusUnauthorized, identity.ChainUntrusted) ||
			!a.attack(foreign, http.StatusUnauthorized, receiver.WrongSource) ||
			!a.attack(traitor, http.StatusUnauthorized, identity.IssuerRegion) {
			s.Errorf("%s takes posts of strangers while the fleet is strict", id)
		}
	}
}

// flow demands that verified posts reach each node.
func (s *site) flow(ids []fleet.NodeID) {
	s.Helper()
	for _, id := range ids {
		s.agents[id].takes(50)
	}
}

// account ends the agents and adds up what both sides say.
func (s *site) account(ids []fleet.NodeID) {
	s.Helper()
	total := 0.0
	for _, id := range ids {
		a := s.agents[id]
		sent, received := a.end()
		for name, n := range sent {
			if strings.HasPrefix(name, "refused") {
				s.Errorf("%v posts of %s were refused: %s", n, id, name)
			}
		}
		accepted, _ := sent["accepted"].(float64)
		total += accepted
		refused, _ := received["refused"].(map[string]any)
		delete(refused, string(receiver.PostureUnknown)) // said to come again, before there was a posture
		for reason, n := range refused {
			if n != a.attacks[fleet.Reason(reason)] {
				s.Errorf("%s refused %v posts as %s, %v of them were attacks", id, n, reason, a.attacks[fleet.Reason(reason)])
			}
		}
		if len(refused) != len(a.attacks) {
			s.Errorf("%s refused for %v, the attacks were %v", id, refused, a.attacks)
		}
		s.Logf("%s: sent %v, received %v", id, sent, received)
	}
	s.Logf("%.0f posts were taken, and none of a desired node was refused", total)
}
