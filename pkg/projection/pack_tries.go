package projection

import "github.com/fleetfold/fleetfold/pkg/fleet"

// The account of an id in the ledger lies packed in its cell: what was tried for
// each need of it, in the order of fleet.ActionTypes.

// attempts packs what was tried for the needs of one type.
func (p *packer) attempts(kind int, a Attempts) {
	p.uint(uint64(kind)<<2 | flag(a.LastRefused, 1) | flag(a.Retry, 2))
	p.int(a.Published)
	p.int(a.Failures)
	p.time(a.LastOutcome)
	p.plain(a.LastError)
	p.uint(a.Epoch)
	p.uint(a.Generation)
}

func (u *unpacker) attempts() (kind int, a Attempts) {
	n := u.uint()
	a.LastRefused, a.Retry = n&1 != 0, n&2 != 0
	a.Published, a.Failures = u.int(), u.int()
	a.LastOutcome = u.time()
	a.LastError = u.plain()
	a.Epoch, a.Generation = u.uint(), u.uint()
	return int(n >> 2), a
}

// tried is the account of one type in a packed one, and where it lies: between
// from and to, which are the same where it would be and is not.
func tried(packed string, kind int) (a Attempts, from, to int) {
	u := unpacker{from: packed}
	for u.more() {
		from = u.at
		have, a := u.attempts()
		switch {
		case have == kind:
			return a, from, u.at
		case have > kind:
			return Attempts{}, from, from
		}
	}
	return Attempts{}, len(packed), len(packed)
}

// images lists a packed account.
func images(packed string) (list []NeedImage) {
	u := unpacker{from: packed}
	for u.more() {
		kind, a := u.attempts()
		list = append(list, NeedImage{fleet.ActionTypes[kind], a})
	}
	return list
}
