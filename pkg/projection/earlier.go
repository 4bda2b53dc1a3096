package projection

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// certificate is what revoking needs to know of a credential.
type certificate struct {
	notAfter moment
	odd      *odd
	issuer   uint32
	serial   word
	own      bool
}

func (c *credential) certificate() certificate {
	return certificate{notAfter: c.notAfter, odd: c.odd, issuer: c.issuer, serial: c.serial, own: c.own}
}

// credential is what is known of it as of one that still counts.
func (c *certificate) credential() credential {
	return credential{notAfter: c.notAfter, odd: c.odd, issuer: c.issuer, serial: c.serial, own: c.own}
}

func (c *certificate) ends() time.Time {
	if c.notAfter == farAway {
		return c.odd.notAfter
	}
	return c.notAfter.time(time.Time{})
}

// endsBefore is ends().Before, of a time and of its moment.
func (c *certificate) endsBefore(at time.Time, m moment) bool {
	if c.notAfter == farAway || m == farAway {
		return c.ends().Before(at)
	}
	return c.notAfter < m // the zero time is the first of all moments
}

// mark is a bit of some that follows from the serial.
func (c *certificate) mark() (word int, mark uint64) {
	const golden = 0x9e3779b97f4a7c15
	h := (binary.LittleEndian.Uint64(c.serial.place[:8])*golden ^ binary.LittleEndian.Uint64(c.serial.place[8:])) * golden >> 56
	return int(h / 64), 1 << (h % 64)
}

// isAmong says that one of these has its serial.
func (c *certificate) isAmong(list []certificate) bool {
	for i := range list {
		if have := &list[i]; have.serial.place == c.serial.place && have.serial.form == c.serial.form &&
			(c.serial.form != elsewhere || have.odd.serial == c.odd.serial) {
			return true
		}
	}
	return false
}

// keepEarlier notes a credential that another one takes the place of: it can
// still be used until it ends, so it can still be revoked. still is one that goes
// on counting.
func (c *cells) keepEarlier(at time.Time, of *cell, k, still *credential) {
	m := momentOf(at)
	c.dropEnded(of, at, m)
	if k == nil || c.same(k, still) {
		return
	}
	next := k.certificate()
	word, mark := next.mark()
	if next.endsBefore(at, m) || of.more().marks[word]&mark != 0 && next.isAmong(of.more().earlier) {
		return
	}
	b := c.besides(of)
	b.earlier = append(b.earlier, next)
	b.marks[word] |= mark
	if len(b.earlier) == 1 || next.endsBefore(b.firstEnd, momentOf(b.firstEnd)) {
		b.firstEnd = next.ends()
	}
	if len(b.earlier) > maxEarlier {
		c.dropFirst(b)
	}
}

// dropEnded drops the earlier certificates that have ended.
func (c *cells) dropEnded(of *cell, at time.Time, m moment) {
	if b := of.more(); len(b.earlier) == 0 || !b.firstEnd.Before(at) {
		return
	}
	b := c.besides(of)
	b.drop(func(e *certificate) bool { return e.endsBefore(at, m) })
}

// dropFirst drops the one that ends first.
func (c *cells) dropFirst(b *beside) {
	first := slices.IndexFunc(b.earlier, func(e certificate) bool { return e.ends().Equal(b.firstEnd) })
	b.earlier = slices.Delete(b.earlier, first, first+1)
	b.survey()
}

// survey says anew when the first of the earlier ones ends, and what marks they have.
func (b *beside) survey() {
	b.firstEnd, b.marks = time.Time{}, [4]uint64{}
	for i := range b.earlier {
		word, mark := b.earlier[i].mark()
		b.marks[word] |= mark
		if end := b.earlier[i].ends(); i == 0 || end.Before(b.firstEnd) {
			b.firstEnd = end
		}
	}
}

// drop drops the earlier certificates of which the condition holds.
func (b *beside) drop(condition func(*certificate) bool) {
	kept := 0
	for i := range b.earlier {
		if !condition(&b.earlier[i]) {
			b.earlier[kept] = b.earlier[i]
			kept++
		}
	}
	clear(b.earlier[kept:])
	b.earlier = b.earlier[:kept]
	b.survey()
}

// certificates are all that the present life was given and that may not have
// ended yet, each once.
func (c *cells) certificates(of *cell) []certificate {
	all := slices.Clone(of.more().earlier)
	for _, k := range []*credential{c.proved(of), of.issued()} {
		if k == nil {
			continue
		}
		next := k.certificate()
		if !next.isAmong(all) {
			all = append(all, next)
		}
	}
	return all
}

// revoke ends the credential with that serial, whatever it is to the node.
func (s *State) revoke(at time.Time, of *cell, serial string) bool {
	w := wordOf(serial)
	found := s.revokeAll(at, of, func(c *certificate) bool {
		k := c.credential()
		return k.serialIs(&w, serial)
	})
	return s.void(of, serial) || found
}

// revokeAll lists what the condition holds for; what still counts is not ended
// by it. It says whether there was anything.
func (s *State) revokeAll(at time.Time, of *cell, condition func(*certificate) bool) (found bool) {
	m := momentOf(at)
	for _, c := range s.ids.certificates(of) {
		if condition(&c) {
			found = found || !c.endsBefore(at, m)
			s.revoked.add(s.sequence, s.ids.revoked(&c, at))
		}
	}
	if len(of.more().earlier) > 0 {
		s.ids.besides(of).drop(condition)
	}
	return found
}

func (c *cells) revoked(e *certificate, at time.Time) Revoked {
	k := e.credential()
	return Revoked{Serial: k.serialText(), Issuer: c.issuerOf(&k), At: at, NotAfter: k.ends()}
}

// rekey ends what a node was given for another key than that: it cannot sign with
// it. What stays is for the node's key from here on.
func (s *State) rekey(at time.Time, of *cell, key string, isOwn bool) {
	held := func(k *credential) bool { return k != nil && (k.own && isOwn || !k.own && k.oddities().key == key) }
	issued, proved := of.issued(), s.ids.proved(of)
	keepIssued, keepProved := held(issued), held(proved)
	stranger := func(c *certificate) bool {
		k := c.credential()
		return !held(&k)
	}
	all := of.more().earlier
	if keepIssued == (issued != nil) && keepProved == (proved != nil) && !slices.ContainsFunc(all, func(c certificate) bool { return stranger(&c) }) && isOwn {
		return // nearly always
	}
	s.revokeAll(at, of, stranger)
	if issued != nil || proved != nil {
		s.ids.settle(of, keepIssued, keepProved)
	}
	s.ids.own(of)
}

// own takes all that a node was given for given for its own key.
func (c *cells) own(of *cell) {
	of.held.own, of.held.odd = true, of.held.odd.ofOwnKey()
	if of.has&provedApart != 0 {
		k := c.apart.change(int(of.apart))
		k.own, k.odd = true, k.odd.ofOwnKey()
	}
	if len(of.more().earlier) > 0 {
		b := c.besides(of)
		for i := range b.earlier {
			b.earlier[i].own, b.earlier[i].odd = true, b.earlier[i].odd.ofOwnKey()
		}
	}
}

func (o *odd) ofOwnKey() *odd {
	if o == nil || o.key == "" {
		return o
	}
	own := *o
	own.key = ""
	if own == even {
		return nil
	}
	return &own
}

func (s *State) reportBundle(of *cell, d *events.NodeBundleReported) bool {
	if s.ids.bundleOf(of) == d.Digest {
		return false
	}
	s.ids.report(of, d.Digest)
	return true
}
