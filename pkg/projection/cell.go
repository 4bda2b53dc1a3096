package projection

import (
	"slices"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// cell is what is kept of an id. It outlives the node: the epoch and the last
// sequence must never be forgotten. A fleet has millions of them, and each event
// works on one where it lies: so texts of a known length, such as serials, stand in
// it as the bytes that they name, and what few nodes have stands beside it.
type cell struct {
	id          fleet.NodeID
	last, epoch uint64
	// began and what follows are of the present life; zero unless it is observed.
	began    uint64
	provedAt moment
	// held is the newest credential: the one that was issued, or if that has ended
	// the one that was proved.
	held credential
	// tries is its account in the ledger, packed.
	tries  string
	beside *beside // nil: nothing
	bundle uint32  // the number of a name
	// apart is where the proved credential lies, if it is another than held.
	apart   uint32
	key     fingerprint
	session session
	has     uint8
}

// What of a cell there is.
const (
	hasNode = 1 << iota
	isPresent
	isLost
	hasIssued
	hasProved
	provedApart // the proved one is not the issued one, and both are there
)

// observed says that there is a node. Nothing is observed of a nil cell.
func (c *cell) observed() bool { return c != nil && c.has&hasNode != 0 }
func (c *cell) present() bool  { return c.has&isPresent != 0 }
func (c *cell) signs() bool    { return c != nil && c.has&hasProved != 0 }
func (c *cell) lost() bool     { return c != nil && c.has&isLost != 0 }

// set sets or clears what of a cell there is.
func (c *cell) set(what uint8, yes bool) {
	if c.has &^= what; yes {
		c.has |= what
	}
}

// epochNow is the epoch of an id, also of one never heard of.
func (c *cell) epochNow() uint64 {
	if c == nil {
		return firstEpoch
	}
	return c.epoch
}

func (c *cell) seen() fleet.ObservedNode {
	return fleet.ObservedNode{ID: c.id, Present: c.present(), CanSign: c.signs()}
}

func (c *cell) standing() Standing {
	return Standing{ObservedNode: c.seen(), Lost: c.lost(), Began: c.began}
}

// beside is what most nodes have none of, and some much. A copy takes its place
// before it is changed, if the cells were lent since it was made.
type beside struct {
	era       uint32
	removedAt time.Time
	losses    []time.Time   // of the present life, oldest first
	earlier   []certificate // given to the present life before issued and proved
	// firstEnd is when the first of the earlier ones ends, or before.
	firstEnd time.Time
	// marks has the mark of each of the earlier ones, so that one without a mark
	// need not be looked for.
	marks [4]uint64
	// Texts that are too long for their place, and times that are too far away.
	key, session, bundle string
	provedAt             time.Time
}

// nothing is beside a cell that has none.
var nothing beside

func (c *cell) more() *beside {
	if c == nil || c.beside == nil {
		return &nothing
	}
	return c.beside
}

// besides is what stands beside a cell, to be changed.
func (c *cells) besides(of *cell) *beside {
	if of.beside == nil {
		of.beside = &beside{era: c.era}
	} else if of.beside.era != c.era {
		own := *of.beside
		own.era, own.losses, own.earlier = c.era, slices.Clone(own.losses), slices.Clone(own.earlier)
		of.beside = &own
	}
	return of.beside
}

func (c *cell) keyText() string { return c.key.text(c.more().key) }

// keyIs says that the node's key is that one.
func (c *cell) keyIs(f *fingerprint, text string) bool {
	return c.key == *f && (f.form != elsewhere || c.more().key == text)
}

func (c *cell) sessionIs(s *session, text string) bool {
	return c.session == *s && (s.form != elsewhere || c.more().session == text)
}

// name gives the node a key and a session.
func (c *cells) name(of *cell, f *fingerprint, key string, x *session, text string) {
	of.key, of.session = *f, *x
	if f.form == elsewhere || of.more().key != "" {
		c.besides(of).key = beyond(f.form, key)
	}
	if x.form == elsewhere || of.more().session != "" {
		c.besides(of).session = beyond(x.form, text)
	}
}

// beyond is what has to stand beside the short form of a text.
func beyond(f form, text string) string {
	if f == elsewhere {
		return text
	}
	return ""
}

func (c *cells) bundleOf(of *cell) string {
	if of.bundle > 0 {
		return c.names.of(of.bundle)
	}
	return of.more().bundle
}

func (c *cells) report(of *cell, bundle string) {
	of.bundle = c.names.number(bundle, of.bundle)
	if long := of.bundle == 0 && bundle != ""; long || of.more().bundle != "" {
		b := c.besides(of)
		if b.bundle = ""; long {
			b.bundle = bundle
		}
	}
}

// prove notes when the node has proved what it holds.
func (c *cells) proveAt(of *cell, at time.Time) {
	of.provedAt = momentOf(at)
	if of.provedAt == farAway || !of.more().provedAt.IsZero() {
		c.besides(of).provedAt = aside(of.provedAt, at)
	}
}

func (c *cell) provedAtTime() time.Time { return c.provedAt.time(c.more().provedAt) }

// end leaves an id without a node.
func (c *cells) end(of *cell) {
	if of.has&provedApart != 0 {
		c.release(of.apart)
	}
	*of = cell{id: of.id, last: of.last, epoch: of.epoch, provedAt: never, tries: of.tries, beside: of.beside}
	b := c.besides(of)
	*b = beside{era: b.era, removedAt: b.removedAt}
}

// node is all that is known of an observed one.
func (c *cells) node(of *cell) Node {
	n := Node{
		ID: of.id, Present: of.present(), Lost: of.lost(), Began: of.began, Epoch: of.epoch, Last: of.last,
		Session: of.session.text(of.more().session), KeyFingerprint: of.keyText(), Bundle: c.bundleOf(of),
		ProvedAt: of.provedAtTime(), Issued: c.public(of, of.issued()),
	}
	if n.Proved = n.Issued; !of.provedIsIssued() {
		n.Proved = c.public(of, c.proved(of))
	}
	return n
}
