package projection

import (
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/index"
)

// cells finds the cell of an id. No id is ever forgotten.
type cells struct {
	pieces[cell]
	table index.Table
	// last is the cell that was asked for last: facts on one node often follow
	// one another.
	last int
	// apart are proved credentials behind which another was issued already; free
	// are the places among them that nobody has.
	apart pieces[credential]
	free  []uint32
	// names are issuers, bundles and chains, which are the same for many nodes.
	names names
	// era counts how often the cells were lent.
	era uint32
	ids idTexts
}

// find is the number of an id's cell; -1 for an id never heard of.
func (c *cells) find(id fleet.NodeID) int { return c.lookup(index.HashOf(string(id)), id) }

func (c *cells) lookup(h index.Hash, id fleet.NodeID) int {
	n, next := c.table.Probe(h, c.table.Start(h))
	for n >= 0 && c.at(n).id != id {
		n, next = c.table.Probe(h, next)
	}
	return n
}

// get is the cell of an id, to read; nil for an id never heard of.
func (c *cells) get(id fleet.NodeID) *cell {
	if n := c.find(id); n >= 0 {
		return c.at(n)
	}
	return nil
}

// open is the number of an id's cell, of a new one for an id never heard of.
func (c *cells) open(id fleet.NodeID) (n int, isNew bool) {
	if c.last < c.len && c.at(c.last).id == id {
		return c.last, false
	}
	h := index.HashOf(string(id))
	if c.last = c.lookup(h, id); c.last >= 0 {
		return c.last, false
	}
	c.last = c.add()
	c.table.Add(h, c.last)
	*c.change(c.last) = cell{id: c.ids.keep(id), epoch: firstEpoch, provedAt: never}
	return c.last, true
}

// lend is the cells as they are now, for who only reads.
func (c *cells) lend() *cells {
	c.era++
	lent := &cells{pieces: c.pieces.lend(), apart: c.apart.lend(), names: c.names}
	lent.names.numbers = nil // no new ones
	return lent
}

// idTexts keeps ids one behind the other. An id may be a part of a message that
// nobody needs otherwise.
type idTexts struct{ strings.Builder }

func (t *idTexts) keep(id fleet.NodeID) fleet.NodeID {
	const together = 16 << 10
	if t.Cap()-t.Len() < len(id) {
		t.Reset()
		t.Grow(max(together, len(id)))
	}
	from := t.Len()
	t.WriteString(string(id))
	return fleet.NodeID(t.String()[from:])
}

// names keeps texts that many share once, under a number. They are few: issuers,
// trust bundles, chains of regions.
type names struct {
	list    []string
	numbers map[string]uint32
}

// maxNames bounds what is kept for ever: nodes report bundles as they like.
const maxNames = 4096

// number of a name, from 1; 0 for the empty one, and when there is no room for it.
// near is one that it may be.
func (n *names) number(name string, near uint32) uint32 {
	if name == "" {
		return 0
	}
	if n.of(near) == name {
		return near
	}
	at, known := n.numbers[name]
	if known || len(n.list) == maxNames {
		return at
	}
	if n.numbers == nil {
		n.numbers = make(map[string]uint32)
	}
	name = strings.Clone(name)
	n.list = append(n.list, name)
	n.numbers[name] = uint32(len(n.list))
	return uint32(len(n.list))
}

// of is the name with that number; empty for 0.
func (n *names) of(number uint32) string {
	if number == 0 {
		return ""
	}
	return n.list[number-1]
}
