package projection

import "github.com/fleetfold/fleetfold/pkg/fleet"

// account is what was tried for a need, and whether anything was.
func (l *Ledger) account(need fleet.Action) (Attempts, bool) {
	c := l.ids.get(need.ID)
	if c == nil {
		a, tried := l.strangers[need]
		return a, tried
	}
	a, from, to := tried(c.tries, kindOf(need))
	return a, from < to
}

func kindOf(need fleet.Action) int { return int(need.Type.Phase()) - 1 }

// change gives the account of a need another content, if change says so. It is
// given the one that there is, and whether there is one.
func (l *Ledger) change(need fleet.Action, change func(a *Attempts, known bool) bool) bool {
	n := l.ids.find(need.ID)
	if n < 0 {
		a, known := l.strangers[need]
		if !change(&a, known) {
			return false
		}
		l.strangers[need] = a
		return true
	}
	c, kind := l.ids.at(n), kindOf(need)
	a, from, to := tried(c.tries, kind)
	if !change(&a, from < to) {
		return false
	}
	p := &l.packer
	p.b = append(p.b[:0], c.tries[:from]...)
	p.attempts(kind, a)
	p.b = append(p.b, c.tries[to:]...)
	l.ids.change(n).tries = string(p.b)
	return true
}

// adopt moves the accounts of an id of which a fact tells for the first time.
func (l *Ledger) adopt(n int) {
	if len(l.strangers) == 0 {
		return
	}
	c, p := l.ids.change(n), &l.packer
	p.b = p.b[:0]
	for kind, t := range fleet.ActionTypes {
		need := fleet.Action{Type: t, ID: c.id}
		if a, tried := l.strangers[need]; tried {
			p.attempts(kind, a)
			delete(l.strangers, need)
		}
	}
	c.tries = string(p.b)
}

// take gives a cell the accounts of an image.
func (l *Ledger) take(c *cell, list []NeedImage) {
	p := &l.packer
	p.b = p.b[:0]
	for _, a := range list {
		p.attempts(int(a.Type.Phase())-1, a.Attempts)
	}
	c.tries = string(p.b)
}

// forget drops the account of a node whose life has ended, in the cell with that number.
func (l *Ledger) forget(n int) {
	l.drop(n, func(kind int, _ Attempts) bool { return fleet.ActionTypes[kind].ConcernsNode() })
}

// drop drops the accounts of a cell for which the condition holds.
func (l *Ledger) drop(n int, condition func(kind int, a Attempts) bool) {
	c := l.ids.at(n)
	if c.tries == "" {
		return
	}
	u, p := unpacker{from: c.tries}, &l.packer
	p.b = p.b[:0]
	for u.more() {
		if kind, a := u.attempts(); !condition(kind, a) {
			p.attempts(kind, a)
		}
	}
	if len(p.b) < len(c.tries) {
		l.ids.change(n).tries = string(p.b)
	}
}

// forgetStrangers drops, when a new inventory comes, the accounts of ids that
// were to be enrolled and never appeared: at the new generation they count for
// nothing, and nobody will ever remove them.
func (l *Ledger) forgetStrangers() {
	for need := range l.strangers {
		if need.ID != "" && l.busy[need.ID].length == 0 {
			delete(l.strangers, need)
		}
	}
	for n := range l.ids.len {
		c := l.ids.at(n)
		if c.id != "" && c.tries != "" && !c.observed() && l.busy[c.id].length == 0 {
			l.ids.change(n).tries = ""
		}
	}
}

// forgetFuture drops, when the inventory of a generation comes, the accounts
// that claim to be of that generation or a later one already: nobody can have
// decided on it, and they would keep what is decided now from counting.
func (l *Ledger) forgetFuture(generation uint64) {
	for need, a := range l.strangers {
		if a.Generation >= generation {
			delete(l.strangers, need)
		}
	}
	for n := range l.ids.len {
		l.drop(n, func(_ int, a Attempts) bool { return a.Generation >= generation })
	}
}
