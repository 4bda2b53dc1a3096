package projection

import (
	"sync"
	"time"
)

// What of a record there is.
const (
	hasRemoval = 1 << iota
	hasNode
	isPresent
	isLost
	hasIssued
	hasProved
	provedIsIssued
	hasPast // losses or earlier certificates
)

func flag(yes bool, f uint64) uint64 {
	if yes {
		return f
	}
	return 0
}

func (r *record) flags() uint64 {
	f := flag(!r.removedAt.IsZero(), hasRemoval) | flag(len(r.losses)+len(r.earlier) > 0, hasPast)
	if n := r.node; n != nil {
		f |= hasNode | flag(n.Present, isPresent) | flag(n.Lost, isLost) | flag(n.issued != nil, hasIssued)
		f |= flag(n.proved != nil, hasProved) | flag(n.proved != nil && n.proved == n.issued, provedIsIssued)
	}
	return f
}

func (p *packer) record(r *record) {
	f := r.flags()
	p.uint(f)
	p.uint(r.epoch)
	p.uint(r.last)
	if f&hasNode != 0 {
		p.uint(r.node.Began)
		p.life(r.node, f)
	}
	if f&hasRemoval != 0 {
		p.time(r.removedAt)
	}
}

func (p *packer) life(n *life, f uint64) {
	p.text(n.Session)
	p.text(n.KeyFingerprint)
	p.name(n.Bundle)
	p.time(n.ProvedAt)
	if f&hasIssued != 0 {
		p.credential(n.issued, n)
	}
	if f&hasProved != 0 && f&provedIsIssued == 0 {
		p.credential(n.proved, n)
	}
}

// credential is nearly always for the node's key.
func (p *packer) credential(c *credential, n *life) {
	same := c.KeyFingerprint == n.KeyFingerprint
	p.uint(flag(same, 1))
	if !same {
		p.text(c.KeyFingerprint)
	}
	p.uint(c.Epoch)
	p.text(c.Serial)
	p.text(c.Nonce)
	p.name(c.Issuer)
	p.time(c.NotBefore)
	p.time(c.NotAfter)
	p.uint(c.Sequence)
	p.time(c.IssuedAt)
}

// record reads into an empty record.
func (u *unpacker) record(r *record, c *cell) {
	u.from, u.at = c.facts, 0
	f := u.uint()
	r.id = c.id
	r.epoch, r.last = u.uint(), u.uint()
	own := [2]bool{} // the credentials that are for the node's key
	if f&hasNode != 0 {
		own = u.life(r, c, f)
	}
	if f&hasRemoval != 0 {
		r.removedAt = u.time()
	}
	if c.past != nil {
		r.losses, r.earlier = c.past.losses, c.past.earlier
	}
	u.done()
	for i, cred := range []*credential{&r.first, &r.second} {
		if own[i] {
			cred.KeyFingerprint = r.node.KeyFingerprint
		}
	}
}

func (u *unpacker) life(r *record, c *cell, f uint64) (own [2]bool) {
	n := &r.body
	r.node = n
	n.ID, n.Epoch, n.Present, n.Lost = r.id, r.epoch, f&isPresent != 0, f&isLost != 0
	n.issued, n.proved = nil, nil
	n.Began = u.uint()
	u.text(&n.Session)
	u.text(&n.KeyFingerprint)
	u.name(&n.Bundle)
	n.ProvedAt = u.time()
	if f&hasIssued != 0 {
		own[0] = u.credential(&r.first, c.issued)
		n.issued = &r.first
	}
	switch {
	case f&provedIsIssued != 0:
		n.proved = n.issued
	case f&hasProved != 0:
		own[1] = u.credential(&r.second, c.proved)
		n.proved = &r.second
	}
	return own
}

func (u *unpacker) credential(c *credential, text *certificateText) (own bool) {
	c.text = text
	if own = u.uint() == 1; !own {
		u.text(&c.KeyFingerprint)
	}
	c.Epoch = u.uint()
	u.text(&c.Serial)
	u.text(&c.Nonce)
	u.name(&c.Issuer)
	c.NotBefore, c.NotAfter = u.time(), u.time()
	c.Sequence = u.uint()
	c.IssuedAt = u.time()
	return own
}

// desk is where records are worked on. There is one for who folds, and others
// for those who read at the same time.
type desk struct {
	record
	packer   packer
	unpacker unpacker
}

var desks = sync.Pool{New: func() any { return new(desk) }}

// clear leaves an empty record.
func (d *desk) clear() {
	r := &d.record
	r.node = nil // body and the credentials are written whole when there are any
	r.id, r.epoch, r.last, r.removedAt, r.at, r.slot = "", 0, 0, time.Time{}, 0, 0
	r.losses, r.earlier = nil, nil
}

// open takes the cell of that number apart.
func (d *desk) open(c *cells, n int) *record {
	d.clear()
	d.unpacker.names = &c.names
	d.unpacker.record(&d.record, c.at(n))
	d.at = n
	return &d.record
}

// keep puts the record back into its cell.
func (d *desk) keep(c *cells) {
	d.packer.names, d.packer.b = &c.names, d.packer.b[:0]
	d.packer.record(&d.record)
	at := c.at(d.at)
	at.facts = string(d.packer.b)
	switch {
	case len(d.losses)+len(d.earlier) == 0:
		at.past = nil
	case at.past == nil || !at.past.is(d.losses, d.earlier):
		at.past = &past{d.losses, d.earlier}
	}
	at.slot, at.issued, at.proved = uint32(d.slot), nil, nil
	if n := d.node; n != nil && n.issued != nil {
		at.issued = n.issued.text
	}
	if n := d.node; n != nil && n.proved != nil {
		at.proved = n.proved.text
	}
}
