package projection

import "time"

// credential is a Credential as it is kept. Its epoch is that of the life.
type credential struct {
	notBefore, notAfter, at moment
	sequence                uint64
	odd                     *odd   // nil: nothing
	issuer                  uint32 // number of a name
	serial, nonce           word
	// own says that it is for the node's key; else odd has the key.
	own bool
}

// odd is what of a credential has not the shape that all have.
type odd struct {
	serial, nonce, key, issuer string
	notBefore, notAfter, at    time.Time
}

var even odd

func (c *credential) oddities() *odd {
	if c.odd == nil {
		return &even
	}
	return c.odd
}

func (c *credential) ends() time.Time { return c.notAfter.time(c.oddities().notAfter) }

func (c *credential) serialText() string { return c.serial.text(c.oddities().serial) }

// serialIs says that its serial is that one.
func (c *credential) serialIs(w *word, text string) bool {
	return c.serial == *w && (w.form != elsewhere || c.oddities().serial == text)
}

func (c *credential) nonceIs(w *word, text string) bool {
	return c.nonce == *w && (w.form != elsewhere || c.oddities().nonce == text)
}

func (c *cells) issuerOf(of *credential) string {
	if of.issuer > 0 {
		return c.names.of(of.issuer)
	}
	return of.oddities().issuer
}

func (c *cells) keyOf(node *cell, of *credential) string {
	if of.own {
		return node.keyText()
	}
	return of.oddities().key
}

// shorten is a credential of that node as it is kept.
func (c *cells) shorten(node *cell, p *Credential) credential {
	key := fingerprintOf(p.KeyFingerprint)
	short := credential{
		notBefore: momentOf(p.NotBefore), notAfter: momentOf(p.NotAfter), at: momentOf(p.IssuedAt), sequence: p.Sequence,
		issuer: c.names.number(p.Issuer, node.held.issuer), serial: wordOf(p.Serial), nonce: wordOf(p.Nonce),
		own: node.keyIs(&key, p.KeyFingerprint),
	}
	o := odd{
		serial: beyond(short.serial.form, p.Serial), nonce: beyond(short.nonce.form, p.Nonce),
		notBefore: aside(short.notBefore, p.NotBefore), notAfter: aside(short.notAfter, p.NotAfter), at: aside(short.at, p.IssuedAt),
	}
	if short.issuer == 0 {
		o.issuer = p.Issuer
	}
	if !short.own {
		o.key = p.KeyFingerprint
	}
	if o != even {
		short.odd = new(odd)
		*short.odd = o
	}
	return short
}

// public is the credential as others see it; nil for none.
func (c *cells) public(node *cell, of *credential) *Credential {
	if of == nil {
		return nil
	}
	o := of.oddities()
	return &Credential{
		Serial: of.serialText(), Nonce: of.nonce.text(o.nonce), KeyFingerprint: c.keyOf(node, of), Epoch: node.epoch,
		NotBefore: of.notBefore.time(o.notBefore), NotAfter: of.ends(), Issuer: c.issuerOf(of),
		Sequence: of.sequence, IssuedAt: of.at.time(o.at),
	}
}

// is says that both are one certificate of a node with one challenge, wherever on
// the log they stand. A serial is that of one certificate; if the log has two, the
// text that stands there first is the one that counts.
func (c *credential) is(other *credential) bool {
	return c.serial == other.serial && c.nonce == other.nonce && c.own == other.own &&
		c.notBefore == other.notBefore && c.notAfter == other.notAfter && c.issuer == other.issuer &&
		c.oddities().same(other.oddities())
}

func (o *odd) same(other *odd) bool {
	if o == other {
		return true
	}
	a, b := *o, *other
	a.at, b.at = time.Time{}, time.Time{}
	return a == b
}

// same says that both are there and the same.
func (c *cells) same(a, b *credential) bool {
	return a == b && a != nil || a != nil && b != nil && a.is(b)
}

// issued is the credential that was given last, and nil if that has ended.
func (c *cell) issued() *credential {
	if c.has&hasIssued == 0 {
		return nil
	}
	return &c.held
}

func (c *cell) provedIsIssued() bool {
	return c.has&(hasIssued|hasProved|provedApart) == hasIssued|hasProved
}

// proved is the credential that was proved last, and nil if that has ended.
func (c *cells) proved(of *cell) *credential {
	switch {
	case of.has&provedApart != 0:
		return c.apart.at(int(of.apart))
	case of.has&hasProved != 0:
		return &of.held
	}
	return nil
}

// give makes a credential the newest; what was proved stays so.
func (c *cells) give(of *cell, next credential) {
	if of.has&(hasProved|provedApart) == hasProved {
		of.apart = c.putApart(of.held)
		of.has |= provedApart
	}
	of.held = next
	of.has |= hasIssued
}

// prove takes the newest one for proved.
func (c *cells) prove(of *cell, at time.Time) {
	if of.has&provedApart != 0 {
		c.release(of.apart)
	}
	of.set(provedApart, false)
	of.set(hasProved, true)
	c.proveAt(of, at)
}

// settle leaves the node with what still counts of its credentials.
func (c *cells) settle(of *cell, issued, proved bool) {
	if of.has&provedApart != 0 && !(issued && proved) {
		if proved {
			of.held = *c.apart.at(int(of.apart))
		}
		c.release(of.apart)
		of.set(provedApart, false)
	}
	of.set(hasIssued, issued)
	of.set(hasProved, proved)
	if !issued && !proved {
		of.held = credential{}
	}
	if !proved {
		c.proveAt(of, time.Time{})
	}
}

func (c *cells) putApart(k credential) uint32 {
	last := len(c.free) - 1
	if last < 0 {
		c.free, last = append(c.free, uint32(c.apart.add())), 0
	}
	place := c.free[last]
	c.free = c.free[:last]
	*c.apart.change(int(place)) = k
	return place
}

// release lets others have the place of a credential that lay apart.
func (c *cells) release(place uint32) {
	*c.apart.change(int(place)) = credential{}
	c.free = append(c.free, place)
}
