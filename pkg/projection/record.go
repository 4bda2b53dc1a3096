package projection

import (
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// record is what is kept of an id, while it is worked on: at rest it is a cell.
// It outlives the node: the epoch and the last sequence must never be forgotten.
type record struct {
	id        fleet.NodeID
	epoch     uint64
	last      uint64
	removedAt time.Time
	node      *life         // nil: not observed
	earlier   []certificate // given to the present life before issued and proved
	losses    []time.Time   // of the present life, oldest first

	// at is the number of its cell, slot the node's place in the observed order.
	at, slot int
	// body, first and second are the memory of node and of its credentials.
	body          life
	first, second credential
}

// life is a Node with its credentials as they are kept; those of Node are nil.
type life struct {
	Node
	issued, proved *credential
}

// credential is a Credential whose certificate is kept apart; that of Credential
// is empty.
type credential struct {
	Credential
	text *certificateText // nil: empty
}

func (l *life) public(last uint64) Node {
	n := l.Node
	n.Last, n.Issued = last, l.issued.public()
	if n.Proved = n.Issued; l.proved != l.issued {
		n.Proved = l.proved.public()
	}
	return n
}

func (c *credential) public() *Credential {
	if c == nil {
		return nil
	}
	public := c.Credential
	public.CertificatePEM = c.text.String()
	return &public
}

// private takes what is public of a node over into the record.
func (r *record) private(c *cells, n *Node) {
	r.body = life{Node: *n}
	r.node = &r.body
	r.node.Issued, r.node.Proved = nil, nil
	if n.Issued != nil {
		r.first = credential{*n.Issued, c.textOf(n.Issued.CertificatePEM)}
		r.first.CertificatePEM = ""
		r.node.issued = &r.first
	}
	switch {
	case n.Proved == nil:
	case n.Issued != nil && *n.Issued == *n.Proved:
		r.node.proved = r.node.issued
	default:
		r.second = credential{*n.Proved, c.textOf(n.Proved.CertificatePEM)}
		r.second.CertificatePEM = ""
		r.node.proved = &r.second
	}
}
