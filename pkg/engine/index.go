package engine

import (
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// seen finds a node of an observed state by id. Only its memory is kept from one
// decision to the next.
type seen struct {
	nodes []fleet.ObservedNode
	table index.Table
}

// build indexes nodes. Of an id that stands twice, the first is kept.
func (x *seen) build(nodes []fleet.ObservedNode) {
	x.nodes = nodes
	x.table.Reset(len(nodes))
	var s strip
	for from := 0; from < len(nodes); from += len(s.hash) {
		some := nodes[from:min(from+len(s.hash), len(nodes))]
		for i := range some {
			s.hash[i] = index.HashOf(string(some[i].ID))
		}
		s.probe(x, len(some)) // for the memory only: it may stand twice in this strip
		for i := range some {
			if x.find(s.hash[i], some[i].ID) < 0 {
				x.table.Add(s.hash[i], from+i)
			}
		}
	}
}

// strip is some nodes that are looked up together. In a large fleet each step of
// a look-up waits for memory: the hash, the slot, the node. Taking one step for
// all before the next lets those of a strip wait at the same time.
type strip struct {
	hash  [64]index.Hash
	place [64]int
	next  [64]index.Slot
}

// probe takes the first step for n nodes whose hashes are known.
func (s *strip) probe(x *seen, n int) {
	for i := range n {
		s.place[i], s.next[i] = x.table.Probe(s.hash[i], x.table.Start(s.hash[i]))
	}
}

// find finishes the look-up of the node at i.
func (s *strip) find(x *seen, i int, id fleet.NodeID) int {
	at := s.place[i]
	for next := s.next[i]; at >= 0 && x.nodes[at].ID != id; {
		at, next = x.table.Probe(s.hash[i], next)
	}
	return at
}

// find returns the position of id among the indexed nodes, or -1.
func (x *seen) find(h index.Hash, id fleet.NodeID) int {
	at, next := x.table.Probe(h, x.table.Start(h))
	for at >= 0 && x.nodes[at].ID != id {
		at, next = x.table.Probe(h, next)
	}
	return at
}

// of is what is observed of id; zero and false for a node that is not observed.
func (x *seen) of(id fleet.NodeID) (have fleet.ObservedNode, observed bool) {
	if at := x.find(index.HashOf(string(id)), id); at >= 0 {
		return x.nodes[at], true
	}
	return have, false
}
