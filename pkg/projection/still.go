package projection

import (
	"cmp"
	"iter"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Still is a State as it was at a moment, for whoever takes longer over it than
// the fold may wait. To hold a million nodes still takes a fraction of a second;
// the images of their ids are made one by one, as they are asked for.
type Still struct {
	// Image has no IDs.
	Image
	pieces    [][]cell // copies
	living    []uint32 // numbers of cells, in observed order
	others    []other  // by name
	names     names
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
	x := &Still{Image: s.fleetImage(), names: s.ids.names, strangers: make(map[fleet.Action]Attempts)}
	x.names.numbers = nil // no new ones
	s.observed.mu.Lock()
	defer s.observed.mu.Unlock()
	for _, piece := range s.ids.pieces {
		x.pieces = append(x.pieces, slices.Clone(piece))
	}
	for _, n := range s.observed.order {
		if n != hole {
			x.living = append(x.living, n)
		}
	}
	if len(x.living) < s.ids.len() {
		x.addOthers(s.ids.len())
	}
	x.addStrangers(&s.ledger)
	slices.SortFunc(x.others, func(a, b other) int { return cmp.Compare(a.id, b.id) })
	return x
}

// addOthers adds the ids that have a cell and no node: in a large fleet few.
func (x *Still) addOthers(cells int) {
	for n := range cells {
		if c := x.cell(n); !c.head().observed() {
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

func (x *Still) cell(n int) *cell { return &x.pieces[n/cellsInPiece][n%cellsInPiece] }

// Len is how many ids there are.
func (x *Still) Len() int { return len(x.living) + len(x.others) }

// IDs yields what Image.IDs lists, in that order.
func (x *Still) IDs() iter.Seq[IDImage] {
	return func(yield func(IDImage) bool) {
		var d desk
		for _, n := range x.living {
			if !yield(x.image(&d, x.cell(int(n)))) {
				return
			}
		}
		for _, o := range x.others {
			i := IDImage{ID: o.id, Attempts: x.strange(o.id)}
			if o.cell != nil {
				i = x.image(&d, o.cell)
			}
			if !yield(i) {
				return
			}
		}
	}
}

func (x *Still) image(d *desk, c *cell) IDImage {
	d.clear()
	d.unpacker.names = &x.names
	d.unpacker.record(&d.record, c)
	r := &d.record
	i := IDImage{ID: r.id, Epoch: r.epoch, Last: r.last, RemovedAt: r.removedAt, Earlier: r.earlierImages()}
	if len(r.losses) > 0 {
		i.Losses = slices.Clone(r.losses)
	}
	if r.node != nil {
		n := r.node.public(0)
		i.Node = &n
	}
	i.Attempts = images(c.tries)
	return i
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
