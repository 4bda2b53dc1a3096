package projection

import (
	"cmp"
	"iter"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Still is a State as it was at a moment, for whoever takes longer over it than
// the fold may wait. To hold a million nodes still takes a millisecond or two; what
// the fold changes meanwhile it copies before, and the images of the ids are made
// one by one, as they are asked for.
type Still struct {
	// Image has no IDs.
	Image
	ids       *cells
	living    []uint32 // numbers of cells, in observed order
	others    []other  // by name
	strangers map[fleet.Action]Attempts
}

// other is an id that is not observed; of one that only actions have named there
// is no cell.
type other struct {
	id   fleet.NodeID
	cell *cell
}

// Still holds the state still. The caller must exclude Apply and Skip meanwhile.
func (s *State) Still() *Still {
	x := &Still{Image: s.fleetImage(), strangers: make(map[fleet.Action]Attempts)}
	s.observed.mu.Lock()
	defer s.observed.mu.Unlock()
	x.ids = s.ids.lend()
	x.living = make([]uint32, 0, s.observed.living)
	for _, n := range s.observed.order {
		if n != hole {
			x.living = append(x.living, n)
		}
	}
	if len(x.living) < x.ids.len {
		x.addOthers()
	}
	x.addStrangers(&s.ledger)
	slices.SortFunc(x.others, func(a, b other) int { return cmp.Compare(a.id, b.id) })
	return x
}

// addOthers adds the ids that have a cell and no node: in a large fleet few.
func (x *Still) addOthers() {
	for n := range x.ids.len {
		if c := x.ids.at(n); !c.observed() {
			x.others = append(x.others, other{c.id, c})
		}
	}
}

// addStrangers adds the ids that only actions have named.
func (x *Still) addStrangers(l *Ledger) {
	seen := make(map[fleet.NodeID]bool)
	for need, a := range l.strangers {
		x.strangers[need] = a
		if !seen[need.ID] {
			seen[need.ID] = true
			x.others = append(x.others, other{id: need.ID})
		}
	}
}

// Len is how many ids there are.
func (x *Still) Len() int { return len(x.living) + len(x.others) }

// IDs yields what Image.IDs lists, in that order.
func (x *Still) IDs() iter.Seq[IDImage] {
	return func(yield func(IDImage) bool) {
		for _, n := range x.living {
			if !yield(x.ids.image(x.ids.at(int(n)))) {
				return
			}
		}
		for _, o := range x.others {
			i := IDImage{ID: o.id, Attempts: x.strange(o.id)}
			if o.cell != nil {
				i = x.ids.image(o.cell)
			}
			if !yield(i) {
				return
			}
		}
	}
}

func (c *cells) image(of *cell) IDImage {
	b := of.more()
	i := IDImage{ID: of.id, Epoch: of.epoch, Last: of.last, RemovedAt: b.removedAt, Earlier: c.earlierImages(of)}
	if len(b.losses) > 0 {
		i.Losses = slices.Clone(b.losses)
	}
	if of.observed() {
		n := c.node(of)
		n.Last = 0
		i.Node = &n
	}
	i.Attempts = images(of.tries)
	return i
}

func (c *cells) earlierImages(of *cell) (list []EarlierImage) {
	for i := range of.more().earlier {
		k := of.beside.earlier[i].credential()
		list = append(list, EarlierImage{
			Serial: k.serialText(), Issuer: c.issuerOf(&k), KeyFingerprint: c.keyOf(of, &k), NotAfter: k.ends(),
		})
	}
	return list
}

// strange is what was tried at an id of which no fact told.
func (x *Still) strange(id fleet.NodeID) (list []NeedImage) {
	for _, kind := range fleet.ActionTypes {
		if a, tried := x.strangers[fleet.Action{Type: kind, ID: id}]; tried {
			list = append(list, NeedImage{kind, a})
		}
	}
	return list
}
