package projection

import (
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// cell is what is kept of an id at rest. A fleet has millions of them and works on
// one: so the facts lie packed, in one piece, which is a third of what they take
// as a record. A cell is taken apart and put together again for each event that
// concerns it.
type cell struct {
	id fleet.NodeID
	// facts is the record, tries its account in the ledger; packed.
	facts, tries string
	// issued and proved are the certificates of the node's credentials.
	issued, proved *certificateText
	past           *past // nil: none
	slot           uint32
}

// past is what most nodes have none of, and some much: it is kept as it is, since
// it would have to be taken apart for each event. What it holds is never changed
// in place: a Still may have it, too.
type past struct {
	losses  []time.Time
	earlier []certificate
}

// is says that nothing was added or dropped.
func (p *past) is(losses []time.Time, earlier []certificate) bool {
	return sameList(p.losses, losses) && sameList(p.earlier, earlier)
}

func sameList[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// without is the list without those of which the condition holds.
func without[T any](list []T, condition func(T) bool) []T {
	if !slices.ContainsFunc(list, condition) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), condition)
}

// head is what the facts of a cell begin with, for whoever needs no more.
type head struct{ flags, epoch, last, began uint64 }

func (c *cell) head() (h head) {
	if c == nil {
		return head{epoch: firstEpoch}
	}
	u := unpacker{from: c.facts}
	h.flags, h.epoch, h.last = u.uint(), u.uint(), u.uint()
	if h.flags&hasNode != 0 {
		h.began = u.uint()
	}
	return h
}

func (h head) observed() bool { return h.flags&hasNode != 0 }
func (h head) lost() bool     { return h.flags&isLost != 0 }

// cellsInPiece is how many cells lie in one piece: many enough that a piece is
// little work for the garbage collector, and few enough that the last piece
// wastes little.
const cellsInPiece = 1024

// cells finds the cell of an id. No id is ever forgotten.
type cells struct {
	pieces [][]cell
	table  index.Table
	// names are issuers, bundles and chains, which are the same for many nodes.
	names names
}

func (c *cells) len() int { return c.table.Len() }

func (c *cells) at(n int) *cell { return &c.pieces[n/cellsInPiece][n%cellsInPiece] }

// find is the number of an id's cell; -1 for an id never heard of.
func (c *cells) find(id fleet.NodeID) int { return c.lookup(index.HashOf(string(id)), id) }

func (c *cells) lookup(h index.Hash, id fleet.NodeID) int {
	n, next := c.table.Probe(h, c.table.Start(h))
	for n >= 0 && c.at(n).id != id {
		n, next = c.table.Probe(h, next)
	}
	return n
}

// get is the cell of an id; nil for an id never heard of.
func (c *cells) get(id fleet.NodeID) *cell {
	if n := c.find(id); n >= 0 {
		return c.at(n)
	}
	return nil
}

// add makes a cell for an id that has none.
func (c *cells) add(id fleet.NodeID) int {
	n := c.len()
	if n%cellsInPiece == 0 {
		c.pieces = append(c.pieces, make([]cell, cellsInPiece))
	}
	// The id may be a part of a message that nobody needs otherwise.
	c.at(n).id = fleet.NodeID(strings.Clone(string(id)))
	c.table.Add(index.HashOf(string(id)), n)
	return n
}

// names keeps texts that many share once, under a number. They are few: issuers,
// trust bundles, chains of regions.
type names struct {
	list    []string
	numbers map[string]uint64
}

// maxNames bounds what is kept for ever: nodes report bundles as they like.
const maxNames = 4096

// number of a name, from 1; 0 when there is no room for it.
func (n *names) number(name string) uint64 {
	at, known := n.numbers[name]
	if known || len(n.list) == maxNames {
		return at
	}
	if n.numbers == nil {
		n.numbers = make(map[string]uint64)
	}
	name = strings.Clone(name)
	n.list = append(n.list, name)
	n.numbers[name] = uint64(len(n.list))
	return uint64(len(n.list))
}

// shared is a copy of the name that others have, too.
func (n *names) shared(name string) string {
	if at := n.number(name); at > 0 {
		return n.list[at-1]
	}
	return strings.Clone(name)
}
