package search

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// sensors lets a sensor append what the log lacks about a node. Its facts are
// fenced on the node's subject and follow from that subject alone, so that a
// sensor with an older view either says the same or loses the race.
func (a *steps) sensors() {
	for i, id := range ids {
		entries := sense(id, &a.facts.nodes[i], a.from.nodes[i])
		if len(entries) == 0 {
			continue
		}
		entries[0].fence = fence{lastOnSubject, a.facts.nodes[i].last}
		if after, ok := a.from.log.append(entries); ok {
			to := a.from
			to.log = after
			a.add(-1, to, "a sensor reports on node %s", id)
		}
	}
}

// sense compares a node with what the log says of it.
func sense(id fleet.NodeID, log *nodeFacts, real node) (entries []entry) {
	add := func(t events.Type, d events.Payload, distinct ...any) {
		entries = append(entries, entry{event: fact(t, id, d, distinct...)})
	}
	holds := serialOf(real.serial)
	switch {
	case real.alive && (!log.known || !log.Present || log.Session != fmt.Sprint(real.session)):
		add(events.TypeNodeAppeared, &events.NodeAppeared{
			Epoch: log.epoch, Session: fmt.Sprint(real.session), KeyFingerprint: fmt.Sprint(real.key),
		}, real.session, real.key)
		if log.Proved != nil && log.Proved.Serial != holds {
			add(events.TypeCredentialRevoked, &events.CredentialRevoked{
				Epoch: log.epoch, Serial: log.Proved.Serial, Reason: "credential_lost",
			}, log.Proved.Serial)
		}
	case !real.alive && log.known && log.Present:
		add(events.TypeNodeLost, &events.NodeLost{Epoch: log.epoch, Reason: "lease_expired"})
	case log.Issued != nil && log.Issued.Serial == holds && (log.Proved == nil || log.Proved.Serial != holds):
		add(events.TypeCredentialProved, &events.CredentialProved{
			Epoch: log.epoch, Serial: holds, Nonce: log.Issued.Nonce,
		}, holds)
	}
	return entries
}

// fact is an event about a node; what is distinct about it makes its id, for
// two events behind the same log with the same id are the same.
func fact(t events.Type, id fleet.NodeID, d events.Payload, distinct ...any) *events.Event {
	return &events.Event{
		ID: string(id) + fmt.Sprint(distinct...), Source: events.SourcePlanner, Type: t, Node: id, Time: stored, Data: d,
	}
}

func serialOf(seq uint8) string { return fmt.Sprintf("%02x", seq) }
